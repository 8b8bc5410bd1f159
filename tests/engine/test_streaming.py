"""Streams: the text of a whole answer, also where llama_cpp's streams lose some; finish reasons, usage, logprobs."""

from __future__ import annotations

import llama_cpp
import pytest
from llama_cpp import LlamaGrammar

from hd_edge import ConfigError, Llama
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


def said(got) -> str:
    return "".join(part[0] for part in got)


def whole(llm, **settings):
    llm.reset()
    return llm.create_completion(PROMPT, **{"max_tokens": 60, "temperature": 0.0, "seed": 5, **settings})


def text_of(llm, got, **settings):
    """llama_cpp's whole text; it goes beyond max_tokens to the end of a character, at most by one."""
    text = whole(llm, **settings)["choices"][0]["text"]
    return text[: len(said(got))] if 0 <= len(text) - len(said(got)) <= 1 else text


@pytest.mark.parametrize("temperature", [0.0, 0.9])
@pytest.mark.parametrize("name", GRAMMARS)
def test_a_stream_is_the_text_of_a_whole_answer(llms, name, temperature):
    ours, theirs = llms
    settings = {"grammar": LlamaGrammar.from_string(GRAMMARS[name], verbose=False), "temperature": temperature}
    draft_well(ours, theirs, **settings)
    got = parts(run(ours, **settings))
    assert ours.stats.mean_accepted_tokens > 1.5
    assert said(got) == text_of(theirs, got, **settings)
    assert said(got) == whole(ours, **settings)["choices"][0]["text"]
    assert any(ord(letter) > 127 for letter in said(got))
    assert all(part[0].encode("utf-8", "strict").decode() == part[0] for part in got)
    assert [part[1] for part in got] == [None] * (len(got) - 1) + [
        whole(ours, **settings)["choices"][0]["finish_reason"]
    ]


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


@pytest.mark.parametrize("stop", ["", [""], ["", "x"]])
def test_an_empty_stop_string_ends_the_answer_before_it_begins(llms, stop):
    ours, theirs = llms
    choice = whole(theirs, stop=stop)["choices"][0]
    got = parts(run(ours, stop=stop))
    assert (said(got), got[-1][1]) == (choice["text"], choice["finish_reason"]) == ("", "stop")
    assert ours.n_tokens == theirs.n_tokens


@pytest.mark.parametrize("at", [0, 3, 7, 12, 20])
@pytest.mark.parametrize("length", [1, 2, 4])
def test_stop_string_within_an_accepted_path(llms, at, length):
    ours, theirs = llms
    grammar = LlamaGrammar.from_string(GRAMMARS["multi-byte"], verbose=False)
    settings = {"grammar": grammar, "temperature": 0.9}
    stop = whole(theirs, **settings)["choices"][0]["text"][at : at + length]
    assert len(stop) == length
    draft_well(ours, theirs, right=1.0, **settings)
    got = parts(run(ours, stop=[stop], **settings))
    state = ours.n_tokens, ours._input_ids.tolist()
    assert said(got) == whole(theirs, stop=[stop], **settings)["choices"][0]["text"]
    assert stop not in said(got)
    assert got[-1][1] == "stop"
    assert state == (theirs.n_tokens, theirs._input_ids.tolist())
    assert ours.verifier.check_integrity() == ""


@pytest.mark.parametrize("max_tokens", [1, 2, 3, 17, 60])
def test_finish_reason_and_usage(llms, max_tokens):
    ours, theirs = llms
    draft_well(ours, theirs, right=1.0)
    answers = []
    for llm in (ours, theirs):
        answer = whole(llm, max_tokens=max_tokens)
        usage = answer["usage"]
        answers.append((answer["choices"], usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]))
    assert answers[0] == answers[1]
    got = parts(run(ours, max_tokens=max_tokens))
    assert (said(got), got[-1][1]) == (answers[0][0][0]["text"], answers[0][0][0]["finish_reason"])


def close(some, others):
    assert some["tokens"] == others["tokens"]
    for name in ("token_logprobs", "top_logprobs"):
        assert [one if one is None else pytest.approx(one, abs=1e-5) for one in others[name]] == some[name]


def joined(got):
    told = [part[2] for part in got if part[2]]
    return {name: [one for part in told for one in part[name]] for name in told[0]}


