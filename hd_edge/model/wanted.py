"""Whether anybody waits for what this thread makes: long work looks now and then."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

unwanted: ContextVar[Callable[[], bool] | None] = ContextVar("unwanted", default=None)  # None: somebody always does
