#!/usr/bin/env python3
"""Holds a second run of the headline arms against the first: does each ratio lie within the first one's interval?

    report_again.py first second        two folders of headline.py

Ratios of questions and recorded answers have bootstrap intervals of 95 %, those of servers the range of their rounds.
Files that only one folder has are left out. Ends with 1 where a ratio lies outside.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from report_data import Ratio, Run, load, speedups, table
from report_serving import company, loops

HEAD = ["run", "what", "first", "second", ""]


def ratios(run: Run) -> Iterator[tuple[str, Ratio]]:
    """What a file says in ratios, by name."""
    for arm in run.data.get("speedup", {}):
        if run.kind in ("spec-bench", "trace-bench") and arm != "plain":
            yield f"`{arm}`, decoding", speedups(run, arm)[0]
            yield f"`{arm}`, whole requests", speedups(run, arm, "request")[0]
    if run.kind == "company":
        for clients, found in company(run).items():
            if found:
                yield f"{clients} clients over llama-server", Ratio.of(found)
    if run.kind == "tool-loop":
        for mode in run.data["modes"]:
            for arm, found in loops(run, mode).items():
                yield f"loops by {mode} over `{arm}`", Ratio.of(found["loop"])


def rows(first: list[Run], second: list[Run]) -> list[list[str]]:
    """A line per ratio that both runs have and the first has bounds for, those outside first."""
    again = {(run.name, what): ratio for run in second for what, ratio in ratios(run)}
    found = []
    for run in first:
        for what, ratio in ratios(run):
            other = again.get((run.name, what))
            if other is not None and ratio.low is not None and ratio.high is not None:
                inside = ratio.low <= other.value <= ratio.high
                told = "within" if inside else "**outside**"
                found.append([run.name, what, str(ratio), f"{other.value:.2f}", told])
    return sorted(found, key=lambda row: row[-1])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    args = parser.parse_args(argv)
    found = rows(load(args.first), load(args.second))
    if not found:
        raise SystemExit(
            f"{args.first} and {args.second} have no ratio with bounds in common: name folders of headline.py"
        )
    print(table(HEAD, found, words=2))
    return int(found[0][-1] != "within")


if __name__ == "__main__":
    sys.exit(main())
