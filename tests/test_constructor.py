"""The constructor's arguments: what llama.cpp would abort at, or misread, is refused before it sees it."""

from __future__ import annotations

import sys
import tracemalloc
from itertools import product
from pathlib import Path

import llama_cpp
import numpy as np
import platformdirs
import pytest
from children import python
from tiny_gguf import WIDTH, write_lora

from hd_edge import ConfigError, DecodeError, ExactModeError, Llama, ModelFileError, StoreWarning, TokenError

SETTINGS = {"n_ctx": 64, "n_threads": 1, "n_threads_batch": 1, "store": None, "statistics": None}

WRONG = {
    "type_k": (-1, 4, 9, 24, 28, 39, 99, 2**31, "q8_0", 1.5, True),
    "type_v": (5, 31, 99),
    "split_mode": (-1, 4, 99),
    "main_gpu": (-1, 2**31),
    "n_gpu_layers": (-2, 2**31, "all"),
    "tensor_split": ([-1.0], [float("nan")], ["a"], [1.0] * 500, 3),
    "rope_scaling_type": (-2, 4),
    "pooling_type": (-2, 5, 99),
    "attention_type": (-2, 2),
    "numa": (-1, 5, 99),
    "seed": (-2, 2**32, "x", 1.5),
    "n_ctx": (-1, 2**31, "4k", None),
    "n_batch": (0, 2**31),
    "n_ubatch": (0,),
    "n_threads": (0, 513, 2**31),
    "n_threads_batch": (-2,),
    "last_n_tokens_size": (-1, 2**40, "x"),
    "rope_freq_base": (-1.0, float("nan")),
    "rope_freq_scale": (float("inf"),),
    "yarn_ext_factor": (float("nan"),),
    "yarn_orig_ctx": (-1, 2**32),
    "lora_scale": (float("nan"), "x"),
    "logits_all": ("no", np.array([1, 2]), [1]),
    "use_mmap": ("no", 2, np.zeros(2)),
    "kv_overrides": (5, {"a": None}, {"a": 2**80}, {"a" * 200: 1}, {"a": "b" * 200}, {"x.rms_epsilon": -1.0}),
    "chat_format": (5,),
    "draft_model": ("x",),
    "tokenizer": ("x", llama_cpp.LlamaTokenizer),
    "rpc_servers": (5, True, "host:1", [], [5], {"host:1": 1}, np.array([1])),
    "row_kernels": (5, True, "fast", np.array([1, 2])),
}


@pytest.mark.parametrize("name", WRONG)
def test_values_out_of_range_are_refused(models, name):
    for value in WRONG[name]:
        with pytest.raises(ConfigError, match=f"{name}=.* is (not|neither) "):
            Llama(str(models("Q4_0")), **{**SETTINGS, name: value})


@pytest.mark.parametrize("name", ["store", "statistics"])
@pytest.mark.parametrize(
    "value", [5, np.zeros(2), "", ":memory:", "file:x?mode=memory", "a\0b", "x" * 5000, "é" * 128, b""]
)
def test_what_is_no_place_of_a_store_is_refused(models, name, value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=f"{name}=.*(is no path of a file|expected a path)"):
        Llama(str(models("Q4_0")), **{**SETTINGS, name: value})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["store", "statistics", "prefix_cache", "HD_EDGE_HOME"])
def test_the_home_of_nobody_is_refused(models, name, monkeypatch):
    place = {name: "~no-such-user/x"}
    if name == "HD_EDGE_HOME":
        monkeypatch.setenv(*place.popitem())
        place = {"store": "default"}
    with pytest.raises(ConfigError, match="'~no-such-user/x' begins with ~no-such-user, which is no home folder"):
        Llama(str(models("Q4_0")), **{**SETTINGS, **place})


