"""Files that a user names for a result: an earlier result of the same kind is replaced as a whole, nothing else is."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from hd_edge.errors import ConfigError

from .open_stores import open_stores
from .ownership import new_bytes, real_path

Mark = re.Pattern[bytes] | None  # found in every file of a kind, and in no other; None: that kind cannot carry one

PICTURE_MAKER = "hd-edge bench"
PICTURE_FIELDS = {"png": "Software", "pdf": "Creator", "svg": "Creator"}  # where such a file says what made it
_MAKER = PICTURE_MAKER.encode()
_PICTURES = {
    ".png": re.compile(rb"\A\x89PNG.*?tEXtSoftware\0" + _MAKER + rb"[^ -~]", re.DOTALL),
    ".pdf": re.compile(rb"\A%PDF.*/Creator \(" + _MAKER + rb"\)", re.DOTALL),
    ".svg": re.compile(rb"\A<\?xml.*<dc:creator>.*<dc:title>" + _MAKER + rb"</dc:title>", re.DOTALL),
}
STREAMS = re.compile(  # what the shell opened, whatever that is
    r"/dev/std(?P<name>in|out|err)|(/dev|/proc/(?P<process>\w+))/fd/(?P<number>[0-9]{1,9})"
)
STANDARD = {"in": 0, "out": 1, "err": 2}
MOST_READ = 2**26  # bytes of a file in which a mark is looked for


def picture_mark(path: Path) -> Mark:
    """Of a picture whose name ends so."""
    return _PICTURES.get(path.suffix.lower())


def figures_mark(command: str) -> Mark:
    """Of the figures of a command."""
    return re.compile(rb'\A\{\s*"written_by": "hd-edge ' + command.encode() + rb'"')


def figures_text(command: str, figures: dict[str, Any]) -> str:
    """Figures as JSON that carries their mark, in ASCII."""
    return json.dumps({"written_by": f"hd-edge {command}", **figures}, indent=1) + "\n"


def check(path: Path, mark: Mark) -> None:
    """Finds out, as early as one likes, whether a result could be written.

    Raises:
        ConfigError: Something else stands there, or the folder takes no file.
        OSError: What stands there cannot be read.
    """
    if is_stream(path):
        return
    real = real_path(path)
    if os.path.lexists(real) and not _is_own(real, mark):
        why = "" if mark else ", or is of a kind whose files cannot say what made them"
        msg = f"{path} holds something else and would be lost{why}: name another file"
        raise ConfigError(msg)
    if real.parent.is_dir() and not os.access(real.parent, os.W_OK):
        msg = f"{real.parent} takes no new file: name one in another folder"
        raise ConfigError(msg)


def write(path: Path, data: bytes, mark: Mark) -> None:
    """Writes a result, whole or not at all; a file that it replaces keeps its mode, a link stays one.

    Args:
        path: As the user named it.
        data: All of it, with its mark.
        mark: Of its kind.

    Raises:
        ConfigError: Something else stands there.
        OSError: It cannot be written.
    """
    if is_stream(path):
        with open_stream(path) as file:
            file.write(data)
        return
    check(path, mark)
    real = real_path(path)
    new_bytes(real, data, replaces=os.path.lexists(real), mode=kept_mode(real, _usual_mode()))


def kept_mode(real: Path, new: int) -> int:
    """Mode of a result: that of the file which it replaces, or where none stands there, ``new``."""
    return stat.S_IMODE(real.stat().st_mode) if os.path.lexists(real) else new


@contextmanager
def open_stream(path: Path) -> Iterator[IO[bytes]]:
    """What the shell opened; a file keeps what it has.

    Raises:
        OSError: It cannot be written; names it.
    """
    try:
        if (number := _descriptor(path)) is not None:
            if not os.get_inheritable(number):  # the shell's are, or they would not be here: this one is ours
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            sys.stdout.flush()
            # Not opened anew: what the shell writes next would lie over it, and what is only read would be written.
            with os.fdopen(os.dup(number), "wb") as file:
                yield file
            return
        with path.open("ab") as file:
            yield file
    except OSError as error:
        raise OSError(error.errno, error.strerror, error.filename or str(path)) from error


def is_stream(path: Path) -> bool:
    """Whether a user names no file of their own, but what the shell opened, a terminal or a pipe."""
    return _descriptor(path) is not None or (path.exists() and not path.is_file())


def _descriptor(path: Path) -> int | None:
    """The number of the descriptor that a path names; None: it names none of this process."""
    named = STREAMS.fullmatch(os.path.abspath(path))  # noqa: PTH100  links stay: what they lead to may be a file
    if named is None or named["process"] not in (None, "self", str(os.getpid())):
        return None
    return STANDARD[named["name"]] if named["name"] else int(named["number"])


def _is_own(path: Path, mark: Mark) -> bool:
    data = open_stores.start(path, MOST_READ)
    if data is None:  # a store, and open here
        return False
    return not data or (mark is not None and mark.search(data) is not None)


def _usual_mode() -> int:
    """That of files which programs make for their user."""
    mask = os.umask(0o077)  # there is no other way to read it
    os.umask(mask)
    return 0o666 & ~mask
