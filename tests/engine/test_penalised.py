"""Penalties at temperature 0: the tokens of the whole chain, without its passes over the vocabulary."""

from __future__ import annotations

import pytest
from one_model import drafting_well, make, make_theirs, prompt_of, take

from hd_edge.engine import penalised

PENALTIES = {
    "repeat": {"repeat_penalty": 1.3},
    "reward": {"repeat_penalty": 0.9},
    "frequency and presence": {"frequency_penalty": 0.7, "presence_penalty": -0.3},
    "all": {"repeat_penalty": 1.1, "frequency_penalty": 0.4, "presence_penalty": 0.2},
}


@pytest.fixture
def draws(monkeypatch):
    """Nodes that were drawn at without the vocabulary."""
    nodes = []
    sample = penalised.PenalisedGreedySampler.sample
    monkeypatch.setattr(penalised.PenalisedGreedySampler, "sample", lambda *a: nodes.append(a[1]) or sample(*a))
    return nodes


@pytest.mark.parametrize("window", [0, 3, 64, penalised.MOST_RECENT + 1])
@pytest.mark.parametrize("name", PENALTIES)
def test_same_tokens_as_the_whole_chain(models, draws, name, window):
    settings = {"temp": 0.0, **PENALTIES[name]}
    with make(models, last_n_tokens_size=window) as ours:
        theirs = make_theirs(models, last_n_tokens_size=window)
        tokens = prompt_of(ours)
        want = take(theirs.generate(tokens, **settings), 100)
        with drafting_well(ours, theirs):
            assert take(ours.generate(tokens, **settings), 100) == want
        theirs.close()
    assert bool(draws) == (window <= penalised.MOST_RECENT)
