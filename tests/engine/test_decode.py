"""Decoder against plain decoding, on a target without weights: any draft, any place where the consumer stops."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from fake_target import N_VOCAB, FakeFirst, FakeTarget, logits_of, plain_greedy
from hypothesis import given, settings
from hypothesis import strategies as st

from hd_edge.check.adversary import Adversary
from hd_edge.config import DraftConfig
from hd_edge.draft.cost import CostCurve
from hd_edge.draft.tree_planner import TreePlanner
from hd_edge.engine.decode import Decoder
from hd_edge.engine.sampling import GreedySampler
from hd_edge.errors import ContextFullError, DecodeError, TokenError
from hd_edge.stats import GenerationStats

PROMPT = [3, 1, 4]


def start(target, planner, *, max_rows=16, leaves=6, stop=None, prompt=PROMPT, on_end=None):
    verifier = target.verifier(max_rows, leaves)
    target.eval(prompt[target.n_tokens :])
    stats = GenerationStats()
    draws = SimpleNamespace(first=FakeFirst(target), node=GreedySampler(verifier))
    decoder = Decoder(target, verifier, planner, draws, stats, stop=stop, on_end=on_end)
    return decoder, verifier, stats


def take(decoder, n):
    generation = decoder.run()
    tokens = [next(generation) for _ in range(n)]
    generation.close()
    return tokens


def check_state(target, verifier, spoken):
    """KV cache, ids and sequences are those of plain decoding after the same tokens (the last one not fed)."""
    kept = [*PROMPT, *spoken[:-1]] if spoken else PROMPT
    assert target.n_tokens == len(kept)
    assert target.input_ids[: target.n_tokens].tolist() == kept
    assert sorted(target.cells) == [(i, t, {0}) for i, t in enumerate(kept)]
    assert verifier.rows == 0


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    right=st.sampled_from([0.0, 0.5, 0.9, 1.0]),
    n=st.integers(0, 40),
    max_rows=st.integers(1, 16),
    leaves=st.integers(1, 6),
    logits_all=st.booleans(),
)
def test_any_draft_gives_plain_text_and_state(seed, right, n, max_rows, leaves, logits_all):
    want = plain_greedy(PROMPT, 60)
    target = FakeTarget(logits_all=logits_all)
    planner = Adversary(PROMPT + want, N_VOCAB, right, seed)
    ended = []
    decoder, verifier, stats = start(
        target, planner, max_rows=max_rows, leaves=leaves, on_end=lambda *end: ended.append((end[0].tolist(), end[1]))
    )
    got = take(decoder, n)
    assert got == want[:n]
    check_state(target, verifier, got)
    assert stats.tokens == n
    assert stats.forwards <= max(n - 1, 0)
    assert sum(stats.accepted.values()) + stats.forwards + 1 >= n
    assert ended == ([([*PROMPT, *got], [(3, 3 + n)])] if n else [])
    if logits_all:
        for i in range(len(PROMPT) - 1, target.n_tokens):
            assert np.array_equal(target.scores[i], logits_of(target.input_ids[: i + 1]))
    # The next generation on the same target goes on as if nothing had happened.
    again, verifier, _ = start(target, Adversary([], N_VOCAB, 0.0, seed), prompt=PROMPT + want[: max(n - 1, 0)])
    assert take(again, 5) == plain_greedy(PROMPT + want[: max(n - 1, 0)], 5)


def test_right_drafts_save_forwards():
    want = plain_greedy(PROMPT, 60)
    decoder, _, stats = start(FakeTarget(), Adversary(PROMPT + want, N_VOCAB, 1.0, 1))
    assert take(decoder, 50) == want[:50]
    assert stats.forwards < 25
    assert stats.mean_accepted_tokens > 2
    assert sum(stats.accepted_by_depth) == sum(stats.accepted.values())


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), at=st.integers(1, 20))
def test_sent_tokens_go_behind_the_token_just_yielded(seed, at):
    want = plain_greedy(PROMPT, 40)
    target = FakeTarget()
    decoder, _, _ = start(target, Adversary(PROMPT + want, N_VOCAB, 0.9, seed))
    generation = decoder.run()
    got = [next(generation) for _ in range(at)]
    sent = [5, 6]
    got2 = [generation.send(sent)] + [next(generation) for _ in range(5)]
    generation.close()
    assert got == want[:at]
    assert got2 == plain_greedy(PROMPT + want[:at] + sent, 6)


def test_sent_token_outside_the_vocabulary():
    decoder, _, _ = start(FakeTarget(), Adversary([], N_VOCAB))
    generation = decoder.run()
    next(generation)
    with pytest.raises(TokenError, match=f"token id {N_VOCAB} .* {N_VOCAB}"):
        generation.send([N_VOCAB])


def test_context_is_used_to_its_last_cell():
    target = FakeTarget(n_ctx=30)
    want = plain_greedy(PROMPT, 40)
    decoder, verifier, _ = start(target, Adversary(PROMPT + want, N_VOCAB, 0.9, 2))
    got = []
    with pytest.raises(ContextFullError, match="30 tokens of 30"):
        got.extend(decoder.run())
    assert got == want[:28]
    assert target.n_tokens == 30
    assert target.input_ids.tolist() == (PROMPT + want)[:30]
    assert verifier.n_past == 30


@pytest.mark.parametrize("code", [1, 2, -1, -3])
def test_failed_forward_leaves_a_good_state(code):
    want = plain_greedy(PROMPT, 40)
    target = FakeTarget()
    decoder, verifier, _ = start(target, Adversary(PROMPT + want, N_VOCAB, 1.0, 3))
    generation = decoder.run()
    got = [next(generation) for _ in range(10)]
    target.codes = [code] * 100
    try:
        got += generation
    except DecodeError as error:
        assert code != 2
        assert f"returned {code}" in str(error)
    else:
        assert code == 2  # aborted: cancel() ends the generation without an error
    target.codes = []
    assert got == want[: len(got)]
    check_state(target, verifier, [*got, 0][: target.n_tokens - len(PROMPT) + 1])


def test_no_slot_for_the_tree_falls_back_to_its_root():
    want = plain_greedy(PROMPT, 40)
    target = FakeTarget()
    decoder, _, stats = start(target, Adversary(PROMPT + want, N_VOCAB, 1.0, 3))
    generation = decoder.run()
    got = [next(generation) for _ in range(3)]
    target.codes = [1, 0, 1, 0, 1, 0]
    got += [next(generation) for _ in range(20)]
    generation.close()
    assert got == want[:23]


def test_stopping_criteria_see_the_true_prefix_and_its_logits():
    want = plain_greedy(PROMPT, 40)
    seen = []

    def stop(ids, row):
        seen.append((ids.tolist(), row.copy()))
        return len(seen) == 12

    target = FakeTarget()
    decoder, verifier, _ = start(target, Adversary(PROMPT + want, N_VOCAB, 0.9, 4), stop=stop)
    got = list(decoder.run())
    assert got == want[:11]
    for i, (ids, row) in enumerate(seen):
        assert ids == PROMPT + want[:i]
        assert np.array_equal(row, logits_of(ids))
    assert target.n_tokens == len(PROMPT) + 11


def test_exception_in_the_sampler_settles():
    want = plain_greedy(PROMPT, 40)
    target = FakeTarget()
    decoder, verifier, _ = start(target, Adversary(PROMPT + want, N_VOCAB, 1.0, 5))

    class Failing:
        count = 0

        def sample(self, node):
            self.count += 1
            if self.count == 9:
                raise KeyboardInterrupt
            return verifier.argmax(node)

    decoder._draws.node = Failing()
    got = []
    with pytest.raises(KeyboardInterrupt):
        for token in decoder.run():
            got.append(token)
    assert got == want[:9]
    check_state(target, verifier, [*got, 0])


def test_no_slot_with_the_planner_of_the_model():
    """The forward fell back to the root alone: the planner must not take the tree that it grew for the verified one."""
    prompt = [1, 2, 3, 4] * 8
    want = plain_greedy(prompt, 30)
    planner = TreePlanner(N_VOCAB, DraftConfig(), cost=CostCurve.of(dict.fromkeys(range(1, 17), 1.0)))
    target = Full()
    decoder, _, _ = start(target, SlowForwards(planner), prompt=prompt)
    generation = decoder.run()
    got = [next(generation) for _ in range(30)]
    generation.close()
    assert got == want
    assert target.refused > 5


class Full(FakeTarget):
    """A KV cache in which the draft of every other forward finds no room."""

    refused = 0

    def _decode(self, _, batch):
        if sum(batch.logits[i] for i in range(batch.n_tokens)) > 1 and self.forwards % 2:
            self.refused += 1
            return 1
        return super()._decode(_, batch)


class SlowForwards:
    """Lets a planner believe in forwards of 100 ms, so that it reads all rows."""

    def __init__(self, inner):
        self.begin, self.plan = inner.begin, inner.plan
        self.learn = lambda step: inner.learn(step._replace(seconds=0.1))


def test_sent_tokens_are_no_output():
    """What the consumer sends is not what the model said: only the spans between are learned."""
    ended = []
    decoder, _, _ = start(FakeTarget(), Adversary([], N_VOCAB, 0.0), on_end=lambda *end: ended.append(end))
    generation = decoder.run()
    got = [next(generation) for _ in range(3)]
    got.append(generation.send([5, 6]))
    got += [next(generation) for _ in range(2)]
    generation.close()
    [(text, spans)] = ended
    assert text.tolist() == [*PROMPT, *got[:3], 5, 6, *got[3:]]
    assert [text[begin:end].tolist() for begin, end in spans] == [got[:3], got[3:]]
