"""Grammars: same text as llama_cpp with any draft, and forced text drafted ahead."""

from __future__ import annotations

import json

import llama_cpp
import numpy as np
import pytest
from llama_cpp import LlamaGrammar

from hd_edge import Llama
from hd_edge.check.adversary import Adversary
from hd_edge.draft.cost import CostCurve
from hd_edge.draft.jump_forward import ForcedTokens, JumpForward, jump_forward
from hd_edge.draft.planner import NO_PREDICTION, NoDraft
from hd_edge.draft.tree_planner import TreePlanner
from hd_edge.engine import sampling

SETTINGS = {"n_ctx": 512, "n_threads": 1, "n_threads_batch": 1, "type_k": 8, "type_v": 8}
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "kind": {"enum": ["customer", "supplier"]}},
    "required": ["name", "kind"],
}
GRAMMAR = LlamaGrammar.from_json_schema(json.dumps(SCHEMA), verbose=False)


@pytest.fixture(scope="module")
def base(models):
    llm = llama_cpp.Llama(str(models("Q4_0")), flash_attn=True, verbose=False, **SETTINGS)
    yield llm
    llm.close()


@pytest.fixture(scope="module")
def ours(models):
    llm = Llama(str(models("Q4_0")), exact=True, row_kernels=False, store=None, statistics=None, **SETTINGS)
    llm.planner.cost = CostCurve.of({n: 1 + n / 50 for n in (1, 2, 4, 8, 16)})  # rows are cheap: forced text pays
    yield llm
    llm.close()


def test_forced_text_saves_forwards_of_a_real_model(smollm2_q4_0):
    llm = Llama(str(smollm2_q4_0), exact=True, store=None, statistics=None, n_ctx=512, n_threads=1, n_threads_batch=1)
    llm.planner.cost = CostCurve.of({n: 1 + n / 50 for n in (1, 2, 4, 8, 16)})
    answers = []
    for planner in (NoDraft(), llm.planner):
        llm.reset()
        message = {"role": "user", "content": "Invent a customer as JSON with name and kind."}
        form = {"type": "json_object", "schema": SCHEMA}
        with llm.drafting(planner):
            answer = llm.create_chat_completion([message], max_tokens=60, temperature=0.0, response_format=form)
        answers.append(answer["choices"][0])
    assert answers[0] == answers[1]
    assert set(json.loads(answers[0]["message"]["content"])) == {"name", "kind"}
    assert llm.stats.accepted["context"] >= llm.stats.tokens // 3
    llm.close()


def tokens_of(llm, n=60, **settings):
    llm.reset()
    llm.set_seed(3)
    generation = llm.generate([1, 300, 301], grammar=GRAMMAR, **settings)
    tokens = []
    for token in generation:
        tokens.append(token)
        if len(tokens) == n or token == llm.token_eos():
            break
    generation.close()
    return tokens


@pytest.mark.parametrize("temp", [0.0, 0.9])
def test_forced_text_is_drafted_and_the_answer_is_that_of_llama_cpp(ours, base, temp):
    want = tokens_of(base, temp=temp)
    assert tokens_of(ours, temp=temp) == want
    assert ours.stats.accepted["context"] > 1  # few: a model of random weights spells forced text at random too
    assert ours.stats.forwards < len(want) - 1
    assert ours.n_tokens == base.n_tokens


@pytest.mark.parametrize("temp", [0.0, 0.9])
def test_any_draft_gives_the_same_answer(ours, base, temp):
    want = tokens_of(base, temp=temp)
    for right in (0.0, 0.7, 1.0):
        with ours.drafting(Adversary([1, 300, 301, *want], ours.n_vocab(), right, 1, special=[2])):
            assert tokens_of(ours, temp=temp) == want


def test_greedy_leaves_the_whole_check_out_where_the_first_choice_is_allowed(ours, base, monkeypatch):
    want = tokens_of(base, temp=0.0)
    whole = []
    sample_row = sampling.ChainSampler.sample_row
    monkeypatch.setattr(sampling.ChainSampler, "sample_row", lambda *a: whole.append(1) or sample_row(*a))
    assert tokens_of(ours, temp=0.0) == want
    assert 0 < len(whole) < len(want)


def test_forced_bytes_and_their_spelling(ours):
    text = ForcedTokens(ours.vocabulary, GRAMMAR)
    spell = lambda ids: b"".join(ours.vocabulary.piece(i) for i in ids)  # noqa: E731
    brace = text.forced_after(300)
    assert spell(brace) == b'{"name": "'
    for token in brace:
        text.accept(token)
    assert text.forced_after(brace[-1]) == []  # the name is free
    for byte in b'Bo"':
        text.accept(3 + byte)
    assert spell(text.forced_after(3 + ord('"'))) == b', "kind": "'[:-1] + b'"'
    for byte in b',"kind":"c':
        text.accept(3 + byte)
    ahead = text.forced_after(3 + ord("c"))
    assert spell(ahead) == b'ustomer"}'
    text.accept(300)  # not allowed here: the foresight ends, and nothing aborts
    assert text.forced_after(300) == []


def test_no_foresight_after_the_end(ours):
    text = ForcedTokens(ours.vocabulary, LlamaGrammar.from_string('root ::= "ab"', verbose=False))
    text.accept(3 + ord("a"))
    assert len(text.forced_after(3 + ord("a"))) == 1
    text.accept(3 + ord("b"))
    assert text.forced_after(3 + ord("b")) == []
    text.accept(ours.token_eos())
    assert text.forced_after(ours.token_eos()) == []


def test_a_long_forced_text_is_cut_at_a_token(ours):
    text = ForcedTokens(ours.vocabulary, LlamaGrammar.from_string('root ::= "' + "xyz" * 40 + '"', verbose=False))
    ahead = text.forced_after(300)
    assert 10 < sum(len(ours.vocabulary.piece(token)) for token in ahead) < 48


def test_forced_text_multi_byte(ours):
    text = ForcedTokens(ours.vocabulary, LlamaGrammar.from_string('root ::= "größe" [0-9]', verbose=False))
    assert b"".join(ours.vocabulary.piece(token) for token in text.forced_after(300)) == "größe".encode()


def test_planner_asks_whether_the_chain_is_worth_its_rows(ours):
    def chain(costs, tree_has=()):
        inner = TreePlanner(ours.n_vocab(), ours._draft_config, cost=CostCurve.of(costs))
        text = ForcedTokens(ours.vocabulary, LlamaGrammar.from_string('root ::= [xy] "abcdefgh" [0-9]', verbose=False))
        planner = JumpForward(inner, text)
        planner.begin(np.array([1, 300, 3 + ord("x")], np.int32), NO_PREDICTION)
        return planner.plan(3 + ord("x"), 16, 8)

    assert len(chain({1: 1.0, 2: 1.1, 4: 1.2, 8: 1.4})) in (4, 8)
    assert len(chain({1: 1.0, 2: 2.0, 4: 3.9, 8: 8.0})) == 1
    assert len(chain({1: 1.0})) == 1


def test_sent_tokens_end_the_foresight_without_harm(ours):
    generation = ours.generate([1, 300, 301], temp=0.0, grammar=GRAMMAR)
    head = [next(generation)]
    head.append(generation.send([310, 311]))
    head += [next(generation) for _ in range(5)]
    generation.close()
    assert len(head) == 7
    assert ours.verifier.check_integrity() == ""


def test_without_grammar_or_planner_nothing_changes(ours):
    stub = Adversary([], 10)
    for planner, grammar in ((ours.planner, None), (stub, GRAMMAR)):
        with jump_forward(ours, planner, grammar) as used:
            assert used is planner
