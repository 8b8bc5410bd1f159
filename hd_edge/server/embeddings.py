"""Vectors of texts, as OpenAI's clients ask for them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from llama_cpp import LLAMA_POOLING_TYPE_NONE

from hd_edge import Llama
from hd_edge.backend.tokens import token_ids
from hd_edge.engine.given import GivenTokens
from hd_edge.engine.options import check_texts

from .answer import Job
from .errors import RefusedError
from .fields import separate
from .requests import EmbeddingRequest
from .shape import Json, Shape


def embedding_job(body: EmbeddingRequest, name: str) -> Job:
    """Embeds the texts batch by batch: a client that leaves, and the server's end, wait for one at most."""
    calls: list[Callable[[Llama], Any]] = [partial(_vectors, body, name)]
    shape = VectorShape(body.model or name)
    return Job(calls, samples=1, stream=False, usage=False, tiers=False, shape=shape, user=body.user)


class VectorShape(Shape):
    """A list of vectors.

    Args:
        model: Its name.
    """

    def __init__(self, model: str) -> None:
        self._model = model

    def whole(self, completion: Json) -> Json:
        """As OpenAI's API."""
        data = [{**one, "index": place} for place, one in enumerate(completion["choices"])]
        tokens = completion["usage"]["prompt_tokens"]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"object": "list", "data": data, "model": self._model, "usage": usage}


def _vectors(body: EmbeddingRequest, name: str, llm: Llama) -> Iterator[dict[str, Any]]:
    """A chunk for each batch of texts; token ids are embedded as they are, with nothing before or behind them.

    Raises:
        ContextFullError: A text has more tokens than a batch.
        TokenError: One has none, or one that the vocabulary lacks.
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
    size = llm.n_vocab()
    texts = [one if isinstance(one, str) else GivenTokens.of(token_ids(one, size)) for one in separate(body.input)]
    check_texts(llm, {"input": texts, "truncate": False})  # llama_cpp would embed the beginning, and not say so
    for batch in _batches(llm, texts):
        made: dict[str, Any] = llm.create_embedding(batch)
        if body.encoding_format == "base64":
            for one in made["data"]:
                one["embedding"] = base64.b64encode(np.array(one["embedding"], "<f4").tobytes()).decode("ascii")
        yield {"choices": made["data"], "usage": {**made["usage"], "completion_tokens": 0}}


def _batches(llm: Llama, texts: list[str | GivenTokens]) -> Iterator[list[str | GivenTokens]]:
    """The texts as llama_cpp puts them into batches where it is given all, so that the vectors are the same."""
    batch: list[str | GivenTokens] = []
    tokens = 0
    for text in texts:
        size = len(llm.tokenize(text.encode("utf-8")))
        if batch and (tokens + size > llm.n_batch or len(batch) >= llm.context_params.n_seq_max):
            yield batch
            batch, tokens = [], 0
        batch.append(text)
        tokens += size
    yield batch
