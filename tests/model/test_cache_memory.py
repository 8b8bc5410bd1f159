"""A context that cannot be in memory is refused before llama.cpp writes it."""

from __future__ import annotations

import pytest
from tiny_gguf import HEADS, LAYERS, WIDTH

from hd_edge import ConfigError, Llama
from hd_edge.model import cache_memory
from hd_edge.model.gguf import GGUFHeader, read_header

CELL = 2 * LAYERS * WIDTH // 2  # values: keys and values, half as many heads as queries have
Q8_0 = 8


@pytest.fixture
def free(monkeypatch):
    """Sets how much memory there is."""
    return lambda size: monkeypatch.setattr(cache_memory, "free_bytes", lambda: size)


@pytest.mark.parametrize(
    ("settings", "size"),
    [({}, 2 * CELL), ({"type_k": Q8_0}, CELL + CELL // 64 * 34), ({"type_k": Q8_0, "type_v": Q8_0}, CELL // 32 * 34)],
)
def test_a_cell_of_each_type(models, settings, size):
    assert cache_memory.cell_bytes(read_header(models("Q4_0")), settings) == size


def header(**more: object) -> GGUFHeader:
    shapes = {f"blk.{layer}.attn_{kind}.weight": (64, 32) for layer in range(4) for kind in "qkv"}
    return GGUFHeader({"general.architecture": "a", "a.block_count": 4, **more}, {}, shapes)


def test_caches_that_do_not_grow_and_layers_without_one():
    assert HEADS % 2 == 0
    assert cache_memory.cell_bytes(header(), {}) == 4 * 2 * 32 * 2
    assert cache_memory.cell_bytes(header(**{"a.attention.shared_kv_layers": 3}), {}) == 2 * 32 * 2
    assert cache_memory.cell_bytes(header(**{"a.attention.causal": False}), {}) == 0
    keys = header()
    del keys.dimensions["blk.3.attn_v.weight"]  # the values are the keys there
    assert cache_memory.cell_bytes(keys, {}) == cache_memory.cell_bytes(header(), {})
    windowed = header(**{"a.attention.sliding_window": 512})
    assert cache_memory.cell_bytes(windowed, {"swa_full": False}) == 0
    assert cache_memory.cell_bytes(windowed, {}) == cache_memory.cell_bytes(header(), {})


def test_what_does_not_fit_is_refused_with_what_would(models, free):
    free(1000 * 2 * CELL)
    with pytest.raises(ConfigError, match=r"n_ctx=1024: .* of at most 1000"):
        Llama(str(models("Q4_0")), n_ctx=1024)
    with pytest.raises(ConfigError, match=r"n_ctx=0 \(the model's 4096\): "):
        Llama(str(models("Q4_0")), n_ctx=0)
    Llama(str(models("Q4_0")), n_ctx=512, store=None).close()


def test_two_billion_tokens_are_refused_on_this_machine(models):
    with pytest.raises(ConfigError, match=r"n_ctx=2000000000: the KV cache needs 3814\.7 GiB"):
        Llama(str(models("Q4_0")), n_ctx=2_000_000_000)


def test_a_system_that_tells_nothing_refuses_nothing(models, free):
    free(None)
    cache_memory.check_context(read_header(models("Q4_0")), {"n_ctx": 2_000_000_000})


def test_free_memory_is_that_of_the_system_or_of_the_container(monkeypatch, tmp_path):
    meminfo, limit = tmp_path / "meminfo", tmp_path / "memory.max"
    meminfo.write_text("MemTotal: 900 kB\nMemAvailable: 100 kB\nSwapFree: 20 kB\n")
    monkeypatch.setattr(cache_memory, "MEMINFO", meminfo)
    monkeypatch.setattr(cache_memory, "LIMITS", (limit,))
    assert cache_memory.free_bytes() == 120 * 1024
    limit.write_text("max\n")
    assert cache_memory.free_bytes() == 120 * 1024
    limit.write_text("4096\n")
    assert cache_memory.free_bytes() == 4096
    limit.unlink()
    meminfo.unlink()
    assert cache_memory.free_bytes() > 2**20  # all there is


def test_a_batch_is_cut_down_to_the_context_before_anything_is_made_for_it(models):
    with Llama(str(models("Q4_0")), n_ctx=256, n_batch=2**31 - 1, store=None) as llm:
        assert llm.n_batch == 256


def test_a_batch_that_does_not_fit_is_a_sentence(models):
    with pytest.raises(ConfigError, match="n_batch=2147483647 needs more memory than there is"):
        Llama(str(models("Q4_0")), n_ctx=0, n_batch=2**31 - 1, store=None)
