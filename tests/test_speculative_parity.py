"""llama.cpp's own tests of speculative decoding (tools/server/tests/unit/test_speculative.py), against our API.

There: 16 tokens, seed 4242, temperature 0.2, top-k 5; the tokens without draft are those with a draft and those with
a draft of which nothing is accepted; for drafts of several lengths; the context is never exceeded; requests side by
side. Here the same, with token ids instead of text, more tokens, trees, and both modes of acceptance.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from one_model import ONE, take

from hd_edge import ContextFullError, DraftConfig, Llama
from hd_edge.check.adversary import Adversary
from hd_edge.draft.planner import root_alone

SAMPLING = {"temp": 0.2, "top_k": 5}
SEED = 4242
PROMPT = "I believe the meaning of life is"


class AllWrong(Adversary):
    """Drafts tokens that the target will not say: acceptance is forced to zero."""

    def plan(self, root, max_rows, max_leaves):
        tree = root_alone(root)
        position = self.length
        right = self.script[position] if position < len(self.script) else -1
        wrong = [t for t in range(self.n_vocab - 40, self.n_vocab) if t != right]
        for token in wrong[: min(max_rows - 1, max_leaves, 6)]:
            tree.add(token, 0, 1, 0.5)
        return tree


def say(llm, n, prompt=PROMPT):
    llm.reset()
    llm.set_seed(SEED)
    tokens = llm.tokenize(prompt.encode())
    return tokens, take(llm.generate(tokens, **SAMPLING), n)


@pytest.fixture(scope="module", params=["tiny", "smollm2"])
def plain(request, models):
    path = models("Q4_K_M") if request.param == "tiny" else request.getfixturevalue("smollm2")
    with Llama(str(path), exact=True, draft="off", n_ctx=256, **ONE) as llm:
        yield llm, *say(llm, 48)


def test_with_a_draft_of_which_nothing_is_accepted(plain):
    llm, tokens, want = plain
    with llm.drafting(AllWrong(tokens + want, llm.n_vocab())):
        assert say(llm, 48)[1] == want
    assert sum(llm.stats.drafted.values()) >= 6 * 40
    assert sum(llm.stats.accepted.values()) == 0
    assert llm.stats.forwards == 47


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 9, 17, 33, 63])
def test_with_drafts_of_several_lengths_and_without(plain, rows):
    llm, tokens, want = plain
    with llm.drafting(Adversary(tokens + want, llm.n_vocab(), 0.9, rows, sizes=[rows])):
        assert say(llm, 48)[1] == want
    drafted, accepted = (sum(counts.values()) for counts in (llm.stats.drafted, llm.stats.accepted))
    assert drafted <= (rows - 1) * llm.stats.forwards
    assert accepted > 10 if rows > 1 else drafted == 0


@pytest.mark.parametrize("config", ["auto", "paper", DraftConfig(max_rows=4), DraftConfig(tiers=("context",))])
def test_our_own_planners(models, config):
    path = str(models("Q4_K_M"))
    with Llama(path, exact=True, draft="off", n_ctx=256, **ONE) as off:
        want = say(off, 120)
    with Llama(path, exact=True, draft=config, n_ctx=256, **ONE) as drafting:
        assert say(drafting, 120) == want
        assert say(drafting, 120) == want  # now from what it has learned


@pytest.mark.parametrize("n_ctx", [64, 80, 96])
def test_the_context_is_not_exceeded(models, opened, n_ctx):
    """The base class stops a completion at the window's end; a generation goes to the last cell and says so."""
    off = opened(Llama(str(models("Q4_0")), exact=True, draft="off", n_ctx=n_ctx, **ONE))
    tokens = off.tokenize(PROMPT.encode())

    def to_the_end(llm):
        llm.reset()
        llm.set_seed(SEED)
        said = []
        with pytest.raises(ContextFullError, match=f"of {llm.n_ctx()}"):
            said.extend(llm.generate(tokens, **SAMPLING))
            pytest.fail("no error")
        said = [int(t) for t in llm._input_ids]
        return said, llm.n_tokens

    want = to_the_end(off)
    assert want[1] == off.n_ctx()
    with off.drafting(Adversary(want[0], off.n_vocab(), 0.9, 3)):
        assert to_the_end(off) == want
    assert off.verifier.check_integrity() == ""


def test_two_objects_side_by_side(models, opened):
    path = str(models("Q4_0"))
    llms = [opened(Llama(path, exact=True, draft="off", n_ctx=256, **ONE)) for _ in range(2)]
    want = say(llms[0], 60)

    def work(llm):
        with llm.drafting(Adversary(want[0] + want[1], llm.n_vocab(), 0.8, llms.index(llm))):
            return say(llm, 60)

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(work, llms)) == [want, want]


def test_forwards_are_never_more_than_plain_ones(plain):
    llm, tokens, want = plain
    for right in np.linspace(0, 1, 4):
        with llm.drafting(Adversary(tokens + want, llm.n_vocab(), float(right), 7)):
            assert say(llm, 40)[1] == want[:40]
        assert llm.stats.forwards <= 39
