"""One table of what was tried and what survived, from the files that the long suites write.

``survival_table.py [--into docs/reliability.md] FILE...``; a FILE is what ``pytest --survival``, ``scripts/soak.py
--json`` or ``scripts/sanitize`` wrote. ``--into`` writes the table between two marks of a page, with date and commit.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- survival: begin -->", "<!-- survival: end -->"


def rows_of(content: Any) -> list[dict[str, Any]]:
    """Rows of one file, whichever it is."""
    return content["survival"] if isinstance(content, dict) else content


def collected(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each thing that was tried, whatever the parameters of its test."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        what = row["what"].partition("[")[0]
        into = found.setdefault(what, {"what": what, "tried": 0, "survived": 0, "seconds": 0.0, "note": ""})
        for name in ("tried", "survived", "seconds"):
            into[name] += row[name]
        if row["note"] and row["note"] not in into["note"]:
            into["note"] = "; ".join(filter(None, (into["note"], row["note"])))
    return list(found.values())


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown."""
    lines = ["| what | tried | survived | seconds | |", "|---|--:|--:|--:|---|"]
    for row in rows:
        survived = str(row["survived"]) if row["tried"] == row["survived"] else f"**{row['survived']}**"
        lines.append(f"| {row['what']} | {row['tried']} | {survived} | {row['seconds']:.0f} | {row['note']} |")
    tried, survived = (sum(row[name] for row in rows) for name in ("tried", "survived"))
    lines.append(f"| all | {tried} | {survived} | {sum(row['seconds'] for row in rows):.0f} | |")
    return "\n".join(lines) + "\n"


def into_page(page: str, text: str, commit: str, day: str) -> str:
    """The page with the table between its marks.

    Raises:
        ValueError: The page lacks them.
    """
    before, _, rest = page.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"the page has no {BEGIN} ... {END}")
    return f"{before}{BEGIN}\n{day}, commit {commit}\n\n{text}{END}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--into", type=Path, help="a page to write the table into")
    options = parser.parse_args()
    rows = [row for path in options.files if path.exists() for row in rows_of(json.loads(path.read_text("utf-8")))]
    text = table(collected(rows))
    print(text, end="")
    if options.into is not None:
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
        ).stdout.strip()
        day = datetime.now(timezone.utc).strftime("%Y-%m-%d")
        page = options.into.read_text("utf-8")
        options.into.write_text(into_page(page, text, commit or "unknown", day), encoding="utf-8")


if __name__ == "__main__":
    main()
