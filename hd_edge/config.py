"""DraftConfig: how to draft. One main dial (``profile``), the rest for ablations. And where a user's files lie."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from .errors import ConfigError
from .stats import TIERS

Profile = Literal["auto", "paper", "off"]
PROFILES: tuple[Profile, ...] = ("auto", "paper", "off")
MAX_ROWS = 63  # from 64 rows on llama.cpp's CPU attention takes another kernel
MAX_LEAVES = 8  # of a draft tree; more gain nothing, and each is a sequence whose cells llama.cpp has to look for
ANSWER_WAIT = 0.05  # seconds that a write may wait for another process while the user waits for the next answer
CLOSE_WAIT = 10.0  # and when the model is closed: the last chance


@dataclass(frozen=True)
class DraftConfig:
    """How drafts are made.

    Args:
        profile: ``"auto"`` (the planner decides step by step), ``"paper"`` (the configuration published in
            arXiv 2502.05609, for comparison), ``"off"`` (plain decoding).
        tiers: Which tiers may draft, in the order in which they are asked.
        max_rows: Most rows (root included) of one forward, 1 to 63.

    Raises:
        ConfigError: A value is out of range.
    """

    profile: Profile = "auto"
    tiers: tuple[str, ...] = TIERS
    max_rows: int = MAX_ROWS

    def __post_init__(self) -> None:
        if self.profile not in PROFILES:
            msg = f"profile {self.profile!r} is not one of {', '.join(PROFILES)}"
            raise ConfigError(msg)
        unknown = [tier for tier in self.tiers if tier not in TIERS]
        if unknown or len(set(self.tiers)) != len(self.tiers):
            msg = f"tiers {self.tiers!r}: name each of {', '.join(TIERS)} at most once"
            raise ConfigError(msg)
        if type(self.max_rows) is not int or not 1 <= self.max_rows <= MAX_ROWS:
            msg = f"max_rows {self.max_rows!r} is not an integer from 1 to {MAX_ROWS}"
            raise ConfigError(msg)

    @classmethod
    def of(cls, draft: Any) -> DraftConfig:
        """What ``Llama(draft=...)`` means: a profile name or a config; HD_EDGE_* variables fill in defaults.

        Raises:
            ConfigError: ``draft`` is neither.
        """
        if isinstance(draft, DraftConfig):
            return draft
        if isinstance(draft, str) and draft in PROFILES:
            return cls._from_environment(draft)
        msg = f"draft={draft!r} is neither one of {', '.join(PROFILES)} nor a DraftConfig"
        raise ConfigError(msg)

    @classmethod
    def _from_environment(cls, profile: Profile) -> DraftConfig:
        config = cls(profile=profile)
        if tiers := os.environ.get("HD_EDGE_TIERS"):
            config = replace(config, tiers=tuple(t.strip() for t in tiers.split(",") if t.strip()))
        if rows := os.environ.get("HD_EDGE_MAX_ROWS"):
            if not rows.isdigit():
                msg = f"HD_EDGE_MAX_ROWS={rows!r} is not an integer from 1 to {MAX_ROWS}"
                raise ConfigError(msg)
            config = replace(config, max_rows=int(rows))
        return config


def user_path(path: str | os.PathLike[str]) -> Path:
    """A path as a person writes it: ``~`` is a home folder.

    Raises:
        ConfigError: It is the home folder of nobody whom this system knows, or has a null byte.
    """
    if "\0" in os.fspath(path):
        msg = f"{os.fspath(path)!r} has a null byte, which no name of a file can have: leave it out"
        raise ConfigError(msg)
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        start = Path(path).parts[0]
        msg = f"{os.fspath(path)!r} begins with {start}, which is no home folder that this system knows: write it out"
        raise ConfigError(msg) from error


def data_folder() -> Path:
    """Folder of the stores: ``HD_EDGE_HOME``, or the user's data folder of this system. Not created here.

    Raises:
        ConfigError: The user's home folder, or the one that ``HD_EDGE_HOME`` begins with, is not known.
    """
    if home := os.environ.get("HD_EDGE_HOME"):
        return user_path(home)
    return system_folder("data")


def system_folder(kind: Literal["data", "cache"]) -> Path:
    """hd_edge's folder of this kind, as this system has it for each user. Not created here.

    Raises:
        ConfigError: The user has no home folder.
    """
    import platformdirs

    try:
        return (platformdirs.user_data_path if kind == "data" else platformdirs.user_cache_path)("hd_edge")
    except RuntimeError as error:
        msg = f"there is no folder for hd_edge's {kind}: {error}"
        raise ConfigError(msg) from error
