"""The real model: drafted text is plain text on real prompts, and the demo model is found and requantized."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from one_model import take

from hd_edge import Llama
from hd_edge.check.adversary import Adversary

ROOT = Path(__file__).parent.parent
SPEC_BENCH = Path(os.environ.get("HD_EDGE_SPEC_BENCH", ROOT.parent / "shared/data/spec_bench/question.jsonl"))
PROMPTS, TOKENS, PROMPT_TOKENS = 40, 40, 320


def prompts():
    if SPEC_BENCH.is_file():
        questions = [json.loads(line)["turns"][0] for line in SPEC_BENCH.read_text(encoding="utf-8").splitlines()]
        return questions[:: max(len(questions) // PROMPTS, 1)][:PROMPTS]
    return (ROOT / "tests" / "support" / "prompts.txt").read_text(encoding="utf-8").splitlines()[:PROMPTS]


def chat_tokens(llm, prompt):
    """Template around at most PROMPT_TOKENS of the prompt."""
    text = llm.tokenize(prompt.encode(), add_bos=False)[:PROMPT_TOKENS]
    head = llm.tokenize(b"<|im_start|>user\n", add_bos=False, special=True)
    tail = llm.tokenize(b"<|im_end|>\n<|im_start|>assistant\n", add_bos=False, special=True)
    return head + text + tail


def answer(llm, tokens, **sampling):
    llm.set_seed(3)
    return take(llm.generate(tokens, **{"temp": 0.0, **sampling}), TOKENS)


@pytest.fixture(scope="module")
def llm(smollm2_q4_0):
    with Llama(str(smollm2_q4_0), exact=True, n_ctx=1024, n_threads=1, n_threads_batch=1) as loaded:
        yield loaded


def test_drafted_text_is_plain_text_on_real_prompts(llm):
    from hd_edge.draft.planner import NoDraft

    assert len(prompts()) == PROMPTS
    planner, plain = llm.planner, NoDraft()
    drafted = 0
    for i, prompt in enumerate(prompts()):
        tokens = chat_tokens(llm, prompt)
        sampling = {"temp": 0.8} if i % 4 == 3 else {}
        with llm.drafting(plain):
            want = answer(llm, tokens, **sampling)
        with llm.drafting(planner if i % 2 else Adversary(tokens + want, llm.n_vocab(), 0.8, i)):
            assert answer(llm, tokens, **sampling) == want, prompt
            drafted += sum(llm.stats.drafted.values())
    assert drafted > PROMPTS


def test_demo_model_is_made_once(monkeypatch, tmp_path):
    from hd_edge.model import demo as demo_model

    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / name)
    path = demo_model.demo_model()
    assert path.parent == tmp_path / "hd_edge"
    made = path.stat().st_mtime_ns
    assert demo_model.demo_model().stat().st_mtime_ns == made
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_grammar_that_forces_a_character_beyond_unicode(llm):
    """Forced text is spelled by the tokenizer, which would throw through the C border."""
    from llama_cpp import LlamaGrammar

    grammar = LlamaGrammar.from_string(r'root ::= "ab\U00110000 cd"', verbose=False)
    made = llm.create_completion("The", max_tokens=20, grammar=grammar, temperature=0.0)
    assert made["choices"][0]["text"] == "ab cd"
    assert made["choices"][0]["finish_reason"] == "stop"