def test_a_user_without_a_home_is_told(models, monkeypatch):
    for name in ("HD_EDGE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(platformdirs, "user_data_path", nowhere)
    monkeypatch.setattr(platformdirs, "user_cache_path", nowhere)
    for place in ({"store": "default"}, {"prefix_cache": "auto"}):
        with pytest.raises(ConfigError, match=r"no folder for hd_edge's (data|cache): set HOME"):
            Llama(str(models("Q4_0")), **{**SETTINGS, **place})


def nowhere(*_):
    raise RuntimeError("set HOME")


def test_a_home_that_no_file_system_can_hold_costs_the_store_alone(models, monkeypatch):
    monkeypatch.setenv("HD_EDGE_HOME", "x" * 300)
    with (
        pytest.warns(StoreWarning, match="too long; going on without this store"),
        Llama(str(models("Q4_0")), **{**SETTINGS, "store": "default", "prefix_cache": "memory"}) as llm,
    ):
        assert llm("the cat", max_tokens=3)["usage"]["completion_tokens"] == 3


def test_a_store_may_be_named_in_bytes(models, tmp_path):
    Llama(str(models("Q4_0")), **{**SETTINGS, "store": bytes(tmp_path / "m.sqlite3")}).close()
    assert (tmp_path / "m.sqlite3").is_file()


@pytest.mark.parametrize("name", ["rope_freq_base", "lora_scale"])
def test_numbers_that_no_float_of_llama_cpp_holds_are_refused(models, name):
    for value in (10**400, 1e39):
        with pytest.raises(ConfigError, match=f"{name}=.* is not "):
            Llama(str(models("Q4_0")), **{**SETTINGS, name: value})


@pytest.mark.parametrize(
    "settings",
    [
        {"type_k": 20, "type_v": 7},
        {"type_k": np.int64(8), "flash_attn": np.bool_(True)},
        {"seed": -1, "n_gpu_layers": -1, "last_n_tokens_size": 0},
        {"rope_scaling_type": None, "pooling_type": -1, "numa": 0, "use_mlock": 0},
        {"kv_overrides": {"tokenizer.ggml.add_bos_token": True, "general.name": "x"}, "tensor_split": [1.0]},
    ],
)
def test_values_at_their_ends_are_taken(models, settings):
    with Llama(str(models("Q4_0")), **{**SETTINGS, **settings}) as llm:
        assert llm("the cat", max_tokens=3)["usage"]["completion_tokens"] == 3


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("llama.block_count", 0),
        ("llama.block_count", 513),
        ("llama.expert_count", 4),
        ("llama.expert_used_count", 1),
        ("llama.expert_group_count", 1),
        ("llama.rope.scaling.type", "ntk"),
        ("llama.context_length", -5),
        ("llama.context_length", 2**32 - 5),
    ],
)
def test_overrides_that_would_end_the_process_are_refused(models, key, value):
    with pytest.raises(ConfigError, match=f"kv_overrides=.*{key}.* cannot be: .*llama.cpp takes"):
        Llama(str(models("Q4_0")), **{**SETTINGS, "kv_overrides": {key: value}})


@pytest.mark.parametrize("model", ["none", "bert", "gpt2"])
def test_a_vocabulary_is_of_the_kind_that_it_is(models, model):
    with pytest.raises(ConfigError, match=r"kv_overrides=.* cannot be: the vocabulary of the file is one of 'llama'"):
        Llama(str(models("Q4_0")), **{**SETTINGS, "kv_overrides": {"tokenizer.ggml.model": model}})


def test_tokenizing_takes_the_memory_of_the_text(models, opened):
    """llama_cpp makes an array of the trained context for each text: 64 MiB here, 8 GiB where a file says so."""
    texts = [b"", b"a", b"the cat sat on the mat", b"<s>the</s>", "\u00e9\U0001f389\0x".encode(), b"\xff\xfe"]
    base = opened(llama_cpp.Llama(str(models("Q4_0")), n_ctx=64, verbose=False))
    with Llama(str(models("Q4_0")), **{**SETTINGS, "kv_overrides": {"llama.context_length": 2**24}}) as llm:
        for text, add_bos, special in product(texts, (True, False), (True, False)):
            tracemalloc.start()
            said = llm.tokenize(text, add_bos, special)
            most = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert said == base.tokenize(text, add_bos, special)
            assert most < 1 << 20


class Somewhere:
    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return self.path


