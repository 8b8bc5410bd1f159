"""Stores that a command opens, and what became of an addition to one that was interrupted."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hd_edge.errors import StoreError, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hd_edge.store.store import Store


def open_any(path: Path, *, read_only: bool = False) -> Store:
    """A store of either kind."""
    from hd_edge.store.store import Store

    return Store(path, kind=None, read_only=read_only)


def in_turn(paths: Iterable[Path]) -> Iterator[Store]:
    """Each of them to read, one open at a time."""
    for path in paths:
        with open_any(path, read_only=True) as store:
            yield store


@contextmanager
def addition(path: Path) -> Iterator[None]:
    """Around an import or a merge: who stops it is told whether that was behind its commit, or nothing is in.

    Raises:
        KeyboardInterrupt: It was stopped.
    """
    before = _additions(path)
    try:
        yield
    except KeyboardInterrupt:
        held = "all of it is" if _additions(path) > before else "nothing of it is"
        click.echo(f"stopped: {held} in {printable(str(path))}", err=True)
        raise


def _additions(path: Path) -> int:
    with suppress(StoreError), open_any(path, read_only=True) as store:
        return store.counters().get("additions", 0)
    return 0
