"""scripts/benchmarks/headline.py: its workloads parse, it goes on where it stopped, its files make the report."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import headline
import pytest
import report_data
from children import python
from workloads import HERE, Workload, workloads


@pytest.fixture
def data(tmp_path):
    """A folder of questions and recorded answers."""
    traces = ("vicuna-7b.eval", "vicuna-7b.history", "llama-2-13b.eval")
    for name in ("spec_bench/question.jsonl", *(f"traces/{trace}.jsonl" for trace in traces)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    return tmp_path


LARGE = [Path("random-7b-Q4_0.gguf"), Path("random-13b-Q4_0.gguf")]


def given(data=None, **more):
    nothing = {"large": (), "wide": None, "drafter": None, "llama_server": None, "openvino": False}
    return argparse.Namespace(model=Path("Smol-Q4_0.gguf"), data=data, **{**nothing, **more})


def all_of(data):
    files = {name: Path(f"{name}-7b.gguf") for name in ("wide", "drafter")} | {"large": LARGE}
    return list(workloads(given(data, **files, llama_server="ls", openvino=True), Path("long.jsonl")))


def test_every_file_is_of_a_kind_that_the_report_knows(data):
    names = [work.name for work in all_of(data)]
    assert len(names) == len(set(names))
    kinds = {kind for name in names for kind in report_data.KINDS if name.startswith(f"{kind}-")}
    told = {"spec-bench", "trace-bench", "tool-loop", "company", "edit-bench", "busy", "prefix", "adversarial"}
    assert kinds == told
    assert [name for name in names if "-cold-" in name] == [
        f"spec-bench-smol-q4_0-cold-t{temperature}" for temperature in ("0", "0.3", "0.7", "1.0")
    ]


def test_a_large_model_decodes_what_models_of_its_size_said(data):
    chats = {work.name: work.command for work in all_of(data) if work.name.startswith("trace-bench")}
    assert list(chats) == ["trace-bench-random-7b-q4_0-chat", "trace-bench-random-13b-q4_0-chat"]
    for (name, command), chat in zip(chats.items(), ("vicuna-7b", "llama-2-13b"), strict=True):
        words = list(command)
        asked = [Path(word).name for word in words[words.index("--traces") + 1 : words.index("--arms")]]
        history = ["--history", f"{chat}.history.jsonl"] if chat == "vicuna-7b" else []
        assert asked == [f"{chat}.eval.jsonl", *history], name
        assert ("auto-warm-drafter" in words) == bool(history), name


def test_scripts_know_the_options_they_are_given(data):
    """Each script refuses what it does not know before it looks for a file."""
    for work in all_of(data):
        script, *arguments = work.command
        extra = ["--seconds", "1"] * work.timed + ["--resume"] * work.resumes + ["--json", str(data / "out.json")]
        done = python(HERE / script, *arguments, *extra, "--no-such-option")
        assert done.returncode == 2, work.name
        assert done.stderr.splitlines()[-1].endswith("unrecognized arguments: --no-such-option"), done.stderr


def test_what_is_not_there_is_left_out():
    found = list(workloads(given(), Path("long.jsonl")))
    words = [word for work in found for word in work.command]
    assert not any(word.startswith(("llama-server", "openvino", "auto-drafter", "--foreign")) for word in words)
    assert not any(work.name.startswith("trace-bench") for work in found)


@pytest.fixture
def scripted(tmp_path, monkeypatch):
    """Workloads that write what they were called with; one of them fails until it may not."""
    script = tmp_path / "script.py"
    script.write_text(
        "import json, pathlib, sys\n"
        "words = sys.argv[1:]\n"
        "path = pathlib.Path(words[words.index('--json') + 1])\n"
        "before = json.loads(path.read_text()) if path.exists() else []\n"
        "path.write_text(json.dumps([*before, words]))\n"
        "sys.exit('fails' in words and not pathlib.Path(words[0]).exists())\n"
    )
    out, flag = tmp_path / "out", tmp_path / "flag"
    out.mkdir()
    (out / "long-documents.jsonl").write_text("")
    work = [
        Workload("spec-bench-a", 3, (str(script), "a"), timed=True, resumes=True),
        Workload("spec-bench-b", 1, (str(script), str(flag), "fails"), timed=True, resumes=True),
        Workload("prefix-c", 1, (str(script), "c")),
    ]
    monkeypatch.setattr(headline, "workloads", lambda _args, _questions: work)
    monkeypatch.setattr(headline, "told", lambda _folder: "goals")
    monkeypatch.setattr(headline, "commit", lambda _folder: "abc")
    return out, flag


def called(out, name):
    return json.loads((out / f"{name}.json").read_text())


def seconds(words):
    return float(words[words.index("--seconds") + 1])


def test_time_is_dealt_out_and_a_second_call_goes_on(scripted, capsys):
    out, flag = scripted
    shared = [str(out), "-m", "model.gguf", "--minutes", "5"]
    assert headline.main(shared) == 1
    told = capsys.readouterr()
    assert "spec-bench-b: status 1, see" in told.err
    assert "goals" in told.out
    assert seconds(called(out, "spec-bench-a")[0]) == pytest.approx(180, abs=2)  # of 300, three parts of five
    assert "--seconds" not in called(out, "prefix-c")[0]
    flag.touch()
    assert headline.main(shared) == 0
    assert len(called(out, "spec-bench-a")) == len(called(out, "prefix-c")) == 1  # finished files are kept
    first, second = called(out, "spec-bench-b")
    assert "--resume" not in first
    assert "--resume" in second
    assert seconds(second) == pytest.approx(300, abs=2)  # all that is left to one


def test_what_does_not_fit_is_left_for_another_call(scripted, capsys):
    out, _ = scripted
    assert headline.main([str(out), "-m", "model.gguf", "--minutes", "0.3", "--least", "5"]) == 1
    assert "prefix-c: about 60 s, of which" in capsys.readouterr().err
    assert not (out / "prefix-c.json").exists()


def test_a_whole_name_means_one_file(scripted, monkeypatch):
    out, _ = scripted
    longer = [Workload(f"prefix-c{end}", 1, headline.workloads(None, None)[2].command) for end in ("", "-long")]
    monkeypatch.setattr(headline, "workloads", lambda _args, _questions: longer)
    assert headline.main([str(out), "-m", "model.gguf", "--only", "prefix-c"]) == 0
    assert not (out / "prefix-c-long.json").exists()
    assert headline.main([str(out), "-m", "model.gguf", "--only", "prefix"]) == 0
    assert (out / "prefix-c-long.json").exists()


def test_ctrl_c_keeps_what_is_finished(scripted, monkeypatch, capsys):
    out, _ = scripted
    once = headline.run

    def stopped(work, *rest):
        if work.name == "prefix-c":
            raise KeyboardInterrupt
        return once(work, *rest)

    monkeypatch.setattr(headline, "run", stopped)
    assert headline.main([str(out), "-m", "model.gguf"]) == 130
    assert "goes on from here" in capsys.readouterr().err
    assert headline.State(out, "abc").seconds.keys() == {"spec-bench-a"}


def test_files_of_two_commits_do_not_mix(scripted, monkeypatch):
    out, flag = scripted
    flag.touch()
    assert headline.main([str(out), "-m", "model.gguf", "--only", "prefix"]) == 0
    assert not (out / "spec-bench-a.json").exists()
    monkeypatch.setattr(headline, "commit", lambda _folder: "def")
    with pytest.raises(SystemExit, match="files of commit abc, this is def"):
        headline.main([str(out), "-m", "model.gguf"])


def test_one_that_hangs_is_ended(tmp_path, monkeypatch):
    script = tmp_path / "hang.py"
    script.write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setattr(headline, "LATE", 0.0)
    monkeypatch.setattr(headline, "GRACE", 0.2)
    assert "not ready after" in headline.run(Workload("busy-x", 1, (str(script),)), tmp_path / "busy-x.json", 1)
