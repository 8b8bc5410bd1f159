"""``prediction``: the text an answer is expected to repeat is drafted from, and never changes the answer."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from one_model import ONE

from hd_edge import ConfigError, ContextFullError, DraftConfig, Llama
from hd_edge.model.prediction import Hints, prediction_text

SETTINGS = {**ONE, "n_ctx": 1024, "exact": True}
MESSAGES = [{"role": "user", "content": "Tell me about the sea and its animals."}]


def content(text):
    return {"type": "content", "content": text}


@pytest.fixture(scope="module")
def llm(smollm2_q4_0):
    with Llama(str(smollm2_q4_0), **SETTINGS) as llm:
        yield llm


def watch(monkeypatch, llm, see):
    """Calls `see` with the predictions of generations that begin."""
    begin = llm.planner.begin

    def begins(tokens, prediction):
        if len(prediction):
            see(prediction)
        begin(tokens, prediction)

    monkeypatch.setattr(llm.planner, "begin", begins)


@pytest.fixture(scope="module")
def answer(llm):
    """What the model says anyway: the best prediction there is."""
    done = llm.create_chat_completion(MESSAGES, max_tokens=96, temperature=0.0)
    return done["choices"][0]["message"]["content"]


def chat(llm, **settings):
    llm.reset()
    llm._planner._drafter.forget_rows()  # an answer given before is drafted from its recycled rows
    return llm.create_chat_completion(MESSAGES, max_tokens=96, temperature=0.0, **settings)


def cheap_rows(llm):
    """A cost curve of a machine where rows are cheap, so that the timing of this one decides nothing."""
    rows = np.array([1, 2, 4, 8, 16], np.int32)
    llm._planner._drafter.set_cost(rows, (1 + 0.02 * rows).astype(np.float32))
    llm._planner.cost.relative = lambda context, drafted=False: (rows, (1 + 0.02 * rows).astype(np.float32))
    llm._planner.guard.step = lambda *args: None


def test_a_right_prediction_saves_forwards_and_keeps_the_text(smollm2_q4_0, answer, opened):
    config = DraftConfig(tiers=("context",))  # the model tier knows it soon
    llm = opened(Llama(str(smollm2_q4_0), draft=config, **SETTINGS))
    cheap_rows(llm)
    without = chat(llm)
    forwards = llm.stats.forwards
    for prediction in (content(answer), content([{"type": "text", "text": answer}])):
        done = chat(llm, prediction=prediction)
        assert done["choices"] == without["choices"]
        assert llm.stats.forwards < 0.6 * forwards
        details = done["usage"]["completion_tokens_details"]
        assert details["accepted_prediction_tokens"] == llm.stats.tokens - llm.stats.forwards - 1
        assert (
            details["accepted_prediction_tokens"] + details["rejected_prediction_tokens"] == done["timings"]["draft_n"]
        )
    chat(llm)  # the prediction belongs to one generation
    assert llm.stats.forwards > 0.8 * forwards


def test_a_wrong_prediction_keeps_the_text(llm, answer):
    for text in ("Nothing of this will be said.", "", "one one one one " * 20, "日本語\ud7ff 🙂 \x00"):
        assert chat(llm, prediction=content(text))["choices"][0]["message"]["content"] == answer
        assert llm._planner._drafter.check_integrity() == ""


def test_prediction_in_a_stream_is_taken_when_its_generation_begins(llm, answer, monkeypatch):
    seen = []
    watch(monkeypatch, llm, lambda tokens: seen.append(tokens.tolist()))
    with_prediction = llm.create_chat_completion(
        MESSAGES, max_tokens=20, temperature=0.0, stream=True, prediction=content(answer)
    )
    llm.create_chat_completion(MESSAGES, max_tokens=5)  # another one comes first
    assert seen == []
    chunks = list(with_prediction)
    assert seen == [llm.tokenize(answer.encode(), add_bos=False)]
    assert answer.startswith("".join(c["choices"][0]["delta"].get("content") or "" for c in chunks))
    assert chunks[-1]["timings"]["predicted_n"] == 20
    assert all("timings" not in chunk for chunk in chunks[:-1])


def test_prediction_of_create_completion_and_call(llm, monkeypatch):
    seen = []
    watch(monkeypatch, llm, lambda tokens: seen.append(llm.detokenize(tokens.tolist()).decode()))
    llm("One, two,", max_tokens=4, prediction=content(" three, four"))
    chunks = list(llm.create_completion("One, two,", max_tokens=4, stream=True, prediction=content(" five")))
    assert seen == [" three, four", " five"]
    assert chunks[-1]["timings"]["predicted_n"] == 4


def test_a_sent_token_keeps_the_prediction(llm, monkeypatch):
    seen = []
    watch(monkeypatch, llm, lambda tokens: seen.append(len(tokens)))
    prompt = llm.tokenize(b"One, two,")
    with llm.hinted(Hints(np.array(prompt, np.int32))):
        generation = llm.generate(prompt, temp=0.0)
        for _ in range(3):
            next(generation)
        generation.send([prompt[0]])
        next(generation)
    generation.close()
    assert seen == [len(prompt)] * 2


@pytest.mark.parametrize(
    ("prediction", "words"),
    [
        ("text", "type str"),
        ({}, "type None"),
        ({"type": "text", "content": "a"}, "'text'"),
        ({"type": "content"}, "NoneType"),
        ({"type": "content", "content": 3}, "int"),
        ({"type": "content", "content": [{"type": "image"}]}, "image"),
        ({"type": "content", "content": "a", "weight": 2}, "weight"),
    ],
)
def test_other_shapes_are_refused(llm, prediction, words):
    with pytest.raises(ConfigError, match=words):
        llm.create_chat_completion(MESSAGES, max_tokens=2, prediction=prediction)
    with pytest.raises(ConfigError, match=words):
        llm.create_completion("a", max_tokens=2, prediction=prediction)


def test_parts_are_joined():
    assert prediction_text(content([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])) == "ab"


def test_too_long_a_prompt_in_a_stream_has_its_own_error(llm):
    long = [{"role": "user", "content": "word " * 1200}]
    with pytest.raises(ContextFullError, match="context window 1024"):
        next(llm.create_chat_completion(long, stream=True))
    assert chat(llm)["choices"]


def test_a_stream_closed_early_leaves_a_good_state(llm, answer):
    stream = llm.create_chat_completion(MESSAGES, temperature=0.0, stream=True, prediction=content(answer))
    for _ in range(5):
        next(stream)
    stream.close()
    assert llm._decoder is None
    assert llm.verifier.check_integrity() == ""
    assert chat(llm)["choices"][0]["message"]["content"] == answer


def test_generate_takes_a_file(smollm2_q4_0, answer, tmp_path, monkeypatch):
    from hd_edge.cli import cli

    seen = []
    original = Llama._prediction_ids
    monkeypatch.setattr(Llama, "_prediction_ids", lambda self, p: seen.append(p) or original(self, p))
    file = tmp_path / "expected.txt"
    file.write_text(answer, encoding="utf-8")
    options = ["-m", str(smollm2_q4_0), "-t", "1", "--exact", "-n", "20", "--temp", "0", "--json", "--chat"]
    prompt = ["-p", MESSAGES[0]["content"], "--prediction", str(file)]
    result = CliRunner().invoke(cli, ["generate", *options, *prompt], catch_exceptions=False)
    assert result.exit_code == 0
    assert answer.startswith(json.loads(result.stdout)["text"])
    assert {p["content"] for p in seen} == {answer}
