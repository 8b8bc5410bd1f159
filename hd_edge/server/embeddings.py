"""Vectors of texts, as OpenAI's clients ask for them."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from llama_cpp import LLAMA_POOLING_TYPE_NONE

from hd_edge import Llama
from hd_edge.engine.options import check_texts

from .errors import RefusedError
from .fields import separate
from .requests import EmbeddingRequest


def embed(llm: Llama, body: EmbeddingRequest, name: str) -> dict[str, Any]:
    """The answer to ``POST /v1/embeddings``; token ids are embedded as the text that they spell.

    Raises:
        ContextFullError: A text has more tokens than a batch.
        TokenError: One has none.
        RefusedError: ``dimensions`` other than the model's, or the model gives vectors of tokens, not of texts.
    """
    if llm.pooling_type() == LLAMA_POOLING_TYPE_NONE:
        msg = (
            f"{name} gives a vector for each token, none for a text: load it with a pooling_type, such as the mean (1),"
            " as `hd-edge serve --embedding` does"
        )
        raise RefusedError(400, msg, code="no_embeddings")
    if body.dimensions not in (None, llm.n_embd()):
        msg = f"dimensions={body.dimensions} is not supported, {name} has {llm.n_embd()}: leave it out"
        raise RefusedError(400, msg, param="dimensions")
    start = [llm.token_bos()] if llm.token_bos() >= 0 else []
    texts = [  # behind the beginning a tokenizer's own leading space is dropped
        text if isinstance(text, str) else llm.detokenize([*start, *text]).decode("utf-8", "replace")
        for text in separate(body.input)
    ]
    check_texts(llm, {"input": texts, "truncate": False})  # llama_cpp would embed the beginning, and not say so
    made: dict[str, Any] = llm.create_embedding(texts)
    if body.encoding_format == "base64":
        for one in made["data"]:
            one["embedding"] = base64.b64encode(np.array(one["embedding"], "<f4").tobytes()).decode("ascii")
    return {**made, "model": body.model or name}
