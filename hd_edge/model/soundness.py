"""What llama.cpp takes for granted about a model file, and ends the process over: refused before it sees the file.

Each check stands for an assertion, a division or a look-up without a test in llama.cpp; tests/model/test_broken_gguf.py
has a file for each. Weights are not looked at: they may be anything.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NoReturn

from .architectures import KNOWN

if TYPE_CHECKING:
    import mmap

MOST_LAYERS, MOST_EXPERTS = 512, 512  # LLAMA_MAX_LAYERS, LLAMA_MAX_EXPERTS
LEAST_ALIGNMENT, MOST_ALIGNMENT = 32, 1 << 20  # ggml computes on data at such addresses only
UNCOMPUTED = {f"type {24 + n}": name for n, name in enumerate(("I8", "I16", "I32", "I64", "F64"))}
TABLES = re.compile(r"(tid2eid\.weight|^d2t)$")  # numbers of experts and of tokens, which nothing is multiplied by
FLOATS = ("F32", "F16", "BF16")
# Weights that are added to F32 numbers or multiplied with them one by one, or convolved.
SINGLE = re.compile(r"(norm(_\d)?|sinks|rope_\w+|conv1d|shortconv\.conv|output_scale)\.weight$|\.bias$|\.ssm_[ad]$")
SHOWN = 60  # characters of a name from a file
WORDS, KINDS, MODEL = "tokenizer.ggml.tokens", "tokenizer.ggml.token_type", "tokenizer.ggml.model"
SCALINGS = ("none", "linear", "yarn", "longrope")
UNSPECIFIED = (-1, (1 << 32) - 1)
KINDS_OF = {"expert_gating_func": (0, 1, 2, 3, 4), "pooling_type": (0, 1, 2, 3, 4, *UNSPECIFIED)}  # enums of llama.cpp
BYTE = 6  # LLAMA_TOKEN_TYPE_BYTE


class UnsoundError(Exception):
    """What is wrong with a file, as the end of a sentence that begins with its name."""


def refuse(what: str) -> NoReturn:
    """Raises UnsoundError for a file that is damaged in this way."""
    msg = f"is damaged: {what}; fetch it again"
    raise UnsoundError(msg)


def shown(name: object) -> str:
    """A name of the file, for a message."""
    text = repr(name)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def alignment_of(scalars: Mapping[str, object]) -> int:
    """Where tensors may begin.

    Raises:
        UnsoundError: Nowhere that ggml can compute.
    """
    value = scalars.get("general.alignment", LEAST_ALIGNMENT)
    fits = isinstance(value, int) and LEAST_ALIGNMENT <= value <= MOST_ALIGNMENT and value & (value - 1) == 0
    if not fits or not isinstance(value, int):
        refuse(f"general.alignment is {shown(value)}, expected a power of two from {LEAST_ALIGNMENT}")
    return value


def check_values(
    scalars: Mapping[str, object], arrays: Mapping[str, tuple[int, ...]], tensor_types: Mapping[str, str]
) -> None:
    """Sizes, factors and types that llama.cpp asserts.

    Raises:
        UnsoundError: Names the key or the tensor, and its value.
    """
    arch = str(scalars.get("general.architecture", ""))
    if isinstance(layers := scalars.get(f"{arch}.block_count", 1), int) and not 0 < layers <= MOST_LAYERS:
        refuse(f"{arch}.block_count is {layers}, llama.cpp takes 1 to {MOST_LAYERS}")
    drafting = scalars.get(f"{arch}.nextn_predict_layers", 0)
    if isinstance(drafting, int) and isinstance(layers, int) and drafting > layers:
        refuse(f"{arch}.nextn_predict_layers is {drafting}, block_count {layers}")
    for name, known in KINDS_OF.items():
        if isinstance(number := scalars.get(f"{arch}.{name}", 0), int) and number not in known:
            refuse(f"{arch}.{name} is {number}, llama.cpp knows {known[0]} to {known[4]}")
    if isinstance(trained := scalars.get(f"{arch}.context_length", 0), int) and not 0 <= trained < 2**31:
        refuse(f"{arch}.context_length is {trained}, llama.cpp takes 0 to {2**31 - 1}")  # llama_cpp makes arrays of it
    experts, used = (scalars.get(f"{arch}.{name}", 0) for name in ("expert_count", "expert_used_count"))
    if in_layers := arrays.get(f"{arch}.expert_used_count"):
        used = max(in_layers)
    if isinstance(experts, int) and isinstance(used, int):
        fits = 0 < used <= experts <= MOST_EXPERTS if experts else used == 0
        if not fits:
            refuse(f"it uses {used} experts of {experts}, llama.cpp takes up to {MOST_EXPERTS}")
        _check_groups(arch, scalars, experts)
    scaling = scalars.get(f"{arch}.rope.scaling.type", "none")
    if isinstance(scaling, str) and scaling not in SCALINGS:
        refuse(f"{arch}.rope.scaling.type is {shown(scaling)}, llama.cpp takes {', '.join(SCALINGS)}")
    for key, value in scalars.items():
        wrong = isinstance(value, float) and not (math.isfinite(value) and value >= 0)
        if key.endswith("_epsilon") and wrong:
            refuse(f"{key} is {value}, expected 0 or more")
    for name, kind in tensor_types.items():
        if kind in UNCOMPUTED and not TABLES.search(name):
            refuse(f"tensor {shown(name)} is of type {UNCOMPUTED[kind]}, which llama.cpp does not compute with")
        if name.endswith(".scale") and kind not in FLOATS:
            refuse(f"tensor {shown(name)} is of type {kind}, llama.cpp takes {', '.join(FLOATS)}")
        if arch in KNOWN and kind != "F32" and SINGLE.search(name):
            refuse(f"tensor {shown(name)} is of type {kind}, llama.cpp takes F32")


def _check_groups(arch: str, scalars: Mapping[str, object], experts: int) -> None:
    groups, used = (scalars.get(f"{arch}.expert_group{name}_count", 0) for name in ("", "_used"))
    if not isinstance(groups, int) or not isinstance(used, int) or not groups:
        return
    fits = experts > groups and (groups == 1 or (groups > 0 and experts % groups == 0 and 0 < used < groups))
    if not fits:
        refuse(f"it uses {used} of {groups} groups of {experts} experts, llama.cpp takes a part of groups of one size")


def texts_at(data: mmap.mmap, at: int) -> list[bytes]:
    """Texts of an array whose bounds have been checked, each up to its first zero byte, as llama.cpp reads them.

    Args:
        data: The file.
        at: Where its count stands.
    """
    unpack = struct.Struct("<Q").unpack_from
    (count,) = unpack(data, at)
    found, at = [], at + 8
    for _ in range(count):
        end = at + 8 + unpack(data, at)[0]
        text = data[at + 8 : end]
        found.append(text if b"\0" not in text else text[: text.index(b"\0")])
        at = end
    return found


def numbers_at(data: mmap.mmap, at: int) -> tuple[int, ...]:
    """Numbers of an array of 32 bits each, whose bounds have been checked."""
    (count,) = struct.unpack_from("<Q", data, at)
    return struct.unpack_from(f"<{count}i", data, at + 8)


def check_words(scalars: Mapping[str, object], words: Iterable[bytes], kinds: Iterable[int]) -> None:
    """The vocabulary: each word once, for SentencePiece one for each byte, for WordPiece none.

    Raises:
        UnsoundError: Names what is there twice, or not at all.
    """
    model = scalars.get(MODEL)
    if model in ("none", "no_vocab"):
        msg = f"has no tokenizer (tokenizer.ggml.model is {model!r}): text cannot go in or out"
        raise UnsoundError(msg)
    if model == "bert" and BYTE in kinds:
        refuse("its vocabulary of WordPiece has words for single bytes")
    words = [word for word in words if word]  # llama.cpp names the empty ones itself
    known = set(words)
    if len(known) < len(words):
        seen: set[bytes] = set()
        twice = next(word for word in words if word in seen or seen.add(word))  # type: ignore[func-returns-value]
        refuse(f"its vocabulary holds {shown(twice.decode('utf-8', 'replace'))} twice")
    if model == "llama":
        for byte in range(256):
            if f"<0x{byte:02X}>".encode() not in known and bytes([byte]) not in known:
                refuse(f"its vocabulary has no word for the byte {byte:#04x}")
