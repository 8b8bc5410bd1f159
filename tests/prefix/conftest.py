"""A folder of prefixes."""

import pytest
from fake_state import PIECES, PROMPT, Conversation, again


@pytest.fixture
def talk(tmp_path, opened):
    """A conversation whose prefixes lie in this test's folder."""
    return opened(Conversation(tmp_path))


@pytest.fixture
def filled(tmp_path):
    """It holds PROMPT."""
    folder = tmp_path / "prefix"
    again(folder, PROMPT)
    assert len(list(folder.glob("*/*.kv"))) == PIECES
    return folder
