"""Sizes of a header that fit neither each other nor the tensors: refused, where llama.cpp would end the process."""

from __future__ import annotations

import shutil
from itertools import chain, islice
from types import SimpleNamespace

import pytest
from broken_gguf import ARRAY, INT32, STRING, UINT32
from gguf_parts import absent_tensors, other_types, parts, wrong_numbers
from hostile_models import load_all
from make_random_gguf import SHAPES
from random_gguf.architectures import add_model

from hd_edge.errors import ConfigError, ModelFileError
from hd_edge.model.dimensions import check_dimensions
from hd_edge.model.gguf import GGUFHeader, read_header
from hd_edge.model.soundness import UnsoundError, check_values

TINY = [name for name in SHAPES if name.endswith("-tiny")]
F16 = 1
AT_ONCE = 100  # files of a few megabytes
EMBEDDING = "the rows of token_embd.weight have 256 columns"
REFUSED = (  # shape, key, value, what is said
    ("gpt-oss", "attention.key_length", 7, "attn_q.weight has 256 rows, .*head_count and key_length tell of 4 x 7"),
    ("gpt-oss", "attention.value_length", 4096, "attn_v.weight has 128 rows, .* value_length tell of 2 x 4096"),
    ("gpt-oss", "attention.key_length_swa", 32, "blk.0.attn_q.weight has 256 rows, .* tell of 4 x 32"),
    ("gpt-oss", "attention.sliding_window_pattern", 1, "sliding_window_pattern gives none of 4 layers a window"),
    ("gpt-oss", "attention.sliding_window", 2**31 - 1, "sliding_window is 2147483647, .* expected up to 16777216"),
    ("gemma4", "rope.dimension_count", 0, "rope.dimension_count is 0, expected an even number up to 512"),
    ("gpt-oss", "nextn_predict_layers", 5, "nextn_predict_layers is 5, block_count 4"),
    ("gpt-oss", "pooling_type", 9, "pooling_type is 9, llama.cpp knows 0 to 4"),
    ("granite-hybrid", "embedding_length", 511, f"embedding_length is 511, {EMBEDDING}"),
    ("granite-hybrid", "embedding_length", 257, f"embedding_length is 257, {EMBEDDING}"),
    ("granite-hybrid", "embedding_length", 0, f"embedding_length is 0, {EMBEDDING}"),
    ("granite-hybrid", "ssm.inner_size", 640, "ssm.inner_size is 640, expected twice embedding_length, 256"),
    ("gemma3", "rope.dimension_count", 63, "rope.dimension_count is 63, expected an even number up to 64"),
    ("gemma3", "rope.dimension_count", 4096, "rope.dimension_count is 4096, expected an even number up to 64"),
    ("gemma3", "attention.head_count", 0, "tell of 0 x 0"),
    ("gemma4", "rope.dimension_count_swa", 7, "rope.dimension_count is 7, expected an even number up to 256"),
    ("gemma4", "attention.shared_kv_layers", 5, "1 of 6 layers have keys and values of their own"),
    ("gemma4", "attention.shared_kv_layers", 2, "layer 4 uses keys and values of layer 2, which has another window"),
    ("qwen35", "ssm.inner_size", 255, "ssm.inner_size is 255, state_size x time_step_rank is 64 x 4"),
    ("qwen35", "full_attention_interval", 0, "full_attention_interval is 0, llama.cpp divides by it"),
    ("qwen35moe", "ssm.group_count", 3, "ssm.time_step_rank is 4, no multiple of group_count, 3"),
    ("qwen3moe", "rope.dimension_count", 32, r"dimension_count is 32, \S+.attention.key_length 64, not the same"),
    ("mamba2", "ssm.time_step_rank", 7, "ssm.inner_size is 512, no multiple of time_step_rank, 7"),
    ("mamba2", "ssm.group_count", 0, "ssm.time_step_rank is 8, no multiple of group_count, 0"),
    ("lfm2", "attention.value_length", 32, "tensor blk.2.attn_v.weight has 128 rows"),
    ("lfm2", "shortconv.l_cache", 1, "shortconv.l_cache is 1, llama.cpp takes 2 or more"),
)


def refused(path, made, match):
    path.write_bytes(made.to_bytes())
    with pytest.raises(ModelFileError, match=match):
        read_header(path)


