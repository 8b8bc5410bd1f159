"""Assertions of llama.cpp that fail while a model is loaded: an error, and the next model loads."""

from __future__ import annotations

import pytest
from broken_gguf import UINT32
from children import caller
from gguf_parts import parts

from hd_edge import Llama, ModelFileError

SETTINGS = {"n_ctx": 64, "n_threads": 1, "n_threads_batch": 1, "store": None, "statistics": None, "prefix_cache": None}
child = caller("asserting_child", 120)


def as_architecture(content: bytes, name: str, **numbers: int) -> bytes:
    """A llama's file that says it is something else."""
    made = parts(content)
    made.keys = [(key.replace(b"llama.", name.encode() + b".", 1), kind, value) for key, kind, value in made.keys]
    made.set("general.architecture", 8, name)
    for key, number in numbers.items():
        made.set(f"{name}.{key.replace('__', '.')}", UINT32, number)
    return made.to_bytes()


@pytest.fixture
def files(models, shapes, tmp_path):
    """Sound for our own look at headers, once its rules for them are switched off."""
    llama = models("Q4_0").read_bytes()
    wrong = {
        "smallthinker": as_architecture(llama, "smallthinker"),
        "llada-moe": as_architecture(llama, "llada-moe"),
        "rotated": as_architecture(llama, "llama", rope__dimension_count=2),
    }
    made = parts(shapes("gemma3-tiny").read_bytes())
    made.set("gemma3.attention.sliding_window_pattern", UINT32, 1)
    wrong["windowless"] = made.to_bytes()
    for name, content in wrong.items():
        (tmp_path / f"{name}.gguf").write_bytes(content)
    return [str(tmp_path / f"{name}.gguf") for name in wrong]


def test_an_assertion_that_fails_while_a_model_loads_is_an_error(files, models):
    said = child("load", sound=str(models("Q4_0")), files=files)
    assert set(said) == set(files)
    for path, (error, message, again) in said.items():
        assert (error, again) == ("ModelFileError", "sound"), path
        assert "cannot load" in message
    assert "(src/models/smallthinker.cpp:54: GGML_ASSERT(n_expert > 0" in said[files[0]][1]


def test_other_threads_and_times_abort_as_before(models):
    assert child("before", sound=str(models("Q4_0"))) == ["nobody's", "the user's"]


def test_nothing_is_printed_where_nothing_was_asked_for(shapes, capfd):
    for name in ("gemma3-tiny", "gpt-oss-tiny", "gemma4-tiny"):
        Llama(str(shapes(name)), **SETTINGS).close()
    assert capfd.readouterr() == ("", "")


def test_the_log_comes_where_it_was_asked_for(models, capfd):
    Llama(str(models("Q4_0")), verbose=True, **SETTINGS).close()
    assert "llama" in capfd.readouterr().err


def test_a_file_that_is_refused_anyway_is_refused_as_before(models, tmp_path):
    made = parts(models("Q4_0").read_bytes())
    made.tensors.remove(made.tensor("output_norm.weight"))
    (tmp_path / "model.gguf").write_bytes(made.to_bytes())
    with pytest.raises(ModelFileError, match="Failed to load model from file"):
        Llama(str(tmp_path / "model.gguf"), **SETTINGS)


def test_a_callback_of_ones_own_hears_a_quiet_loading(models):
    lines = child("heard", sound=str(models("Q4_0")))
    assert any("loaded meta data" in line for line in lines["quiet"])
    assert len(lines["quiet"]) == len(lines["loud"])


def test_a_log_that_was_taken_and_put_back_goes_where_it_went(models):
    for during, after, printed, in_place in child("taken", sound=str(models("Q4_0"))):
        assert in_place
        assert during > 50
        assert after == 0
        assert printed > 50


def test_a_callback_that_passes_lines_on_hears_each_once(models):
    assert len(child("passed_on", sound=str(models("Q4_0")))) == 2
