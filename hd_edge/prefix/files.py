"""Files of pieces: written whole or not at all, checked before anything in them is believed.

A file is a header (``_HEAD``, then the packed tokens, then a CRC-32 of both) and the state as llama.cpp saves it. It is
written under a temporary name and renamed; it is not flushed to the disk, because a torn one is noticed and costs time
only. CRC-32 finds damage, not malice: the files have mode 0600 in a folder of the user.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from .pieces import PIECE, TOKEN, Piece

MAGIC, VERSION = b"hdEdgeKV", 1
# magic, version, tokens, start, bytes of state, CRC-32 of state, fingerprint, parent
_HEAD = struct.Struct("<8sIIIQI32s32s")
_CRC = struct.Struct("<I")
MOST_HEAD = _HEAD.size + PIECE * TOKEN + _CRC.size  # bytes of a file beside the state
CHUNK = 8 << 20  # bytes written or read at once
NAME = re.compile(r"[0-9a-f]{64}\.kv")
TEMPORARY = re.compile(r"\.[0-9a-f]{64}\.[0-9a-f]{8}\.new")


def path_of(folder: Path, name: bytes) -> Path:
    """Where the piece of a name lies."""
    text = name.hex()
    return folder / text[:2] / f"{text}.kv"


def write(folder: Path, fingerprint: bytes, piece: Piece, blob: bytearray, pause: Callable[[], None]) -> int:
    """Writes a piece; returns the bytes of its file.

    Args:
        folder: Of all pieces.
        fingerprint: Of model and settings.
        piece: What is written.
        blob: Its state.
        pause: Called between chunks; returns when writing may go on.

    Raises:
        OSError: It cannot be written; nothing is left behind.
    """
    path = path_of(folder, piece.name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.path.lexists(path) and not is_ours(path):
        msg = f"{path} is no file of hd_edge"
        raise FileExistsError(msg)
    n = len(piece.tokens) // TOKEN
    head = _HEAD.pack(MAGIC, VERSION, n, piece.start, len(blob), zlib.crc32(blob), fingerprint, piece.parent)
    head += piece.tokens
    head += _CRC.pack(zlib.crc32(head))
    temporary = path.with_name(f".{piece.name.hex()}.{secrets.token_hex(4)}.new")
    try:
        handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o600)
        with open(handle, "wb", buffering=0) as file:  # noqa: PTH123  a handle that has its mode from the start
            _write_all(file.write, memoryview(head))
            for at in range(0, len(blob), CHUNK):
                pause()
                _write_all(file.write, memoryview(blob)[at : at + CHUNK])
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return len(head) + len(blob)


def _write_all(write: Callable[[memoryview], int | None], data: memoryview) -> None:
    while data:
        data = data[write(data) or 0 :]


def is_there(folder: Path, name: bytes, size: int) -> bool:
    """True if a piece has a file of this size."""
    try:
        return path_of(folder, name).stat().st_size == size
    except OSError:
        return False


def read(folder: Path, fingerprint: bytes, piece: Piece, buffer: bytearray) -> memoryview | None:
    """The state of a piece, in ``buffer`` if it is large enough (new memory costs twice the reading).

    Returns:
        None if there is no file or anything about it is not as it was written.
    """
    return read_file(path_of(folder, piece.name), fingerprint, piece, buffer)


def read_file(
    path: Path, fingerprint: bytes | None = None, piece: Piece | None = None, buffer: bytearray | None = None
) -> memoryview | None:
    """The state in a file; None if the file is not whole, or not of this fingerprint and piece where they are given."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return None
    try:
        with open(handle, "rb", buffering=0) as file:  # noqa: PTH123
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                return None
            head = file.read(_HEAD.size)
            if len(head) < _HEAD.size:
                return None
            magic, version, n, start, size, crc, of, parent = _HEAD.unpack(head)
            if magic != MAGIC or version != VERSION:
                return None
            if status.st_size != _HEAD.size + n * TOKEN + _CRC.size + size:
                return None
            tokens = file.read(n * TOKEN)
            if file.read(_CRC.size) != _CRC.pack(zlib.crc32(head + tokens)):
                return None
            found = Piece(parent, tokens, start)
            if (piece is not None and found != piece) or (fingerprint is not None and of != fingerprint):
                return None
            if path.name != f"{found.name.hex()}.kv":
                return None
            enough = buffer is not None and size <= len(buffer)
            blob = memoryview(buffer if enough and buffer is not None else bytearray(size))[:size]
            return blob if _read_all(file.readinto, blob) == crc else None
    except OSError:
        return None


def _read_all(readinto: Callable[[memoryview], int | None], data: memoryview) -> int:
    """Fills ``data``; returns the CRC-32 of what was read, computed while it is in the processor's cache."""
    crc = 0
    while data:
        n = readinto(data[: 1 << 20]) or 0
        if n == 0:
            return -1
        crc = zlib.crc32(data[:n], crc)
        data = data[n:]
    return crc


def is_ours(path: Path) -> bool:
    """True for a file that this module wrote: only such a file may ever be removed."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
        if not (NAME.fullmatch(path.name) or TEMPORARY.fullmatch(path.name)):
            return False
        with path.open("rb") as file:
            return file.read(len(MAGIC)) in (MAGIC, b"")  # empty: a crash came before its bytes
    except OSError:
        return False


def remove(folder: Path, name: bytes) -> None:
    """Removes the file of a piece, if it is one of ours."""
    path = path_of(folder, name)
    if is_ours(path):
        path.unlink(missing_ok=True)
