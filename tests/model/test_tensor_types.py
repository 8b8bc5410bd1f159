"""Types of tensors that llama.cpp does not compute with, and architectures that are nothing without experts."""

from __future__ import annotations

from math import prod

import pytest
from gguf_parts import parts

from hd_edge.errors import ModelFileError
from hd_edge.model.architectures import DELTA_NETS, LEAST, MIXTURES
from hd_edge.model.dimensions import check_dimensions
from hd_edge.model.gguf import read_header
from hd_edge.model.soundness import UnsoundError, check_values

UNCOMPUTED = {24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64"}


@pytest.mark.parametrize("name", ["blk.0.ffn_down_exps.scale", "blk.0.ffn_gate_inp.scale", "blk.0.attn_q.weight"])
@pytest.mark.parametrize("kind", UNCOMPUTED)
def test_what_llama_cpp_does_not_compute_with_is_refused(shapes, tmp_path, name, kind):
    made = parts(shapes("gemma4moe-tiny").read_bytes())
    one = made.tensor(name)
    one.kind, one.data = kind, one.data + bytes(8 * prod(one.shape))
    path = tmp_path / "model.gguf"
    path.write_bytes(made.to_bytes())
    with pytest.raises(ModelFileError, match=f"'{name}' is of type {UNCOMPUTED[kind]}, which llama.cpp does not"):
        read_header(path)


def test_tensors_are_scaled_by_floats():
    for kind in ("F32", "F16", "BF16"):
        check_values({}, {}, {"blk.0.ffn_down_exps.scale": kind, "blk.0.attn_q.scale": kind})
    with pytest.raises(UnsoundError, match=r"attn_q.scale' is of type Q4_0, llama.cpp takes F32, F16, BF16"):
        check_values({}, {}, {"blk.0.attn_q.scale": "Q4_0"})


def test_tables_hold_integers():
    tables = {"blk.0.ffn_gate_tid2eid.weight": "type 26", "d2t": "type 27"}
    check_values({"general.architecture": "deepseek4"}, {}, tables)


def checked(kind, values, *, tensors=True):
    """What is said of an architecture with these numbers; arrays are tuples."""
    named = {f"{kind}.{name}": value for name, value in {"embedding_length": 256, "block_count": 2, **values}.items()}
    arrays = {name: value for name, value in named.items() if isinstance(value, tuple)}
    scalars = {"general.architecture": kind, **{name: named[name] for name in named if name not in arrays}}
    check_values(scalars, arrays, {})
    check_dimensions(scalars, arrays, {"token_embd.weight": (256, 9)} if tensors else {})


STATE = {"ssm.inner_size": 8, "ssm.state_size": 8, "ssm.time_step_rank": 1, "ssm.group_count": 1}


@pytest.mark.parametrize("kind", sorted(MIXTURES))
def test_architectures_that_are_nothing_without_experts(kind):
    sizes = {"attention.head_count": 4, **(STATE if kind in DELTA_NETS else {})}
    checked(kind, {"expert_count": 4, "expert_used_count": 2, **sizes})
    checked(kind, sizes, tensors=False)  # a vocabulary
    for experts in ({}, {"expert_count": 0, "expert_used_count": 0}, {"expert_count": 4, "expert_used_count": (0, 2)}):
        with pytest.raises(UnsoundError, match=r"expert_count is \d, of which 0 are used; llama.cpp takes 1 or more"):
            checked(kind, {**sizes, **experts})


@pytest.mark.parametrize("kind", ["nemotron_h", "nemotron_h_moe"])
def test_a_layer_of_experts_uses_one(kind):
    sizes = {**STATE, "attention.head_count": 4, "feed_forward_length": (0, 64), "expert_count": 4}
    checked(kind, {**sizes, "expert_used_count": (0, 2)})
    checked(kind, {**sizes, "expert_used_count": (2, 0), "expert_feed_forward_length": 32})
    checked(kind, {**sizes, "expert_count": 0})
    with pytest.raises(UnsoundError, match=r"expert_count is 4, of which layer 1 uses none: llama.cpp divides by them"):
        checked(kind, {**sizes, "expert_used_count": (2, 0)})


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in LEAST.items() for name in names])
def test_numbers_that_may_not_be_less(kind, name):
    sizes = {"attention.head_count": 4, **({"expert_count": 4, "expert_used_count": 2} if kind in MIXTURES else {})}
    checked(kind, {**sizes, name: LEAST[kind][name]})
    with pytest.raises(UnsoundError, match=f"{kind}.{name} is 0, llama.cpp takes {LEAST[kind][name]} or more"):
        checked(kind, {**sizes, name: 0})
