"""Stores of either kind, opened for ``hd-edge db``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from hd_edge.store.store import Store


def open_any(path: Path, *, read_only: bool = False) -> Store:
    """A store of either kind.

    Raises:
        StoreError: And its children, as ``Store`` does.
    """
    from hd_edge.store.store import Store

    return Store(path, kind=None, read_only=read_only)


def in_turn(paths: Iterable[Path]) -> Iterator[Store]:
    """Each of them to read, one open at a time."""
    for path in paths:
        with open_any(path, read_only=True) as store:
            yield store
