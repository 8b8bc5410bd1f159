"""Adapters put on a context by llama.cpp's own calls: state under one is for nobody without it, nor the other way."""

from __future__ import annotations

import ctypes
import warnings

import llama_cpp
import pytest
from llama_cpp import llama_set_adapter_cvec as named_before  # before any model is loaded
from prefix_llama import POINTER, TEXT, answer, load, steer

from hd_edge.backend import adapters

PLACES = ["memory", "folder"]


def deprecated(*args):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return llama_cpp.llama_apply_adapter_cvec(*args)


CALLS = {
    "a name of before": named_before,
    "an older name": deprecated,
    "the library": llama_cpp.llama_cpp._lib.llama_set_adapter_cvec,
}


@pytest.fixture(params=["llama", "qwen35-tiny"])
def path(request, models, shapes):
    """A cache of pieces, and one of whole states."""
    return models("Q4_0") if request.param == "llama" else shapes(request.param)


def straight(llm):
    assert named_before(llm.ctx, None, 0, 0, 0, 0) == 0


@pytest.fixture
def plain(path):
    with load(path, prefix_cache=None) as llm:
        yield answer(llm, TEXT)[:2]


@pytest.fixture
def steered(path, plain):
    with load(path, prefix_cache=None) as llm:
        steer(llm)
        said = answer(llm, TEXT)[:2]
    assert said != plain
    return said


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_state_under_an_adapter_is_not_kept(path, plain, steered, tmp_path, call):
    llm = load(path, prefix_cache=tmp_path)
    steer(llm, call)
    assert answer(llm, TEXT)[:2] == steered
    answer(llm, [5, *TEXT[:300]])  # what the first one leaves is taken to memory, or is not
    llm._prefixes.saver.flush()
    assert len(llm._prefixes.memory) == 0
    llm.close()
    assert list(tmp_path.glob("*/*.kv")) == []
    with load(path, prefix_cache=tmp_path) as llm:
        assert answer(llm, TEXT) == (*plain, 0)


@pytest.mark.parametrize("context", [ctypes.c_void_p, lambda address: ctypes.cast(address, POINTER)])
def test_a_context_in_any_form(models, context):
    with load(models("Q4_0"), prefix_cache=None) as llm, load(models("Q4_0"), prefix_cache=None) as other:
        named_before(context(llm.ctx) if context is ctypes.c_void_p else llm.ctx, None, 0, 0, 0, 0)
        adapters._count(context(llm.ctx))
        assert (llm._adapters.changes, other._adapters.changes) == (2, 0)
        adapters._count(object())  # nobody can tell whose: everybody's
        assert (llm._adapters.changes, other._adapters.changes) == (3, 1)


@pytest.mark.parametrize("place", PLACES)
def test_an_adapter_gets_no_state_from_before_it(path, plain, steered, tmp_path, place):
    """Neither of the same object, nor of a file; nor what the context itself still holds."""
    where = "memory" if place == "memory" else tmp_path
    llm = load(path, prefix_cache=where)
    assert answer(llm, TEXT) == (*plain, 0)
    answer(llm, [5, *TEXT[:300]])
    if place == "folder":
        llm.close()
        llm = load(path, prefix_cache=where)
        assert answer(llm, TEXT)[2] > 0
    steer(llm)
    assert answer(llm, TEXT) == (*steered, 0)
    row, _, known = answer(llm, TEXT)
    assert (row, known > 0) == (steered[0], True)  # its own it may use
    straight(llm)
    assert answer(llm, TEXT) == (*plain, 0)
    llm.close()


def test_who_watched_the_function_before_goes_on_watching(models, monkeypatch):
    seen = []
    check = adapters._counting(lambda result, function, given: seen.append(given) or result)
    with load(models("Q4_0"), prefix_cache=None) as llm:
        monkeypatch.setattr(named_before, "errcheck", check)
        straight(llm)
        assert (llm._adapters.changes, len(seen)) == (1, 1)
