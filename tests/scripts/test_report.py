"""scripts/report/report.py: the page, on small made-up measurements, and the page in the repository."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import report
import report_data
import report_goals
import report_headline
from report_files import NAME, docs, measured, page, row

from hd_edge.bench.arm import Answer, Settings
from hd_edge.bench.summary import summarise
from hd_edge.bench.turns import Record, Results
from hd_edge.stats import GenerationStats

__all__ = ["docs", "page"]

ROOT = Path(__file__).parents[2]


def test_the_page_opens_with_the_answer(page):
    head = page.split("\n## ")[0]
    assert row(head, "tokens per second while decoding")[1:] == ["`llama_cpp.Llama`", "best peer", "hd_edge"]
    cells = row(head, "smol-q4_0, Spec-Bench, short prompts")[1:]
    assert cells == ["40", "42 (`llama-server-ngram-mod`)", "**62** (1.6 times)"]
    assert row(head, "smol-q4_0, Spec-Bench, prompts of about 800 tokens")[3] == "**48** (1.2 times)"
    assert row(head, "smol-q4_0, a document edited, the old text given as `prediction`")[3].startswith("**484** (2.8 ")
    assert row(head, "text that never repeats, or a store full of the wrong text")[3] == "0.97 of plain decoding"
    assert "(benchmarks/speed.svg)" in head
    assert "[the others are listed](#what-is-bad)" in head


def test_each_arm_stands_against_plain_with_its_interval(page):
    cells = dict(
        zip(row(page, "run", "`plain`, tokens/s"), row(page, NAME.format("spec-bench-smollm2-q4_0")), strict=True)
    )
    assert cells["`plain`, tokens/s"] == "50.0"
    assert cells["`auto`"].startswith("1.11 (0.96 to 1.25)")
    assert cells["worst group"] == "0.96 ↓"
    assert cells["`paper`"].startswith("0.50 (")
    assert cells["best peer"].startswith("0.84 (")
    assert cells["best peer"].endswith("↓ `llama-server-ngram-mod`")
    assert cells["`auto`, whole requests over `llama-cpp`"] == "1.24"  # of 0.35 s over 0.26 s and 0.308 s
    assert cells["`auto`: text of `plain`"] == "4 of 4"
    assert row(page, "`llama-server-ngram-mod`", "2.50")[2:] == ["4.00", "0.50", "context 0.60"]
    files = page.split("## The files")[1]
    assert f"- {NAME.format('spec-bench-smollm2-q4_0')}: Test CPU, commit abc123, max tokens 128" in files


def test_other_measurements_have_their_tables(page):
    cost = row(page, "[7b-4layers Q4_0](benchmarks/cost-curve-7b-4layers.json)")
    assert cost[1:] == ["20.0 ms", "10.0 ms", "4.0", "2.0", "2.0 / 4.0 / 2.0"]
    assert "In 1 replays the largest gap of a decile is 10.0 points in the mean, 10.0 in the worst" in page
    assert row(page, "context")[1] == "1.50 (1.90)"
    assert row(page, NAME.format("adversarial-smollm2"), "random")[2:] == ["2000", "0.97 ↓", "-"]
    timed = row(page, NAME.format("ablations-smollm2"), "temperature timed")
    assert timed[3:] == ["0.90 ↓", "0.70 ↓"]
    assert "`prediction` decodes 2.81 times as fast as `plain`, whole requests 2.08, 8.8 tokens per forward." in page
    assert "without drafts 1.04 of `llama_cpp.Llama` (1.00 to 1.10), drafting and learning take 1.2 %" in page


def test_what_is_bad_stays_in(docs, page):
    goals = {(goal.run, goal.wanted): goal for goal in report_goals.goals(report_data.load(docs / "benchmarks"))}
    missed = {wanted: goal for (_, wanted), goal in goals.items() if not goal.met}
    assert set(missed) == {
        "`auto` in every group, the worst is summarization: at least 0.98 times `plain`",
        "`auto`: drafting at most 2 % of the forwards",
        "what replays predict: at least 1.28 times `plain`",
        "whole requests: at least 2 times `llama-cpp`",
        "T(8)/T(1) at most 1.4",
        "cpu2: chances come true within 5 points",
        "random: at least 0.98 times `plain`",
        "tiers timed: at least 0.98 times `plain`",
        "tiers timed, worst group: at least 0.98 times `plain`",
    }
    assert goals[
        "spec-bench-smollm2-q4_0", "`auto` above every peer and `paper`, the best is `llama-server-ngram-mod`"
    ].met
    bad = page.split("## What is bad")[1].split("\n## ")[0]
    for wanted, goal in missed.items():
        assert f"- {goal.run}: {wanted}. Measured: **{goal.measured}**." in bad
    assert bad.count("Measured:") == len(missed)
    assert f"{len(goals) - len(missed)} of {len(goals)} goals are met" in page


def test_replayed_answers_have_goals_of_their_own_and_no_texts_to_compare(docs):
    data = measured(docs)
    run = report_data.Run("trace-bench-7b-Q4_0", "trace-bench", data)
    met = {goal.wanted: (goal.measured, goal.met) for goal in report_goals.goals([run])}
    assert met["7B Q4_0: at least 1.35 times `plain`"] == ("1.11", False)
    assert met["`plain`: at least 0.98 times `llama-cpp`"] == ("1.25", True)
    assert row(report.page([run]), NAME.format(run.name))[-1] == "-"


def test_long_documents_have_goals_and_a_line_of_their_own(docs):
    """Whole requests take 120 ms and 60 ms, decoding 9 ms and 4 ms a token."""

    def answer(prompt_seconds, seconds):
        counts = GenerationStats(tokens=11, prompt_tokens=3010, forwards=10, rows=10)
        counts.prompt_seconds, counts.seconds, counts.forward_seconds = prompt_seconds, seconds, seconds
        return Answer("", None, counts)

    arms = {"plain": answer(0.02, 0.06), "llama-cpp": answer(0.03, 0.09), "auto": answer(0.02, 0.04)}
    records = [Record(f"document {i}", "long documents", 1, arms) for i in (1, 2)]
    data = summarise(Results(records), model={"file": "smol-q4_0.gguf"}, settings=asdict(Settings()))
    run = report_data.Run("spec-bench-smollm2-q4_0-long", "spec-bench", data)
    met = {goal.wanted: (goal.measured, goal.met) for goal in report_goals.goals([run])}
    assert met["whole requests: at least 2.3 times `llama-cpp`"] == ("2.00", False)
    assert met["decoding: at least 3 times `llama-cpp`"] == ("2.25", False)
    assert not any("replays" in wanted or "at least 2 times" in wanted for wanted in met)
    both = [*report_data.load(docs / "benchmarks"), run]
    told = row(report.page(both).split("\n## ")[0], "smol-q4_0, long documents, prompts of about 3,000 tokens")
    assert told[1:] == ["111", "-", "**250** (2.2 times)"]
    run.arms["auto"]["looping"] = 2
    assert "long documents, prompts of about 3,000 tokens, answers that repeat themselves |" in report.page(both)


def test_files_that_are_taken_in_hold_no_texts(docs):
    path = docs / "benchmarks" / "spec-bench-smollm2-q4_0.json"
    text = path.read_text()
    assert "secret" not in text
    assert '"ids"' not in text
    answers = json.loads(text)["answers"]
    assert [answer["question"] for answer in answers] == [
        "writing-1",
        "writing-2",
        "summarization-1",
        "summarization-2",
    ]
    assert answers[0]["arms"]["auto"]["accepted_by_depth"] == [4, 2]
    before = report.page(report_data.load(docs / "benchmarks"))
    report_data.add(path, docs / "benchmarks")
    assert report.page(report_data.load(docs / "benchmarks")) == before


def test_a_file_of_no_known_kind_is_refused(docs):
    (docs / "benchmarks" / "results.json").write_text("{}")
    with pytest.raises(SystemExit, match=r"results\.json.*spec-bench"):
        report_data.load(docs / "benchmarks")


def test_plots_keep_their_text_and_their_bytes(docs):
    pytest.importorskip("matplotlib")
    from report_plots import draw

    folder = docs / "benchmarks"
    runs = report_data.load(folder)
    made = {path.name: path.read_bytes() for path in draw(runs, folder)}
    shown = {line.rsplit("/", 1)[1].rstrip(")") for line in report.page(runs).splitlines() if line.startswith("![")}
    assert set(made) == shown
    assert len(made) == 7
    assert all(b"<text" in drawn and len(drawn) < 100_000 for drawn in made.values())
    assert all(b"prefers-color-scheme:dark" in drawn and b"currentColor" in drawn for drawn in made.values())
    assert b"summarization" in made["by-text.svg"]
    assert {path.name: path.read_bytes() for path in draw(runs, folder)} == made


def test_the_readme_gets_its_table_and_keeps_the_rest(docs):
    runs = report_data.load(docs / "benchmarks")
    before = "# x\n\n<!-- benchmarks -->\nold\n<!-- /benchmarks -->\n\nrest\n"
    after = report_headline.replace_block(before, runs)
    assert after.startswith("# x\n\n<!-- benchmarks -->\n| tokens per second while decoding |")
    assert after.endswith("\n<!-- /benchmarks -->\n\nrest\n")
    assert "old" not in after.replace("the old text", "")
    assert report_headline.replace_block(after, runs) == after


@pytest.mark.parametrize("text", ["# x\n", "<!-- /benchmarks --> <!-- benchmarks -->", "<!-- benchmarks -->" * 2])
def test_a_readme_without_marks_is_refused(docs, text):
    with pytest.raises(SystemExit, match="needs one"):
        report_headline.replace_block(text, report_data.load(docs / "benchmarks"))


def test_the_page_in_the_repository_is_what_its_files_make():
    folder = ROOT / "docs" / "benchmarks"
    page, runs = ROOT / "docs" / "benchmarks.md", report_data.load(folder)
    assert page.exists() == bool(runs)
    if runs:
        assert page.read_text() == report.page(runs, report.kept(folder / "again")), "run scripts/report/report.py"


def test_earlier_runs_are_told_apart_from_the_same_one(docs, tmp_path):
    runs = report_data.load(docs / "benchmarks")
    now = report.again.Told.by(runs)
    (key, ratio), *_ = [item for item in now.ratios.items() if item[1].low is not None]
    far = report_data.Ratio(9 * ratio.value, 9 * ratio.low, 9 * ratio.high)
    before = report.again.Told("before", "2026-01-02", {key: far})
    (tmp_path / "kept").mkdir()
    before.keep(tmp_path / "kept" / "before.json")
    assert "## Do other runs say the same?" not in report.page(runs, [now])
    page = report.page(runs, [now, *report.kept(tmp_path / "kept")])
    assert "Of 1\nratios 0 lie within" in page
    assert "The others: before (2026-01-02); this page: " in page


def test_the_readme_in_the_repository_is_what_the_files_make():
    text = (ROOT / "README.md").read_text()
    if report_headline.BEGIN in text:
        runs = report_data.load(ROOT / "docs" / "benchmarks")
        assert text == report_headline.replace_block(text, runs, report.kept(ROOT / "docs" / "benchmarks" / "again")), (
            "run scripts/report/report.py --readme"
        )
