"""The GPU report from its first to its last line, on the CPU with a tiny model; and the parts that need no model."""

from __future__ import annotations

import json
import re
import sys

import gpu_build
import gpu_report
import gpu_tables
import pytest
import trace_bench
import traces
import verify_cost
from children import python

from hd_edge.model.questions import spread

TALK = "The miller went to the mill. The mill was by the river. By the river the miller sang. "


def write_traces(folder):
    rows = [{"prompt": f"Tell me about mill {i}.", "output": TALK * (1 + i % 2)} for i in range(3)]
    for name in ("vicuna-tiny.eval.jsonl", "vicuna-tiny.history.jsonl"):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpu")
    (folder / "traces").mkdir()
    options = ["--type", "Q4_0", "--traces", write_traces(folder / "traces"), "--out", folder / "out"]
    small = "--contexts 8 40 --rows 1-3 --tokens 40 --answers 2 --prompts 1 --minutes 0.4 -t 1"
    run = (gpu_report.__file__, "run", "--device", "cpu", "--shape", "tiny")
    done = python(*run, *options, *small.split(), HD_EDGE_ROW_KERNELS="0")
    assert done.returncode == 0, done.stderr
    return folder / "out"


@pytest.fixture(scope="module")
def report(out):
    return json.loads((out / "report.json").read_text())


@pytest.mark.slow
def test_runs_to_its_end_with_every_measurement(report):
    assert report["failed"] == {}
    model = report["models"]["tiny-Q4_0"]
    assert {model[part]["settings"]["model"] for part in ("cost", "traces", "check")} == {"random-tiny-Q4_0.gguf"}
    assert [curve["context"] for curve in model["cost"]["curves"]] == [8, 40]
    for curve in model["cost"]["curves"]:
        assert set(curve["changed"]) == set(curve["repeated"]) == {"1", "2", "3"}
        assert all(0 < seconds < 10 for kind in ("changed", "repeated") for seconds in curve[kind].values())
    assert model["cost"]["host"]["logits_bytes_per_row"] == 4 * 1024
    assert list(model["traces"]["arms"]) == list(gpu_report.ARMS)
    assert model["check"]["greedy"]["prompts"] == 1
    assert model["check"]["settings"]["mode"] == "default"


def test_every_arm_emits_the_recorded_answers(report):
    replayed = report["models"]["tiny-Q4_0"]["traces"]
    arms = replayed["arms"]
    assert len(replayed["answers"]) == 2
    assert {row["tokens"] for row in arms.values()} == {2 * 39}  # the first token belongs to the prefill
    for plain in ("plain", "llama-cpp"):
        assert arms[plain]["forwards"] == arms[plain]["rows"] == 2 * 39
        assert arms[plain]["mean_accepted_tokens"] == 1
    for drafting in ("llama-cpp-pld", "paper"):  # they draft whatever it costs, and this text repeats itself
        assert arms[drafting]["forwards"] < 2 * 39 < arms[drafting]["rows"]
    assert replayed["replay"]["real"] and replayed["replay"]["replayed"]
    ratio = replayed["speedup"]["plain"]["overall"]
    assert (ratio["median"], ratio["low"], ratio["high"], ratio["total"], ratio["answers"]) == (1, 1, 1, 1, 2)


