"""One answer as text, piece by piece: where it stops, and how likely each of its tokens was."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from llama_cpp import StoppingCriteriaList
from llama_cpp import llama_cpp as lib
from numpy.typing import NDArray

from hd_edge.errors import ContextFullError
from hd_edge.model.bias import merge_bias
from hd_edge.model.text import PieceStream, up_to

from .options import criteria_list, stop_texts

if TYPE_CHECKING:
    from .completion import Completions

RENAMED = {"temperature": "temp"}
FOR_GENERATE = (
    *("top_k", "top_p", "min_p", "typical_p", "temperature", "tfs_z", "mirostat_mode", "mirostat_tau", "mirostat_eta"),
    *("frequency_penalty", "presence_penalty", "repeat_penalty", "stopping_criteria", "logits_processor", "grammar"),
)


@dataclass
class Said:
    """A piece of an answer.

    Attributes:
        text: Its text.
        logprobs: OpenAI's entries for the tokens drawn since the last piece.
        places: Where in the answer's text each of these begins.
        drawn: The tokens themselves.
        finish: None, or for the last piece ``"stop"`` or ``"length"``.
        tokens: Tokens of the answer so far, its end not counted.
    """

    text: str
    finish: str | None = None
    tokens: int = 0
    logprobs: list[dict[str, Any]] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    drawn: list[int] = field(default_factory=list)


def replies(
    llm: Completions,
    prompt: list[int],
    settings: dict[str, Any],
    *,
    shown: Collection[int],
    top: int | None,
    trim: bool = False,
) -> Generator[Said, None, None]:
    """Answers a prompt; the text is that of ``llama_cpp``'s whole completions.

    Args:
        llm: The model.
        prompt: Token ids.
        settings: As ``create_completion`` takes them.
        shown: Control tokens whose text is a part of the answer.
        top: How many likeliest tokens to tell at each place; None: no probabilities.
        trim: A space before the answer is dropped.

    Raises:
        ContextFullError: The prompt does not fit the context.
    """
    room = llm._n_ctx - len(prompt)
    if room <= 0:
        raise ContextFullError.of_prompt(len(prompt), llm._n_ctx)
    limit = settings.get("max_tokens") or 0
    limit = min(limit, room) if limit > 0 else room
    merge_bias(settings, llm._n_vocab)
    seed = settings.get("seed")
    llm.set_seed(random.Random(llm._seed).randint(0, 2**32) if seed is None else seed)  # as llama_cpp
    own = {RENAMED.get(name, name): settings[name] for name in FOR_GENERATE if name in settings}
    rows = None
    if top is not None:
        rows = Rows(llm, top)
        own["stopping_criteria"] = StoppingCriteriaList([*criteria_list(own.get("stopping_criteria")), rows])
    text = StoppedText(stop_texts(settings.get("stop")))
    stream, said, finish, place = PieceStream(), Said(""), None, 0
    llm._hints = replace(llm._hints, limit=limit)  # until the call that hints has its first token
    generation = llm.generate(prompt, **own)
    try:
        for token in generation:
            if lib.llama_vocab_is_eog(llm._model.vocab, token):
                finish = "stop"
                break
            said.tokens += 1
            said.drawn.append(token)
            if rows is not None:
                said.logprobs.append(rows.entry(token))
                said.places.append(place)
            data = llm.tokenizer_.detokenize([token], special=token in shown)
            letters = stream.feed(data.removeprefix(b" ") if trim and said.tokens == 1 else data)
            place += len(letters)
            said.text += text.feed(letters)
            finish = "stop" if text.stopped else "length" if said.tokens >= limit else None
            if finish is not None:
                break
            if said.text:
                yield said
                said = Said("", tokens=said.tokens)
    finally:
        generation.close()
    said.text += text.end()
    said.finish = finish or "stop"  # else a stopping criterion, or cancel(), ended it
    yield said


class StoppedText:
    """Text up to the first of several stop texts; what may be the beginning of one waits.

    Args:
        stops: The stop texts; an empty one stands before any text, as in ``llama_cpp``.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._held = ""
        self.stopped = False

    def feed(self, text: str) -> str:
        """The text that is certain now."""
        text, self._held, self.stopped = up_to(self._held + text, self._stops)
        if self.stopped:
            self._held = ""
        return text

    def end(self) -> str:
        """What waited."""
        return self._held


class Rows:
    """Keeps the rows of logits that tokens were drawn from until they are told; a stopping criterion that never stops.

    Args:
        llm: The model.
        top: How many likeliest tokens to tell.
    """

    def __init__(self, llm: Completions, top: int) -> None:
        self._llm, self._top = llm, top
        self._rows: deque[NDArray[np.float32]] = deque()  # several where tokens are drawn ahead of their reader

    def __call__(self, prefix: Any, logits: NDArray[np.single]) -> bool:  # noqa: ARG002
        """A token was drawn from these logits; where llama_cpp decodes plainly it gives none that are right."""
        if self._llm._verifier is None:
            logits = np.ctypeslib.as_array(lib.llama_get_logits_ith(self._llm.ctx, -1), shape=(self._llm._n_vocab,))
        self._rows.append(np.array(logits))
        return False

    def entry(self, token: int) -> dict[str, Any]:
        """As ``entry`` below, for the next token in turn."""
        return entry(self._llm, token, self._rows.popleft(), self._top)


def entry(llm: Completions, token: int, logits: NDArray[Any], top: int) -> dict[str, Any]:
    """OpenAI's entry for a token: natural logarithms, before any sampler changed them.

    Args:
        llm: The model.
        token: The token.
        logits: The row it was drawn from, shape ``(n_vocab,)``.
        top: How many likeliest tokens to tell.
    """
    row = np.array(logits, np.float64)
    peak = row.max()
    row -= peak + np.log(np.exp(row - peak).sum())
    best = np.argsort(-row, kind="stable")[:top].tolist()

    def one(token: int) -> dict[str, Any]:
        data = llm.tokenizer_.detokenize([token], special=True)
        return {"token": data.decode("utf-8", "replace"), "logprob": float(row[token]), "bytes": list(data)}

    return {**one(token), "top_logprobs": [one(other) for other in best]}
