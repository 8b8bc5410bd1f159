"""scripts/tools/parity.py: default mode is measured beside exact mode, pieces add up in one table."""

from __future__ import annotations

import json
import sys

import parity

from hd_edge import Llama


def call(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["parity.py", *map(str, arguments)])
    parity.main()


def test_pieces_of_both_modes_add_up(models, tmp_path, monkeypatch, capsys):
    model, out, prompts = models("Q4_0"), tmp_path / "parity.jsonl", tmp_path / "prompts.txt"
    prompts.write_text("one\ntwo\nthree\n")
    shared = ("--out", out, "--prompts", prompts, "-t", 2, "-c", 1024, "-n", 12, "--seeds", 1, "--label", "tiny")
    call(monkeypatch, "run", model, *shared, "--first", 0, "--count", 2, "--context", 0, 600)
    call(monkeypatch, "run", model, *shared, "--first", 2, "--count", 2, "--context", 600)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(line["mode"], line["context"], line["greedy"]["prompts"]) for line in lines] == [
        *(("exact", 0, 2), ("default", 0, 2), ("exact", 600, 2), ("default", 600, 2)),
        *(("exact", 600, 1), ("default", 600, 1)),
    ]
    capsys.readouterr()
    call(monkeypatch, "table", out)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()[2:]]
    with Llama(str(model), store=None, statistics=None, n_ctx=256, n_threads=1) as llm:
        promised = llm.exact
    found = {(mode, int(context)): (greedy, sampled) for _, mode, context, _, greedy, _, sampled, _ in rows}
    modes = ("exact", "default, exact" if promised else "default")
    assert set(found) == {(mode, context) for mode in modes for context in (0, 600)}
    assert found["exact", 600] == ("3/3", "3/3")
    assert not promised or found[modes[1], 600] == ("3/3", "3/3")
