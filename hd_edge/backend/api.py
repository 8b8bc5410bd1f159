"""The llama.cpp that ``llama_cpp`` has loaded, as a table of function addresses for the native module.

The native module links nothing of llama.cpp: the same wheel serves CPU, CUDA, Metal and Vulkan builds, with one
libllama in the process. Before the first call, the one struct that crosses by value is compared with llama_cpp's own
description and with what the library itself does (``library``).
"""

from __future__ import annotations

import ast
import ctypes
import functools
from importlib.resources import files
from typing import Any

import llama_cpp
from llama_cpp import llama_cpp as lib

from hd_edge import _native
from hd_edge.backend.library import check_library
from hd_edge.errors import UnsupportedBackendError
from hd_edge.extras import install

TESTED = ((0, 3, 35), (0, 3, 37))  # llama-cpp-python, from and below; the same range stands in pyproject.toml

FUNCTIONS = (
    "llama_decode",
    "llama_get_logits_ith",
    "llama_memory_seq_rm",
    "llama_memory_seq_cp",
    "llama_memory_seq_keep",
    "llama_memory_seq_pos_min",
    "llama_memory_seq_pos_max",
    "llama_set_abort_callback",
)


def again() -> str:
    """What to do about a native module of another version."""
    return f"install hd_edge again: {install(options='--force-reinstall --no-deps')}"


def version_tuple(version: str) -> tuple[int, ...]:
    """``"0.3.36+cu124"`` as ``(0, 3, 36)``."""
    numbers = []
    for part in version.split("+")[0].split("."):
        digits = "".join(c for c in part if c.isdigit())
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)


def release(version: str) -> str:
    """``"0.3.36.post1+cu124"`` as ``"0.3.36"``: what a build of it is made of."""
    return ".".join(map(str, version_tuple(version)[:3]))


def check_version(version: str) -> None:
    """Refuses llama-cpp-python versions outside the tested range.

    Raises:
        UnsupportedBackendError: Names the installed version and the tested range.
    """
    low, high = TESTED
    if not low <= version_tuple(version) < high:
        tested = f">={'.'.join(map(str, low))},<{'.'.join(map(str, high))}"
        msg = (
            f"llama-cpp-python {version} is installed, hd_edge is tested with {tested}: install a version of that range"
        )
        raise UnsupportedBackendError(msg)


def check_layout(batch: Any) -> None:
    """Compares the native mirror of ``llama_batch`` with llama_cpp's ctypes structure, field by field.

    Raises:
        UnsupportedBackendError: Names the field and the two values that differ.
    """
    native = _native.llama_batch_layout()
    theirs = {"sizeof": ctypes.sizeof(batch)}
    for name, *_ in batch._fields_:
        theirs[name] = getattr(batch, name).offset
    for name in sorted(native.keys() | theirs.keys()):
        if native.get(name) != theirs.get(name):
            msg = (
                f"llama_batch differs in {name}: {theirs.get(name)} in llama-cpp-python {llama_cpp.__version__}, "
                f"{native.get(name)} in hd_edge: install a llama-cpp-python of the tested range"
            )
            raise UnsupportedBackendError(msg)


def check_native(native: Any = _native) -> None:
    """Compares the native module with its description: after an update it may still be the build of an older one.

    Raises:
        UnsupportedBackendError: Names what it lacks.
    """
    described = ast.parse(files("hd_edge").joinpath("_native.pyi").read_text(encoding="utf-8"))
    for node in described.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            found = getattr(native, node.name, None)
            parts = [part.name for part in node.body if isinstance(part, ast.FunctionDef)]
            lacks = [part for part in parts if not hasattr(found, part)]
            if found is None or lacks:
                name = ".".join([node.name, *lacks[:1]]) if found is not None else node.name
                msg = f"{native.__file__} has no {name}, another version of hd_edge built it: {again()}"
                raise UnsupportedBackendError(msg)


@functools.lru_cache(maxsize=1)
def load() -> _native.LlamaApi:
    """The function table of the loaded library, checked once per process.

    Raises:
        UnsupportedBackendError: Version of package, library or native module, struct layout or a missing function.
    """
    check_version(llama_cpp.__version__)
    check_native()
    check_layout(lib.llama_batch)
    check_library(release(llama_cpp.__version__))
    addresses = {}
    for name in FUNCTIONS:
        function = getattr(lib._lib, name, None)
        if function is None:
            msg = f"the loaded llama.cpp library has no function {name}: it does not match llama-cpp-python's version"
            raise UnsupportedBackendError(msg)
        addresses[name] = ctypes.cast(function, ctypes.c_void_p).value or 0
    return _native.LlamaApi(addresses)


def has_gpu() -> bool:
    """True if the loaded llama.cpp can put layers on a GPU."""
    return bool(lib.llama_supports_gpu_offload())


def library_path() -> str:
    """File of the libllama in use."""
    return str(lib._lib._name)
