"""Manifest: what the scratch folder of an interrupted build holds, and the proof that the folder is one of ours."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from hd_edge.errors import CorpusError, StoreForeignError
from hd_edge.model.folder import make_folder
from hd_edge.model.text_file import read_path

if TYPE_CHECKING:
    from pathlib import Path

FILE = "manifest.json"
# What a build writes; the last is a store half made, which a process that was killed in that moment leaves.
OURS = re.compile(r"run-\d+|store\.sqlite3.*|manifest\.json(\.new)?|\.hd_edge-\w+(-journal)?")
RUN = re.compile(r"run-\d+")


@dataclass
class Manifest:
    """Settings of the build, how far the corpus was read, finished runs."""

    settings: dict[str, Any]
    units: int = 0
    bytes: int = 0
    tokens: int = 0
    skipped: int = 0
    next_run: int = 0
    runs: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, folder: Path, settings: dict[str, Any], *, restart: bool) -> Manifest:
        """Goes on with the build that the folder holds, or begins one there.

        Args:
            folder: Made if it is not there.
            settings: Must be those of the interrupted build.
            restart: Throw away what it has done.

        Raises:
            StoreForeignError: The folder holds other files than those of a build.
            CorpusError: The interrupted build had other settings.
            OSError: The folder cannot be read or written.
        """
        make_folder(folder)
        manifest = cls._load(folder)
        # Without one of its runs the build was complete: only the removal of its files was cut short.
        done = manifest is not None and not all((folder / name).exists() for name in manifest.runs)
        if manifest is not None and (restart or done):
            manifest.remove(folder)
            return cls.open(folder, settings, restart=False)
        if manifest is None:
            manifest = cls(settings)
            manifest.save(folder)
        elif manifest.settings != settings:
            differ = [name for name in settings if manifest.settings.get(name) != settings[name]]
            msg = (
                f"{folder} holds an interrupted build with other settings ({', '.join(differ)}): repeat them, or"
                " throw it away with --restart"
            )
            raise CorpusError(msg)
        return manifest

    @classmethod
    def _load(cls, folder: Path) -> Manifest | None:
        """None: the folder is empty."""
        names = {path.name for path in folder.iterdir()} - {FILE + ".new"}
        if not names:
            return None
        try:
            manifest = cls(**json.loads(read_path(folder / FILE)))
            counts = [getattr(manifest, one.name) for one in fields(cls) if one.name not in ("settings", "runs")]
            sound = all(type(count) is int and count >= 0 for count in counts) and isinstance(manifest.settings, dict)
            sound = sound and all(RUN.fullmatch(name) for name in manifest.runs)
        except (FileNotFoundError, ValueError, TypeError, RecursionError):
            sound = False
        if not sound or not all(map(OURS.fullmatch, names)):
            msg = f"{folder} holds files that are none of an interrupted build; it was left alone: name another output"
            raise StoreForeignError(msg)
        return manifest

    def save(self, folder: Path) -> None:
        """Writes the manifest, all of it or nothing."""
        new = folder / f"{FILE}.new"
        with new.open("w", encoding="utf-8") as file:
            json.dump(asdict(self), file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(folder / FILE)

    @staticmethod
    def remove(folder: Path) -> None:
        """Removes a build's files, the manifest last, and the folder."""
        for path in sorted(folder.iterdir(), key=lambda path: path.name == FILE):
            if OURS.fullmatch(path.name):
                path.unlink()
        with suppress(OSError):  # somebody put a file of his own there meanwhile
            folder.rmdir()
