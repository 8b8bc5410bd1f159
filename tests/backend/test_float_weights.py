"""Float weights inside llama.cpp, and what default mode promises with them: rows, threads, adapters, experts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import make_random_gguf
import numpy as np
import pytest
import tiny_gguf
from children import caller
from make_random_gguf import Shape

from hd_edge.backend import kernels as row_kernels

child = caller("promise_child", seconds=300)
TYPES = ("Q4_0", "Q4_1", "Q8_0", "IQ4_NL", "Q4_K", "Q5_K", "Q6_K", "Q5_0", "Q5_1", "MXFP4", "IQ4_XS", "Q3_K", "Q2_K")
SMALL = Shape(layers=2, width=512, feed_forward=1536, heads=8, kv_heads=4)


@pytest.fixture(scope="module", autouse=True)
def _kernels_here() -> None:
    if not child("status")["active"]:
        pytest.skip("no row kernels for this processor or this llama-cpp-python")


@pytest.mark.parametrize("kind", [*TYPES, "F16", "BF16", "F32"])
def test_experts_of_every_type(tmp_path: Path, kind: str) -> None:
    """What default mode promises holds, and exact mode works."""
    path = tmp_path / "mixture.gguf"
    make_random_gguf.write(path, replace(SMALL, experts=4), kind, pure=True)
    result = child("promised", path=str(path))
    assert result == {"exact": True, "different": []}
    assert child("promised", path=str(path), exact=True) == {"exact": True, "different": []}


@pytest.mark.parametrize("kind", ["Q4_0", "BF16"])
def test_a_float_adapter_of_experts(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "mixture.gguf"
    make_random_gguf.write(path, replace(SMALL, experts=4), kind, pure=True)
    lora = tiny_gguf.write_lora(tmp_path / "lora.gguf", width=SMALL.width, experts=(4, SMALL.feed_forward))
    for exact in (False, True):
        result = child("promised", path=str(path), lora=str(lora), exact=exact)
        assert result == {"exact": True, "different": []}


@pytest.fixture(scope="module")
def float_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("floats")
    paths = {"F32": tiny_gguf.write_llama(folder / "F32.gguf")}
    for kind in ("F16", "BF16"):
        paths[kind] = tiny_gguf.quantize(paths["F32"], folder / f"{kind}.gguf", kind)
    return paths


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kind", ["F32", "F16", "BF16"])
def test_float_weights_are_exact_by_default(float_files: dict[str, Path], kind: str, threads: int) -> None:
    result = child("promised", path=str(float_files[kind]), threads=threads)
    assert result == {"exact": True, "different": []}


def test_float_weights_without_the_kernels(float_files: dict[str, Path]) -> None:
    """What the promise rests on: llama.cpp's own products differ."""
    result = child("promised", path=str(float_files["F32"]), row_kernels=False)
    assert not result["exact"]
    assert result["different"]


@pytest.mark.parametrize("isa", ["avx2"])
def test_float_weights_on_lesser_instruction_sets(float_files: dict[str, Path], isa: str) -> None:
    env = {row_kernels.VARIABLE: isa}
    if not child("status", env)["active"]:
        pytest.skip(f"no {isa} here")
    assert child("promised", env, path=str(float_files["F16"])) == {"exact": True, "different": []}


@pytest.mark.parametrize("kind", ["F32", "F16"])
@pytest.mark.parametrize("base", ["Q4_0", "Q2_K", "F16"])
def test_a_float_adapter_keeps_rows_independent(
    float_files: dict[str, Path], tmp_path: Path, base: str, kind: str
) -> None:
    """Also where llama.cpp keeps the weight that it changes in the mapped file (Q2_K)."""
    model = float_files["F16"]
    if base != "F16":
        model = tiny_gguf.quantize(float_files["F32"], tmp_path / "model.gguf", base)
    lora = tiny_gguf.write_lora(tmp_path / "lora.gguf", np.float32 if kind == "F32" else np.float16)
    result = child("promised", path=str(model), lora=str(lora), exact=base == "Q2_K")
    assert result == {"exact": True, "different": []}


def test_plain_llama_cpp_keeps_its_own_products(float_files: dict[str, Path]) -> None:
    path = str(float_files["F16"])
    assert child("plain", path=path, ours=True) == child("plain", path=path, ours=False)
