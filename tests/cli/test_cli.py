"""The command line: model text on stdout, everything else on stderr, exit status 0, 1, 2."""

from __future__ import annotations

import json
import os
import re
import signal
import threading

import llama_cpp
import pytest
from children import hd_edge as run
from children import python

import hd_edge
from hd_edge.cli import VERBS, why


@pytest.fixture(scope="module")
def model(models):
    return models("Q4_0")


def test_generate_streams_text_and_one_line_of_statistics(model):
    done = run("generate", "-m", model, "-p", "the cat", "-n", 20, "--temp", 0, "-t", 1, "-c", 256)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    numbers = r"20 tokens · [\d.]+ tok/s · [\d.]+ tokens/forward · \d+ % drafted( \(.*\))?"
    assert re.fullmatch(numbers, done.stderr.strip())


def test_json_is_the_same_text(model):
    shared = ("generate", "-m", model, "-n", 20, "--temp", 0, "-t", 1, "-c", 256)
    plain = run(*shared, "-p", "the cat", "-q")
    as_json = run(*shared, "--json", "-q", stdin="the cat")
    result = json.loads(as_json.stdout)
    assert result["text"] + "\n" == plain.stdout
    assert result["finish_reason"] == "length"
    assert result["stats"]["tokens"] == 20
    assert plain.stderr == as_json.stderr == ""


def test_the_seed_decides(model):
    texts = [run("generate", "-m", model, "-p", "a", "-n", 15, "-s", s, "-t", 1, "-q").stdout for s in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_errors_are_one_line_and_status_1(tmp_path):
    done = run("generate", "-m", tmp_path / "no.gguf", "-p", "x")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("hd-edge: model file")
    assert len(done.stderr.splitlines()) == 1


def test_usage_errors_are_status_2(model):
    assert run("generate", "-p", "x").returncode == 2
    assert run("no-such-verb").returncode == 2
    assert run("generate", "-m", model, "-p", "x", "-f", model).returncode == 2


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb):
    done = run(verb, "-h")
    assert done.returncode == 0
    assert "Usage: hd-edge" in done.stdout


def test_help_imports_no_model_code():
    code = (
        "import sys; from hd_edge.cli import cli; cli(['-h'], standalone_mode=False); print('llama_cpp' in sys.modules)"
    )
    assert python("-c", code).stdout.strip().endswith("False")


def test_doctor(model):
    report = json.loads(run("doctor", "--json", "-m", model).stdout)
    assert report["versions"]["llama-cpp-python"] == llama_cpp.__version__
    assert report["backend"]["layout"] == "llama_batch agrees field by field"
    assert report["model"]["architecture"] == "llama"
    about_attention = ("own attention kernel: ", "KV cache q8_0/q8_0: off the split-KV path")  # ours, or llama.cpp's
    assert any(reason.startswith(about_attention) for reason in report["model"]["exact mode"])
    assert report["model"]["cost of rows"][0].startswith((" 1 rows ", "not measured: other programs are at work"))
    assert "llama_batch agrees" in run("doctor").stdout
    assert json.loads(run("doctor", "--json", "-t", "3").stdout)["machine"]["threads used"] == 3


def test_doctor_and_models_info_read_the_stores_and_learn_nothing(model, tmp_path, monkeypatch):
    monkeypatch.setenv("HD_EDGE_HOME", str(tmp_path))
    for verb in (("doctor", "-m"), ("models", "info")):
        assert run(*verb, model).returncode == 0
    assert list(tmp_path.iterdir()) == []
    assert run("generate", "-m", model, "-p", "the cat", "-n", 20, "-t", 1, "-c", 256).returncode == 0
    (store,) = tmp_path.glob("models/*.sqlite3")
    before = store.read_bytes()
    for verb in (("doctor", "-m"), ("models", "info")):
        assert run(*verb, model).returncode == 0
    assert store.read_bytes() == before
    (line,) = json.loads(run("doctor", "--json").stdout)["store"]["files"]
    assert line.startswith(f"models/{store.name} (")


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "-n", 4, "--limit", 1, "-t", 1, "-c", 256, "--store"),
        ("check", "-n", 4, "--limit", 1, "-t", 1, "-c", 256, "--statistics"),
        ("db", "build-model", "PROMPTS", "-n", 4, "--store"),
        ("db", "build-statistics", "PROMPTS", "-o"),
    ],
    ids=lambda arguments: " ".join(map(str, (arguments[0], *arguments[-1:]))),
)
def test_option_that_names_a_foreign_file_is_status_1(model, tmp_path, arguments):
    (tmp_path / "prompts.txt").write_text("the cat\n")
    notes = tmp_path / "notes.txt"
    notes.write_text("dear diary, " * 100)
    given = [tmp_path / "prompts.txt" if argument == "PROMPTS" else argument for argument in arguments]
    done = run(*given, notes, "-m", model)
    assert done.returncode == 1
    assert "notes.txt is no store of hd_edge" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "prompts.txt"]
    assert notes.read_text() == "dear diary, " * 100


