"""Identity of tokenizer and model: quantizations share, tokenizers of one size do not."""

import numpy as np
import pytest
from vocabularies import PIECES, write_vocabulary

from hd_edge.errors import ModelFileError, StoreMismatchError
from hd_edge.model.identity import Identity
from hd_edge.model.vocabulary import Vocabulary, identify
from hd_edge.model.vocabulary_file import vocabulary_of


def identity_of(path):
    with vocabulary_of(path) as model:
        return identify(model)


@pytest.fixture
def base(tmp_path):
    return identity_of(write_vocabulary(tmp_path / "base.gguf"))


def test_quantizations_of_one_model_share(tmp_path, base):
    other = identity_of(write_vocabulary(tmp_path / "q4.gguf", file_type=2))
    assert other == base
    assert base.n_vocab == len(PIECES)
    assert base.name == "tiny"


@pytest.mark.parametrize(
    "change",
    [
        {"pieces": [*PIECES[:-1], "▁ba"]},  # same size, one other token
        {"pieces": [*PIECES[:-2], PIECES[-1], PIECES[-2]]},  # two tokens swapped
        {"scores": [0.0] * 259 + [-float(i) for i in range(5)] + [-5.5]},
        {"eos": 1},
    ],
    ids=["token", "order", "score", "special id"],
)
def test_other_tokenizer_of_the_same_size_is_another(tmp_path, base, change):
    other = identity_of(write_vocabulary(tmp_path / "other.gguf", **change))
    assert other.n_vocab == base.n_vocab
    assert other.tokenizer != base.tokenizer
    assert other.architecture == base.architecture
    with pytest.raises(StoreMismatchError, match=f"{base.tokenizer[:12]}.*{other.tokenizer[:12]}"):
        base.check(other, of="store x", any_model=True)


def test_other_architecture_shares_the_tokenizer_only(tmp_path, base):
    other = identity_of(write_vocabulary(tmp_path / "deep.gguf", layers=3))
    assert other.tokenizer == base.tokenizer
    assert other.architecture != base.architecture
    base.check(other, of="store x", any_model=True)
    with pytest.raises(StoreMismatchError, match="another model"):
        base.check(other, of="store x", any_model=False)


@pytest.mark.parametrize(
    "change", [{"tokenizer": 5}, {"n_vocab": 0}, {"n_vocab": "300"}, {"n_vocab": 1 << 40}, {"name": None}]
)
def test_meta_of_the_wrong_type_is_no_identity(base, change):
    assert Identity.from_dict(base.to_dict()) == base
    assert Identity.from_dict({**base.to_dict(), **change}) is None
    assert Identity.from_dict({}) is None


def test_text_goes_to_tokens_and_back(tmp_path):
    with vocabulary_of(write_vocabulary(tmp_path / "base.gguf")) as model:
        vocabulary = Vocabulary(model)
        tokens = vocabulary.encode("ab a é")
        assert vocabulary.decode(tokens).strip() == "ab a é"
        assert vocabulary.decode([3 + 0xC3]) == "\udcc3"  # half a character
        assert vocabulary.native.tokenize(b"").dtype == np.int32


def test_no_model_file_is_an_error(tmp_path):
    (tmp_path / "page.gguf").write_text("<html>")
    with pytest.raises(ModelFileError), vocabulary_of(tmp_path / "page.gguf"):
        pass
