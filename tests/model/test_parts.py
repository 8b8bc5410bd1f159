"""Models in several files: what is said of one counts for the tensors of all, wherever they stand."""

from __future__ import annotations

import os
from dataclasses import replace
from types import SimpleNamespace

import pytest
from broken_gguf import INT32, UINT32, sound
from gguf_parts import parts
from gpt2_gguf import PLACES, gpt2
from split_gguf import UINT16, split

from hd_edge import Llama
from hd_edge.backend.positions import within
from hd_edge.cli.offer import file
from hd_edge.config import DraftConfig
from hd_edge.draft.drafter.loading import check_drafter, suitable
from hd_edge.errors import ConfigError, ModelFileError
from hd_edge.model.cache_memory import cell_bytes
from hd_edge.model.gguf import read_header
from hd_edge.model.parts import model_bytes
from hd_edge.prefix.fingerprint import fingerprint

IQ3_S, BYTES_OF_256 = 21, 110
SETTINGS = {"n_ctx": 256, "n_threads": 1, "store": None, "statistics": None, "prefix_cache": None}


def second(path):
    return path.with_name(path.name.replace("00001-of", "00002-of"))


def changed(path, key, kind, value):
    made = parts(path.read_bytes())
    made.set(key, kind, value)
    path.write_bytes(made.to_bytes())


@pytest.mark.parametrize("sizes", [(), (0,), (1,), (3, 0, 4)])
def test_the_header_of_all_files_is_that_of_one(models, tmp_path, sizes):
    whole = read_header(models("Q4_K_M"))
    path = split(models("Q4_K_M").read_bytes(), tmp_path, *sizes)
    header = read_header(path)
    assert header.tensor_types == whole.tensor_types
    assert header.dimensions == whole.dimensions
    assert len(header.files) == len(sizes) + 1
    assert sorted(header.files) == sorted(tmp_path.iterdir())
    assert cell_bytes(header, {}) == cell_bytes(whole, {}) > 0
    assert model_bytes(path) == sum(one.stat().st_size for one in tmp_path.iterdir())


def test_a_model_in_two_files_answers_as_one(models, tmp_path):
    path = split(models("Q4_0").read_bytes(), tmp_path, 0)
    said = []
    for one in (models("Q4_0"), path):
        with Llama(str(one), **SETTINGS) as llm:
            said.append((llm.create_completion([1, 5, 6], max_tokens=20, temperature=0.0)["choices"], llm.exact))
    assert said[0] == said[1]


def test_weights_of_a_later_file_are_not_taken_for_exact(models, tmp_path):
    made = parts(models("Q4_0").read_bytes())
    with Llama(str(split(made.to_bytes(), tmp_path, 0)), **SETTINGS) as llm:
        if not llm.exact:
            pytest.skip("without the row kernels nothing is exact by default")
    odd = next(one for one in made.tensors if one.name.endswith(b"ffn_down.weight"))
    odd.kind, odd.data = IQ3_S, bytes(odd.shape[0] * odd.shape[1] // 256 * BYTES_OF_256)
    path = split(made.to_bytes(), tmp_path, 0)
    with Llama(str(path), **SETTINGS) as llm:
        assert not llm.exact


@pytest.mark.parametrize("first", [0, 1])
def test_positions_of_a_later_file_end_the_answer(tmp_path, first):
    path = split(gpt2(), tmp_path, first)
    assert within(read_header(path), 512) == PLACES
    with Llama(str(path), **{**SETTINGS, "n_ctx": 512}) as llm:
        answer = llm.create_completion([1, *range(200, 230)], max_tokens=-1, temperature=0.0)
    assert answer["usage"]["total_tokens"] <= PLACES


def test_numbers_are_compared_with_the_tensors_of_later_files(shapes, tmp_path):
    path = split(shapes("qwen35-tiny").read_bytes(), tmp_path, 0)
    changed(path, "qwen35.full_attention_interval", UINT32, 0)
    with pytest.raises(ModelFileError, match=r"full_attention_interval is 0, llama.cpp divides by it"):
        read_header(path)
    changed(path, "qwen35.full_attention_interval", UINT32, 4)
    made = parts(second(path).read_bytes())
    made.tensors.remove(made.tensor("blk.1.attn_qkv.weight"))
    second(path).write_bytes(made.to_bytes())
    with pytest.raises(ModelFileError, match=r"has no tensor blk.1.attn_qkv.weight, beside"):
        read_header(path)


def test_a_part_that_is_not_whole_is_named(tmp_path):
    path = split(sound().to_bytes(), tmp_path, 2, 2)
    other = second(path)
    content = other.read_bytes()
    other.write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelFileError, match=r"model-00002-of-00003.gguf is truncated"):
        read_header(path)
    other.write_bytes(b"")
    with pytest.raises(ModelFileError, match=r"model-00002-of-00003.gguf is not a GGUF file: it is empty"):
        read_header(path)
    other.unlink()
    with pytest.raises(ModelFileError, match=r"00002-of-00003.gguf does not exist: it is file 2 of 3 of the model"):
        read_header(path)
    other.write_bytes(path.read_bytes())
    with pytest.raises(ModelFileError, match=r"00003.gguf is not file 2 of 3 .*: its split.no is 0, expected 1"):
        read_header(path)


