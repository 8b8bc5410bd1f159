"""Bytes of no character, for which llama.cpp's tokenizers would throw through the C border and end the process."""

from __future__ import annotations

import pytest
from vocabularies import write_byte_pairs, write_vocabulary

from hd_edge import Llama
from hd_edge.backend.grammar import Vocabulary as GrammarVocabulary
from hd_edge.build.corpus import Corpus
from hd_edge.build.statistics import StatisticsBuild
from hd_edge.model.vocabulary import Vocabulary
from hd_edge.model.vocabulary_file import vocabulary_of

BEYOND = [b"\xf4\x90\x80\x80", b"\xf4\xbf\xbf\xbf", b"\xf5\x80\x80\x80", b"\xf7\xbf\xbf\xbf"]  # above U+10FFFF
LAST = b"\xf4\x8f\xbf\xbf"  # U+10FFFF


@pytest.fixture(scope="module")
def byte_pairs(tmp_path_factory):
    return write_byte_pairs(tmp_path_factory.mktemp("byte_pairs") / "vocabulary.gguf")


@pytest.fixture(scope="module")
def llm(byte_pairs):
    with Llama(str(byte_pairs), vocab_only=True, store=None, statistics=None) as loaded:
        yield loaded


@pytest.mark.parametrize("data", BEYOND, ids=lambda data: data.hex())
def test_characters_beyond_unicode_are_tokenized_as_stray_bytes(llm, data):
    want = llm.tokenize("ab\N{REPLACEMENT CHARACTER}the".encode(), add_bos=False)
    text = b"ab" + data + b"the"
    assert llm.tokenize(text, add_bos=False) == want
    assert Vocabulary(llm.model).encode(text.decode("utf-8", "surrogateescape")) == want
    assert GrammarVocabulary(llm._model).tokenize(text) == want


def test_the_last_character_stays(llm):
    tokens = llm.tokenize(b"ab" + LAST, add_bos=False)
    assert llm.detokenize(tokens) == b"ab" + LAST


def test_a_vocabulary_that_spells_bytes_keeps_them(tmp_path):
    with vocabulary_of(write_vocabulary(tmp_path / "pieces.gguf")) as loaded:
        vocabulary = Vocabulary(loaded)
        assert all(vocabulary.tokenizable(data) == data for data in BEYOND)


def test_a_corpus_with_them_is_counted(byte_pairs, tmp_path):
    corpus = tmp_path / "corpus.txt"
    corpus.write_bytes(b"ab the cat " + BEYOND[-1] + b" ab the cat ab the cat\n")
    counts = StatisticsBuild(byte_pairs, Corpus([corpus]), tmp_path / "statistics").run()
    assert counts["texts"] == 1
    assert counts["records"] > 0
