"""Binding to the loaded library: version range, struct layout, missing functions; and what importing costs."""

from __future__ import annotations

import ctypes
import re
import struct
from pathlib import Path

import llama_cpp
import pytest
from children import python
from llama_cpp import llama_cpp as lib

from hd_edge import _native
from hd_edge.backend import api as backend
from hd_edge.backend import library
from hd_edge.errors import UnsupportedBackendError

RELEASE = backend.release(llama_cpp.__version__)


def test_the_installed_library_is_bound():
    assert isinstance(backend.load(), _native.LlamaApi)
    assert "llama" in backend.library_path()


@pytest.mark.parametrize("version", ["0.3.2", "0.2.90", "0.3.99", "1.0.0", "0.4"])
def test_other_versions_are_refused(version):
    low, high = (".".join(map(str, v)) for v in backend.TESTED)
    with pytest.raises(UnsupportedBackendError, match=rf"{re.escape(version)} is installed, .* >={low},<{high}"):
        backend.check_version(version)


@pytest.mark.parametrize("version", ["0.3.36", "0.3.36+cu124", "0.3.36.post1"])
def test_builds_of_the_tested_version_are_taken(version):
    backend.check_version(version)


def test_the_range_is_that_of_pyproject():
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    low, high = (".".join(map(str, v)) for v in backend.TESTED)
    assert f'"llama-cpp-python>={low},<{high}"' in text


def test_each_release_of_the_range_says_what_its_library_is():
    low, high = backend.TESTED
    assert all(low <= backend.version_tuple(one) < high for one in library.VERSIONS)
    with pytest.raises(
        UnsupportedBackendError, match=r"is that of llama-cpp-python 0\.1\.2, .* tested with .*0\.3\.36"
    ):
        library.check_library("0.1.2")


def test_a_moved_field_is_named():
    class Moved(ctypes.Structure):
        _fields_ = [
            ("n_tokens", ctypes.c_int32),
            ("extra", ctypes.c_void_p),
            ("token", ctypes.c_void_p),
            ("embd", ctypes.c_void_p),
            ("pos", ctypes.c_void_p),
            ("n_seq_id", ctypes.c_void_p),
            ("seq_id", ctypes.c_void_p),
            ("logits", ctypes.c_void_p),
        ]

    with pytest.raises(UnsupportedBackendError, match=r"llama_batch differs in embd: 24 .* 16 in hd_edge"):
        backend.check_layout(Moved)


def test_a_missing_function_is_named():
    with pytest.raises(ValueError, match="no address for llama_decode"):
        _native.LlamaApi({})


INTERFACE = ["click", "rich", "sqlite_utils"]
LOADED = "import sys; {}; print([m for m in {} if m in sys.modules])"


def run_python(code):
    return python("-c", code).stdout.strip()


def test_importing_loads_nothing():
    assert run_python(LOADED.format("import hd_edge", ["llama_cpp", "numpy", *INTERFACE])) == "[]"


def test_loading_the_class_imports_no_interface_code():
    assert run_python(LOADED.format("from hd_edge import Llama", INTERFACE)) == "[]"


def test_public_names_resolve():
    code = "import hd_edge; print(all(getattr(hd_edge, n) is not None for n in hd_edge.__all__))"
    assert run_python(code) == "True"


def test_version_is_that_of_the_package():
    from importlib.metadata import version

    import hd_edge

    assert version("hd-edge") == hd_edge.__version__


def raw_batch(*pointers: int, n_tokens: int = 0) -> bytes:
    return struct.pack(f"<ixxxx{len(pointers)}Q", n_tokens, *pointers).ljust(library.ROOM, b"\x07")


def test_the_library_shows_where_its_batch_fields_lie() -> None:
    library.check_batch(lambda embd: raw_batch(*((0, 1) if embd else (1, 0)), 1, 1, 1, 1))
    library.check_library(RELEASE)


