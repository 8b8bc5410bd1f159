"""Telling: warnings of what goes wrong while somebody waits for an answer, and that must not cost the answer."""

from __future__ import annotations

import logging
import warnings

log = logging.getLogger("hd_edge")


def tell(message: str, category: type[Warning], *, stacklevel: int = 1) -> None:
    """Warns, and raises nothing: here nobody could take it, and what was begun would be left in the middle.

    Where a filter makes an exception of the warning, it is shown as if it were none.

    Args:
        message: For people.
        category: Of the warning.
        stacklevel: As of ``warnings.warn``, counted from the caller.
    """
    try:
        warnings.warn(message, category, stacklevel=stacklevel + 1)
    except Exception as raised:  # the filter's, or that of a program's own way to show warnings
        log.warning("%s", message)
        if isinstance(raised, category):
            _show(raised)


def _show(warning: Warning) -> None:
    try:
        warnings.showwarning(warning, type(warning), __file__, 0)
    except Exception as raised:
        log.warning("a warning cannot be shown: %s: %s", type(raised).__name__, raised)
