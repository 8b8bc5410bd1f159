"""A signal's handler that raises, or does something, at the n-th place of some files where it may be run."""

from __future__ import annotations

import dis
import sys
from functools import cache
from itertools import pairwise


@cache
def behind(code):
    """Where the interpreter runs handlers: behind a call, at the begin of a function, and where a loop begins again."""
    steps = pairwise(dis.get_instructions(code))
    return {after.offset for step, after in steps if step.opname.startswith(("CALL", "RESUME", "JUMP_BACKWARD"))}


class RaisingHandler:
    """Raises once.

    Args:
        error: What.
        files: Names, or the beginnings of names, of the files in whose code.
        number: Of the place, counted from 0.
        lines: Places are lines; False: what ``behind`` says, which is finer.
        does: What it does instead of raising.
    """

    def __init__(self, error, files, number, *, lines=False, does=None):
        self._error, self._files, self._left, self._lines, self._does = error, files, number, lines, does
        self.raised = False

    def __call__(self, frame, event, _):
        if not frame.f_code.co_filename.startswith(self._files):
            return None
        frame.f_trace_opcodes = not self._lines
        if event == "line" if self._lines else event == "opcode" and frame.f_lasti in behind(frame.f_code):
            self._left -= 1
            if self._left < 0 and not self.raised:
                self.raised = True
                if self._does is None:
                    raise self._error
                sys.settrace(None)
                self._does()
        return self

    def run(self, use):
        """Whether it came in time."""
        before = sys.gettrace()
        sys.settrace(self)
        try:
            use()
        except self._error:
            assert self.raised
        finally:
            sys.settrace(before)
        return self.raised
