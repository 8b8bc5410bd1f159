"""What a model says, with the bits of the logits that each token was drawn from, drafted for or not."""

from __future__ import annotations

import llama_cpp
from one_model import take

from hd_edge.check.adversary import Adversary


def said(llm, tokens, n=40):
    """Tokens, and the rows of logits."""
    rows = []
    keep = llama_cpp.StoppingCriteriaList([lambda _, row: bool(rows.append(row.tobytes()))])
    made = take(llm.generate(tokens, temp=0.0, stopping_criteria=keep), n)
    return made, rows[:n]


def drafted(llm, tokens, want, n=40):
    """As ``said``, with drafts of which most are right."""
    with llm.drafting(Adversary(tokens + want[0], llm.n_vocab(), 0.7, 1)):
        return said(llm, tokens, n)