@pytest.mark.parametrize(
    ("pointers", "told"),
    [
        ((1, 1, 0, 1, 1, 1), "without pos, n_tokens=0, hd_edge is tested with without embd"),  # one more before embd
        ((1, 0, 1, 1, 1, 0), "without embd, logits"),  # one less
        ((1, 1, 1, 1, 1, 1), "without nothing"),
    ],
)
def test_a_library_with_another_batch_is_refused(pointers: tuple[int, ...], told: str) -> None:
    with pytest.raises(UnsupportedBackendError, match=re.escape(told)):
        library.check_batch(lambda _: raw_batch(*pointers))


def test_wrong_defaults_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = lib.llama_context_default_params

    def shifted():
        params = real()
        params.type_k = 0
        return params

    monkeypatch.setattr(lib, "llama_context_default_params", shifted)
    with pytest.raises(UnsupportedBackendError, match=r"type_k=0 in llama_context_default_params, .* tested with 1"):
        library.check_library(RELEASE)


def test_a_description_without_a_field_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of 0.3.34 and before are, which have no load_mtp."""

    class Older(ctypes.Structure):
        _fields_ = [pair for pair in lib.llama_model_params._fields_ if pair[0] != "load_mtp"]

    params, older = lib.llama_model_default_params(), Older()
    for field, *_ in Older._fields_:
        setattr(older, field, getattr(params, field))
    monkeypatch.setattr(lib, "llama_model_default_params", lambda: older)
    with pytest.raises(UnsupportedBackendError, match="without a field load_mtp in llama_model_default_params"):
        library.check_library(RELEASE)


def test_another_library_by_lib_path_is_refused(tmp_path: Path) -> None:
    """The same files but for the version that libllama says of itself."""
    home = Path(backend.library_path()).parent
    tested = library.VERSIONS[RELEASE]["llama_version"]
    said, other = f"{tested}-dev\0".encode(), f"9{tested[1:]}-dev\0".encode()
    for file in home.iterdir():
        if file.name == Path(backend.library_path()).name:
            data = file.read_bytes()
            assert data.count(said) == 1
            (tmp_path / file.name).write_bytes(data.replace(said, other))
        elif file.is_file():
            (tmp_path / file.name).symlink_to(file)
    code = "from hd_edge.backend import api\napi.load()"
    done = python("-c", code, LLAMA_CPP_LIB_PATH=str(tmp_path))
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("hd_edge.errors.UnsupportedBackendError: "), done.stderr
    assert f"says llama_version 9{tested[1:]}-dev, hd_edge is tested with {tested}" in last
    assert "LLAMA_CPP_LIB_PATH" in last


@pytest.mark.parametrize("name", ["CorpusBuffer", "filter_log", "Verifier.rollback"])
def test_a_native_module_of_another_version_is_named(name):
    holder, _, part = name.rpartition(".")

    class Stale:
        """The built module, or a class of it, without one name."""

        def __init__(self, real, without):
            self._real, self._without = real, without

        def __getattr__(self, asked):
            if asked == self._without:
                raise AttributeError(asked)
            return Stale(self._real.Verifier, part) if asked == holder else getattr(self._real, asked)

    backend.check_native(_native)
    with pytest.raises(UnsupportedBackendError, match=rf"_native\S* has no {name}, another version .* install hd_edge"):
        backend.check_native(Stale(_native, part if not holder else ""))


def test_an_end_in_the_middle_of_a_generation_prints_nothing(models):
    code = (
        "import sys, threading; from hd_edge import Llama\n"
        f"llm = Llama({str(models('Q4_0'))!r}, n_ctx=2048, n_threads=1, n_threads_batch=1, store=None)\n"
        "begun = threading.Event()\n"
        "def run():\n"
        "    for _ in llm.generate([1, 300, 301], temp=0.0): begun.set()\n"
        "threading.Thread(target=run, daemon=True).start(); begun.wait(); sys.exit(3)"
    )
    done = python("-c", code)
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "")
