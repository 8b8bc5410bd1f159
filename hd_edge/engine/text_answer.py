"""Completions of text: the prompt as ``llama_cpp`` builds it, and the answer's chunks, which lose nothing of its text.

The streams of ``llama_cpp`` drop characters behind stray bytes and within what several tokens spell, do not echo, and
tell the probabilities of the wrong tokens where a model has no beginning-of-sequence token; so they are made here.
"""

from __future__ import annotations

import logging
import pickle
import time
import uuid
import warnings
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hd_edge.backend.tokens import token_ids
from hd_edge.errors import TokenError

from .reply import Said, entry, replies

if TYPE_CHECKING:
    from .completion import Completions

NO_TOKEN = 0  # what llama_cpp puts around a prefix and a suffix, for want of a model's own tokens
SPACE_HOLDER = "☺"  # before a suffix: its tokens are dropped, and with them a space that the tokenizer adds

log = logging.getLogger("hd_edge")


@dataclass(frozen=True)
class TextPrompt:
    """A prompt of a completion.

    Attributes:
        tokens: Token ids.
        text: The prompt as text.
        bare: It is empty: a space that the tokenizer puts before the answer is dropped.
    """

    tokens: list[int]
    text: str
    bare: bool


def text_prompt(llm: Completions, prompt: str | list[int], suffix: str | None) -> TextPrompt:
    """A prompt in tokens, with those that the model's file puts around it.

    Args:
        llm: The model.
        prompt: Text or token ids.
        suffix: What shall stand behind the answer.

    Raises:
        TokenError: It is no text and holds something else than ids of the vocabulary.
    """
    if not isinstance(prompt, str):
        prompt = _ids(prompt, llm._n_vocab)
    if not isinstance(prompt, str) and suffix is None:
        text = _decoded(llm, prompt)
        return TextPrompt(prompt, text, bare=not prompt)
    model = llm._model
    special = suffix is None
    if isinstance(prompt, str):
        text, own = prompt, llm.tokenize(prompt.encode("utf-8"), add_bos=False, special=special) if prompt else []
    else:
        text, own = _decoded(llm, prompt), prompt
    if suffix is not None:
        behind = _suffix_tokens(llm, suffix)
        own = [NO_TOKEN, *own]
        own = [*behind, *own, NO_TOKEN] if llm.spm_infill else [*own, *behind, NO_TOKEN]
    begins, ends = model.token_cls(), model.token_sep()
    begins = llm.token_bos() if begins == -1 else begins
    before = [begins] if model.add_bos_token() and begins != -1 else []
    after = [llm.token_eos() if ends == -1 else ends] if model.add_eos_token() or ends != -1 else []
    tokens = [*before, *own, *after]
    if before and tokens[:2] == [llm.token_bos()] * 2:
        warnings.warn(
            "the prompt begins with the beginning-of-sequence token, and the model's file adds one: leave it out",
            RuntimeWarning,
            stacklevel=4,
        )
    return TextPrompt(tokens, text, bare=not prompt)


def _ids(prompt: Any, n_vocab: int) -> list[int]:
    """Bytes are numbers, and meant as text."""
    if isinstance(prompt, (bytes, bytearray, memoryview)):
        msg = f"the prompt is of type {type(prompt).__name__}, expected a text or token ids: prompt.decode('utf-8')"
        raise TokenError(msg)
    return token_ids(prompt, n_vocab)


def _suffix_tokens(llm: Completions, suffix: str) -> list[int]:
    if not suffix:
        return [NO_TOKEN]
    adds_space = llm.metadata.get("tokenizer.ggml.add_space_prefix", "true") == "true"
    text = SPACE_HOLDER + suffix if adds_space else suffix
    tokens = llm.tokenize(text.encode("utf-8"), add_bos=False, special=False)
    return [NO_TOKEN, *tokens[2 if adds_space else 0 :]]