def test_doctor_tells_what_exact_mode_needs_without_own_kernels(model, monkeypatch):
    monkeypatch.setenv("HD_EDGE_ROW_KERNELS", "off")
    report = json.loads(run("doctor", "--json", "-m", model).stdout)
    assert any(reason.startswith("tiled matrix product off") for reason in report["model"]["exact mode"])


def test_generate_explains_itself_on_a_page(model, tmp_path):
    page = tmp_path / "page.html"
    done = run("generate", "-m", model, "-p", "the cat", "-n", 20, "--temp", 0, "-t", 1, "-c", 256, "--explain", page)
    assert f"wrote {page}" in done.stderr.splitlines()
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert '"tier": "target"' in text


def test_a_drafter_is_named_like_a_model(models):
    shared = ("generate", "-m", models("Q8_0"), "-p", "the cat", "-n", 20, "--temp", 0, "-t", 1, "-c", 256, "--exact")
    plain = run(*shared, "--no-draft", "-q")
    drafted = run(*shared, "--drafter", models("Q4_0"), "--json", "-q")
    result = json.loads(drafted.stdout)
    assert result["text"] + "\n" == plain.stdout
    assert "drafter" in result["stats"]["drafted_by_tier"]


def test_a_model_tier_is_built_with_a_drafter(models, tmp_path):
    (tmp_path / "prompts.txt").write_text("the cat sat on the mat\nthe dog\n")
    shared = ("db", "build-model", "-m", models("Q8_0"), tmp_path / "prompts.txt", "-t", 1, "-c", 128, "-n", 8)
    plain, drafted = (
        json.loads(run(*shared, "--store", tmp_path / f"{len(more)}.sqlite3", "--json", *more).stdout)
        for more in ((), ("--drafter", models("Q4_0")))
    )
    assert (drafted["prompts"], drafted["tokens"], drafted["records"]) == (2, plain["tokens"], plain["records"])
    refused = run(*shared, "--drafter", tmp_path / "none.gguf")
    assert refused.returncode == 1
    assert "none.gguf" in refused.stderr


def test_models_info_looks_at_a_drafter(models):
    report = json.loads(run("models", "info", models("Q8_0"), "--drafter", models("Q4_0"), "--json").stdout)
    assert report["drafter"] == str(models("Q4_0"))
    refused = run("models", "info", models("Q4_0"), "--drafter", models("Q8_0"))
    assert refused.returncode == 1
    assert "a drafter must be smaller" in refused.stderr


def test_doctor_looks_at_a_drafter(models):
    asked = ("doctor", "--json", "-m", models("Q8_0"))
    report = json.loads(run(*asked, "--drafter", models("Q4_0"), "--explain", "-t", 1).stdout)
    assert report["model"]["drafter"] == str(models("Q4_0"))
    assert len(report["why"]["answers"]) == 3
    refused = run("doctor", "-m", models("Q4_0"), "--drafter", models("Q8_0"))
    assert refused.returncode == 1
    assert "a drafter must be smaller" in refused.stderr
    assert run("doctor", "--drafter", models("Q4_0")).returncode == 2


def test_ctrl_c_reaches_doctor_during_a_forward(monkeypatch):
    """The model runs in a thread: a signal reaches the main one, which cancels."""
    ran, cancelled = [], threading.Event()

    class Endless:
        tier, n_threads = "context", 1

        def __init__(self, *_, **__):
            pass

        def create_chat_completion(self, *_, **__):
            yield {}
            ran.append(threading.current_thread())
            os.kill(os.getpid(), signal.SIGINT)
            cancelled.wait(60)

        def cancel(self):
            cancelled.set()

        def catch_up(self):
            pass

        def close(self):
            ran.append("closed")

    monkeypatch.setattr(hd_edge, "Llama", Endless)
    with pytest.raises(KeyboardInterrupt):
        why.explain("model.gguf", 1)
    assert cancelled.is_set()
    assert ran[0] is not threading.main_thread()
    assert ran[1:] == ["closed"]


def test_a_drafter_and_no_drafts_are_one_too_many(models):
    done = run("generate", "-m", models("Q8_0"), "-p", "x", "--no-draft", "--drafter", models("Q4_0"))
    assert done.returncode == 2
    assert "give one of them" in done.stderr


def test_models_info_names_who_may_draft(model, tmp_path):
    from hd_edge.draft.drafter.loading import suitable

    large = tmp_path / "large.gguf"
    large.write_bytes(b"")
    with large.open("r+b") as file:
        file.truncate(20 * model.stat().st_size)
    no_model = tmp_path / "no.gguf"
    no_model.write_bytes(b"GGUFnothing")
    found = suitable(str(large), {"small": model, "itself": large, "nothing": no_model})
    assert found == ["small (5.0% of the model's bytes)"]
