"""scripts/benchmarks/busy_bench.py on a tiny model: its arms take turns, its competitors end."""

from __future__ import annotations

import json
import os
import subprocess

import busy_bench
from children import python


def test_every_arm_answers_under_every_load(models, tmp_path):
    out = tmp_path / "busy.json"
    options = ["--loads", "0", "1", "-r", "1", "-n", "8", "--arms", "plain:1", "drafted:1", "drafted:auto"]
    arguments = ("-m", models("Q4_0"), *options, "--json", out)
    done = python(busy_bench.__file__, *arguments, HD_EDGE_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text())
    assert {load: sorted(arms) for load, arms in report["loads"].items()} == {
        load: ["drafted:1", "drafted:auto", "plain:1"] for load in ("0", "1")
    }
    assert all(arms["plain:1"]["threads"] == [1] for arms in report["loads"].values())
    assert all(list(shares) == ["drafted:auto"] and shares["drafted:auto"] > 0 for shares in report["of_best"].values())


def test_competitors_end_with_the_block():
    with busy_bench.competitors("2"):
        during = _children()
    assert len(during - _children()) == 2


def _children() -> set[str]:
    command = ["ps", "--ppid", str(os.getpid()), "-o", "pid=,comm="]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return {line for line in listed if not line.endswith(" ps")}