@pytest.mark.parametrize(("shape", "key", "value", "match"), REFUSED)
def test_a_number_that_fits_nothing_is_refused(shapes, tmp_path, shape, key, value, match):
    name = f"{shape}-tiny"
    made = parts(shapes(name).read_bytes())
    made.set(f"{SHAPES[name].kind}.{key}", UINT32, value)
    refused(tmp_path / "model.gguf", made, match)


def test_sizes_of_layers_are_compared_as_well(shapes, tmp_path):
    made = parts(shapes("gemma4-tiny").read_bytes())
    made.set("gemma4.attention.head_count_kv", ARRAY, (INT32, [1, 1, 1, 1, 2, 1]))
    refused(tmp_path / "model.gguf", made, "layer 4 uses keys and values of layer 1, which has .* other heads")
    made.set("gemma4.attention.head_count_kv", ARRAY, (INT32, [1, 2, 1, 1, 1, 1]))
    refused(tmp_path / "model.gguf", made, "blk.1.attn_k.weight has 256 rows, .* tell of 2 x 256")
    made = parts(shapes("qwen35-tiny").read_bytes())
    made.set("qwen35.rope.dimension_sections", ARRAY, (INT32, [0, 0, 0, 8]))
    refused(tmp_path / "model.gguf", made, r"dimension_sections is \[0, 0, 0, 8\], expected parts of 64")


@pytest.mark.parametrize(
    ("shape", "name"),
    [
        ("granite-hybrid-tiny", "blk.0.ssm_conv1d.bias"),
        ("qwen35-tiny", "blk.1.attn_qkv.weight"),
        ("qwen35moe-tiny", "blk.2.attn_gate.weight"),
    ],
)
def test_a_tensor_that_is_used_unseen_must_be_there(shapes, tmp_path, shape, name):
    made = parts(shapes(shape).read_bytes())
    made.tensors.remove(made.tensor(name))
    refused(tmp_path / "model.gguf", made, f"has no tensor {name}, beside blk")


@pytest.mark.parametrize("name", ["blk.0.attn_norm.weight", "blk.3.attn_sinks.weight", "blk.1.ffn_up_exps.bias"])
def test_weights_that_are_used_one_by_one_are_floats(shapes, tmp_path, name):
    made = parts(shapes("gpt-oss-tiny").read_bytes())
    made.tensor(name).kind = F16  # of half the size
    refused(tmp_path / "model.gguf", made, f"tensor '{name}' is of type F16, llama.cpp takes F32")


def test_a_dense_model_is_no_mixture(shapes, tmp_path):
    made = parts(shapes("qwen35-tiny").read_bytes())
    made.keys = [(name.replace(b"qwen35.", b"qwen35moe.", 1), kind, value) for name, kind, value in made.keys]
    made.set("general.architecture", STRING, "qwen35moe")
    refused(tmp_path / "model.gguf", made, "qwen35moe.expert_count is 0, of which 0 are used; llama.cpp takes 1 or")


def test_a_file_with_nothing_but_layers_that_draft(shapes, tmp_path):
    made = parts(shapes("qwen35-tiny").read_bytes())
    made.set("qwen35.nextn_predict_layers", UINT32, 1)
    made.tensors = [one for one in made.tensors if not one.name.startswith((b"blk.0.", b"blk.1.", b"blk.2."))]
    refused(tmp_path / "model.gguf", made, "model.gguf holds only the layers that draft for a model: give the model's")


def test_overrides_are_compared_with_the_tensors(shapes):
    header = read_header(shapes("gpt-oss-tiny"))
    with pytest.raises(ConfigError, match=r"key_length': 7} cannot be: tensor blk.0.attn_q.weight has 256 rows"):
        header.overridden({"gpt-oss.attention.key_length": 7})
    assert header.overridden({"gpt-oss.attention.key_length": 64}) == header


class Outline(SimpleNamespace):
    """A maker of random models that writes none: keys and shapes."""

    def keys(self, **values):
        for name, value in values.items():
            place = self.arrays if isinstance(value, list) else self.scalars
            place[f"{self.shape.kind}.{name.replace('__', '.')}"] = tuple(value) if isinstance(value, list) else value

    def matrix(self, name, rows, columns, kind=None, *, experts=0, spread=0.0):
        self.shapes[name] = (columns, rows, *([experts] if experts else []))

    def floats(self, name, *shape, spread=0.0, around=0.0):
        self.shapes[name] = shape[::-1]

    def given(self, name, values):
        self.shapes[name] = values.shape[::-1]

    ones = floats


