"""GGUF files that hold a small vocabulary, of SentencePiece or of byte pairs, and no tensors."""

import pytest

gguf = pytest.importorskip("gguf")

PIECES = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256)), "▁", "a", "b", "▁a", "ab", "▁ab"]


def write_vocabulary(path, pieces=PIECES, *, name="tiny", layers=2, eos=2, scores=None, file_type=0):
    """A GGUF file with a SentencePiece vocabulary and no tensors."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(name)
    writer.add_file_type(file_type)
    writer.add_block_count(layers)
    writer.add_embedding_length(8)
    writer.add_context_length(64)
    writer.add_head_count(2)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(pieces)
    writer.add_token_scores(scores or [0.0] * 259 + [-float(i) for i in range(len(pieces) - 259)])
    writer.add_token_types([2, 3, 3] + [6] * 256 + [1] * (len(pieces) - 259))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(eos)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


def byte_characters():
    """Which character stands for each byte in vocabularies of byte pairs (GPT-2's table)."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {byte: chr(byte) for byte in shown} | {byte: chr(256 + place) for place, byte in enumerate(hidden)}


WORDS = [" the", " cat", " sat", "ing", " jump", " photo", "graph", " caf", "\u00e9", " \U0001f389", " 12", "ab"]


def write_byte_pairs(path, words=WORDS, more=()):
    """A GGUF file with a vocabulary of byte pairs: single bytes, what merging makes of words, two control tokens.

    ``more``: texts and types (3: control, 4: the user's) of further tokens that are looked for in a text.
    """
    of = byte_characters()
    tokens = [of[byte] for byte in range(256)]
    merges = []
    for word in words:
        letters = [of[byte] for byte in word.encode()]
        while len(letters) > 1:
            merge = f"{letters[0]} {letters[1]}"
            letters[:2] = [letters[0] + letters[1]]
            if merge not in merges:
                merges.append(merge)
            if letters[0] not in tokens:
                tokens.append(letters[0])
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_embedding_length(8)
    writer.add_context_length(64)
    writer.add_head_count(2)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([*tokens, "<|begin|>", "<|end|>", *(text for text, _ in more)])
    writer.add_token_types([1] * len(tokens) + [3, 3, *(kind for _, kind in more)])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(len(tokens))
    writer.add_eos_token_id(len(tokens) + 1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path
