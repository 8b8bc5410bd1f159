"""A store for somebody who only wants to generate: whatever is wrong with the file, generation goes on.

A damaged file is moved aside, never deleted, and a new one begins; every other trouble leaves the file alone and keeps
what is learned in memory. Each trouble is told once, as a ``StoreWarning``.
"""

from __future__ import annotations

import os
import time
import warnings
from typing import TYPE_CHECKING

from hd_edge.errors import StoreCorruptError, StoreError, StoreWarning

from .places import data_folder
from .store import DEFAULT_CAP, Store

if TYPE_CHECKING:
    from pathlib import Path

    from .identity import Identity

SIDE_FILES = ("-journal", "-wal", "-shm")  # a journal of the damaged file must not be played into the new one


def default_path(identity: Identity, kind: str = "model") -> Path:
    """The file of a model, or the statistics file of its tokenizer."""
    if kind == "statistics":
        return data_folder() / "statistics" / f"{identity.tokenizer[:16]}.sqlite3"
    return data_folder() / "models" / f"{identity.architecture[:8]}-{identity.tokenizer[:16]}.sqlite3"


def move_aside(path: Path) -> Path:
    """Renames a damaged file to ``<name>.corrupt-<date>``; returns the new name.

    Raises:
        StoreError: It cannot be renamed.
    """
    stem = f"{path.name}.corrupt-{time.strftime('%Y%m%d-%H%M%S')}"
    target = path.with_name(stem)
    number = 1
    while os.path.lexists(target):
        number += 1
        target = path.with_name(f"{stem}-{number}")
    try:
        path.rename(target)
        for suffix in SIDE_FILES:
            side = path.with_name(path.name + suffix)
            if side.exists():
                side.rename(target.with_name(target.name + suffix))
    except OSError as error:
        msg = f"store {path} cannot be moved aside: {error.strerror or error}"
        raise StoreError(msg) from error
    return target


def warn(message: str) -> None:
    """Tells the user once; generation goes on."""
    warnings.warn(message, StoreWarning, stacklevel=3)


def open_model_store(path: Path | None, identity: Identity, *, learn: bool = True, cap: int = DEFAULT_CAP) -> Store:
    """The model's store at ``path``, or one in memory if there is no path or the file cannot be used. Never raises."""
    if path is None:
        return Store(None, identity, cap=cap)
    try:
        try:
            return Store(path, identity, read_only=not learn, cap=cap)
        except StoreCorruptError as error:
            aside = move_aside(path)
            warn(f"{error}; it was moved to {aside} and a new store begins")
            return Store(path, identity, cap=cap)
    except StoreError as error:
        if learn and not isinstance(error, StoreCorruptError) and path.is_file() and not os.access(path, os.W_OK):
            return _read_only(path, identity, error)
        if learn or path.exists():
            warn(f"{error}; going on without this store, what is learned stays in memory")
        return Store(None, identity, cap=cap)


def _read_only(path: Path, identity: Identity, error: StoreError) -> Store:
    try:
        store = Store(path, identity, read_only=True)
    except StoreError as worse:
        warn(f"{worse}; going on without this store, what is learned stays in memory")
        return Store(None, identity)
    warn(f"{error}; reading it only, nothing is learned")
    return store


def open_statistics_store(path: Path, identity: Identity, *, asked_for: bool) -> Store | None:
    """The statistics file, or None if there is none that fits. Never raises, never writes.

    Args:
        path: The file.
        identity: The tokenizer that must fit.
        asked_for: The user named this file, so its absence is worth a warning.
    """
    if not asked_for and not path.exists():
        return None
    try:
        return Store(path, identity, kind="statistics", read_only=True)
    except StoreError as error:
        warn(f"{error}; going on without the statistics tier")
        return None
