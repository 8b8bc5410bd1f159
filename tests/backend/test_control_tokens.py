"""Texts of many control tokens: read in pieces, with the tokens of the whole."""

from __future__ import annotations

import random

import pytest
from vocabularies import write_byte_pairs, write_vocabulary

from hd_edge import Llama
from hd_edge.backend import control_tokens, tokens
from hd_edge.backend.control_tokens import Cuts
from hd_edge.backend.tokens import tokens_of

TOUCHING = (("\n\n", 4), ("\n\n\n", 4), ("<|end|>>", 4), ("x<|beg", 4), ("<|other|>", 3), ("<|aa", 3), ("aa|>", 3))
WORDS = ["a", "ab", " the", "  ", "\n", "\n\n", "\t", "<", "|>", "<|", "é", "x", "<|begin|", "\x00", "▁"]
CONTROL = ["<|begin|>", "<|end|>", "<|other|>", "<|aa", "aa|>", "<|aa|>", "<|end|>>", "<s>", "</s>", "<unk>"]


CLEAR = {"byte pairs": "<|end|>", "touching": "<|other|>", "pieces": "</s>"}  # touches no other token


@pytest.fixture(scope="module", params=list(CLEAR))
def llm(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("vocabulary") / "vocabulary.gguf"
    if request.param == "pieces":
        write_vocabulary(path)
    else:
        write_byte_pairs(path, more=TOUCHING if request.param == "touching" else ())
    with Llama(str(path), vocab_only=True, store=None, statistics=None) as loaded:
        yield loaded


def test_pieces_have_the_tokens_of_the_whole(llm, monkeypatch):
    monkeypatch.setattr(control_tokens, "SHORTEST", 0)
    chance, vocab, cut = random.Random(7), llm._model.vocab, 0
    for _ in range(600):
        monkeypatch.setattr(control_tokens, "PIECE", chance.randrange(1, 40))
        text = "".join(chance.choice(chance.choice((WORDS, CONTROL))) for _ in range(chance.randrange(40))).encode()
        for add_bos in (False, True):
            cuts = Cuts()
            cut += len(cuts.pieces(vocab, text, add_bos)) > 1
            assert tokens_of(vocab, text, add_bos, True, cuts) == tokens_of(vocab, text, add_bos, True), text
    assert cut > 300


def test_llama_cpp_is_shown_little_at_a_time(llm, request, monkeypatch):
    shown, read = [], tokens._read
    monkeypatch.setattr(tokens, "_read", lambda vocab, text, *more: shown.append(len(text)) or read(vocab, text, *more))
    text = f"a {CLEAR[request.node.callspec.params['llm']]}\n".encode() * 9000
    llm.tokenize(text, add_bos=False, special=True)
    assert max(shown) < 2 * control_tokens.PIECE
    assert sum(shown) == len(text)


def test_texts_that_cannot_be_cut_stay_whole(llm):
    vocab = llm._model.vocab
    for text in (b"<|aa|>" * 5000, b"word " * 9000, b"\n" * 50_000):
        assert Cuts().pieces(vocab, text, True) == [text]
