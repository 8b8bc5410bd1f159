"""Bad input: our own errors, with the two values that differ and what to do; never an abort."""

from __future__ import annotations

import struct

import pytest

import hd_edge
from hd_edge import ConfigError, ContextFullError, DraftConfig, HDEdgeError, Llama, ModelFileError, TokenError
from hd_edge.model.gguf import read_header


@pytest.fixture(scope="module")
def llm(models):
    with Llama(str(models("Q4_0")), n_ctx=256, n_threads=1, n_threads_batch=1) as loaded:
        yield loaded


def test_missing_file(tmp_path):
    with pytest.raises(ModelFileError, match="does not exist: give the path"):
        Llama(str(tmp_path / "no.gguf"))
    with pytest.raises(ModelFileError, match="is a directory"):
        Llama(str(tmp_path))


def test_a_file_that_cannot_be_read():
    """As on a disk that fails; the root user may read the others."""
    with pytest.raises(ModelFileError, match="model file /proc/self/mem cannot be read: Input/output error"):
        read_header("/proc/self/mem")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "it is empty"),
        (b"<!DOCTYPE html>", r"first bytes are b'<!DO'.*web page"),
        (b"PK\x03\x04zip", r"b'PK\\x03\\x04', a GGUF begins with b'GGUF'"),
        (b"GGUF", "truncated: its header needs more than the 4 bytes"),
        (b"GGUF" + struct.pack("<IQQ", 9, 1, 1), "GGUF version 9, supported are 2 and 3"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 1), "claims 1152921504606846976 tensors"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1 << 62), "truncated"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1) + b"k" + struct.pack("<I", 77), "type 77"),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + struct.pack("<Q", 1) + b"t" + struct.pack("<I", 900),
            "900 dimensions",
        ),
    ],
)
def test_not_a_gguf(tmp_path, content, text):
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=text):
        Llama(str(path))


def test_every_truncation_is_named(models, tmp_path):
    whole = models("Q4_0").read_bytes()
    path = tmp_path / "cut.gguf"
    for size in [*range(4, 3000, 97), *range(3000, len(whole), len(whole) // 40), len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(ModelFileError, match="truncated"):
            read_header(path)


def test_header_that_llama_cpp_refuses(models, tmp_path):
    damaged = models("Q4_0").read_bytes().replace(b"general.architecture", b"general.architecturX", 1)
    path = tmp_path / "damaged.gguf"
    path.write_bytes(damaged)
    with pytest.raises(ModelFileError, match=r"llama.cpp cannot load .*verbose=True"):
        Llama(str(path))


def test_header_tells_types_and_shapes(models):
    header = read_header(models("Q4_K_M"))
    assert header.architecture == "llama"
    assert header.tensor_types["blk.0.attn_q.weight"] == "Q4_K"
    assert header.dimensions["blk.0.ffn_down.weight"] == (1024, 512)
    assert {"Q4_K", "Q6_K"} <= header.matrix_types
    assert not header.keeps_state


def test_prompts(llm):
    for wrong, message in (
        ([], "at least 1 token is needed, got 0"),
        ([1, 512], "token id 512 is outside the vocabulary of 512"),
        ([-1], "-1 is outside"),
        (7, "must be token ids or a string, got int"),
    ):
        with pytest.raises(TokenError, match=message):
            llm.generate(wrong)
    with pytest.raises(ContextFullError, match="300 tokens, the context window 256"):
        llm.generate([5] * 300)
    with pytest.raises(ContextFullError, match="tokens, the context window 256"):
        llm("word " * 400)
    with pytest.raises(ContextFullError, match="tokens, the context window 256"):
        llm.create_completion([5] * 300)
    with pytest.raises(TypeError, match="no_such"):
        llm.generate([1], no_such=3)
    assert llm("the cat", max_tokens=3)["usage"]["completion_tokens"] == 3


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"n_ctxx": 512}, "unknown argument 'n_ctxx'"),
        ({"draft": "fast"}, "draft='fast' is neither one of auto, paper, off"),
        ({"draft": 4}, "draft=4 is neither"),
        ({"exact": "yes"}, "exact='yes' is of type str, expected bool"),
        ({"verbose": 1}, "verbose=1 is of type int"),
        ({"n_batch": 0}, "n_batch=0 is not an integer from 1 to"),
        ({"n_ctx": "4k"}, "n_ctx='4k' is not an integer"),
        ({"n_threads": -2}, "n_threads=-2"),
    ],
)
def test_constructor_arguments(models, settings, text):
    with pytest.raises(ConfigError, match=text):
        Llama(str(models("Q4_0")), **settings)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"profile": "x"}, "profile 'x' is not one of"),
        ({"tiers": ("context", "moon")}, "name each of"),
        ({"tiers": ("context", "context")}, "at most once"),
        ({"max_rows": 64}, "64 is not an integer from 1 to 63"),
        ({"max_rows": "8"}, "'8' is not an integer"),
    ],
)
def test_draft_config(arguments, text):
    with pytest.raises(ConfigError, match=text):
        DraftConfig(**arguments)


def test_environment(monkeypatch):
    monkeypatch.setenv("HD_EDGE_TIERS", "model, context")
    monkeypatch.setenv("HD_EDGE_MAX_ROWS", "8")
    assert DraftConfig.of("auto") == DraftConfig(tiers=("model", "context"), max_rows=8)
    monkeypatch.setenv("HD_EDGE_MAX_ROWS", "many")
    with pytest.raises(ConfigError, match="HD_EDGE_MAX_ROWS='many'"):
        DraftConfig.of("auto")


def test_all_errors_are_ours_and_those_of_llama_cpp():
    for name in dir(hd_edge):
        value = getattr(hd_edge, name)
        if name.endswith("Error"):
            assert issubclass(value, HDEdgeError)
    assert issubclass(ModelFileError, ValueError)
    assert issubclass(ContextFullError, ValueError)
    assert issubclass(ContextFullError, RuntimeError)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_prompt_in_bytes_is_no_list_of_token_ids(llm, kind):
    for more in ({}, {"suffix": "x"}, {"stream": True}):
        for call in (llm, llm.create_completion):
            with pytest.raises(
                TokenError, match=f"the prompt is of type {kind.__name__}, expected a text or token ids"
            ):
                call(kind(b"abc"), max_tokens=2, **more)