@pytest.mark.parametrize("echo", [False, True])
def test_probabilities_are_those_of_llama_cpp(with_logits, echo):
    ours, theirs = with_logits
    draft_well(ours, theirs)
    settings = {"max_tokens": 40, "logprobs": 3, "echo": echo}
    mine, want = whole(ours, **settings)["choices"][0], whole(theirs, **settings)["choices"][0]
    assert ours.stats.mean_accepted_tokens > 1.5
    assert (mine["text"], mine["finish_reason"]) == (want["text"], want["finish_reason"])
    close(mine["logprobs"], want["logprobs"])
    told = mine["logprobs"]
    for token, offset in zip(told["tokens"][1:], told["text_offset"][1:], strict=True):  # llama_cpp's are off by one
        assert (PROMPT * (not echo) + mine["text"])[offset : offset + len(token)] == token
    got = parts(run(ours, **settings))
    assert said(got) == want["text"]
    assert joined(got) == mine["logprobs"]


def test_probabilities_of_answers_need_no_logits_of_all_tokens(llms, with_logits):
    ours, theirs = llms[0], with_logits[1]
    close(
        whole(ours, max_tokens=9, logprobs=2)["choices"][0]["logprobs"],
        whole(theirs, max_tokens=9, logprobs=2)["choices"][0]["logprobs"],
    )
    with pytest.raises(ConfigError, match="echo with logprobs=2 needs the logits of every token"):
        whole(ours, max_tokens=9, logprobs=2, echo=True)


def test_echoed_probabilities_without_a_beginning_of_sequence_token(models, with_logits):
    """llama_cpp tells those of the token after."""
    ours = with_logits[0]
    tokens = ours.tokenize(PROMPT.encode(), add_bos=False)
    settings = {"max_tokens": 2, "temperature": 0.0, "logprobs": 2, "echo": True}
    ours.reset()
    told = ours.create_completion(tokens, **settings)["choices"][0]["logprobs"]
    assert told["tokens"][: len(tokens)] == [ours.detokenize([token]).decode() for token in tokens]
    assert told["token_logprobs"][0] is None
    rows = ours.logits_to_logprobs(ours.scores[: len(tokens)])
    for at in range(1, len(tokens)):
        assert told["token_logprobs"][at] == pytest.approx(float(rows[at - 1][tokens[at]]), abs=1e-5)
    for token, offset in zip(told["tokens"], told["text_offset"], strict=True):
        assert ours.detokenize(tokens).decode()[offset : offset + len(token)] in (token, "")


@pytest.mark.parametrize("echo", [False, True])
def test_a_stream_that_echoes(llms, echo):
    got = parts(run(llms[0], max_tokens=5, echo=echo))
    assert said(got) == whole(llms[0], max_tokens=5, echo=echo)["choices"][0]["text"]
    assert said(got).startswith(PROMPT) == echo


@pytest.mark.parametrize("probabilities", [None, 1])
@pytest.mark.parametrize("seed", range(3))
def test_streams_go_on_behind_stray_bytes(models, mamba, seed, probabilities):
    """Random weights draw half characters, and bytes that are none."""
    for path in (models("Q8_0"), mamba):
        with Llama(str(path), n_ctx=256, n_threads=1, n_threads_batch=1, store=None) as llm:
            settings = {"max_tokens": 150, "temperature": 3.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "seed": seed}
            settings |= {"repeat_penalty": 1.0, "logprobs": probabilities}
            answer = whole(llm, **settings)["choices"][0]["text"]
            got = parts(run(llm, **settings))
            assert said(got) == answer
            assert len(answer) > 20


@pytest.mark.parametrize(
    ("prompt", "suffix"),
    [("the cat", " sat"), ("the cat", ""), ("", " sat"), ([300, 301], " sat"), ("", None), ([300, 301], None)],
)
def test_prompts_are_built_as_llama_cpp_builds_them(llms, prompt, suffix):
    seen = []
    for llm in llms:
        llm.reset()
        made = llm.create_completion(prompt, suffix=suffix, max_tokens=4, temperature=0.0)
        seen.append((made["choices"][0]["text"], llm.input_ids[: made["usage"]["prompt_tokens"]].tolist()))
    assert seen[0][1] == seen[1][1]
    ours, theirs = seen[0][0], seen[1][0]
    assert theirs.startswith(ours) or (not prompt and ours.startswith(theirs))  # there the beginning counts as a token