def outline(shape):
    kinds = dict.fromkeys(("body", "more", "head", "experts", "more_experts"))
    made = Outline(shape=shape, tokens=512, scalars={"general.architecture": shape.kind}, arrays={}, shapes={}, **kinds)
    add_model(made)
    return made


@pytest.mark.parametrize("name", SHAPES)
def test_random_models_are_sound(name):
    made = outline(SHAPES[name])
    check_values(made.scalars, made.arrays, {})
    check_dimensions(made.scalars, made.arrays, made.shapes)


def attention(width, q, k, v, out, layer=0):
    block = f"blk.{layer}.attn_"
    return {
        "token_embd.weight": (width, 999),
        f"{block}q.weight": (width, q),
        f"{block}k.weight": (width, k),
        f"{block}v.weight": (width, v),
        f"{block}output.weight": (out, width),
    }


def heads(n, kv, **more):
    named = {name.replace("__", "."): value for name, value in more.items()}
    return {"attention.head_count": n, "attention.head_count_kv": kv, **named}


REAL = {  # architecture, numbers and arrays, shapes: of layers of models that there are
    "Mistral Nemo": ("llama", {"embedding_length": 5120, **heads(32, 8, attention__key_length=128,
        attention__value_length=128, rope__dimension_count=128)}, attention(5120, 4096, 1024, 1024, 4096)),
    "one matrix of queries, keys and values": ("llama", {"embedding_length": 4096, **heads(32, 8)},
        {"token_embd.weight": (4096, 999), "blk.0.attn_qkv.weight": (4096, 6144)}),
    "gpt-oss 20B": ("gpt-oss", {"embedding_length": 2880, "attention.sliding_window": 128, "expert_count": 32,
        "expert_used_count": 4, **heads(64, 8, attention__key_length=64, attention__value_length=64)},
        attention(2880, 4096, 512, 512, 4096)),
    "Gemma 3n E4B": ("gemma3n", {"embedding_length": 2048, "block_count": 35, "attention.sliding_window": 512,
        "attention.sliding_window_pattern": (1, 1, 1, 1, 0) * 7,
        **heads(8, 2, attention__key_length=256, attention__value_length=256)},
        attention(2048, 2048, 512, 512, 2048, layer=34)),
    "Gemma 4 E4B": ("gemma4", {"embedding_length": 2560, "block_count": 42, "attention.shared_kv_layers": 18,
        "attention.sliding_window_pattern": (1, 1, 1, 1, 1, 0) * 7, "attention.sliding_window": 512,
        **heads(8, 2, attention__key_length=512, attention__value_length=512, attention__key_length_swa=256,
        attention__value_length_swa=256, rope__dimension_count=512, rope__dimension_count_swa=256)},
        {"token_embd.weight": (2560, 9), "blk.0.attn_q.weight": (2560, 2048), "blk.5.attn_q.weight": (2560, 4096)}),
    "Gemma 3 1B": ("gemma3", {"embedding_length": 1152, "block_count": 26, "attention.sliding_window": 512,
        **heads(4, 1, attention__key_length=256, attention__value_length=256)}, attention(1152, 1024, 256, 256, 1024)),
    "DeepSeek V3": ("deepseek2", {"embedding_length": 7168, "block_count": 61, "expert_count": 256,
        "expert_used_count": 8, "expert_group_count": 8, "expert_group_used_count": 4, "expert_gating_func": 2,
        **heads(128, 1, attention__key_length=576, attention__value_length=512, attention__key_length_mla=192,
        attention__value_length_mla=128, rope__dimension_count=64)},
        {"token_embd.weight": (7168, 9), "blk.0.attn_q_b.weight": (1536, 24576), "blk.0.attn_k_b.weight": (128, 512)}),
    "Granite 4 without positions": ("granitehybrid", {"embedding_length": 4096, "rope.scaling.finetuned": False,
        "ssm.inner_size": 8192, "ssm.state_size": 128, "ssm.time_step_rank": 128, "ssm.group_count": 1,
        "rope.dimension_count": 999, **heads(32, (8,))}, attention(4096, 4096, 1024, 1024, 4096)),
    "Nemotron-H": ("nemotron_h", {"embedding_length": 4480, "block_count": 2, "ssm.inner_size": 10240,
        "ssm.state_size": 128, "ssm.time_step_rank": 128, "ssm.group_count": 8,
        **heads((0, 40), (0, 8), attention__key_length=128, attention__value_length=128)},
        {"token_embd.weight": (4480, 9), "blk.0.ssm_conv1d.weight": (4, 12288), "blk.0.ssm_conv1d.bias": (12288,)}),
    "Qwen3.6 with a layer that drafts": ("qwen35", {"embedding_length": 2560, "block_count": 5,
        "nextn_predict_layers": 1, "ssm.inner_size": 4096, "ssm.state_size": 128, "ssm.time_step_rank": 32,
        "ssm.group_count": 16, "rope.dimension_sections": (11, 11, 10, 0), "rope.dimension_count": 64,
        **heads(16, 4, attention__key_length=256, attention__value_length=256)},
        {**attention(2560, 8192, 1024, 1024, 4096, layer=3), "blk.0.attn_norm.weight": (2560,)}),
    "experts used by layer": ("llama", {"embedding_length": 256, "block_count": 2, "expert_count": 8,
        "expert_used_count": (2, 4), **heads(4, 4)}, {"token_embd.weight": (256, 9)}),
    "an architecture of tomorrow": ("next", {"embedding_length": 100, **heads(3, 2, attention__key_length=7,
        attention__value_length=9, rope__dimension_count=11)}, attention(77, 5, 4, 3, 2)),
    "a window not known": ("olmo2", {"embedding_length": 256, **heads(4, 4, attention__key_length=64,
        attention__value_length_swa=9, attention__value_length=32)}, attention(256, 256, 256, 128, 128)),
    "a vocabulary": ("gpt-oss", {"embedding_length": 2880, **heads(64, 8, attention__key_length=7)}, {}),
}  # fmt: skip


