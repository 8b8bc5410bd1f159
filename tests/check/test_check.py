"""``hd-edge check``: it calls equal what is equal, and finds what is not."""

from __future__ import annotations

import json
import multiprocessing.util
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from children import HD_EDGE
from click.testing import CliRunner
from one_model import ONE

from hd_edge import Llama
from hd_edge.check import check
from hd_edge.check import modes as check_modes
from hd_edge.check.adversary import Adversary
from hd_edge.check.replay import ReplayPlanner
from hd_edge.cli import cli
from hd_edge.cli.check import check as check_command
from hd_edge.draft.planner import NO_PREDICTION
from hd_edge.errors import ContextFullError, ModelFileError
from hd_edge.model.questions import read_prompts

THREADS = {"n_threads": 1, "n_threads_batch": 1}


@pytest.fixture(scope="module")
def llm(models):
    with Llama(str(models("Q4_K_M")), exact=True, n_ctx=512, **ONE) as llm:
        yield llm


def run(llm, n=6, length=40, seeds=(0, 1)):
    prompts = [check.prompt_tokens(llm, text) for text in read_prompts()[:n]]
    comparison = check.Comparison(llm, length, 0.8)
    found = list(comparison.run(prompts, seeds))
    return comparison.outcome, found


def test_drafted_answers_are_identical_and_the_drafts_were_long(llm):
    outcome, found = run(llm)
    assert found == [None] * 12
    assert outcome.identical
    report = outcome.to_dict()
    assert report["greedy"] == {"prompts": 6, "tokens": 240, "identical": 6}
    assert report["sampled"] == {"prompts": 6, "seeds": [0, 1], "identical": 6}
    assert report["mean_accepted_tokens"] > 1.3


def test_a_context_before_the_prompts(llm):
    before = check.prompt_tokens(llm, read_prompts()[7])
    comparison = check.Comparison(llm, 20, 0.8, before)
    assert list(comparison.run([[300, 301], [302]], [3])) == [None] * 4
    assert llm._input_ids[: len(before)].tolist() == before


@pytest.mark.parametrize("seeds", [(), (5,)])
def test_a_wrong_row_is_found_with_its_place_and_margin(llm, monkeypatch, seeds):
    """The sampler takes the root's row instead of the node's: what a wrong row index would do."""
    native = llm.verifier

    class WrongRows:
        def __getattr__(self, name):
            return getattr(native, name)

        def argmax(self, node):
            return native.argmax(0)

        def batch_row(self, node):
            return native.batch_row(0)

    prompts = [check.prompt_tokens(llm, read_prompts()[0])]
    comparison = check.Comparison(llm, 30, 0.8)
    comparison._hold(prompts[0])
    plain = list(comparison._answer(prompts[0], seeds[0] if seeds else None)) if seeds else None
    monkeypatch.setattr(llm, "_verifier", WrongRows())
    always_right = Adversary([], llm.n_vocab(), right=1.0, sizes=[6])
    always_right.random.random = lambda: 0.5  # no branches
    monkeypatch.setattr(comparison._replay, "noisy", always_right)
    monkeypatch.setattr(comparison._replay, "plan", always_right.plan)
    with monkeypatch.context() as patch:
        patch.setattr("hd_edge._native.Drafter.recycle", lambda *_: None)
        found = list(comparison.run(prompts, seeds))
    assert not comparison.outcome.identical
    wrong = found[-1]
    assert wrong.index > 0
    assert wrong.plain != wrong.drafted
    assert (wrong.seed is None) == (not seeds)
    if seeds:
        assert wrong.plain == plain[wrong.index]
    else:
        assert wrong.margin >= 0
    assert np.isfinite(wrong.margin)
    assert comparison.outcome.to_dict()["differences"][-1]["index"] == wrong.index


def test_adversarial_trees_are_wide_deep_and_well_formed():
    adversary = Adversary(list(range(100, 180)), 512, 0.85, 1)
    adversary.begin(np.array([100], dtype=np.int32), NO_PREDICTION)
    trees = [adversary.plan(100, 40, 8) for _ in range(100)]
    assert max(tree.leaves for tree in trees) == 8
    assert max(int(tree.depth.max()) for tree in trees) > 10
    assert {len(tree) for tree in trees} >= {1, 2}
    for tree in trees:
        assert tree.check(512) == ""
        assert len(tree) <= 40
        assert (int(tree.token[0]), int(tree.parent[0])) == (100, -1)
    assert all(len(Adversary([], 512, sizes=[9]).plan(100, 5, 8)) <= 5 for _ in range(20))


