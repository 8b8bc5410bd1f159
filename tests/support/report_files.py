"""Small made-up measurements of every kind, taken in as the report takes them in, for its tests."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
import report
import report_data

from hd_edge.bench.arm import Answer, Settings
from hd_edge.bench.summary import summarise
from hd_edge.bench.turns import Record, Results
from hd_edge.stats import GenerationStats

NAME = "[{0}](benchmarks/{0}.json)"
SPEED = {"plain": 1.0, "auto": 1.25, "paper": 0.5, "llama-cpp": 0.8, "llama-server-plain": 0.8}
SPEED["llama-server-ngram-mod"] = 0.84
GROUPS = ("writing", "summarization")


def answered(arm: str, group: str) -> Answer:
    slow = 1.3 if (arm, group) == ("auto", "summarization") else 1.0  # 1.25 / 1.3 = 0.96
    drafts = arm in ("auto", "paper", "llama-server-ngram-mod")
    ids = [7] * 10 + [8 if arm.startswith("llama-") else 9]
    if (arm, group) == ("llama-server-ngram-mod", "writing"):
        ids[3] = 6
    stats = GenerationStats(
        prompt_tokens=800 if group == "summarization" else 20,
        tokens=11,
        prompt_seconds=0.1,
        seconds=0.2 * slow / SPEED[arm],
        forwards=4 if drafts else 10,
        rows=16 if drafts else 10,
        draft_seconds=0.01 if arm == "auto" else 0.0,
        forward_seconds=0.1,
        accepted={"context": 6} if drafts else {},
        drafted={"context": 12} if drafts else {},
        accepted_by_depth=[4, 2] if arm == "auto" else [],
    )
    return Answer(f"secret answer of {arm}", ids, stats)


def measured(docs) -> dict:
    """The content of the file of questions."""
    return json.loads((docs / "benchmarks" / "spec-bench-smollm2-q4_0.json").read_text())


@pytest.fixture
def page(docs):
    return report.page(report_data.load(docs / "benchmarks"))


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
                    "arms": {"auto": {"tokens": 2000}},
                    "speedup": {"total": 0.97, "median": 0.99},
                }
            },
        },
        "edit-bench": {
            "settings": {"model": "smol-q4_0.gguf"},
            "arms": {
                "prediction": {
                    "tokens_per_second": 484.2,
                    "speedup_decode": 2.81,
                    "speedup_whole": 2.08,
                    "mean_accepted_tokens": 8.77,
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


def row(page: str, *cells: str) -> list[str]:
    """The cells of the first table row that begins with these."""
    start = "| " + " | ".join(cells) + " |"
    line = next(line for line in page.splitlines() if line.startswith(start))
    return [cell.strip() for cell in line.strip("|").split("|")]
