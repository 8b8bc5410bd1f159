"""GGUF files written by hand, byte by byte: a sound tiny llama, and every way in which one can be wrong.

The cases follow the list of llama.cpp's ``tests/test-gguf.cpp`` (header, key-values, tensors, data), and go on with
what a loader computes from the values: sizes, vocabularies, templates.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY, UINT64 = 4, 5, 6, 7, 8, 9, 10
F32 = 0
FORMATS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<B", 10: "<Q", 11: "<q", 12: "<d"}
WIDTH, FEED, HEADS, WORDS = 32, 64, 2, 300


def packed(kind: int, value: Any) -> bytes:
    """A value as GGUF writes it; of an array ``(element type, values)``."""
    if kind == STRING:
        text = value if isinstance(value, bytes) else value.encode()
        return struct.pack("<Q", len(text)) + text
    if kind == ARRAY:
        element, values = value
        return struct.pack("<IQ", element, len(values)) + b"".join(packed(element, one) for one in values)
    return struct.pack(FORMATS[kind], value)


@dataclass
class Tensor:
    """One entry of the list of tensors, and its data."""

    name: bytes
    shape: tuple[int, ...]
    data: bytes
    kind: int = F32
    offset: int | None = None  # None: behind the one before it
    n_dims: int | None = None
    name_size: int | None = None


@dataclass
class Gguf:
    """A file, before it is written; what is None is computed."""

    keys: list[tuple[bytes, int, bytes]] = field(default_factory=list)  # name, type, packed value
    tensors: list[Tensor] = field(default_factory=list)
    magic: bytes = b"GGUF"
    version: int = 3
    n_tensors: int | None = None
    n_keys: int | None = None
    key_size: int | None = None  # of the first key
    cut: int = 0  # bytes that the end lacks
    alignment: int = 32

    def set(self, name: str, kind: int, value: Any) -> None:
        """Adds or replaces a key."""
        new = (name.encode(), kind, packed(kind, value))
        at = next((i for i, (key, *_) in enumerate(self.keys) if key == name.encode()), len(self.keys))
        self.keys[at : at + 1] = [new]

    def remove(self, name: str) -> None:
        self.keys = [key for key in self.keys if key[0] != name.encode()]

    def tensor(self, name: str) -> Tensor:
        return next(one for one in self.tensors if one.name == name.encode())

    def to_bytes(self) -> bytes:
        counts = [len(self.tensors) if self.n_tensors is None else self.n_tensors]
        counts.append(len(self.keys) if self.n_keys is None else self.n_keys)
        out = bytearray(self.magic + struct.pack("<I", self.version) + struct.pack("<QQ", *counts))
        for number, (name, kind, value) in enumerate(self.keys):
            size = len(name) if number or self.key_size is None else self.key_size
            out += struct.pack("<Q", size) + name + struct.pack("<I", kind & 0xFFFFFFFF) + value
        data = bytearray()
        for one in self.tensors:
            size = len(one.name) if one.name_size is None else one.name_size
            dims = len(one.shape) if one.n_dims is None else one.n_dims
            out += struct.pack("<Q", size) + one.name + struct.pack("<I", dims)
            out += b"".join(struct.pack("<Q", extent & (1 << 64) - 1) for extent in one.shape)
            out += struct.pack("<IQ", one.kind, len(data) if one.offset is None else one.offset)
            data += one.data + bytes(-len(one.data) % self.alignment)
        out += bytes(-len(out) % self.alignment)
        return bytes((out + data)[: len(out) + len(data) - self.cut])


def sound() -> Gguf:
    """A llama of one layer with random weights, 150 kB."""
    made = Gguf()
    made.set("general.architecture", STRING, "llama")
    made.set("general.alignment", UINT32, 32)
    made.set("general.name", STRING, "hand made")
    for name, value in (
        ("context_length", 128),
        ("embedding_length", WIDTH),
        ("feed_forward_length", FEED),
        ("block_count", 1),
        ("attention.head_count", HEADS),
        ("attention.head_count_kv", HEADS),
        ("rope.dimension_count", WIDTH // HEADS),
        ("vocab_size", WORDS),
    ):
        made.set(f"llama.{name}", UINT32, value)
    made.set("llama.attention.layer_norm_rms_epsilon", FLOAT32, 1e-5)
    made.set("llama.rope.freq_base", FLOAT32, 10000.0)
    pieces = [b"<unk>", b"<s>", b"</s>", *(f"<0x{byte:02X}>".encode() for byte in range(256))]
    pieces += [f"word{n}".encode() for n in range(WORDS - len(pieces))]
    made.set("tokenizer.ggml.model", STRING, "llama")
    made.set("tokenizer.ggml.tokens", ARRAY, (STRING, pieces))
    made.set("tokenizer.ggml.scores", ARRAY, (FLOAT32, [-float(n) for n in range(WORDS)]))
    made.set("tokenizer.ggml.token_type", ARRAY, (INT32, [2, 3, 3] + [6] * 256 + [1] * (WORDS - 259)))
    made.set("tokenizer.ggml.bos_token_id", UINT32, 1)
    made.set("tokenizer.ggml.eos_token_id", UINT32, 2)
    made.set("tokenizer.chat_template", STRING, "{% for m in messages %}{{ m.content }}{% endfor %}")
    random = np.random.default_rng(3)

    def tensor(name: str, *shape: int) -> None:
        values = random.standard_normal(shape[::-1]).astype("<f4") * 0.2 if len(shape) > 1 else np.ones(shape, "<f4")
        made.tensors.append(Tensor(name.encode(), shape, values.tobytes()))

    tensor("token_embd.weight", WIDTH, WORDS)
    for name in ("attn_norm", "ffn_norm"):
        tensor(f"blk.0.{name}.weight", WIDTH)
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        tensor(f"blk.0.{name}.weight", WIDTH, WIDTH)
    for name in ("ffn_gate", "ffn_up"):
        tensor(f"blk.0.{name}.weight", WIDTH, FEED)
    tensor("blk.0.ffn_down.weight", FEED, WIDTH)
    tensor("output_norm.weight", WIDTH)
    tensor("output.weight", WIDTH, WORDS)
    return made


Case = tuple[str, Callable[[Gguf], object]]
HUGE = (1 << 31, (1 << 32) - 1, 1 << 60, (1 << 63) - 1, (1 << 64) - 1)


def put(**values: Any) -> Callable[[Gguf], None]:
    """Fields of the file itself."""

    def change(made: Gguf) -> None:
        for name, value in values.items():
            setattr(made, name, value)

    return change


def key(name: str, kind: int, value: Any) -> Callable[[Gguf], None]:
    return lambda made: made.set(name, kind, value)


def raw(name: str, kind: int, value: bytes) -> Callable[[Gguf], None]:
    """A key whose packed value is given, right or not."""
    return lambda made: made.keys.append((name.encode(), kind, value))


def of_tensor(name: str, /, **values: Any) -> Callable[[Gguf], None]:
    def change(made: Gguf) -> None:
        for attribute, value in values.items():
            setattr(made.tensor(name), attribute, value)

    return change


def header_cases() -> Iterator[Case]:
    yield "bad magic", put(magic=b"GGUX")
    for version in (0, 1, 4, 0x03000000, 0xFFFFFFFF):
        yield f"version {version}", put(version=version)
    for count in (0, 1, 11, 13, *HUGE):
        yield f"{count} tensors", put(n_tensors=count)
    for count in (0, 1, 17, 22, *HUGE):
        yield f"{count} keys", put(n_keys=count)
    yield "empty", put(keys=[], tensors=[])
    yield "no keys", put(keys=[])
    yield "no tensors", put(tensors=[])
    for alignment in (0, 1, 3, 4, 8, 16, 33, 64, 1 << 20, 1 << 31, (1 << 32) - 1):
        yield f"alignment {alignment}", key("general.alignment", UINT32, alignment)
    yield "alignment of text", key("general.alignment", STRING, "32")
    yield "alignment of 64 bits", key("general.alignment", UINT64, 32)


def key_cases() -> Iterator[Case]:
    for size in (0, *HUGE):
        yield f"key of {size} bytes", put(key_size=size)
        yield f"text of {size} bytes", raw("a.b", STRING, struct.pack("<Q", size) + b"abc")
        yield f"array of {size} numbers", raw("a.b", ARRAY, struct.pack("<IQ", UINT32, size) + b"abc")
        yield f"array of {size} texts", raw("a.b", ARRAY, struct.pack("<IQ", STRING, size) + b"abc")
    for kind in (13, 77, -1):
        yield f"key of type {kind}", raw("a.b", kind, bytes(8))
        yield f"array of type {kind}", raw("a.b", ARRAY, struct.pack("<IQ", kind & 0xFFFFFFFF, 2) + bytes(64))
    yield "array of arrays", raw("a.b", ARRAY, struct.pack("<IQ", ARRAY, 1) + packed(ARRAY, (UINT32, [1])))
    yield "duplicate key", lambda made: made.keys.append(made.keys[3])
    yield "key without a name", lambda made: made.keys.append((b"", UINT32, packed(UINT32, 1)))
    yield "key that is no text", lambda made: made.keys.append((b"\xff\x00\xfe", UINT32, packed(UINT32, 1)))
    yield "truth of 7", raw("a.b", BOOL, b"\x07")
    for name in ("", "LLAMA", "nonsense", "clip", "mmproj", "gemma3n", "mamba", "t5", "x" * 100_000, "llama\0x"):
        yield f"architecture {name[:20]!r}", key("general.architecture", STRING, name)
    yield "architecture of numbers", key("general.architecture", UINT32, 7)
    yield "no architecture", lambda made: made.remove("general.architecture")
    yield "split of many", key("split.count", UINT32, 9)
    yield "file type unknown", key("general.file_type", UINT32, 4_000_000)
    yield "type adapter", key("general.type", STRING, "adapter")


def tensor_cases() -> Iterator[Case]:
    name = "blk.0.attn_q.weight"
    for size in (0, 3, *HUGE):
        yield f"tensor with a name of {size} bytes", of_tensor(name, name_size=size)
    yield "tensor with a long name", of_tensor(name, name=b"n" * 200)
    for dims in (0, 1, 3, 5, 900, 1 << 31, (1 << 32) - 1):
        yield f"tensor of {dims} dimensions", of_tensor(name, n_dims=dims)
    for shape in ((0, WIDTH), (WIDTH, 0), (-1, WIDTH), (1 << 32, 1 << 32), (1 << 31, 1 << 33), (1 << 62, 4), (33, 32)):
        yield f"tensor of shape {shape}", of_tensor(name, shape=shape)
    for kind in (1, 2, 4, 5, 7, 8, 14, 24, 26, 27, 28, 31, 38, 39, 40, 41, 42, 99, (1 << 32) - 1):
        yield f"tensor of type {kind}", of_tensor(name, kind=kind)
    for offset in (1, 31, 32, 1 << 20, 1 << 40, (1 << 64) - 32):
        yield f"tensor at {offset}", of_tensor(name, offset=offset)
    yield "duplicate tensor", lambda made: made.tensors.append(made.tensors[4])
    yield "tensors of one place", lambda made: [setattr(one, "offset", 0) for one in made.tensors]
    for one in sound().tensors:
        yield f"no {one.name.decode()}", lambda made, gone=one.name: made.tensors.remove(made.tensor(gone.decode()))
        yield f"{one.name.decode()} of 64-bit floats", of_tensor(one.name.decode(), kind=28)
        yield f"{one.name.decode()} of integers", of_tensor(one.name.decode(), kind=26)
        yield f"{one.name.decode()} turned", of_tensor(one.name.decode(), shape=(*one.shape[::-1], 1))
    for cut in (1, 32, 4096, 100_000):
        yield f"data lack {cut} bytes", put(cut=cut)


def value_cases() -> Iterator[Case]:
    """What a loader divides by, allocates by, and looks up with."""
    for name, kind, _ in sound().keys:
        text = name.decode()
        if text.startswith("llama.") and kind == UINT32:
            for value in (0, 1, 3, 33, 511, 4096, (1 << 31) - 1, 1 << 31, (1 << 32) - 1):
                yield f"{text} = {value}", key(text, UINT32, value)
        if text.startswith("llama.") and kind == FLOAT32:
            for number in (0.0, -1.0, float("nan"), float("inf")):
                yield f"{text} = {number}", key(text, FLOAT32, number)
        if text != "general.architecture":
            yield f"no {text}", lambda made, gone=text: made.remove(gone)
            yield f"{text} of text", key(text, STRING, "5")
            yield f"{text} of numbers", key(text, ARRAY, (UINT32, [1, 2]))
            yield f"{text} of 64 bits", key(text, UINT64, 1 << 40)
    for name in ("head_count", "head_count_kv", "sliding_window", "key_length", "value_length"):
        for value in (0, 5, (1 << 32) - 1):
            yield f"attention.{name} = {value}", key(f"llama.attention.{name}", UINT32, value)
    for name in ("expert_count", "expert_used_count", "expert_group_count"):
        for value in (0, 1, 3, 1 << 31):
            yield f"{name} = {value}", key(f"llama.{name}", UINT32, value)
    for text in ("", "none", "linear", "yarn", "longrope", "ntk"):
        yield f"rope scaling {text!r}", key("llama.rope.scaling.type", STRING, text)


def vocabulary_cases() -> Iterator[Case]:
    at = "tokenizer.ggml."
    for count in (0, 1, WORDS - 1, WORDS + 1):
        yield f"{count} words", key(at + "tokens", ARRAY, (STRING, [f"w{n}" for n in range(count)]))
        yield f"{count} scores", key(at + "scores", ARRAY, (FLOAT32, [0.0] * count))
        yield f"{count} types of words", key(at + "token_type", ARRAY, (INT32, [1] * count))
    for word in ("same", "", "<0xZZ>"):
        yield f"words that all are {word!r}", key(at + "tokens", ARRAY, (STRING, [word] * WORDS))
    yield "words that are no text", key(at + "tokens", ARRAY, (STRING, [bytes([255, n % 256]) for n in range(WORDS)]))
    yield "a word of a megabyte", key(at + "tokens", ARRAY, (STRING, ["x" * (1 << 20), *"y" * (WORDS - 1)]))
    yield "words of numbers", key(at + "tokens", ARRAY, (UINT32, [1] * WORDS))
    yield "scores of nothing", key(at + "scores", ARRAY, (FLOAT32, [float("nan")] * WORDS))
    yield "scores of text", key(at + "scores", ARRAY, (STRING, ["1"] * WORDS))
    yield "types of nothing", key(at + "token_type", ARRAY, (INT32, [-5] * WORDS))
    for model in ("", "gpt2", "bert", "t5", "rwkv", "none", "no_vocab", "plamo2", "x" * 1000):
        yield f"tokenizer {model[:10]!r}", key(at + "model", STRING, model)
    for merges in ([], ["a"], ["a b c", ""], ["\0 \0"]):

        def change(made: Gguf, merges: list[str] = merges) -> None:
            made.set(at + "model", STRING, "gpt2")
            made.set(at + "pre", STRING, "default")
            made.set(at + "merges", ARRAY, (STRING, merges))

        yield f"merges {merges}", change
    for name in ("bos", "eos", "eot", "eom", "unknown", "padding", "fim_pre", "mask"):
        for value in (WORDS, (1 << 31) - 1, (1 << 32) - 1):
            yield f"{name} = {value}", key(f"{at}{name}_token_id", UINT32, value)
    for template in ("{% for", "{{ 1 / 0 }}", "{{ messages[99].content }}", "\0", "{{ 'a' * 10**9 }}", "x" * (1 << 20)):
        yield f"template {template[:20]!r}", key("tokenizer.chat_template", STRING, template)


CASES: dict[str, Callable[[Gguf], object]] = {
    name: change
    for cases in (header_cases, key_cases, tensor_cases, value_cases, vocabulary_cases)
    for name, change in cases()
}


def broken(name: str) -> bytes:
    """The file of a case."""
    made = sound()
    CASES[name](made)
    return made.to_bytes()
