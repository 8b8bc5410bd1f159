"""Extras: packages that only some uses need, and the command that brings them."""

from __future__ import annotations

import json
import shutil
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

PACKAGE = "hd-edge"


def install(extra: str = "", options: str = "") -> str:
    """The command that installs hd_edge, from where this copy came: a folder, a file, a repository, or an index.

    Args:
        extra: An extra of the package, such as ``"server"``.
        options: Of ``pip install``.
    """
    wanted = f"[{extra}]" if extra else ""
    command = [*_pip(), "install", *([options] if options else [])]
    try:
        origin = json.loads(distribution(PACKAGE).read_text("direct_url.json") or "{}")  # PEP 610
    except PackageNotFoundError:  # the modules lie on the path, nothing was installed
        origin = {}
    url = origin.get("url", "")
    if url.startswith("file:"):
        if origin.get("dir_info", {}).get("editable"):
            command.append("-e")
        source = url2pathname(urlsplit(url).path) + wanted
    elif url:
        vcs = origin.get("vcs_info", {}).get("vcs")
        source = f"{PACKAGE}{wanted} @ {vcs + '+' if vcs else ''}{url}"
    else:
        source = PACKAGE + wanted
    return " ".join([*command, f'"{source}"'])  # quotes that every shell takes


def _pip() -> list[str]:
    """The shell's ``pip`` where it is this interpreter's."""
    pip, here = shutil.which("pip"), Path(sys.executable)
    return ["pip"] if pip and Path(pip).parent == here.parent else [f'"{here}"', "-m", "pip"]