def test_tensors_of_all_parts_are_those_of_the_model_each_once(tmp_path):
    path = split(sound().to_bytes(), tmp_path, 2, 2)
    whole = sound().to_bytes()
    count = len(parts(whole).tensors)
    changed(path, "split.tensors.count", INT32, count + 1)
    with pytest.raises(ModelFileError, match=rf"tensors.count is {count + 1}, and its files have {count} tensors"):
        read_header(path)
    changed(path, "split.tensors.count", INT32, count)
    made, first = parts(second(path).read_bytes()), parts(path.read_bytes()).tensors[0]
    lost = made.tensors.pop()
    second(path).write_bytes(made.to_bytes())
    with pytest.raises(ModelFileError, match=rf"tensors.count is {count}, and its files have {count - 1} tensors"):
        read_header(path)
    made.tensors += [lost, first]
    second(path).write_bytes(made.to_bytes())
    with pytest.raises(ModelFileError, match=r"00002-of-00003.gguf is damaged: it has tensor '.*', as a file before"):
        read_header(path)
    made.tensors[-1] = lost
    second(path).write_bytes(made.to_bytes())
    with pytest.raises(ModelFileError, match=r"00002-of-00003.gguf is damaged: it has tensor '.*' twice"):
        read_header(path)


def test_numbers_of_parts_that_llama_cpp_would_end_the_process_over(tmp_path):
    path = split(sound().to_bytes(), tmp_path, 2)
    changed(second(path), "split.no", UINT32, 1)
    with pytest.raises(ModelFileError, match=r"00002.gguf is damaged: split.no is of type 4, llama.cpp takes 2"):
        Llama(str(path), **SETTINGS)


def test_the_first_file_is_the_model_and_has_its_name(tmp_path):
    path = split(sound().to_bytes(), tmp_path, 2)
    with pytest.raises(ModelFileError, match=r"00002.gguf is not the first of 2 files: its split.no is 1, expected 0"):
        read_header(second(path))
    for name in ("model.gguf", "model-00001-of-00003.gguf"):
        with pytest.raises(ModelFileError, match=rf"{name} is the first of 2 .* must end in -00001-of-00002.gguf"):
            read_header(path.rename(tmp_path / name).parent / name)
        path = tmp_path / name


def test_a_name_alone_makes_no_parts(tmp_path):
    path = tmp_path / "model-00001-of-00002.gguf"
    path.write_bytes(sound().to_bytes())
    assert read_header(path).files == (path,)
    assert model_bytes(path) == path.stat().st_size
    changed(path, "split.count", UINT16, 1)
    assert read_header(path).files == (path,)


def test_overrides_do_not_change_the_files(tmp_path):
    header = read_header(split(sound().to_bytes(), tmp_path, 2))
    with pytest.raises(ConfigError, match=r"split.count': 1} cannot be: the file says 2"):
        header.overridden({"split.count": 1})
    assert header.overridden({"llama.block_count": 1}).files == header.files


def test_a_drafter_is_compared_with_all_files(models, tmp_path):
    small = tmp_path / "small.gguf"
    small.write_bytes(sound().to_bytes())
    path = split(models("Q4_0").read_bytes(), tmp_path, 0)
    assert path.stat().st_size < small.stat().st_size < second(path).stat().st_size
    assert check_drafter(small, DraftConfig(), str(path)) == str(small)
    assert len(suitable(str(path), {"small": small})) == (model_bytes(small) <= 0.15 * model_bytes(path))
    with pytest.raises(ConfigError, match=f"drafter {path} has {model_bytes(path) / 1e6:.0f} MB"):
        check_drafter(path, DraftConfig(), str(small))
    assert file(path) == f"{path} ({model_bytes(path) / 1e6:.0f} MB)"
    assert model_bytes(tmp_path / "none.gguf") == 0


def test_the_state_of_a_prompt_belongs_to_all_files(tmp_path):
    path = split(sound().to_bytes(), tmp_path, 2)
    llm = SimpleNamespace(model_path=str(path), context_params=None, _exact=None, lora_path=None, n_ctx=lambda: 256)
    kernels = SimpleNamespace(active=False, isa="", types=(), attention=False)

    def mark(header):
        return fingerprint(llm, header, exact=False, kernels=kernels)

    header = read_header(path)
    before = mark(header)
    assert mark(read_header(path)) == before
    long = replace(header, tensor_types={**header.tensor_types, "rope_factors_long.weight": "F32"})
    assert mark(long) != before
    status = second(path).stat()
    changed(second(path), "a.b", UINT32, 1)
    os.utime(second(path), ns=(status.st_atime_ns, status.st_mtime_ns))
    assert mark(read_header(path)) != before
