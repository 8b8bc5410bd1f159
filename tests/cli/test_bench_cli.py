"""``hd-edge bench`` from end to end on a tiny model."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from hd_edge.cli import cli
from hd_edge.errors import ConfigError, ContextFullError


def bench(model, *arguments):
    return CliRunner().invoke(
        cli, ["bench", "-m", str(model), "-t", "1", "-c", "512", "-n", "12", *map(str, arguments)]
    )


@pytest.fixture
def prompts(tmp_path):
    file = tmp_path / "prompts.jsonl"
    lines = [
        {"category": "editing", "turns": ["the cat sat", "and then"]},
        {"category": "editing", "prompt": "a dog"},
        {"category": "qa", "prompt": "no " * 600},
        {"category": "qa", "prompt": "a bird"},
    ]
    file.write_text("\n".join(map(json.dumps, lines)))
    return file


def test_table_sentence_figures_and_picture(models, prompts, tmp_path):
    file, picture = tmp_path / "bench.json", tmp_path / "bench.png"
    done = bench(models("Q4_0"), "-p", prompts, "--json", file, "--plot", picture)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Q4_0.gguf · 3 MiB · ")
    assert lines[2].startswith("| arm   | group   |")
    assert [line.split("|")[1].strip() for line in lines[4:10]] == ["plain"] * 3 + ["auto"] * 3
    assert lines[-1].startswith("On this machine drafting ")
    assert done.stderr.splitlines()[0] == "bench  5 prompts, each answered by plain, auto"
    assert "left out: qa:3, turn 1: the prompt has " in done.stderr
    assert "\x1b" not in done.output
    report = json.loads(file.read_text())
    assert report["schema"] == 1
    assert report["settings"]["prompts"] == "prompts.jsonl"
    assert report["settings"]["n_threads"] == 1
    assert report["model"]["quantization"] == "Q4_0"
    assert [(row["question"], row["turn"]) for row in report["answers"]] == [
        ("editing:1", 1),
        ("editing:1", 2),
        ("editing:2", 1),
        ("qa:4", 1),
    ]
    assert list(report["arms"]) == ["plain", "auto"]
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert done.stderr.splitlines()[-2:] == [f"wrote {file}", f"wrote {picture}"]


def test_json_to_stdout_is_nothing_but_json(models, prompts):
    done = bench(models("Q4_0"), "-p", prompts, "--count", 1, "--json", "-")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["schema"] == 1
    assert "| arm " in done.stderr


def test_plain_is_always_among_the_arms_and_unknown_ones_are_refused(models, prompts):
    done = bench(models("Q4_0"), "-p", prompts, "--count", 1, "--arms", "paper", "--json", "-")
    assert list(json.loads(done.stdout)["arms"]) == ["plain", "paper"]
    assert bench(models("Q4_0"), "--arms", "plain,quick").exit_code == 2
    for nothing in ("", " ,"):
        done = bench(models("Q4_0"), "-p", prompts, "--arms", nothing)
        assert done.exit_code == 2
        assert "names none: give some of plain, auto" in done.stderr
    assert bench(models("Q4_0"), "--json", "/no/such/folder/x.json").exit_code == 2


def test_nothing_fits(models, tmp_path):
    file = tmp_path / "prompts"
    file.write_text("long " * 300)
    done = bench(models("Q4_0"), "-p", file)
    assert isinstance(done.exception, ContextFullError)
    assert "none of 1 prompts fits the context window of 512 tokens" in str(done.exception)


def test_auto_warm_begins_with_the_models_own_store_or_says_how_to_make_one(models, prompts, tmp_path, monkeypatch):
    monkeypatch.setenv("HD_EDGE_HOME", str(tmp_path / "home"))  # nothing that another test has learned
    done = bench(models("Q4_0"), "-p", prompts, "--arms", "auto-warm")
    assert isinstance(done.exception, ConfigError)
    assert "hd-edge db build-model" in str(done.exception)
    learned = CliRunner().invoke(cli, ["generate", "-m", str(models("Q4_0")), "-p", "the cat", "-n", "30", "-t", "1"])
    assert learned.exit_code == 0, learned.output
    assert bench(models("Q4_0"), "-p", prompts, "--arms", "auto-warm").exit_code == 0


def test_ctrl_c_shows_and_saves_what_there_is(models, tmp_path, terminal):
    prompts, file = tmp_path / "prompts", tmp_path / "bench.json"
    prompts.write_text("the cat\n" * 5000)
    arguments = ["-p", prompts, "--count", "5000", "-n", "12", "-t", "1", "-c", "256", "--json", file]
    running = terminal("bench", "-m", models("Q4_0"), *arguments)
    running.expect(" left")  # drawn after the first answer
    running.interrupt()
    running.expect("interrupted: ")
    running.expect("| arm ")
    assert running.end() == 130
    assert 0 < len(json.loads(file.read_text())["answers"]) < 5000


def test_naming_a_drafter_adds_its_arm(models, prompts, tmp_path):
    file = tmp_path / "bench.json"
    done = bench(models("Q8_0"), "-p", prompts, "--drafter", models("Q4_0"), "--json", file)
    assert done.exit_code == 0, done.output
    assert list(json.loads(file.read_text())["arms"]) == ["plain", "auto", "auto-drafter"]
