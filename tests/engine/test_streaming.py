"""Streams: whole characters; finish reasons, usage and logprobs as in llama_cpp, however many tokens a step brings."""

from __future__ import annotations

import llama_cpp
import pytest
from llama_cpp import LlamaGrammar

from hd_edge import Llama
from hd_edge.check.adversary import Adversary

SETTINGS = {"n_ctx": 512, "n_threads": 1, "n_threads_batch": 1, "type_k": 8, "type_v": 8}
PROMPT = "the cat"
WIDE = "größe 日本語 😀👍🏽 ñandú €"
# The vocabulary has no token for these characters: each is two to four byte tokens, and steps end within them.
GRAMMARS = {
    "multi-byte": f'root ::= ("{WIDE}" | "é" | "😀")+',
    "mixed": 'root ::= ([a-f] ("ü" | "漢" | "🦀"))+',
}


def pair(models, **more):
    theirs = llama_cpp.Llama(str(models("Q4_0")), flash_attn=True, verbose=False, **SETTINGS, **more)
    # llama.cpp's own kernels: those of hd_edge round differently
    ours = Llama(str(models("Q4_0")), exact=True, draft="off", row_kernels=False, **SETTINGS, **more)
    return ours, theirs


@pytest.fixture(scope="module")
def llms(models):
    both = pair(models)
    yield both
    for llm in both:
        llm.close()


@pytest.fixture(scope="module")
def with_logits(models):
    both = pair(models, logits_all=True)
    yield both
    for llm in both:
        llm.close()


def run(llm, **settings):
    llm.reset()
    return llm.create_completion(PROMPT, stream=True, **{"max_tokens": 60, "temperature": 0.0, "seed": 5, **settings})


def draft_well(ours, theirs, right=0.9, **settings):
    """Drafts what plain decoding says, mostly: steps of many tokens."""
    theirs.reset()
    theirs.set_seed(5)
    tokens = theirs.tokenize(PROMPT.encode())
    names = {"temperature": "temp"}
    settings = {names.get(k, k): v for k, v in {"temperature": 0.0, **settings}.items() if k != "stop"}
    script = [t for _, t in zip(range(80), theirs.generate(tokens, **settings), strict=False)]
    ours._planner = Adversary(tokens + script, ours.n_vocab(), right, 2)


def parts(chunks):
    return [(c["choices"][0]["text"], c["choices"][0]["finish_reason"], c["choices"][0]["logprobs"]) for c in chunks]


@pytest.mark.parametrize("temperature", [0.0, 0.9])
@pytest.mark.parametrize("name", GRAMMARS)
def test_characters_are_whole_and_chunks_those_of_llama_cpp(llms, name, temperature):
    ours, theirs = llms
    settings = {"grammar": LlamaGrammar.from_string(GRAMMARS[name], verbose=False), "temperature": temperature}
    draft_well(ours, theirs, **settings)
    want, got = parts(run(theirs, **settings)), parts(run(ours, **settings))
    assert got == want
    assert ours.stats.mean_accepted_tokens > 1.5
    text = "".join(part[0] for part in got)
    assert "\ufffd" not in text
    if name == "multi-byte":  # llama_cpp's own stream drops some characters that span tokens; so do we, equally
        assert any(ord(letter) > 127 for letter in text)
    assert all(part[0].encode("utf-8", "strict").decode() == part[0] for part in got)


def test_generate_from_text_yields_whole_characters(llms):
    ours, theirs = llms
    grammar = LlamaGrammar.from_string(GRAMMARS["multi-byte"], verbose=False)
    draft_well(ours, theirs, grammar=grammar)
    ours.reset()
    pieces = [p for p, _ in zip(ours.generate(PROMPT, temp=0.0, grammar=grammar), range(60), strict=False)]
    text = "".join(piece.text for piece in pieces)
    assert "\ufffd" not in text
    assert any(piece.text == "" for piece in pieces)  # an unfinished character waits
    assert text.encode()[:3] == b"".join(ours.detokenize([piece.token]) for piece in pieces)[:3]


@pytest.mark.parametrize("at", [0, 3, 7, 12, 20])
@pytest.mark.parametrize("length", [1, 2, 4])
def test_stop_string_within_an_accepted_path(llms, at, length):
    ours, theirs = llms
    grammar = LlamaGrammar.from_string(GRAMMARS["multi-byte"], verbose=False)
    settings = {"grammar": grammar, "temperature": 0.9}
    text = "".join(part[0] for part in parts(run(theirs, **settings)))
    stop = text[at : at + length]
    assert len(stop) == length
    draft_well(ours, theirs, right=1.0, **settings)
    want, got = parts(run(theirs, stop=[stop], **settings)), parts(run(ours, stop=[stop], **settings))
    assert got == want
    assert stop not in "".join(part[0] for part in got)
    assert ours.n_tokens == theirs.n_tokens
    assert ours._input_ids.tolist() == theirs._input_ids.tolist()
    assert ours.verifier.check_integrity() == ""


@pytest.mark.parametrize("max_tokens", [1, 2, 3, 17, 60])
def test_finish_reason_and_usage(llms, max_tokens):
    ours, theirs = llms
    draft_well(ours, theirs, right=1.0)
    want, got = parts(run(theirs, max_tokens=max_tokens)), parts(run(ours, max_tokens=max_tokens))
    assert got == want
    whole = []
    for llm in (ours, theirs):
        llm.reset()
        answer = llm.create_completion(PROMPT, max_tokens=max_tokens, temperature=0.0)
        usage = answer["usage"]
        whole.append((answer["choices"], usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]))
    assert whole[0] == whole[1]


@pytest.mark.parametrize("stream", [False, True])
def test_logprobs(with_logits, stream):
    ours, theirs = with_logits
    draft_well(ours, theirs)
    answers = []
    for llm in (ours, theirs):
        llm.reset()
        answer = llm.create_completion(PROMPT, max_tokens=40, temperature=0.0, logprobs=3, stream=stream)
        answers.append(parts(answer) if stream else answer["choices"])
    assert ours.stats.mean_accepted_tokens > 1.5
    assert answers[0] == answers[1]
    assert any(part[2] for part in answers[0]) if stream else answers[0][0]["logprobs"]["token_logprobs"]
