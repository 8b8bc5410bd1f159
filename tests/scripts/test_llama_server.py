"""The arm around llama-server, with a stand-in for the binary that speaks its HTTP interface."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import llama_server
import pytest

from hd_edge import Llama
from hd_edge.bench.arm import Settings

SETTINGS = Settings(max_tokens=6, n_ctx=512, n_threads=1, type_kv="q8_0")
ASK = [97, 98, 99]
STAND_IN = """#!{python}
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200, {{"status": "ok"}})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        open({seen!r}, "w").write(json.dumps([sys.argv[1:], asked]))
        {post}

    def answer(self, status, body):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_):
        pass

print("reading the model", flush=True)
{start}
HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
"""
DONE = {
    "content": "...",
    "tokens": [65, 66, 67, 68, 69, 70],
    "timings": {"predicted_n": 6, "predicted_ms": 50.0, "prompt_n": 9, "prompt_ms": 20.0},
}


@pytest.fixture
def stand_in(tmp_path):
    """Writes the stand-in; ``post`` is what it does with a question, ``start`` before it listens."""

    def write(post: str = "", start: str = "") -> Path:
        path = tmp_path / "llama-server"
        path.write_text(STAND_IN.format(python=sys.executable, seen=str(tmp_path / "seen"), post=post, start=start))
        path.chmod(0o755)
        return path

    return write


@pytest.fixture(scope="module")
def llm(models):
    with Llama(str(models("Q8_0")), draft="off", store=None, n_ctx=512, n_threads=1) as model:
        yield model


@pytest.fixture
def start(stand_in, llm, opened):
    """Starts an arm with a stand-in that does this with a question."""

    def start(name: str, post: str = "", draft_model: Path | None = None) -> llama_server.LlamaServer:
        return opened(llama_server.LlamaServer(name, stand_in(post), llm, SETTINGS, draft_model))

    return start


def test_an_answer_is_read_from_what_the_server_tells(start, llm, tmp_path):
    timings = DONE["timings"] | {"draft_n": 4, "draft_n_accepted": 3}
    arm = start("llama-server-ngram-mod", f"self.answer(200, {DONE | {'timings': timings}})")
    answer = arm.answer(ASK, SETTINGS)
    flags, asked = json.loads((tmp_path / "seen").read_text())
    drawn = arm.answer(ASK, replace(SETTINGS, temperature=0.7, seed=3))
    assert drawn.stats.tokens == 6
    sampled = json.loads((tmp_path / "seen").read_text())[1]
    assert asked["prompt"] == ASK
    assert (asked["n_predict"], asked["temperature"], asked["cache_prompt"]) == (6, 0.0, False)
    assert (sampled["temperature"], sampled["seed"], sampled["top_k"]) == (0.7, 3, 40)
    told = dict(zip(flags[:-3:2], flags[1::2], strict=False))
    assert told["--model"] == llm.model_path
    assert (told["--threads"], told["--threads-batch"], told["--ctx-size"]) == ("1", "1", "512")
    assert (told["--flash-attn"], told["--cache-type-k"], told["--cache-type-v"]) == ("on", "q8_0", "q8_0")
    assert (told["--parallel"], told["--spec-type"]) == ("1", "ngram-mod")
    assert answer.ids == DONE["tokens"]
    assert answer.text == llm.detokenize(DONE["tokens"]).decode(errors="replace")
    stats = answer.stats
    assert (stats.tokens, stats.seconds, stats.prompt_seconds) == (6, 0.05, 0.02)
    assert (stats.forwards, stats.rows) == (2, 6)  # 5 tokens behind the prompt's, 3 of them drafted
    assert (stats.accepted, stats.drafted) == ({"ngram-mod": 3}, {"ngram-mod": 4})


def test_a_plain_server_drafts_nothing(start):
    answer = start("llama-server-plain", f"self.answer(200, {DONE})").answer(ASK, SETTINGS)
    assert (answer.stats.forwards, answer.stats.rows, answer.stats.accepted) == (5, 5, {})


def test_a_draft_model_is_given_to_its_arm_alone(start, models, tmp_path):
    def flags(name):
        start(name, f"self.answer(200, {DONE})", models("Q4_0")).answer(ASK, SETTINGS)
        return json.loads((tmp_path / "seen").read_text())[0]

    told = flags("llama-server-draft-simple")
    assert told[told.index("--model-draft") + 1] == str(models("Q4_0"))
    assert told[told.index("--spec-type") + 1] == "draft-simple"
    assert [told[told.index(f"--threads{of}-draft") + 1] for of in ("", "-batch")] == ["1", "1"]
    assert "--model-draft" not in flags("llama-server-plain")


@pytest.mark.parametrize("file", [None, "missing.gguf"])
def test_without_a_draft_model_its_arm_says_how_to_name_one(stand_in, llm, tmp_path, file):
    draft_model = tmp_path / file if file else None
    with pytest.raises(llama_server.LlamaServerError, match=r"draft-simple.* is none: name one by --draft-model"):
        llama_server.LlamaServer("llama-server-draft-simple", stand_in(), llm, SETTINGS, draft_model)


def test_closing_ends_the_process(start):
    arm = start("llama-server-plain")
    process = arm.server._process
    assert process.poll() is None
    arm.close()
    arm.close()
    assert process.poll() is not None


def test_a_missing_binary_says_how_to_build_it(llm, tmp_path):
    with pytest.raises(llama_server.LlamaServerError, match=r"nothing.*build_llama_server\.py"):
        llama_server.LlamaServer("llama-server-plain", tmp_path / "nothing", llm, SETTINGS)


def test_a_server_that_does_not_start_shows_its_last_lines(stand_in, llm):
    binary = stand_in(start="sys.exit('unknown model architecture')")
    with pytest.raises(llama_server.LlamaServerError) as caught:
        llama_server.LlamaServer("llama-server-plain", binary, llm, SETTINGS)
    assert "did not start" in str(caught.value)
    assert "ended with status 1" in str(caught.value)
    assert "unknown model architecture" in str(caught.value)


@pytest.mark.parametrize(
    ("post", "told"),
    [
        ("import os; print('out of memory', flush=True); os._exit(3)", ("status 3", "out of memory")),
        ("self.answer(400, {'error': 'the prompt is too long'})", ("status 400", "too long", "is running")),
    ],
)
def test_a_question_without_an_answer_is_an_error(start, post, told):
    with pytest.raises(llama_server.LlamaServerError) as caught:
        start("llama-server-plain", post).answer(ASK, SETTINGS)
    assert all(words in str(caught.value) for words in told)


def test_an_unknown_arm_is_named(llm, tmp_path):
    with pytest.raises(llama_server.LlamaServerError, match="llama-server-ngram-cache"):
        llama_server.LlamaServer("llama-server-magic", tmp_path, llm, SETTINGS)
