"""Sampling options: what each may be. llama.cpp takes any number, and what it makes of a wrong one is seldom text."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import llama_cpp
from llama_cpp import StoppingCriteriaList
from llama_cpp.llama_chat_format import Jinja2ChatFormatter

from hd_edge.backend.ranges import INT32, expect, is_integer, is_number
from hd_edge.errors import ConfigError, ContextFullError, TokenError

from .given import GivenTokens

SHARES = ("top_p", "min_p", "typical_p")
FROM_ZERO = ("temperature", "temp", "mirostat_tau", "mirostat_eta")
ANY_NUMBER = ("frequency_penalty", "presence_penalty", "tfs_z")
SEEDS = 2**32

NAMES = ("create_completion", "create_chat_completion", "sample", "embed")
COMPLETION, CHAT, SAMPLE, EMBED = SIGNATURES = [inspect.signature(getattr(llama_cpp.Llama, name)) for name in NAMES]

# The code of the criterion that a chat format of llama_cpp brings.
END_TEST = next(
    (
        part
        for part in inspect.unwrap(Jinja2ChatFormatter.__call__).__code__.co_consts
        if getattr(part, "co_name", "") == "stop_on_last_token"
    ),
    None,
)


def check_options(options: Mapping[str, Any]) -> None:
    """Checks the sampling options among the arguments of a call.

    ``max_tokens`` may be None, or 0 or less, as in llama_cpp: as many as the context has room for.

    Raises:
        ConfigError: Names the option, its value and its range.
    """
    for name, value in options.items():
        if name in FROM_ZERO:
            expect(name, value, is_number(value) and value >= 0, "a finite number of at least 0")
        elif name in SHARES:
            expect(name, value, is_number(value) and 0 <= value <= 1, "a number from 0 to 1")
        elif name in ANY_NUMBER:
            expect(name, value, is_number(value), "a finite number")
        elif name == "repeat_penalty":
            expect(name, value, is_number(value) and value > 0, "a finite number above 0 (1: no penalty)")
        elif name == "top_k":
            fits = is_integer(value) and -1 <= value <= INT32
            expect(name, value, fits, f"an integer from -1 to {INT32} (0 or less: all)")
        elif name == "mirostat_mode":
            expect(name, value, is_integer(value) and 0 <= value <= 2, "0, 1 or 2")
        elif name == "seed" and value is not None:
            check_seed(value)
        elif name == "max_tokens" and value is not None:
            expect(name, value, is_integer(value), "an integer (0 or less: as many as there is room for)")
        elif name == "top_logprobs" and value is not None:
            expect(name, value, is_integer(value) and value >= 0, "an integer of at least 0")
        elif name == "logprobs" and value is not None:
            fits = isinstance(value, bool) or (is_integer(value) and value >= 0)
            expect(name, value, fits, "an integer of at least 0, True or False")
        elif name == "suffix" and value is not None:
            expect(name, value, isinstance(value, str), "a text")
            as_bytes(name, value)
        elif name == "stop" and value is not None:
            for text in stop_texts(value):
                as_bytes(name, text)
        elif name == "stopping_criteria" and value is not None:
            criteria_list(value)


def check_texts(llama: Any, asked: Mapping[str, Any]) -> int:
    """Checks the texts that a model shall embed; returns how many.

    Args:
        llama: The model.
        asked: The arguments of ``embed()``.

    Raises:
        ConfigError: The input is no text and no list of texts.
        TokenError: There is none, or one without any token.
        ContextFullError: With ``truncate=False``, one of more tokens than a batch.
    """
    texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
    fits = isinstance(texts, (list, tuple)) and all(isinstance(text, (str, GivenTokens)) for text in texts)
    expect("input", texts, fits, "a text or a list of texts")
    most = None if asked.get("truncate", True) else int(llama.n_batch)
    for place, text in enumerate(texts):
        tokens = llama.tokenize(as_bytes("input", text) if isinstance(text, str) else text)
        if not tokens:
            msg = f"text {place} has no tokens, at least 1 is needed: {text[:40]!r}"
            raise TokenError(msg)
        if most is not None and len(tokens) > most:
            msg = f"text {place} has {len(tokens)} tokens, a batch {most}: shorten it, or load with a larger n_batch"
            raise ContextFullError(msg)
    if not texts:
        msg = "there is nothing to embed: at least 1 text is needed, got 0"
        raise TokenError(msg)
    return len(texts)


def as_bytes(name: str, text: str) -> bytes:
    """A text in UTF-8.

    Raises:
        ConfigError: It has half a surrogate pair, which no text can have.
    """
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        half, at = text[error.start : error.start + 1], error.start
        msg = f"{name}={text[:60]!r} is not a text: half a surrogate pair, {half!r} at {at}: send whole characters"
        raise ConfigError(msg, name) from None


def stop_texts(given: Any) -> list[str]:
    """``stop`` as a list; a single text may stand for itself.

    Raises:
        ConfigError: It is neither.
    """
    listed = [given] if isinstance(given, str) else [] if given is None else given
    fits = isinstance(listed, (list, tuple)) and all(isinstance(text, str) for text in listed)
    expect("stop", given, fits, "a text or a list of texts")
    return list(listed)


def criteria_list(given: Any) -> StoppingCriteriaList:
    """``stopping_criteria`` as one criterion; a function, and a plain list of functions, are taken too.

    Raises:
        ConfigError: It is neither.
    """
    listed = [given] if callable(given) else [] if given is None else given
    fits = isinstance(listed, (list, tuple)) and all(map(callable, listed))
    expect("stopping_criteria", given, fits, "a function, or a list of functions (input_ids, logits) -> bool")
    return StoppingCriteriaList(listed)


def needed_criteria(criteria: StoppingCriteriaList, ends: Callable[[int], int]) -> StoppingCriteriaList | None:
    """Stopping criteria without those that end an answer where it ends anyway; None where none is left.

    The chat formats of ``llama_cpp`` bring one that looks for a token that ends a turn, which every completion ends at
    by itself. Each criterion gets a copy of the logits, for every token: 0.1 ms with 49,152 of them.

    Args:
        criteria: Those of one generation.
        ends: Whether a token ends a turn.
    """
    needed = [one for one in _flat(criteria) if not _only_ends(one, ends)]
    return StoppingCriteriaList(needed) if needed else None


def _flat(criteria: StoppingCriteriaList) -> Iterator[Any]:
    for one in criteria:
        if isinstance(one, StoppingCriteriaList):
            yield from _flat(one)
        else:
            yield one


def _only_ends(criterion: Any, ends: Callable[[int], int]) -> bool:
    if END_TEST is None or getattr(criterion, "__code__", None) is not END_TEST:
        return False
    form = criterion.__closure__[0].cell_contents
    return isinstance(form, Jinja2ChatFormatter) and all(ends(token) for token in form.stop_token_ids)


def check_cache(cache: Any) -> None:
    """Checks what ``set_cache`` is given: it is asked with lists of tokens, which no dict takes.

    Raises:
        ConfigError: It is no cache.
    """
    asked = all(hasattr(cache, name) for name in ("__getitem__", "__setitem__"))
    fits = cache is None or (asked and not isinstance(cache, (dict, list, bytearray)))
    expect("cache", cache, fits, "a cache of llama_cpp, such as LlamaRAMCache(), or None")


def check_seed(seed: Any, most: int = SEEDS - 1) -> None:
    """Checks a seed.

    Raises:
        ConfigError: Names it and its range.
    """
    fits = is_integer(seed) and -1 <= seed <= most
    expect("seed", seed, fits, f"an integer from -1 (random) to {SEEDS - 1}")


def arguments(signature: inspect.Signature, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """The arguments of a call by name, defaults left out.

    Raises:
        TypeError: The signature does not take them.
    """
    try:
        return dict(signature.bind_partial(*args, **kwargs).arguments)
    except TypeError as error:  # inspect knows no name
        name = next(name for name, known in zip(NAMES, SIGNATURES, strict=True) if known is signature)
        msg = f"{name}() {error}; it takes {', '.join([*signature.parameters][1:])}"
        raise TypeError(msg) from None
