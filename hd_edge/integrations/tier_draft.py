"""``TierDraft``: drafts for ``llama_cpp.Llama`` itself, for programs that cannot change the class.

It sits in ``Llama(draft_model=...)``, the seam of llama-cpp-python's prompt lookup, so it proposes one chain of tokens
and llama_cpp verifies it: no draft tree, no cost curve. ``hd_edge.Llama`` is faster; this needs one argument.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llama_cpp.llama_speculative import LlamaDraftModel
from numpy.typing import NDArray

from hd_edge import _native
from hd_edge.errors import ConfigError, TokenError

EXPLORED = 48  # first drafts are not cut, so that the chances of their later tokens are learned


class TierDraft(LlamaDraftModel):  # type: ignore[misc]
    """Chains from the context tier: n-grams of the conversation, with probabilities learned as it goes.

    Args:
        n_vocab: Size of the vocabulary: ``llm.n_vocab()``. llama_cpp takes the draft model before it knows its own:
            set ``llm.draft_model = TierDraft(llm.n_vocab())`` and load with ``logits_all=True``.
        num_pred_tokens: Most tokens of a draft, 1 to 62.
        least: A draft goes on while its tokens are at least this likely, together; on CPUs 0.6 and more pays.

    Raises:
        ConfigError: A value is out of range.
    """

    def __init__(self, n_vocab: int, num_pred_tokens: int = 8, least: float = 0.6) -> None:
        if n_vocab < 1 or not 1 <= num_pred_tokens <= 62 or not 0 <= least <= 1:
            msg = (
                f"n_vocab={n_vocab}, num_pred_tokens={num_pred_tokens}, least={least}: expected at least 1, 1 to 62, "
                "and 0 to 1"
            )
            raise ConfigError(msg)
        self._n_vocab, self._least = n_vocab, least
        self._drafter = _native.Drafter(n_vocab)
        sizes = np.arange(1, num_pred_tokens + 2, dtype=np.int32)
        self._drafter.set_cost(sizes, np.ones(len(sizes), dtype=np.float32))  # llama_cpp's cost is not known here
        self._seen = np.empty(0, dtype=np.int32)
        self._tree = _native.DraftTree()  # grown last
        self._drafts = 0

    def __call__(self, input_ids: NDArray[np.intc], /, **kwargs: Any) -> NDArray[np.intc]:  # noqa: ARG002
        """The tokens that may follow ``input_ids``, at least none.

        Raises:
            TokenError: An id outside the vocabulary.
        """
        tokens = np.ascontiguousarray(input_ids, dtype=np.int32)
        if not len(tokens):
            return np.empty(0, dtype=np.intc)
        if tokens.min() < 0 or tokens.max() >= self._n_vocab:
            msg = f"token ids from {tokens.min()} to {tokens.max()}, expected 0 to {self._n_vocab - 1}"
            raise TokenError(msg)
        self._teach(tokens)
        tree = self._tree = self._drafter.grow(63, 1)  # one leaf: a chain
        self._drafts += 1
        least = self._least if self._drafts > EXPLORED else 0.0
        likely = int(np.searchsorted(-tree.probability[1:], -least, side="right"))
        return np.asarray(tree.token[1 : 1 + likely], dtype=np.intc)

    def _teach(self, tokens: NDArray[np.int32]) -> None:
        """Tells the tier the output tokens since the last call, and whether the last chain had them."""
        known = len(self._seen)
        if known and len(tokens) > known and np.array_equal(tokens[:known], self._seen):
            output = tokens[known:].copy()
            self._drafter.learn(self._tree, output[: len(self._tree.follow(output[:-1].tolist()))].copy())
            self._drafter.append(output)
        else:
            self._drafter.begin(tokens)
        self._seen = tokens.copy()
