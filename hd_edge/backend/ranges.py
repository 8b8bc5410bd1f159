"""What the constructor's arguments may be: llama.cpp and ctypes take any number, and abort or wrap around later."""

from __future__ import annotations

import inspect
import math
import operator
import os
from collections.abc import Callable
from typing import Any

import llama_cpp
import numpy as np
from llama_cpp import llama_cpp as lib

from hd_edge.errors import ConfigError

DEFAULTS = inspect.signature(llama_cpp.Llama.__init__).parameters
INT32 = 2**31 - 1
LONGEST_PATH = 4096  # what Linux takes
LONGEST_NAME = 255  # of one part of it, in bytes
MOST_FLOAT = float(np.finfo(np.float32).max)
MOST_THREADS = 512  # GGML_MAX_N_THREADS
MOST_LAST_TOKENS = 2**20  # last_n_tokens_size: a buffer of so many is made for every generation

CACHE_TYPES = {0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 20: "IQ4_NL", 30: "BF16"}
ENUMS = {
    "split_mode": "LLAMA_SPLIT_MODE_",
    "rope_scaling_type": "LLAMA_ROPE_SCALING_TYPE_",
    "pooling_type": "LLAMA_POOLING_TYPE_",
    "attention_type": "LLAMA_ATTENTION_TYPE_",
    "numa": "GGML_NUMA_STRATEGY_",
}
INTEGERS = {
    "n_gpu_layers": (-1, INT32),
    "main_gpu": (0, INT32),
    "seed": (-1, 2**32 - 1),
    "n_ctx": (0, INT32),
    "n_batch": (1, INT32),
    "n_ubatch": (1, INT32),
    "n_threads": (1, MOST_THREADS),
    "n_threads_batch": (1, MOST_THREADS),
    "yarn_orig_ctx": (0, INT32),
    "last_n_tokens_size": (0, MOST_LAST_TOKENS),
}
FACTORS = ("rope_freq_base", "rope_freq_scale")  # at least 0
NUMBERS = (*FACTORS, "yarn_ext_factor", "yarn_attn_factor", "yarn_beta_fast", "yarn_beta_slow", "lora_scale")
SWITCHES = (
    *("vocab_only", "use_mmap", "use_mlock", "logits_all", "embedding", "offload_kqv", "flash_attn", "op_offload"),
    *("swa_full", "no_perf", "spm_infill"),
)
NAME_BYTES = TEXT_BYTES = 127  # of a key and of a text in kv_overrides, with room for the final zero


def check_ranges(settings: dict[str, Any]) -> None:
    """Checks the arguments that ``llama_cpp.Llama`` takes, by kind; integers of any kind become Python's.

    Raises:
        ConfigError: Names the argument, its value and what is expected.
    """
    for name, value in settings.items():
        if value is None and (DEFAULTS[name].default is None or name in ("seed", "rope_scaling_type")):
            continue
        if name in INTEGERS:
            low, high = INTEGERS[name]
            expect(name, value, is_integer(value) and low <= value <= high, f"an integer from {low} to {high}")
            settings[name] = operator.index(value)  # random.Random takes no number of numpy
        elif name in NUMBERS:
            fits = is_number(value) and (value >= 0 or name not in FACTORS)
            expect(name, value, fits, "a finite number" + (" of at least 0" if name in FACTORS else ""))
        elif name in SWITCHES:
            fits = isinstance(value, (bool, np.bool_)) or (is_number(value) and value in (0, 1))
            expect(name, value, fits, "True or False")
        elif name in ("type_k", "type_v"):
            known = ", ".join(f"{number} ({kind})" for number, kind in CACHE_TYPES.items())
            expect(name, value, is_integer(value) and value in CACHE_TYPES, f"one of {known}")
        elif name in ENUMS and not (name == "numa" and isinstance(value, bool)):
            values = enum_values(ENUMS[name])
            known = ", ".join(f"{number} ({kind})" for number, kind in values.items())
            expect(name, value, is_integer(value) and value in values, f"one of {known}")
        elif name in SHAPES:
            fits, expected = SHAPES[name]
            expect(name, value, fits(value), expected)


def expect(name: str, value: object, fits: bool, expected: str) -> None:
    """Refuses a value.

    Raises:
        ConfigError: Names it and what is expected.
    """
    if not fits:
        msg = f"{name}={value!r} is not {expected}"
        raise ConfigError(msg)


def as_path(name: str, value: Any) -> str:
    """A path argument as text.

    Raises:
        ConfigError: It is none.
    """
    try:
        return os.fsdecode(value)
    except TypeError:
        msg = f"{name}={value!r} is of type {type(value).__name__}, expected a path"
        raise ConfigError(msg) from None


def place(name: str, value: Any) -> Any:
    """Where a store is: ``"default"``, None, or a path.

    Raises:
        ConfigError: It is none of these.
    """
    if value is None or (isinstance(value, str) and value == "default"):
        return value
    path = as_path(name, value)
    parts = os.fsencode(path).split(os.fsencode(os.sep))
    named = path in ("", ":memory:") or path.startswith("file:")  # as SQLite knows them: no file, one of a URI
    if named or "\0" in path or len(path) >= LONGEST_PATH or max(map(len, parts)) > LONGEST_NAME:
        short = path if len(path) < 80 else path[:77] + "..."
        msg = f"{name}={short!r} is no path of a file: give one, 'default', or None to keep everything in memory"
        raise ConfigError(msg)
    return path


def is_integer(value: Any) -> bool:
    """True for an integer of any kind, and no truth value."""
    if isinstance(value, (bool, np.bool_)):
        return False
    try:
        operator.index(value)
    except TypeError:
        return False
    return True


def is_number(value: Any) -> bool:
    """True for a number of any kind that llama.cpp's floats hold, and no truth value."""
    return (is_integer(value) or isinstance(value, (float, np.floating))) and bool(abs(value) <= MOST_FLOAT)


def enum_values(prefix: str) -> dict[int, str]:
    """Values of one of llama.cpp's enumerations, with their names, as llama_cpp knows them."""
    names = (name for name in dir(lib) if name.startswith(prefix))
    return {int(getattr(lib, n)): n.removeprefix(prefix) for n in names if not n.endswith(("_COUNT", "MAX_VALUE"))}


def _is_split(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple))
        and len(value) <= lib.LLAMA_MAX_DEVICES
        and all(is_number(share) and share >= 0 for share in value)
    )


def _are_overrides(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(key, str) and len(key.encode()) <= NAME_BYTES and _is_override(key, each)
        for key, each in value.items()
    )


def _is_override(key: str, value: Any) -> bool:
    if isinstance(value, bool):
        return True
    if isinstance(value, str):
        return len(value.encode()) <= TEXT_BYTES
    if isinstance(value, float):
        return math.isfinite(value) and (value >= 0 or not key.endswith("epsilon"))
    return isinstance(value, int) and -(2**63) <= value < 2**63


SHAPES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "tensor_split": (_is_split, f"a list of at most {lib.LLAMA_MAX_DEVICES} shares of at least 0"),
    "kv_overrides": (
        _are_overrides,
        "a dict from names to True, False, integers of 64 bits, finite numbers (an epsilon at least 0), or texts, of "
        f"at most {NAME_BYTES} bytes each",
    ),
    "chat_format": (lambda value: isinstance(value, str), "the name of a chat format"),
    "draft_model": (lambda value: callable(value) and not isinstance(value, type), "a LlamaDraftModel"),
    "tokenizer": (
        lambda value: hasattr(value, "tokenize") and hasattr(value, "detokenize") and not isinstance(value, type),
        "a BaseLlamaTokenizer",
    ),
}
