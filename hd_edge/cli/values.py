"""What options accept: out of range is told before anything is loaded."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import Any

import click

from hd_edge.errors import MOST_NAME, ConfigError
from hd_edge.store.output import Mark, check, figures_mark, picture_mark

from .explain import MARK as PAGE_MARK

INT32 = 2**31 - 1
ORIGIN = re.compile(r"\*|null|[a-z][a-z0-9+.-]*://[^\s/?#@]*")  # "null" is that of a file
MOST_MIB = 2**30  # a pebibyte: what is above is a slip of the keyboard
POSITIVE = click.IntRange(1, INT32)
COUNT = click.IntRange(0, INT32)
CONTEXT = click.IntRange(0, INT32)  # 0: the model's
LAYERS = click.IntRange(-1, INT32)  # -1: all
THREADS = click.IntRange(1, 512)  # llama.cpp's own limit
SEED = click.IntRange(-1, 2**32 - 1)  # -1: a random one
SEEDS = click.IntRange(0, 10_000)  # how many; every one is listed in the figures


class Name(click.types.StringParamType):
    """A text that names something: not empty."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As click's, with one more test."""
        if not value:
            self.fail("it is empty: give a name, or leave the option out", param, ctx)
        return super().convert(value, param, ctx)


class Alias(Name):
    """A name that every answer repeats: short, and of characters that can be printed."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As of other names, with two more tests."""
        name = str(super().convert(value, param, ctx))
        if len(name) > MOST_NAME:
            self.fail(f"it has {len(name)} characters, at most {MOST_NAME} are taken: give a shorter name", param, ctx)
        if not name.isprintable() or not name.strip():
            self.fail(f"{name!r} has characters that cannot be printed, or only blanks: give another", param, ctx)
        return name


class Origin(click.types.StringParamType):
    """A web origin as browsers send it, or ``*`` for all of them: another text would never be one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As click's, with one more test."""
        origin = str(super().convert(value, param, ctx)).lower()
        if not ORIGIN.fullmatch(origin):
            self.fail(
                f"{value!r} is no web origin: give scheme, host and perhaps port, as http://localhost:3000", param
            )
        return origin


class FilePath(click.Path):
    """A path that is not empty: Python takes an empty one for the working folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As click's, with one more test."""
        if not os.fspath(value):
            self.fail("it is empty: give a path, or leave the option out", param, ctx)
        return super().convert(value, param, ctx)


class Finite(click.FloatRange):
    """A number within bounds, and neither infinite nor NaN."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As click's, with one more test."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return number


class Predict(click.IntRange):
    """A number of tokens, or -1 for as many as there come."""

    def __init__(self) -> None:
        super().__init__(-1, INT32)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As click's, with one more test."""
        number = super().convert(value, param, ctx)
        if number == 0:
            self.fail("0 tokens are no answer: at least 1 is expected, or -1 until done", param, ctx)
        return number


class InFolder(FilePath):
    """A file in a folder that is there: told before the work is done, not after."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As click's, with one more test."""
        path = super().convert(value, param, ctx)
        folder = Path(os.fsdecode(path)).parent
        if not folder.is_dir():
            self.fail(f"{folder} is no folder: make it first", param, ctx)
        return path


class Writable(InFolder):
    """A result that can be written, and nothing is lost by that.

    Args:
        mark: Of an earlier output, which is written over; what has none is left alone.
        **settings: As for ``click.Path``.
    """

    def __init__(self, mark: Mark, **settings: Any) -> None:
        super().__init__(**settings)
        self._mark = mark

    def mark(self, path: Path) -> Mark:  # noqa: ARG002
        """That of a file of this name."""
        return self._mark

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As click's, with one more test."""
        given = super().convert(value, param, ctx)
        path = Path(os.fsdecode(given))
        try:
            check(path, self.mark(path))
        except ConfigError as error:
            self.fail(str(error), param, ctx)
        except OSError as error:
            self.fail(f"{path}: {error.strerror}", param, ctx)
        return given


class Figures(Writable):
    """The figures of a command; a dash is stdout."""

    def __init__(self, command: str) -> None:
        super().__init__(figures_mark(command), dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As any file's, but for the dash."""
        return value if value == "-" else super().convert(value, param, ctx)


class Picture(Writable):
    """A picture, whose kind its name tells."""

    def __init__(self) -> None:
        super().__init__(None, dir_okay=False)

    def mark(self, path: Path) -> Mark:
        """As matplotlib writes it; other kinds have no place for one."""
        return picture_mark(path)


class StorePath(FilePath):
    """The path of a store, and none of what SQLite takes for one beside paths."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As click's, with one more test."""
        name = os.fsdecode(value)
        if name == ":memory:" or name.startswith("file:"):
            self.fail(f"{name!r} is no path of a file: give one", param, ctx)
        return super().convert(value, param, ctx)


TEXT = FilePath(exists=True, dir_okay=False)
STORE_FILE = StorePath(exists=True, dir_okay=False, path_type=Path)
NEW_STORE = StorePath(dir_okay=False, path_type=Path)
PAGE = Writable(PAGE_MARK, dir_okay=False)
PICTURE = Picture()