def chunks(llm: Completions, prompt: TextPrompt, settings: dict[str, Any]) -> Generator[dict[str, Any], None, None]:
    """The chunks of an answer; the last one has its finish reason and no text.

    Args:
        llm: The model.
        prompt: The prompt.
        settings: Those of ``create_completion``, all of them.

    Raises:
        ContextFullError: The prompt does not fit the context.
    """
    head = {"id": f"cmpl-{uuid.uuid4()}", "object": "text_completion", "created": int(time.time())}
    head["model"] = settings["model"] or llm.model_path
    top, echo = settings["logprobs"], settings["echo"]
    _fetch(llm, prompt.tokens)
    offset = 0 if top is not None and echo else len(prompt.text)
    begun = False
    drawn: list[int] = []
    for said in replies(llm, prompt.tokens, settings, shown=(), top=top, trim=prompt.bare):
        drawn += said.drawn
        if echo and not begun:
            told = None if top is None else _of_prompt(llm, prompt, top)
            offset = len(prompt.text)
            yield _chunk(head, prompt.text, told)
        begun = True
        if said.text or said.logprobs:
            yield _chunk(head, said.text, _told(said, offset) if said.logprobs else None)
        if said.finish is not None:
            yield _chunk(head, "", None, said.finish)
    if llm.cache is not None:
        llm.cache[prompt.tokens + drawn] = llm.save_state()


def whole(made: list[dict[str, Any]], prompt_tokens: int, tokens: int) -> dict[str, Any]:
    """A completion from its chunks.

    Args:
        made: All of them, in order.
        prompt_tokens: Of the prompt.
        tokens: Of the answer, its end not counted.
    """
    choices = [chunk["choices"][0] for chunk in made]
    told = [choice["logprobs"] for choice in choices if choice["logprobs"] is not None]
    logprobs = {name: [one for part in told for one in part[name]] for name in told[0]} if told else None
    text = "".join(choice["text"] for choice in choices)
    choice = {"text": text, "index": 0, "logprobs": logprobs, "finish_reason": choices[-1]["finish_reason"]}
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": tokens, "total_tokens": prompt_tokens + tokens}
    return {**made[0], "choices": [choice], "usage": usage}


def _fetch(llm: Completions, tokens: list[int]) -> None:
    """State from the cache of ``llama_cpp``, where a longer prefix is there than in the context."""
    if llm.cache is None:
        return
    try:
        state = llm.cache[tokens]
    except KeyError:
        return
    except (pickle.UnpicklingError, EOFError) as error:  # its file is torn: LlamaDiskCache has dropped it now
        log.warning("the cache has a state that cannot be read (%s): the prompt is computed", error)
        return
    known = [
        llm.longest_token_prefix(ids.tolist(), tokens)
        for ids in (state.input_ids[: state.n_tokens], llm.input_ids[: llm.n_tokens])
    ]
    if known[0] > known[1]:
        llm.load_state(state)


def _of_prompt(llm: Completions, prompt: TextPrompt, top: int) -> dict[str, list[Any]]:
    """Probabilities of the prompt's tokens, by the logits of the token before; the first has none before it."""
    tokens = prompt.tokens
    first = 1 if tokens[:1] == [llm.token_bos()] else 0
    said = Said("")
    added = len(_decoded(llm, tokens)) - len(prompt.text)  # a space that the tokenizer has put before the text
    for at in range(first, len(tokens)):
        said.logprobs.append(entry(llm, tokens[at], llm.scores[max(0, at - 1)], top))
        said.places.append(max(0, len(_decoded(llm, tokens[:at])) - added))
    told = _told(said, 0)
    for name in ("token_logprobs", "top_logprobs"):
        told[name][:1] = [None] * len(told[name][:1])
    return told


def _decoded(llm: Completions, tokens: list[int]) -> str:
    return str(llm.detokenize(tokens), "utf-8", errors="ignore")


def _told(said: Said, offset: int) -> dict[str, list[Any]]:
    """Probabilities in the shape of completions."""
    entries = said.logprobs

    def text(one: dict[str, Any]) -> str:
        return bytes(one["bytes"]).decode("utf-8", errors="ignore")

    return {
        "tokens": [text(one) for one in entries],
        "text_offset": [offset + place for place in said.places],
        "token_logprobs": [one["logprob"] for one in entries],
        "top_logprobs": [{text(each): each["logprob"] for each in (*one["top_logprobs"], one)} for one in entries],
    }


def _chunk(
    head: dict[str, Any], text: str, logprobs: dict[str, list[Any]] | None, finish: str | None = None
) -> dict[str, Any]:
    return {**head, "choices": [{"text": text, "index": 0, "logprobs": logprobs, "finish_reason": finish}]}
