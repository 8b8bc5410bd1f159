"""Our attention inside llama.cpp: bitwise independence of rows, threads and batches; who gets it and who does not."""

from __future__ import annotations

from pathlib import Path

import make_random_gguf
import pytest
from children import caller
from make_random_gguf import Shape

from hd_edge.backend import kernels as row_kernels

child = caller("attention_child", seconds=600)
SHAPES = {
    "size 64": Shape(layers=2, width=512, feed_forward=1536, heads=8, kv_heads=4),
    "size 128, one KV head": Shape(layers=2, width=512, feed_forward=1024, heads=4, kv_heads=1),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("random")
    paths = {}
    for name, shape in SHAPES.items():
        paths[name] = folder / f"{name}.gguf"
        make_random_gguf.write(paths[name], shape, "Q4_0", pure=True)
    return paths


@pytest.fixture(scope="module", autouse=True)
def _kernels_here(files: dict[str, Path]) -> None:
    if "ours" not in child("plain", path=str(files["size 64"])):
        pytest.skip("no kernels for this processor or this llama-cpp-python")


@pytest.mark.parametrize("kv", [(1, 1), (30, 1), (1, 30)], ids=["F16", "BF16 and F16", "F16 and BF16"])
@pytest.mark.parametrize("prefix", [40, 700])
@pytest.mark.parametrize("shape", SHAPES)
def test_rows_do_not_depend_on_their_company(
    files: dict[str, Path], shape: str, prefix: int, kv: tuple[int, int]
) -> None:
    result = child("company", path=str(files[shape]), prefix=prefix, kv=kv)
    assert result["spread"] > 1e-3
    assert all(differ == [] for differ in result["different"].values()), result["different"]


@pytest.mark.parametrize("isa", ["avx2"])
def test_lesser_instruction_sets(files: dict[str, Path], isa: str) -> None:
    env = {row_kernels.VARIABLE: isa}
    if "ours" not in child("plain", env, path=str(files["size 64"])):
        pytest.skip(f"no {isa} here")
    result = child("company", env, path=str(files["size 64"]), prefix=300, kv=(1, 1))
    assert all(differ == [] for differ in result["different"].values()), result["different"]


@pytest.mark.parametrize("prefix", [30, 700])
@pytest.mark.parametrize("shape", SHAPES)
def test_nodes_of_trees_are_their_paths(files: dict[str, Path], shape: str, prefix: int) -> None:
    """In default mode, with its F16 cache, from 512 cells on as well."""
    result = child("trees", path=str(files[shape]), prefix=prefix, seed=prefix)
    assert result["leaves"] > 3
    assert result["different"] == 0, result


def test_real_model(smollm2: Path) -> None:
    result = child("company", path=str(smollm2), prefix=600, kv=(1, 1))
    assert all(differ == [] for differ in result["different"].values()), result["different"]
    assert child("trees", path=str(smollm2), prefix=600, seed=1)["different"] == 0


@pytest.mark.parametrize(("cells", "rows"), [(40, 1), (3500, 1), (3500, 5), (3500, 70)])
def test_closer_to_the_truth_than_llama_cpp(cells: int, rows: int) -> None:
    """One row, several, and as many as take llama.cpp's tiled path."""
    error = child("accuracy", cells=cells, rows=rows)
    assert error["ours"] < 2e-6
    assert error["ours"] < error["theirs"] / 2


def test_plain_llama_cpp_keeps_its_own(files: dict[str, Path]) -> None:
    path = str(files["size 64"])
    beside = child("plain", path=path)
    alone = child("plain", {row_kernels.VARIABLE: "off"}, path=path)
    assert beside["plain"] == alone["plain"]
    assert beside["ours"] != beside["plain"]