def test_the_models_planner_and_the_adversary_take_turns(llm):
    replay = ReplayPlanner(llm.planner, 512, seed=1)
    replay.expect(list(range(100, 180)))
    replay.begin(np.array([1, 2, 3, 100], dtype=np.int32), NO_PREDICTION)
    right = [len(replay.plan(100, 63, 32).follow(list(range(101, 180)))) for _ in range(40)]
    assert sum(right[::2]) > 2 * 20  # it knows what follows
    assert sum(right[1::2]) == 20  # the roots alone


def test_command_checks_both_modes(models, tmp_path):
    file = tmp_path / "check.json"
    arguments = ["-m", str(models("Q4_0")), "-t", "1", "-c", "256", "-n", "16", "--limit", "3", "--json", str(file)]
    result = CliRunner().invoke(cli, ["check", *arguments])
    assert result.exit_code == 0, result.output
    assert "exact mode: 3/3 identical (greedy) · 3/3 identical (T=0.8, seeds 0-4)" in result.stdout
    assert "\ndefault mode" in result.stdout
    report = json.loads(file.read_text())
    assert report["schema"] == 1
    assert report["settings"]["mode"] == "exact"
    assert report["greedy"] == {"prompts": 3, "tokens": 48, "identical": 3}
    assert report["sampled"] == {"prompts": 3, "seeds": [0, 1, 2, 3, 4], "identical": 3}
    assert report["differences"] == []
    assert report["default"]["greedy"]["prompts"] == 3


