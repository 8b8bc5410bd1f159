"""Two vocabularies meet as text: what is spelled is the text, and right words become the target's own tokens.

``HD_EDGE_VOCABULARIES`` names a folder of vocabulary files (llama.cpp's ``models/ggml-vocab-*.gguf``): then the
properties are tested over them too.
"""

from __future__ import annotations

import os
from pathlib import Path

import llama_cpp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle import Oracle
from vocabularies import PIECES, write_byte_pairs, write_vocabulary

from hd_edge._native import Said
from hd_edge.draft.drafter.spelling import Spelled, Spelling, border, whole
from hd_edge.draft.drafter.tier import DrafterTier

SHIPPED = sorted(Path(os.environ.get("HD_EDGE_VOCABULARIES", "nowhere")).glob("*.gguf"))
WORDS = [
    "▁the",
    "▁cat",
    "▁sat",
    "ing",
    "▁ing",
    "▁jump",
    "▁photograph",
    "y",
    "▁caf",
    "é",
    "▁🎉",
    "t",
    "h",
    "e",
    "c",
    "at",
]
TEXT = (
    "The cat sat on the mat, jumping.\n\n1. A photography café 🎉🎉 naïve: 日本語 👩‍👧, x = 12 345;  end </s> <|end|>"
)
PARTS = st.sampled_from(
    [
        " ",
        "  ",
        "\n",
        "the",
        " the",
        " cat",
        "ing",
        " jump",
        "ing",
        " photo",
        "graphy",
        "café",
        "🎉",
        "👩‍👧",
        "日本",
        "12",
    ]
)
TEXTS = st.lists(PARTS, max_size=12).map("".join)


@pytest.fixture(scope="session")
def spellings(tmp_path_factory, smollm2):
    """Vocabularies by name."""
    folder = tmp_path_factory.mktemp("vocabularies")
    files = {
        "sentencepiece": write_vocabulary(folder / "spm.gguf", [*PIECES, *WORDS]),
        "bytes": write_vocabulary(folder / "bytes.gguf", PIECES[:260]),
        "byte pairs": write_byte_pairs(folder / "bpe.gguf"),
        "smollm2": smollm2,
        **{path.stem: path for path in SHIPPED},
    }
    models = {name: llama_cpp.Llama(str(path), vocab_only=True, verbose=False) for name, path in files.items()}
    yield {name: Spelling(model.model) for name, model in models.items()}
    for model in models.values():
        model.close()


NAMES = ["sentencepiece", "bytes", "byte pairs", "smollm2", *(path.stem for path in SHIPPED)]
KEEPING = [name for name in NAMES if "bert" not in name]  # BERT's lower the case: they embed, and cannot draft


@pytest.mark.parametrize("name", KEEPING)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXTS)
def test_what_is_spelled_is_the_text(spellings, name, text):
    spelling = spellings[name]
    assert spelling.text(spelling.spell(text.encode())) == text.encode()


@pytest.mark.parametrize("name", KEEPING)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.tuples(st.integers(0, 40), TEXTS), min_size=1, max_size=6))
def test_a_text_that_grows_and_is_taken_back_keeps_its_tokens_right(spellings, name, texts):
    spelled, text = Spelled(spellings[name]), b""
    for kept, more in texts:
        text = text[:kept]
        text = text[: whole(text)] + more.encode()
        assert spelled.become(text)
        assert spelled.text == text == spellings[name].text(spelled.tokens)


@pytest.mark.parametrize("name", KEEPING)
def test_spelling_in_parts_is_spelling_at_once(spellings, name):
    spelled, text = Spelled(spellings[name]), TEXT.encode()
    for end in range(1, len(text) + 1):
        part = text[: whole(text[:end])]
        assert spelled.become(part)
        assert spelled.tokens == spellings[name].spell(part), part


def pairs():
    """Every target with SmolLM2 and with SentencePiece as its drafter."""
    return [(target, drafter) for target in KEEPING for drafter in ("sentencepiece", "smollm2", "byte pairs", "bytes")]


