"""The tokenizer of a random model: a real one from a vocab-only GGUF, or bytes and numbered words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gguf

if TYPE_CHECKING:
    from pathlib import Path

SYNTHETIC = 1024  # tokens of the vocabulary that is made


def add_vocabulary(writer: gguf.GGUFWriter, vocab: Path | None) -> int:
    """Copies a tokenizer, or makes one of bytes and numbered words; returns the number of tokens."""
    if vocab is None:
        special = [b"<unk>", b"<s>", b"</s>"]
        letters = [f"<0x{i:02X}>".encode() for i in range(256)]
        words = [f"\u2581w{i}".encode() for i in range(SYNTHETIC - 259)]
        writer.add_tokenizer_model("llama")
        writer.add_token_list(special + letters + words)
        writer.add_token_scores([0.0] * 259 + [-float(i) for i in range(len(words))])
        writer.add_token_types([2, 3, 3] + [6] * 256 + [1] * len(words))
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
        writer.add_unk_token_id(0)
        return SYNTHETIC
    reader = gguf.GGUFReader(vocab)
    count = 0
    for name, field in reader.fields.items():
        if not name.startswith("tokenizer."):
            continue
        value = field.contents()
        if name == "tokenizer.ggml.tokens":
            count = len(value)
        element = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, value, field.types[0], sub_type=element)
    return count
