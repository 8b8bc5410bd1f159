"""How many tests ran under a sanitizer, and how many passed: ``sanitized.py KIND FOLDER``, for survival_table.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree


def row(what: str, report: Path) -> dict[str, object]:
    """Counts of a JUnit report."""
    root = ElementTree.parse(report).getroot()
    suites = [root] if root.tag == "testsuite" else root.findall("testsuite")

    def total(name: str) -> int:
        return sum(int(suite.get(name) or 0) for suite in suites)

    tried = total("tests") - total("skipped") - total("disabled")
    seconds = sum(float(suite.get("time") or 0) for suite in suites)
    survived = tried - total("failures") - total("errors")
    return {"what": what, "tried": tried, "survived": survived, "seconds": seconds, "note": ""}


if __name__ == "__main__":
    kind, folder = sys.argv[1], Path(sys.argv[2])
    parts = {"native": f"native tests under {kind} sanitizer", "python": f"Python suite under {kind} sanitizer"}
    found = [row(what, folder / f"{name}.xml") for name, what in parts.items() if (folder / f"{name}.xml").exists()]
    print(json.dumps({"survival": found}, indent=1))
