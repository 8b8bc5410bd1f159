"""scripts/report/report_again.py: a second run within the first one's intervals, and outside."""

from __future__ import annotations

import json

import pytest
import report_again


def spec(value):
    ratio = {"median": value, "low": value - 0.1, "high": value + 0.1}
    found = {"overall": ratio, "by_category": {}, "request": {"overall": ratio, "by_category": {}}}
    return {"speedup": {"plain": found, "auto": found}}


def crowd(ours):
    rounds = {"hd-edge": [{"tokens_per_second": speed} for speed in ours]}
    return {"clients": {"8": {**rounds, "llama-server": [{"tokens_per_second": 10.0}] * len(ours)}}}


def loops(value):
    ratio = {"loop": {"median": value, "low": value, "high": value + 0.5}}
    return {"modes": {"schema": {"over": {"llama-server": ratio}}}}


@pytest.fixture
def write(tmp_path):
    def make(folder, **files):
        (tmp_path / folder).mkdir()
        for name, data in files.items():
            (tmp_path / folder / f"{name.replace('_', '-')}.json").write_text(json.dumps(data))
        return str(tmp_path / folder)

    return make


def test_all_that_lies_within_is_well(write, capsys):
    first = write("first", spec_bench_a=spec(1.5), company_a=crowd([30.0, 34.0]), tool_loop_a=loops(3.0))
    second = write(
        "second", spec_bench_a=spec(1.6), company_a=crowd([31.0]), tool_loop_a=loops(3.5), spec_bench_b=spec(9)
    )
    assert report_again.main([first, second]) == 0
    lines = capsys.readouterr().out.splitlines()[2:]
    assert len(lines) == 4
    assert "| company-a | 8 clients over llama-server | 3.20 (3.00 to 3.40) | 3.10 | within |" in lines


def test_what_lies_outside_comes_first_and_fails(write, capsys):
    first = write("first", spec_bench_a=spec(1.5), tool_loop_a=loops(3.0))
    second = write("second", spec_bench_a=spec(1.5), tool_loop_a=loops(2.9))
    assert report_again.main([first, second]) == 1
    assert (
        (capsys.readouterr().out.splitlines()[2])
        == "| tool-loop-a | loops by schema over `llama-server` | 3.00 (3.00 to 3.50) | 2.90 | **outside** |"
    )


def test_runs_that_have_nothing_in_common_are_named(write):
    with pytest.raises(SystemExit, match="no ratio with bounds in common"):
        report_again.main([write("first", spec_bench_a=spec(1)), write("second", spec_bench_b=spec(1))])


def test_several_runs_span_more_than_one(write, capsys):
    runs = [write(name, spec_bench_a=spec(value)) for name, value in (("first", 1.5), ("second", 1.8), ("now", 1.65))]
    assert report_again.main([runs[0], runs[2]]) == 1
    assert report_again.main(runs) == 0
    assert "| spec-bench-a | `auto`, decoding | 1.50, 1.80 (1.40 to 1.90) | 1.65 | within |" in capsys.readouterr().out


def test_what_is_kept_stands_for_the_folder(write, tmp_path, capsys):
    hardware = {"commit": "abc", "date": "2026-01-02"}
    first = write("first", spec_bench_a={**spec(1.5), "hardware": hardware}, company_a=crowd([30.0, 34.0]))
    second = write("second", spec_bench_a=spec(1.55), company_a=crowd([36.0]))
    kept = tmp_path / "kept.json"
    assert report_again.main(["--keep", str(kept), first]) == 0
    assert (json.loads(kept.read_text())["commit"], json.loads(kept.read_text())["date"]) == ("abc", "2026-01-02")
    assert report_again.main([str(kept), second]) == 1
    of_the_file = capsys.readouterr().out
    assert report_again.main([first, second]) == 1
    assert capsys.readouterr().out == of_the_file


def test_keeping_takes_one_run_and_comparing_two(write, tmp_path):
    first, second = write("first", spec_bench_a=spec(1)), write("second", spec_bench_a=spec(1))
    with pytest.raises(SystemExit, match="takes one run, not 2"):
        report_again.main(["--keep", str(tmp_path / "kept.json"), first, second])
    with pytest.raises(SystemExit, match="name two runs"):
        report_again.main([first])


def test_several_runs_are_told_by_what_they_span_and_how_fast_the_machine_was(tmp_path):
    key = (report_again.SPEC, report_again.WHOLE)
    runs = [
        report_again.Told("abc", "2026-01-02", {key: report_again.Ratio(value)}, prompt_ms)
        for value, prompt_ms in ((2.8, 9.5), (2.2, None))
    ]
    assert list(report_again.spans(runs).values()) == [(2.2, 2.8)]
    assert report_again.spans(runs[:1]) == {}
    runs[0].keep(tmp_path / "kept.json")
    assert report_again.Told.read(tmp_path / "kept.json") == runs[0]
