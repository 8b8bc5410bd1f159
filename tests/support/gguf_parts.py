"""A GGUF that another program wrote, as parts that a test may change; and files in which one number is wrong."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from math import prod

from broken_gguf import ARRAY, BOOL, FORMATS, INT32, STRING, UINT32, Gguf, Tensor

from hd_edge.model.gguf import TENSOR_TYPES

NUMBERS = (0, 1, 2, 3, 7, 63, 64, 65, 128, 255, 256, 511, 4096, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)
FEW = (0, 1, 3, 7, 256, 1 << 31, (1 << 32) - 1)
# Keys that llama.cpp reads in all architectures or in some, beside those that a file has.
OF_ATTENTION = (
    *("key_length", "value_length", "key_length_swa", "value_length_swa", "shared_kv_layers", "sliding_window"),
    "sliding_window_pattern",
)
OTHERS = (
    *(f"attention.{name}" for name in OF_ATTENTION),
    *("rope.dimension_count", "rope.dimension_count_swa", "rope.dimension_sections", "full_attention_interval"),
    *("nextn_predict_layers", "expert_count", "expert_group_count", "expert_gating_func", "pooling_type"),
    *("leading_dense_block_count", "embedding_length_out", "rope.scaling.original_context_length", "ssm.group_count"),
    *("wkv.head_size", "token_shift_count", "shortconv.l_cache", "vocab_size", "expert_shared_feed_forward_length"),
)


def parts(content: bytes) -> Gguf:
    """Keys and tensors of a sound file."""
    made, at = Gguf(), 24
    n_tensors, n_keys = struct.unpack_from("<QQ", content, 8)
    for _ in range(n_keys):
        name, at = _text(content, at)
        (kind,) = struct.unpack_from("<I", content, at)
        end = _behind(content, at + 4, kind)
        made.keys.append((name, kind, content[at + 4 : end]))
        at = end
    found = []
    for _ in range(n_tensors):
        name, at = _text(content, at)
        (dims,) = struct.unpack_from("<I", content, at)
        shape = struct.unpack_from(f"<{dims}Q", content, at + 4)
        kind, offset = struct.unpack_from("<IQ", content, at + 4 + 8 * dims)
        found.append((offset, name, shape, kind))
        at += 16 + 8 * dims
    begin = -(-at // made.alignment) * made.alignment
    ends = ([offset for offset, *_ in found[1:]] + [len(content) - begin])[: len(found)]
    for (offset, name, shape, kind), end in zip(found, ends, strict=True):
        made.tensors.append(Tensor(name, shape, content[begin + offset : begin + end], kind))
    return made


def wrong_numbers(content: bytes) -> Iterator[tuple[str, bytes]]:
    """The file with each whole number of its architecture as another one, by what it says then."""
    whole = parts(content)
    kind = next(value for key, _, value in whole.keys if key == b"general.architecture")[8:].decode()
    for number, (key, of, value) in enumerate(whole.keys):
        element = struct.unpack_from("<I", value)[0] if of == ARRAY else of
        if not key.startswith(f"{kind}.".encode()) or element not in (UINT32, INT32, BOOL):
            continue
        size, format_ = (1, "<B") if element == BOOL else (4, "<I")
        for at in range(12, len(value), size) if of == ARRAY else (0,):
            for wrong in NUMBERS if size == 4 else (0, 1):
                made = _copy(whole)
                made.keys[number] = (key, of, value[:at] + struct.pack(format_, wrong) + value[at + size :])
                yield f"{key.decode()} {at} = {wrong}", made.to_bytes()
    known = {key.decode() for key, *_ in whole.keys}
    for name in OTHERS:
        for wrong in FEW if f"{kind}.{name}" not in known else ():
            made = _copy(whole)
            made.set(f"{kind}.{name}", UINT32, wrong)
            if name == "expert_count":
                made.set(f"{kind}.expert_used_count", UINT32, min(wrong, 2))
            yield f"{name} = {wrong}", made.to_bytes()


def absent_tensors(content: bytes) -> Iterator[tuple[str, bytes]]:
    """The file without each of its tensors, and without all of that name."""
    whole = parts(content)
    for gone in whole.tensors:
        made = _copy(whole)
        made.tensors.remove(gone)
        yield f"no {gone.name.decode()}", made.to_bytes()
    for name in sorted({one.name.split(b".", 2)[2] for one in whole.tensors if one.name.startswith(b"blk.")}):
        made = _copy(whole)
        made.tensors = [one for one in made.tensors if not one.name.endswith(b"." + name)]
        yield f"no {name.decode()} anywhere", made.to_bytes()


def other_types(content: bytes) -> Iterator[tuple[str, bytes]]:
    """The file with one tensor of each name of another type."""
    whole, seen = parts(content), set()
    for number, one in enumerate(whole.tensors):
        name = one.name.split(b".", 2)[-1]
        if name in seen:
            continue
        seen.add(name)
        for kind in (0, 1, 2, 8, 12, 30):
            _, values, size = TENSOR_TYPES[kind]
            if kind != one.kind and one.shape[0] % values == 0:
                made = _copy(whole)
                made.tensors[number] = replace(one, kind=kind, data=bytes(prod(one.shape) // values * size))
                yield f"{one.name.decode()} of type {kind}", made.to_bytes()


def _copy(made: Gguf) -> Gguf:
    return replace(made, keys=[*made.keys], tensors=[*made.tensors])


def _text(content: bytes, at: int) -> tuple[bytes, int]:
    (size,) = struct.unpack_from("<Q", content, at)
    return content[at + 8 : at + 8 + size], at + 8 + size


def _behind(content: bytes, at: int, kind: int) -> int:
    """Where a value ends."""
    if kind == STRING:
        return _text(content, at)[1]
    if kind != ARRAY:
        return at + struct.calcsize(FORMATS[kind])
    element, count = struct.unpack_from("<IQ", content, at)
    at += 12
    if element != STRING:
        return at + count * struct.calcsize(FORMATS[element])
    for _ in range(count):
        at = _text(content, at)[1]
    return at
