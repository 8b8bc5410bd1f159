"""scripts/replay/ablations.py on traces made here, and on a tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import ablations
import numpy as np
import pytest
import report
import report_data


def write(path: Path, seed: int, count: int, prompt: int, tops: bool) -> None:
    """Answers that are put together from thirty phrases, ``count`` of them in two groups."""
    phrases = np.random.default_rng(1).integers(0, 400, (30, 12)).astype(np.int32)
    chosen = np.random.default_rng(seed).integers(0, 30, (count, 10))
    tokens = phrases[chosen].reshape(count, -1)
    data = {
        "tokens": tokens.ravel(),
        "offsets": np.arange(count + 1) * tokens.shape[1],
        "prompt_len": np.full(count, prompt),
        "category": np.array(["even", "odd"] * count)[:count],
    }
    if tops:
        data["top_ids"] = np.tile(np.r_[tokens.ravel()[1:], 0][:, None], (1, 8)).astype(np.int32)
        data["top_p"] = np.tile(np.array([0.9, 0.1, 0, 0, 0, 0, 0, 0], np.float32), (tokens.size, 1))
    np.savez(path, **data)


@pytest.fixture(scope="module")
def replayed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("traces")
    write(folder / "eval.npz", 2, 12, 24, tops=True)
    write(folder / "history.npz", 3, 30, 24, tops=False)
    write(folder / "corpus.npz", 4, 120, 0, tops=False)
    out = folder / "ablations-made-up.json"
    files = [f"--{name}={folder / name}.npz" for name in ("history", "corpus")]
    traces = ["--traces", str(folder / "eval.npz")]
    ablations.main(["replay", *traces, *files, "--cost", "laptop8", "--cost", "cpu2", "--json", str(out)])
    return out


def speeds(found: dict, title: str, table: str = "laptop8") -> dict[str, float]:
    return {row["name"]: row["cost"][table]["speedup"] for row in found["tables"][title]}


def test_each_table_changes_one_thing(replayed):
    found = json.loads(replayed.read_text())
    tiers = speeds(found, "tiers")
    assert tiers["context + model"] > tiers["context"] > 1.0
    assert tiers["context + recycled rows"] > tiers["context"]
    known = speeds(found, "answers in the model tier")
    assert list(known) == ["0 answers", "25 answers", "30 answers"]
    assert known["30 answers"] > known["0 answers"]
    assert known["0 answers"] == pytest.approx(tiers["context"], rel=0.02)
    texts = speeds(found, "texts in the statistics tier")
    assert texts["120 texts"] > texts["0 texts"]
    fixed = speeds(found, "drafts without a planner, number and length")
    assert fixed["15 of 4"] < fixed["7 of 4"] < fixed["1 of 4"] < fixed["planner"]
    order = speeds(found, "drafts without a planner, in this order")
    assert order["context, model, statistics"] == fixed["7 of 4"]
    assert len(set(order.values())) > 1


def test_a_store_that_learns_warms_up(replayed):
    curves = json.loads(replayed.read_text())["warm_up"]["speedup"]
    learning, fixed = curves["learning from empty"], curves["never learning"]
    assert len(learning) == len(fixed) == 12
    assert learning[0] == fixed[0]
    assert sum(learning[6:]) > sum(fixed[6:])


def test_the_report_shows_them(replayed):
    run = report_data.Run("ablations-made-up", "ablations", json.loads(replayed.read_text()))
    page = report.page([run])
    assert "| tiers, or drafts of a fixed number and length | made-up, laptop8 | made-up, cpu2 |" in page
    assert "| context + model + statistics |" in page


def test_temperatures_are_timed_on_the_model(models, tmp_path):
    out = tmp_path / "ablations-temperature.json"
    model = ["-m", str(models("Q8_0")), "-t", "1", "-c", "512"]
    ablations.main(["temperatures", *model, "--count", "2", "-n", "12", "--temperatures", "0", "1", "--json", str(out)])
    rows = json.loads(out.read_text())["tables"]["temperature (the real model, timed)"]
    assert [row["name"] for row in rows] == ["0", "1"]
    assert all(row["cost"]["measured"]["mean_accepted_tokens"] >= 1.0 for row in rows)
    assert all(row["identical"]["prompts"] >= 2 for row in rows)


def test_sizes_behind_a_table_cost_as_much_per_row_as_its_last():
    assert ablations.beyond({1: 1.0, 32: 8.0})[48] == 12.0
    assert ablations.beyond({1: 1.0, 63: 2.0}) == {1: 1.0, 63: 2.0}
