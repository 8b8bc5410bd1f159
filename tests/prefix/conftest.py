"""A folder of prefixes."""

import pytest
from fake_state import PIECES, PROMPT, Conversation


@pytest.fixture
def filled(tmp_path):
    """It holds PROMPT."""
    folder = tmp_path / "prefix"
    talk = Conversation(folder)
    talk.answer(PROMPT)
    talk.close()
    assert len(list(folder.glob("*/*.kv"))) == PIECES
    return folder
