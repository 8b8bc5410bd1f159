"""scripts/report/report.py: the page, on small made-up measurements, and the page in the repository."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import report
import report_data
import report_goals
import report_readme

from hd_edge.bench.arm import Answer, Settings
from hd_edge.bench.summary import summarise
from hd_edge.bench.turns import Record, Results

ROOT = Path(__file__).parents[2]
SPEED = {"plain": 1.0, "auto": 1.25, "paper": 0.5, "llama-cpp": 0.8, "llama-server-plain": 0.8}
SPEED["llama-server-ngram-mod"] = 0.84
GROUPS = ("writing", "summarization")


def answered(arm: str, group: str) -> Answer:
    slow = 1.3 if (arm, group) == ("auto", "summarization") else 1.0  # 1.25 / 1.3 = 0.96
    drafts = arm in ("auto", "paper", "llama-server-ngram-mod")
    ids = [7] * 10 + [8 if arm.startswith("llama-") else 9]
    if (arm, group) == ("llama-server-ngram-mod", "writing"):
        ids[3] = 6
    return Answer(
        text=f"secret answer of {arm}",
        ids=ids,
        prompt_tokens=20,
        tokens=11,
        prompt_seconds=0.1,
        seconds=0.2 * slow / SPEED[arm],
        forwards=4 if drafts else 10,
        rows=16 if drafts else 10,
        draft_seconds=0.01 if arm == "auto" else 0.0,
        forward_seconds=0.1,
        accepted_by_tier={"context": 6} if drafts else {},
        drafted_by_tier={"context": 12} if drafts else {},
        accepted_by_depth=[4, 2] if arm == "auto" else [],
    )


@pytest.fixture
def docs(tmp_path):
    """A folder of documents with one file of each kind, taken in as the report takes them in."""
    records = [
        Record(f"{group}-{i}", group, 1, {arm: answered(arm, group) for arm in SPEED})
        for group in GROUPS
        for i in (1, 2)
    ]
    about = {"hardware": {"processor": "Test CPU", "commit": "abc123"}, "model": {"file": "smol-q4_0.gguf"}}
    curve = {"rows": [1, 4, 8, 512], "llama_cpp": [0.02, 0.04, 0.08, 2], "row_kernels": [0.01, 0.012, 0.02, 1]}
    reliability = {"nodes": [0] * 9 + [100], "predicted": [0] * 9 + [0.95], "actual": [0] * 9 + [0.85]}
    replayed = {"speedup": 1.5, "worst_group": 1.1, "mean_accepted_tokens": 1.9, "rows_per_step": 3.0}
    timed = {"measured": {**replayed, "speedup": 0.9, "worst_group": 0.7}}
    files = {
        "spec-bench-smollm2-q4_0": summarise(Results(records), **about, settings=asdict(Settings())),
        "cost-curve-7b-4layers": {"model": "7b-4layers", "type": "Q4_0", "threads": 2, **curve},
        "replay-smollm2": {
            "traces": "smollm2.npz",
            "tiers": "cm",
            "cost": {"cpu2": {**replayed, "reliability": {**reliability, "largest_gap": 0.1}}},
        },
        "ablations-smollm2": {
            "settings": {"traces": "smollm2.npz"},
            "tables": {"tiers": [{"name": "context", "cost": {"cpu2": replayed}}, {"name": "timed", "cost": timed}]},
            "warm_up": {"cost": "cpu2", "speedup": {"learning": [1.0, 1.0, 2.0, 2.0], "fixed": [1.0] * 4}},
        },
        "adversarial-smollm2": {
            "settings": {"model": "smol-q4_0.gguf"},
            "cases": {
                "random": {
                    "arms": {"auto": {"tokens": 2000, "forwards": 1000, "rows": 1500}},
                    "speedup": {"total": 0.97, "median": 0.99},
                    "draft_share": 0.015,
                }
            },
        },
        "overhead": {
            "model": "smol-q4_0.gguf",
            "draft_share_of_forward": 0.012,
            "speedup": {"plain over llama-cpp": {"median": 1.04, "min": 1.0, "max": 1.1}},
        },
    }
    folder = tmp_path / "docs" / "benchmarks"
    folder.mkdir(parents=True)
    for name, data in files.items():
        raw = tmp_path / f"{name}.json"
        raw.write_text(json.dumps(data))
        report_data.add(raw, folder)
    return tmp_path / "docs"


@pytest.fixture
def page(docs):
    return report.page(report_data.load(docs / "benchmarks"))


def row(page: str, *cells: str) -> list[str]:
    """The cells of the first table row that begins with these."""
    start = "| " + " | ".join(cells) + " |"
    line = next(line for line in page.splitlines() if line.startswith(start))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_speed_ups_and_what_each_arm_did_are_in_tables(page):
    assert row(page, "speed-up over `plain`")[1:] == ["median", "all time", "writing", "summarization"]
    assert row(page, "`auto`")[2].startswith("1.09 (0.96 to 1.25)")  # 2 / (0.8 + 1.04)
    assert row(page, "`auto`")[3:] == ["1.25", "0.96 ↓"]
    assert row(page, "`auto`")[1].startswith("1.11 (")
    details = dict(zip(row(page, "arm", "tokens"), row(page, "`llama-server-ngram-mod`", "40"), strict=True))
    assert details["tokens/forward"] == "2.50"
    assert details["rows/forward"] == "4.00"
    assert details["accepted/drafted"] == "0.50"
    assert (details["over `llama-cpp`"], details["over its own base"]) == ("1.05", "1.05")
    assert (details["text of `plain`"], details["text of its own base"]) == ("0 of 4", "2 of 4")
    assert "Test CPU" in page
    assert "commit abc123" in page
    assert "[`spec-bench-smollm2-q4_0.json`](benchmarks/spec-bench-smollm2-q4_0.json)" in page


def test_other_measurements_have_their_tables(page):
    assert row(page, "7b-4layers Q4_0", "ours")[2:] == ["10.00 ms", "1.20", "2.00", "100.00"]
    assert row(page, "7b-4layers Q4_0", "ours faster by")[2:] == ["2.00x", "3.33x", "4.00x", "2.00x"]
    assert row(page, "[smollm2.npz](benchmarks/replay-smollm2.json)", "cpu2")[-2:] == ["100", "10.0 points"]
    assert row(page, "context")[1] == "1.50 (1.90)"
    assert row(page, "learning")[1:] == ["1.00", "1.00", "2.00", "2.00"]
    assert row(page, "random")[1:] == ["2000", "0.97 ↓", "0.99", "2.00", "1.50", "1.5 %"]
    assert "1.2 % of a forward" in page


def test_what_is_bad_stays_in(docs, page):
    goals = {(goal.run, goal.wanted): goal for goal in report_goals.goals(report_data.load(docs / "benchmarks"))}
    missed = {wanted for (_, wanted), goal in goals.items() if not goal.met}
    assert missed == {
        "`auto` in no group below 0.98 of `plain`",
        "`auto`: drafting at most 2 % of the forwards",
        "what replays predict: 1.28",
        "T(8)/T(1) at most 1.4",
        "cpu2: chances come true within 5 points",
        "random: not below 0.98 of plain",
    }
    assert goals["spec-bench-smollm2-q4_0", "`auto` above `paper`"].met
    assert all(f"| {wanted} | " in page for wanted in missed)
    assert page.count("**missed**") == len(missed)
    bad = page.split("## What is bad")[1].split("\n## ")[0]
    assert f"{len(missed)} of {len(goals)} goals are missed" in bad
    assert "`auto` is below 0.98 of `plain`: summarization 0.96." in bad
    assert "`paper` is below 0.98 of `plain`: all 0.50, writing 0.50, summarization 0.50." in bad
    assert "`llama-cpp` 0.80, `llama-server-plain` 0.80, `llama-server-ngram-mod` 0.84." in bad
    assert "tiers: timed is below 0.98 of plain decoding: 0.90." in bad
    assert "tiers: timed, worst group is below 0.98 of plain decoding: 0.70." in bad


def test_replayed_answers_have_goals_of_their_own_and_no_texts_to_compare(docs):
    data = json.loads((docs / "benchmarks" / "spec-bench-smollm2-q4_0.json").read_text())
    run = report_data.Run("trace-bench-7b-Q4_0", "trace-bench", data)
    met = {goal.wanted: (goal.measured, goal.met) for goal in report_goals.goals([run])}
    assert met["7B Q4_0: at least 1.35"] == ("1.11", False)
    assert met["`plain` at least as fast as `llama-cpp`"] == ("1.25", True)
    page = report.page([run])
    assert "text of `plain`" not in page
    assert page.count("smol-q4_0.gguf") == 1


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
    assert len(made) == 5
    assert all(b"<text" in drawn and len(drawn) < 100_000 for drawn in made.values())
    assert b"summarization" in made["spec-bench-smollm2-q4_0.svg"]
    assert {path.name: path.read_bytes() for path in draw(runs, folder)} == made


def test_the_readme_gets_its_table_and_keeps_the_rest(docs):
    runs = report_data.load(docs / "benchmarks")
    before = "# x\n\n<!-- benchmarks -->\nold\n<!-- /benchmarks -->\n\nrest\n"
    after = report_readme.replace_block(before, runs)
    assert after.startswith("# x\n\n<!-- benchmarks -->\n| what | ratio |\n")
    assert after.endswith("\n<!-- /benchmarks -->\n\nrest\n")
    assert "old" not in after
    drafted = row(after, "drafted, nothing learned before: 4 Spec-Bench questions, smol-q4_0")[1]
    assert drafted.startswith("1.11 (")
    assert drafted.endswith("; groups 0.96 to 1.25; 1.38 over `llama_cpp.Llama`; same text 4 of 4")
    best = row(after, "the best of llama.cpp's own draftless modes there (`llama-server-ngram-mod`)")[1]
    assert best.startswith("0.84 (")
    assert best.endswith("; 1.05 over its own program without drafts")
    assert row(after, "our CPU kernels against llama.cpp's, 7b-4layers Q4_0: one row; eight rows")[1] == "2.0; 4.0"
    assert report_readme.replace_block(after, runs) == after


@pytest.mark.parametrize("text", ["# x\n", "<!-- /benchmarks --> <!-- benchmarks -->", "<!-- benchmarks -->" * 2])
def test_a_readme_without_marks_is_refused(docs, text):
    with pytest.raises(SystemExit, match="needs one"):
        report_readme.replace_block(text, report_data.load(docs / "benchmarks"))


def test_the_page_in_the_repository_is_what_its_files_make():
    page, runs = ROOT / "docs" / "benchmarks.md", report_data.load(ROOT / "docs" / "benchmarks")
    assert page.exists() == bool(runs)
    if runs:
        assert page.read_text() == report.page(runs), "run scripts/report/report.py"


def test_the_readme_in_the_repository_is_what_the_files_make():
    text = (ROOT / "README.md").read_text()
    if report_readme.BEGIN in text:
        runs = report_data.load(ROOT / "docs" / "benchmarks")
        assert text == report_readme.replace_block(text, runs), "run scripts/report/report.py --readme"
