"""Model files that are wrong: each is loaded in a process with limits; an error of ours, or an answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from children import outcomes
from survival import Survival


def load_all(folder: Path, files: Mapping[str, bytes], survival: Survival) -> dict[str, str]:
    """What came of each file: ``sound`` or ``error: ...``; fails if one ended its process, or never ended."""
    for name, content in files.items():
        path = folder / re.sub(r"\W", "-", name)[:120] / "file"
        path.parent.mkdir()
        path.write_bytes(content)
    said = outcomes("model", folder)
    wrong = {name: how for name, how in said.items() if how != "sound" and not how.startswith("error: ")}
    with survival.case(len(said) - len(wrong)):
        pass
    with survival.case(len(wrong)):
        assert wrong == {}
    return said