@pytest.mark.parametrize("limit", [1, 3])
def test_command_puts_other_text_before_the_prompts(models, limit):
    arguments = ["-m", str(models("Q4_0")), "-t", "1", "-c", "512", "-n", "8", "--seeds", "0", "--mode", "exact"]
    result = CliRunner().invoke(cli, ["check", *arguments, "--limit", str(limit), "--context", "200", "--json", "-"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["greedy"] == {"prompts": limit, "tokens": 8 * limit, "identical": limit}
    result = CliRunner().invoke(cli, ["check", *arguments, "--limit", str(limit), "--context", "500"])
    assert isinstance(result.exception, ContextFullError)


def test_a_context_larger_than_the_window_is_told_before_its_text_is_made(models, monkeypatch):
    def fail(*_):
        raise AssertionError

    monkeypatch.setattr(check, "other_text", fail)
    path = str(models("Q4_0"))
    settings = check_modes.CheckSettings(path, n_ctx=512, n_threads=1, tokens=8, context_tokens=100_000_000)
    with pytest.raises(ContextFullError, match="need 100000008 tokens at least, n_ctx is 512"):
        check_modes._compare(settings, False, ["short"], lambda: None)


def test_other_text_is_as_long_as_asked(llm):
    text = check.other_text(llm, ["a longer prompt than that", "short"], 300)
    assert text.startswith("short\n\na longer prompt than that\n\nshort")
    assert 300 <= len(llm.tokenize(text.encode(), add_bos=False)) < 330
    assert check.other_text(llm, ["short"], 0) == ""


def test_command_opens_the_stores_it_is_given(models, tmp_path, capfd):
    other, store, statistics = str(models("Q8_0")), str(tmp_path / "model"), str(tmp_path / "statistics")
    with Llama(other, n_ctx=128, **{**ONE, "store": store}) as llm:
        llm.create_completion("one two three", max_tokens=16, temperature=0.0)
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("one two three four five\n" * 50)
    build = ["db", "build-statistics", "-m", other, "-o", statistics, str(corpus)]
    assert CliRunner().invoke(cli, build).exit_code == 0
    arguments = ["check", "-m", other, "-t", "1", "-c", "256", "-n", "8", "--limit", "1", "--seeds", "0"]
    result = CliRunner().invoke(cli, [*arguments, "--store", store, "--statistics", statistics, "--json", "-"])
    assert result.exit_code == 0, result.output
    settings = json.loads(result.stdout)["settings"]
    assert (settings["store"], settings["statistics"]) == (store, statistics)
    assert "StoreWarning" not in capfd.readouterr().err  # the comparison runs in a process of its own
    CliRunner().invoke(cli, [*arguments, "--statistics", store])
    assert "is a model tier, asked for was a statistics tier" in capfd.readouterr().err


def test_exact_mode_that_is_unavailable(models, monkeypatch):
    monkeypatch.setenv("HD_EDGE_ROW_KERNELS", "off")  # llama.cpp's products of float weights change with the rows
    arguments = ["-m", str(models("F32")), "-t", "1", "-c", "256", "-n", "8", "--limit", "1", "--seeds", "0"]
    result = CliRunner().invoke(check_command, [*arguments, "--json", "-"])
    assert result.exit_code == 0, result.output
    assert "exact mode is unavailable: exact mode needs weights whose rows do not depend" in result.stderr
    report = json.loads(result.stdout)
    assert report["settings"]["mode"] == "default"
    assert "quantised weights" in report["exact"]["unavailable"]
    assert CliRunner().invoke(check_command, [*arguments, "--mode", "exact"]).exit_code == 1


def test_both_modes_of_a_recurrent_model(mamba):
    arguments = ["-m", str(mamba), "-t", "1", "-c", "256", "-n", "24", "--limit", "2", "--seeds", "1"]
    result = CliRunner().invoke(cli, ["check", *arguments, "--json", "-"])
    assert result.exit_code == 0, result.output
    assert "exact mode: 2/2 identical (greedy) · 2/2" in result.stderr
    assert "default mode: 2/2 identical (greedy) · 2/2" in result.stderr
    result = CliRunner().invoke(cli, ["models", "info", str(mamba), "--json"])
    assert not str(json.loads(result.stdout)["exact mode"]).startswith("no")


def test_default_mode_says_whether_it_promises_the_same_text(models):
    arguments = ["-m", str(models("Q4_0")), "-t", "2", "-c", "1024", "-n", "24", "--limit", "2", "--seeds", "1"]
    result = CliRunner().invoke(cli, ["check", *arguments, "--context", "600", "--mode", "default", "--json", "-"])
    with Llama(str(models("Q4_0")), store=None, statistics=None, **THREADS) as llm:
        promised = llm.exact
    assert json.loads(result.stdout)["exact"] == promised
    assert "default mode  4 answers, plain and drafted" in result.stderr
    assert ("default mode (exact with this file): 2/2 identical (greedy) · 2/2" in result.stderr) == promised
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("mode", "promised", "code"), [("exact", True, 1), ("default", False, 0), ("default", True, 1)]
)
def test_exit_status_when_answers_differ(models, monkeypatch, mode, promised, code):
    differing = check.Outcome()
    differing.count(None, 10, check.Difference(0, None, 4, 17, 18, 0.25))
    monkeypatch.setattr(check_modes, "run_mode", lambda *_: differing.to_dict() | {"exact": promised})
    result = CliRunner().invoke(check_command, ["-m", str(models("Q4_0")), "--mode", mode, "--limit", "1"])
    assert result.exit_code == code
    title = "default mode (exact with this file)" if mode == "default" and promised else f"{mode} mode"
    assert f"{title}: 0/1 identical (greedy)" in result.stdout
    assert "prompt 0 (greedy): token 4 is 18, plain decoding draws 17; logit margin 0.2500" in result.stdout


def test_errors_of_the_other_process_arrive(tmp_path):
    with pytest.raises(ModelFileError, match="does not exist"):
        check_modes.run_mode(check_modes.CheckSettings(str(tmp_path / "no.gguf")), True, ["a"], lambda: None)


def test_a_signal_while_the_other_process_begins_leaves_no_traceback(models, monkeypatch, capfd):
    spawn = multiprocessing.util.spawnv_passfds

    def spawn_and_interrupt(*args):
        pid = spawn(*args)
        signal.raise_signal(signal.SIGINT)  # the child waits for its task now
        return pid

    monkeypatch.setattr(multiprocessing.util, "spawnv_passfds", spawn_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        check_modes.run_mode(check_modes.CheckSettings(str(models("Q4_0"))), True, ["a"], lambda: None)
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds its child in /proc")
def test_sigterm_ends_the_process_that_compares_too(models, tmp_path):
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("the cat\n" * 5000)
    command = [*HD_EDGE, "check", "-m", str(models("Q4_0")), "-t", "1", "--prompts", str(prompts)]

    def comparing(pid):
        try:
            return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False

    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as check:
        assert "10000 answers" in check.stderr.readline()
        children = Path(f"/proc/{check.pid}/task/{check.pid}/children")
        while not (found := [pid for pid in children.read_text().split() if comparing(pid)]):
            pass
        check.send_signal(signal.SIGTERM)
        out, err = check.communicate(timeout=60)
    assert (check.returncode, out) == (143, "")
    assert "Traceback" not in err
    assert not any(map(comparing, found))
