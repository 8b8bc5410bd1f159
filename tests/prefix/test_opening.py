"""Which models and settings keep prefixes, and which share them."""

from __future__ import annotations

import os

import pytest
from one_model import take
from prefix_llama import SETTINGS, TEXT, answer, load

from hd_edge import ConfigError, Llama
from hd_edge.prefix.cache import PrefixCache
from hd_edge.prefix.states import StateCache


@pytest.mark.parametrize(
    "more",
    [{"n_batch": 64}, {"exact": True}, {"type_v": 8}, {"rope_freq_base": 20000.0}, {"row_kernels": False}],
    ids=lambda more: next(iter(more)),
)
def test_other_settings_do_not_meet(models, tmp_path, more):
    with load(models("Q4_0"), prefix_cache=tmp_path) as llm:
        answer(llm, TEXT)
    with load(models("Q4_0"), prefix_cache=tmp_path, **more) as other:
        assert answer(other, TEXT)[2] == 0


def test_another_file_of_the_same_name_is_another_model(models, tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(models("Q4_0").read_bytes())
    with load(path, prefix_cache=tmp_path / "prefix") as llm:
        answer(llm, TEXT)
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[-40] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    with load(path, prefix_cache=tmp_path / "prefix") as llm:
        assert answer(llm, TEXT)[2] == 0


@pytest.mark.parametrize(
    ("more", "why"), [({"flash_attn": False}, "V lies transposed"), ({"logits_all": True}, "logits_all")]
)
def test_off_with_a_reason(models, tmp_path, caplog, more, why):
    with caplog.at_level("INFO", "hd_edge"):
        llm = load(models("Q4_0"), prefix_cache=tmp_path, **more)
    assert llm._prefixes is None
    assert why in caplog.text
    take(llm.generate(TEXT[:50], temp=0.0), 1)
    llm.close()
    assert list(tmp_path.iterdir()) == []


def test_whole_states_for_models_that_cannot_roll_back(mamba, models, tmp_path):
    for path, kind in ((mamba, StateCache), (models("Q4_0"), PrefixCache)):
        with Llama(str(path), n_ctx=256, prefix_cache=tmp_path) as llm:
            assert type(llm._prefixes) is kind
    with Llama(str(mamba), n_ctx=256, prefix_cache=tmp_path, logits_all=True) as llm:
        assert llm._prefixes is None


def test_none_keeps_nothing(models, tmp_path, monkeypatch):
    monkeypatch.setenv("HD_EDGE_HOME", str(tmp_path))
    for place in (None, "memory"):
        with Llama(str(models("Q4_0")), **SETTINGS, prefix_cache=place) as llm:
            answer(llm, TEXT)
    assert not (tmp_path / "prefix").exists()


@pytest.mark.parametrize("wrong", [{"prefix_cache": 3}, {"prefix_cache": ""}, {"prefix_cache_bytes": -1}])
def test_wrong_arguments(models, wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Llama(str(models("Q4_0")), **{**SETTINGS, **wrong})