@pytest.mark.parametrize("kind", [Path, Somewhere, lambda path: Somewhere(path.encode()), str.encode])
def test_a_path_is_any_path(models, kind):
    with Llama(kind(str(models("Q4_0"))), **SETTINGS) as llm:
        assert llm.model_path == str(models("Q4_0"))
        assert llm("the cat", max_tokens=3)["usage"]["completion_tokens"] == 3


def test_what_is_no_path_is_refused():
    with pytest.raises(ConfigError, match="model_path=7 is of type int, expected a path"):
        Llama(7)


def test_vocabulary_alone_tokenizes_and_computes_nothing(models):
    for more in ({}, {"embedding": True}):
        with Llama(str(models("Q4_0")), vocab_only=True, **SETTINGS, **more) as llm:
            assert llm.detokenize(llm.tokenize(b"the cat")[1:]) == b" the cat"
            for call in (lambda llm=llm: llm("the cat"), lambda llm=llm: llm.eval([1])):
                with pytest.raises(DecodeError, match="vocab_only=True"):
                    call()
            with pytest.raises((DecodeError, RuntimeError), match=r"vocab_only=True|embedding=True"):
                llm.embed("the cat")


def test_embeddings_of_nothing_are_refused(models):
    with Llama(str(models("Q4_0")), embedding=True, **SETTINGS) as llm:
        with pytest.raises(TokenError, match="at least 1 text is needed, got 0"):
            llm.embed([])
        llm.tokenizer_.tokenize = lambda text, *_: [300] * len(text)  # as one that adds no beginning
        with pytest.raises(TokenError, match="text 1 has no tokens, at least 1 is needed"):
            llm.embed(["x", ""])


def test_lora(models, tmp_path):
    with Llama(str(models("Q4_0")), **SETTINGS) as llm:
        bare = llm("the cat", max_tokens=8, temperature=0.0)["choices"]
    texts = []
    for scale in (0.0, 1.0):
        path = write_lora(tmp_path / "lora.gguf")
        with Llama(str(models("Q4_0")), lora_path=path, lora_scale=scale, **SETTINGS) as llm:
            texts.append(llm("the cat", max_tokens=8, temperature=0.0)["choices"])
            assert llm.__getstate__()["lora_path"] == str(path)
            assert llm.__getstate__()["lora_scale"] == scale
    assert texts[0] == bare
    assert texts[1] != bare


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda path: path / "none.gguf", "does not exist"),
        (lambda path: write_lora(path / "wide.gguf", width=WIDTH // 2), "is no LoRA adapter of .*incorrect shape"),
        (lambda path: write_lora(path / "arch.gguf", arch="qwen2"), "is no LoRA adapter of .*arch mismatch"),
    ],
)
def test_a_lora_that_does_not_fit_is_refused(models, tmp_path, make, text):
    with pytest.raises(ModelFileError, match=text):
        Llama(str(models("Q4_0")), lora_path=make(tmp_path), **SETTINGS)
    with pytest.raises(ModelFileError, match="is no LoRA adapter of"):
        Llama(str(models("Q4_0")), lora_path=models("Q4_0"), **SETTINGS)


def test_exact_mode_names_the_lora_that_rules_it_out(models, tmp_path):
    path = write_lora(tmp_path / "lora.gguf", np.float16)
    with pytest.raises(ExactModeError, match=f"the LoRA adapter {path} holds F16 matrices"):
        Llama(str(models("Q4_0")), exact=True, row_kernels=False, lora_path=path, **SETTINGS)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on address space that threads meet")
def test_where_no_thread_can_be_made_fewer_do_the_work(models):
    code = """
import resource, sys
from hd_edge import _native
from hd_edge.model.vocabulary import Vocabulary
from hd_edge.model.vocabulary_file import vocabulary_of
with vocabulary_of(sys.argv[1]) as model:
    vocabulary = Vocabulary(model)
    buffer = _native.CorpusBuffer(vocabulary.n_tokens)
    now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + (64 << 20), resource.RLIM_INFINITY))
    print(buffer.add_texts(vocabulary.native, [b"the cat"] * 1000, 1000))
"""
    done = python("-c", code, models("Q4_0"))
    assert (done.returncode, done.stdout) == (0, "6000\n"), done.stderr
