"""Sampling options: what each may be. llama.cpp takes any number, and what it makes of a wrong one is seldom text."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import llama_cpp

from hd_edge.backend.ranges import INT32, expect, is_integer, is_number

SHARES = ("top_p", "min_p", "typical_p")
FROM_ZERO = ("temperature", "temp", "mirostat_tau", "mirostat_eta")
ANY_NUMBER = ("frequency_penalty", "presence_penalty", "tfs_z")
SEEDS = 2**32

COMPLETION = inspect.signature(llama_cpp.Llama.create_completion)
CHAT = inspect.signature(llama_cpp.Llama.create_chat_completion)
SAMPLE = inspect.signature(llama_cpp.Llama.sample)


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
    return dict(signature.bind_partial(*args, **kwargs).arguments)