def follow(tier: DrafterTier, target: Spelling, tokens: list[int], start: int) -> tuple[int, int]:
    """Walks a text token by token as a generation does; returns drafted tokens that were right, and all of them."""
    tier.converse(None, start)
    tier.begin(tokens[:start])
    right = drafted = 0
    text = target.text(tokens)
    for at in range(start, len(tokens)):
        before = target.text(tokens[:at])
        for word in tier.say(()):
            assert word.path == tuple(tokens[at : at + len(word.path)]) or word.path
            said = target.text([*word.path, word.token])
            assert text[len(before) :].startswith(said), (before[-20:], said)  # right words stay right
            drafted += 1
            right += [*word.path, word.token] == tokens[at : at + len(word.path) + 1]
        tier.append(tokens[at : at + 1])
    return right, drafted


@pytest.mark.parametrize(("target", "drafter"), pairs())
def test_right_words_become_the_targets_tokens(spellings, target, drafter):
    ours, theirs = spellings[target], spellings[drafter]
    tokens = ours.spell(TEXT.encode())
    text = (b" " if theirs.puts_space_first and target != drafter else b"") + TEXT.encode()
    tier = DrafterTier(Oracle(theirs, text), theirs, ours)
    right, drafted = follow(tier, ours, tokens, 1)
    assert drafted
    if drafter == "smollm2":  # one that says a letter at a time leaves words unfinished
        assert right >= 0.75 * drafted


def test_a_piece_that_goes_on_with_the_drafts_last_word_becomes_one_token(spellings):
    """The target writes ``▁ab`` as one token, the drafter says it letter by letter."""
    ours, theirs = spellings["sentencepiece"], spellings["bytes"]
    tier = DrafterTier(Oracle(theirs, b" the ab"), theirs, ours)
    tier.converse(None, 1)
    tier.begin(ours.spell(b" the"))
    path: list[int] = []
    heard = []
    for _ in range(3):
        (word,) = tier.say(path)
        path = [*word.path, word.token]
        heard.append((ours.text(path), word.kind))
    assert heard == [(b" ", Said.first), (b" a", Said.odd), (b" ab", Said.odd)]
    assert path == ours.spell(b" ab")


def test_the_drafter_reads_whole_characters_only(spellings):
    ours, theirs = spellings["bytes"], spellings["smollm2"]
    oracle = Oracle(theirs, "at 🎉 all".encode())
    tier = DrafterTier(oracle, theirs, ours)
    tokens = ours.spell("at 🎉 all".encode())
    tier.converse(None, 1)
    tier.begin(tokens[:4])  # one byte of the four
    for token in tokens[4:7]:
        tier.say(())
        tier.append([token])
    tier.say(())
    assert [text.decode() for text in oracle.asked] == ["at ", "at ", "at ", "at 🎉"]


@pytest.mark.parametrize("name", ["smollm2", "byte pairs", "sentencepiece"])
def test_control_tokens_have_no_text_and_end_a_draft(spellings, name):
    theirs = spellings["smollm2"]
    end = next(token for token in range(20) if theirs.ends(token))
    assert theirs.piece(end) == b""
    ours = spellings[name]
    tier = DrafterTier(Oracle(theirs, b"the cat sat", others=[end]), theirs, ours)
    tier._same = False
    tier.converse(None, 1)
    tier.begin(ours.spell(b"the cat"))
    words = tier.say(())
    assert {ours.text([*word.path, word.token]) for word in words} <= {b" ", b" s", b" sa", b" sat"}


@pytest.mark.parametrize(
    ("text", "size"), [(b"ab", 2), ("é".encode(), 2), ("é".encode()[:1], 0), ("a🎉".encode()[:4], 1), (b"\x80\x80", 2)]
)
def test_half_a_character_is_cut_off(text, size):
    assert whole(text) == size


def test_the_border_is_a_space_before_a_letter():
    text = b"one two  three 4"
    ends = list(range(1, len(text) + 1))  # a token for each byte
    assert border(text, ends, len(text)) == text.index(b" two")
