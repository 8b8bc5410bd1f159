"""Our CPU kernels inside llama.cpp: bitwise row independence, switches, fallbacks."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from pathlib import Path

import make_random_gguf
import pytest
import tiny_gguf
from children import caller
from make_random_gguf import Shape

from hd_edge.backend import kernels as row_kernels
from hd_edge.errors import ConfigError

child = caller("row_kernels_child", seconds=300)
nearness = caller("divergence_child", seconds=3600)
TYPES = ("Q4_0", "Q4_1", "Q8_0", "IQ4_NL", "Q4_K", "Q5_K", "Q6_K", "Q5_0", "Q5_1", "MXFP4", "IQ4_XS", "Q3_K", "Q2_K")
SMALL = Shape(layers=2, width=512, feed_forward=1536, heads=8, kv_heads=4)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("random")
    paths = {}
    for kind in (*TYPES, "Q4_K_M"):
        paths[kind] = folder / f"{kind}.gguf"
        make_random_gguf.write(paths[kind], SMALL, kind, pure=kind in TYPES)
    return paths


@pytest.fixture(scope="module", autouse=True)
def _kernels_here() -> None:
    if not child("status_only")["active"]:
        pytest.skip("no row kernels for this processor or this llama-cpp-python")


@pytest.mark.parametrize("threads", [1, 2])
def test_each_row_has_the_bits_of_its_single_step(files: dict[str, Path], threads: int) -> None:
    kinds = list(files)
    results = child("rows", paths=[str(files[kind]) for kind in kinds], threads=threads)
    for kind, result in zip(kinds, results, strict=True):
        assert result["active"]
        assert result["bytes"] > 2_000_000, kind
        assert result["spread"] > 1e-3, kind
        assert result["different"] == [], kind


@pytest.mark.parametrize("isa", ["avx2", "avxvnni", "avx512vnni"])
def test_lesser_instruction_sets(files: dict[str, Path], isa: str) -> None:
    env = {row_kernels.VARIABLE: isa}
    if not child("status_only", env)["active"]:
        pytest.skip(f"no {isa} here")
    (result,) = child("rows", env, paths=[str(files["Q4_K_M"])], threads=2)
    assert result["isa"].replace("-", "").replace(" ", "").lower() == isa
    assert result["different"] == []


def test_not_less_accurate_than_llama_cpp() -> None:
    for kind, (ours, theirs) in child("accuracy", types=TYPES).items():
        assert 1e-4 < ours <= 1.01 * theirs < 0.03, kind


def test_switches(files: dict[str, Path]) -> None:
    result = child("settings", path=str(files["Q4_0"]))
    assert result["auto"]["active"]
    assert result["auto"]["bytes"] == result["again"]["bytes"] > 0
    assert not result["off"]["active"]
    assert not result["no extra"]["active"]
    assert result["no extra"]["reason"] == "they took none of the model's weights"
    for name in ("off", "no extra", "disabled"):
        assert result[name]["bytes"] == 0, name
    assert result["changed"], "without extra buffer types llama.cpp's kernels run"
    assert result["plain"], "off and disabled run llama.cpp's kernels"
    assert result["same"]
    assert result["close"] < 0.2


def test_experts_are_ours(tmp_path: Path) -> None:
    path = tmp_path / "mixture.gguf"
    shape = replace(SMALL, experts=4)
    make_random_gguf.write(path, shape, "Q4_0", pure=True)
    tokens, heads = 1024, shape.width // shape.heads
    attention = shape.layers * shape.width * 2 * (shape.width + heads * shape.kv_heads)
    result = child("mixture", path=str(path))
    routers = shape.layers * shape.width * shape.experts * 4
    experts = shape.layers * shape.experts * 3 * shape.width * shape.feed_forward
    quantised = attention + tokens * shape.width + experts
    assert result["auto"] == quantised * 18 // 32 + routers  # Q4_0: 32 weights in 18 bytes
    assert result["False"] == 0
    assert result["difference"] < 0.2
    assert result["exact auto"] == []
    assert "this file holds F32" in result["exact False"]  # what chooses the experts


@pytest.mark.parametrize(
    "steps",
    [
        ["ours", "plain", "ours"],
        ["plain", "ours", "plain"],
        ["vocab", "ours", "ours"],
        ["off", "ours", "off"],
        ["plain", "off", "ours", "plain", "vocab", "ours"],
        ["plain", "together", "plain"],
        ["together"],
    ],
    ids="-".join,
)
def test_the_order_of_loading_does_not_matter(files: dict[str, Path], steps: list[str]) -> None:
    models = child("order", path=str(files["Q4_0"]), steps=steps)
    ours = [model for model in models if model["active"]]
    others = [model for model in models if not model["active"]]
    assert len(ours) == steps.count("ours") + 3 * steps.count("together")
    assert all(model["own"] for model in ours)
    assert len({model["digest"] for model in ours}) == 1
    assert len({model["digest"] for model in others}) <= 1, "models of others compute as if we were not there"
    assert not {model["digest"] for model in ours} & {model["digest"] for model in others}


def test_untested_version() -> None:
    result = child("status_only", version="0.9.9")
    assert result["warned"] == ["KernelWarning"]
    assert not result["active"]
    assert "0.9.9" in result["reason"]
    assert row_kernels.TESTED[0] in result["reason"]


def test_missing_function() -> None:
    assert child("missing_function")["reason"] == "the loaded llama.cpp has no function ggml_barrier"


@pytest.mark.parametrize("name", ["hd_rows_alone", "hd_attention_takes"])
def test_a_library_of_another_version_stays_off(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    real = ctypes.CDLL(str(row_kernels._library_path()))

    class Older:
        def __getattr__(self, asked: str) -> object:
            if asked == name:
                raise AttributeError(asked)
            return getattr(real, asked)

    monkeypatch.setattr(ctypes, "CDLL", lambda _: Older())
    found = row_kernels._install()
    assert not found.active
    assert f"has no function {name}, another version of hd_edge built it" in found.reason


def test_a_library_that_cannot_be_loaded_stays_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_kernels, "_library_path", lambda: Path(__file__))
    assert "cannot be loaded: " in row_kernels._install().reason


def test_wrong_layouts_are_noticed() -> None:
    assert child("wrong_layout") == {
        "ggml_op_name": "operation numbers differ",
        "ggml_type_size": "quantised types differ",
        "ggml_tensor_overhead": "ggml_tensor differs",
        "ggml_backend_buffer_get_base": "ggml_backend_buffer differs",
        "ggml_backend_reg_name": "ggml_backend_reg differs",
        "ggml_backend_graph_compute": "a product differs from llama.cpp's",
        "ggml_threadpool_chunk_add": "a product with experts differs from llama.cpp's",
        "nothing": "",  # what failed was taken back
    }


@pytest.mark.parametrize("value", ["0", "off", "False"])
def test_switched_off_by_the_environment(value: str) -> None:
    result = child("status_only", {row_kernels.VARIABLE: value})
    assert not result["active"]
    assert row_kernels.VARIABLE in result["reason"]
    assert result["warned"] == []


def test_unknown_values(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="row_kernels='yes'"), row_kernels.offered("yes"):  # type: ignore[arg-type]
        pass
    monkeypatch.setenv(row_kernels.VARIABLE, "avx9")
    monkeypatch.setattr(row_kernels, "_status", None)
    with pytest.raises(ConfigError, match="avx9"):
        row_kernels.enable()


def test_status_before_anything_happened() -> None:
    assert child("status_only")["before"] == "no model was loaded yet"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("quantization", "megabytes"),
    # A row of 576 columns does not divide into blocks of 256: of the K-quants only the second half of the feed-forward
    # layers is left, 1,536 columns wide.
    [("BF16", 150), ("Q4_0", 50), ("Q4_1", 50), ("Q8_0", 50), ("Q4_K_M", 15), ("Q5_K_M", 15), ("Q6_K", 15)],
)
def test_as_near_to_the_weights_as_llama_cpp(smollm2: Path, tmp_path: Path, quantization: str, megabytes: int) -> None:
    """Both round activations, each in its way: perplexity then differs by chance, nearness to the same weights less."""
    path = smollm2
    if quantization != "Q4_1":
        path = tiny_gguf.quantize(smollm2, tmp_path / "model.gguf", quantization)
    floats = tiny_gguf.quantize(path, tmp_path / "floats.gguf", "F32")
    found = nearness("divergence", path=str(path), floats=str(floats), chunks=6)
    floats.unlink()
    print(quantization, found)
    ours, theirs = found["ours"], found["theirs"]
    assert ours["bytes"] > megabytes * 1_000_000
    assert theirs["bytes"] == 0
    assert 0 < ours["divergence"] < 1.1 * theirs["divergence"]