def checked(kind, values, shapes):
    named = {f"{kind}.{name}": value for name, value in {"block_count": 1, **values}.items()}
    arrays = {name: value for name, value in named.items() if isinstance(value, tuple)}
    scalars = {"general.architecture": kind, **{name: named[name] for name in named if name not in arrays}}
    check_values(scalars, arrays, {})
    check_dimensions(scalars, arrays, shapes)


@pytest.mark.parametrize("name", REAL)
def test_models_that_there_are_pass(name):
    checked(*REAL[name])


@pytest.mark.parametrize(
    ("name", "change", "match"),
    [
        ("one matrix of queries, keys and values", {"attention.head_count_kv": 16}, "6144 rows, .* tell of 8192"),
        ("Mistral Nemo", {"attention.head_count": 33}, "attn_q.weight has 4096 rows"),
        ("Gemma 3n E4B", {"attention.head_count_kv": 4}, "blk.34.attn_k.weight has 512 rows"),
        ("Gemma 3n E4B", {"attention.sliding_window_pattern": (1, 1, 1, 0, 1) * 7}, "of layer 18, which has another"),
        ("Gemma 4 E4B", {"attention.key_length_swa": 128}, "blk.0.attn_q.weight has 2048 rows"),
        ("DeepSeek V3", {"expert_gating_func": 5}, "expert_gating_func is 5, llama.cpp knows 0 to 4"),
        ("DeepSeek V3", {"expert_group_count": 256}, "uses 4 of 256 groups of 256 experts"),
        ("experts used by layer", {"expert_used_count": (2, 9)}, "uses 9 experts of 8"),
        ("Qwen3.6 with a layer that drafts", {"rope.dimension_sections": (99, 99, 99, 0)}, "parts of 256"),
        ("Nemotron-H", {"ssm.group_count": 7}, "no multiple of group_count, 7"),
    ],
)
def test_the_same_with_one_number_wrong(name, change, match):
    kind, values, shapes = REAL[name]
    with pytest.raises(UnsoundError, match=match):
        checked(kind, {**values, **change}, shapes)


def test_parts_make_the_file_again(shapes):
    content = shapes("gemma4-tiny").read_bytes()
    assert parts(content).to_bytes() == content


def test_short_arrays_of_whole_numbers_are_read(shapes):
    assert GGUFHeader().arrays == {}
    assert read_header(shapes("lfm2-tiny")).arrays == {"lfm2.attention.head_count_kv": (0, 0, 2, 0)}


@pytest.mark.slow
@pytest.mark.parametrize("shape", TINY)
def test_every_number_of_every_architecture(shapes, tmp_path, survival, shape):
    """And every tensor absent, or of another type: no file ends the process."""
    survival.what = "numbers and tensors of GGUFs of other architectures"
    content = shapes(shape).read_bytes()
    cases = chain(wrong_numbers(content), absent_tensors(content), other_types(content))
    while files := dict(islice(cases, AT_ONCE)):
        (folder := tmp_path / "files").mkdir()
        load_all(folder, files, survival)
        shutil.rmtree(folder)
