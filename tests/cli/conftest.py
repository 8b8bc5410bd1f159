"""The command line in a terminal."""

from __future__ import annotations

import pytest
from children import HD_EDGE
from terminal import Terminal


@pytest.fixture
def terminal(opened):
    """Runs a command in a pseudo-terminal."""

    def start(*arguments, columns=100, **env):
        return opened(Terminal([*HD_EDGE, *map(str, arguments)], env, columns=columns))

    return start