def test_every_figure_of_the_report_stands_in_its_json(out, report):
    def numbers(value):
        if isinstance(value, dict):
            for inner in value.values():
                yield from numbers(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from numbers(inner)
        elif isinstance(value, float | int):
            yield float(value)

    text = (out / "report.md").read_text()
    table = text[text.index("| arm ") : text.index("Default mode")]
    known = set(numbers(report["models"]["tiny-Q4_0"]["traces"]))
    shown = re.findall(r"(?<![\w.])\d+\.\d+", table)
    assert len(shown) > 20
    for figure in shown:
        places = len(figure.split(".")[1])
        assert any(f"{number:.{places}f}" == figure for number in known), figure


def test_plots_are_drawn(out):
    pytest.importorskip("matplotlib")
    for name in ("tiny-Q4_0-cost.png", "tiny-Q4_0-speedup.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
        assert f"({name})" in (out / "report.md").read_text()


def test_a_measurement_that_fails_is_named_and_the_others_stay(tmp_path):
    runner = gpu_report.Runner(tmp_path, None, "", 1)
    assert runner.json("bad", ["-c", "raise SystemExit('no such card')"], 60) == {}
    assert runner.json("late", ["-c", "import time; time.sleep(60)"], 0.2) == {}
    assert runner.failed["bad"] == "no such card"
    assert "not ready" in runner.failed["late"]
    gpu_tables.write({"hardware": {"gpu": "card"}, "seconds": {}, "failed": runner.failed, "models": {}}, tmp_path)
    assert "**bad failed**: no such card" in (tmp_path / "report.md").read_text()


def test_steps_of_a_curve():
    flat = {str(n): 10 + 0.02 * n for n in range(1, 64)}
    assert gpu_tables.steps(flat) == []
    stepped = {n: seconds + (4 if int(n) > 8 else 0) for n, seconds in flat.items()}
    assert gpu_tables.steps(stepped) == [8]


def test_sizes():
    assert verify_cost.sizes("1-3,8,16-17") == [1, 2, 3, 8, 16, 17]


def test_a_run_goes_on_where_it_stopped(models, tmp_path, monkeypatch, capsys):
    traces_file = write_traces(tmp_path) / "vicuna-tiny.eval.jsonl"
    result = tmp_path / "out.json"
    fixed = f"trace_bench.py -m {models('Q4_0')} --traces {traces_file} --json {result} --resume --arms plain auto -t 1"

    def run(*more):
        monkeypatch.setattr(sys, "argv", [*fixed.split(), *more])
        assert trace_bench.main() == 0
        return json.loads(result.read_text())

    first = run("--tokens", "20", "--answers", "1")["answers"]
    both = run("--tokens", "20", "--answers", "3")["answers"]
    assert len(first) == 1 and len(both) == 3
    assert first[0] in both
    assert "replayed: the token the target chooses" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="other settings"):
        run("--tokens", "21", "--answers", "3")


def test_traces_are_asked_as_their_model_was(tmp_path):
    folder = write_traces(tmp_path)
    asked = []

    def tokenize(text, bos):
        asked.append(text)
        return list(range(len(text)))

    found = traces.read_traces(folder / "vicuna-tiny.eval.jsonl", tokenize, tokens=50)
    assert [len(trace.answer) for trace in found] == [50] * 3
    assert asked[0].endswith("USER: Tell me about mill 0. ASSISTANT:")
    assert traces.read_traces(folder / "vicuna-tiny.eval.jsonl", tokenize, tokens=50, least=51) == []
    assert [trace.name for trace in spread(found, 2)] == ["vicuna-tiny.eval:1", "vicuna-tiny.eval:2"]
    (folder / "bad.eval.jsonl").write_text('{"prompt": "x"}\n')
    with pytest.raises(SystemExit, match=r"bad.eval.jsonl:1: .*output"):
        traces.read_traces(folder / "bad.eval.jsonl", tokenize, tokens=50)


def test_pack_carries_what_a_build_needs_and_no_more(tmp_path, monkeypatch):
    tree = tmp_path / "sdist" / "vendor" / "llama.cpp"
    for name in (*gpu_build.PARTS, "ggml/src", "models"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        if "." in name or name == "LICENSE":
            (tree / name).write_text(name)
        else:
            (tree / name).mkdir(parents=True, exist_ok=True)
    for name in ("ggml-cuda/mmq.cu", "ggml-cpu/ops.cpp", "ggml-vulkan/big.cpp", "ggml.c"):
        (tree / "ggml" / "src" / name).parent.mkdir(exist_ok=True)
        (tree / "ggml" / "src" / name).write_text(name)
    (tree / gpu_build.VOCABULARY).write_text("vocabulary")
    package = tmp_path / "sdist" / "llama_cpp"
    (package / "lib").mkdir(parents=True)
    (package / "lib" / "libllama.so").write_text("not for the other machine")
    (package / "llama.py").write_text("")
    (tmp_path / "sdist" / "PKG-INFO").write_text("Name: llama_cpp_python\nVersion: 0.3.36\n")
    commands = []
    monkeypatch.setattr(gpu_build.subprocess, "run", lambda command, **_: commands.append(command))
    monkeypatch.setattr(gpu_build, "commit", lambda: "abc")
    files = sorted(write_traces(tmp_path).glob("*.jsonl"))
    out = tmp_path / "carried"
    gpu_build.pack(tmp_path / "sdist", files, out, python="3.12", answers=2)
    carried = {str(file.relative_to(out)) for file in out.rglob("*") if file.is_file()}
    assert {"llama.cpp/ggml/src/ggml-cuda/mmq.cu", "llama.cpp/ggml/src/ggml.c", "llama_cpp/llama.py"} <= carried
    assert not any("vulkan" in name or "libllama" in name for name in carried)
    assert len((out / "traces" / "vicuna-tiny.eval.jsonl").read_text().splitlines()) == 2
    assert len((out / "traces" / "vicuna-tiny.history.jsonl").read_text().splitlines()) == 3
    assert "--python-version=3.12" in commands[0] and "diskcache" in commands[0]


def test_cublas_from_a_wheel_and_no_driver_stub(tmp_path, monkeypatch):
    toolkit, wheels = tmp_path / "cuda", tmp_path / "wheels" / "nvidia" / "cu13"
    for file in (toolkit / "bin" / "nvcc", wheels / "lib" / "libcublas.so.13", wheels / "include" / "cublas_v2.h"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    (wheels / "include" / "cuda.h").write_text("of another version")
    monkeypatch.setattr(gpu_build.shutil, "which", lambda _: str(toolkit / "bin" / "nvcc"))
    monkeypatch.setattr(gpu_build.sys, "path", [str(tmp_path / "wheels")])
    options = gpu_build._toolkit(tmp_path / "work")
    assert options["GGML_CUDA_NO_VMM"] == "ON"
    assert options["CUDA_cublas_LIBRARY"].endswith("libcublas.so.13")
    assert options["CUDA_cublasLt_LIBRARY"].endswith("libcublasLt.so.13")
    assert [file.name for file in (tmp_path / "work" / "cublas").iterdir()] == ["cublas_v2.h"]
    for name in ("libcublas.so", "libcuda.so"):
        (toolkit / name).write_text("")
    assert gpu_build._toolkit(tmp_path / "work") == {}


def test_a_failed_build_shows_the_end_of_its_log(tmp_path):
    with pytest.raises(SystemExit, match=r"(?s)no nvcc here.*ended with 3.*build.log"):
        gpu_build._logged([sys.executable, "-c", "print('no nvcc here'); raise SystemExit(3)"], tmp_path)
