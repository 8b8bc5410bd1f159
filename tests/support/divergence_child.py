"""Child of test_row_kernels.py: how far from a model's weights the kernels' roundings lead."""

from __future__ import annotations

from typing import Any

import llama_cpp
import numpy as np
from row_kernels_child import load, logits


def divergence(path: str, floats: str, chunks: int) -> dict[str, Any]:
    """How far our kernels and llama.cpp's lead from the same weights as floats, on the manual that Python carries.

    Args:
        path: A model file.
        floats: The same weights as F32.
        chunks: Of 512 tokens; the second half of each counts.

    Returns:
        Of each: bytes of weights in our kernels, mean Kullback-Leibler divergence in nats, perplexity; and the tokens.
    """
    from pydoc_data.topics import topics

    text = "\n".join(topics[name] for name in sorted(topics))
    sums, facts, tokens = {"ours": np.zeros(2), "theirs": np.zeros(2)}, {}, 0
    models = {
        name: load(file, setting, threads=1, context=512)
        for name, file, setting in (("floats", floats, False), ("ours", path, "auto"), ("theirs", path, False))
    }
    ids = models["floats"][0].tokenize(text[: chunks * 4096].encode(), add_bos=False)
    for start in range(0, chunks * 512, 512):
        part = ids[start : start + 512]
        assert len(part) == 512
        right = log_probabilities(models["floats"][0], part)
        for name, into in sums.items():
            found = log_probabilities(models[name][0], part)
            said = found[np.arange(len(found)), part[256:]]
            into += float((np.exp(right) * (right - found)).sum()), float(-said.sum())
        tokens += len(right)
    for name, (divergences, surprise) in sums.items():
        facts[name] = {
            "bytes": models[name][1]["bytes"],
            "divergence": divergences / tokens,
            "perplexity": float(np.exp(surprise / tokens)),
        }
    return facts | {"tokens": tokens}


def log_probabilities(model: llama_cpp.Llama, part: list[int]) -> np.ndarray:
    """Of every word after each token of the second half."""
    rows = logits(model, part, 0)[255:-1].astype(np.float64)
    rows -= rows.max(axis=1, keepdims=True)
    return rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))
