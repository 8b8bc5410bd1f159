"""The llama.cpp library in use, asked about itself: is it the one that llama_cpp's description was written for?

``LLAMA_CPP_LIB_PATH`` loads another library than the package carries, a file may be replaced by hand: Python's own
description of the structures then says nothing. So the library's version is read from itself, and its own functions
show where they write.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from typing import Any

from llama_cpp import llama_cpp as lib

from hd_edge.errors import UnsupportedBackendError

# Release of llama-cpp-python: what functions of the library that it carries must say, up to a dash.
VERSIONS: dict[str, dict[str, str]] = {
    "0.3.35": {"llama_version": "0.1.0", "ggml_version": "0.20.0"},
    "0.3.36": {"llama_version": "0.5.0", "ggml_version": "0.25.3"},
}

# Defaults that llama.cpp gives to fields near the ends and at the places where fields were added and moved before.
DEFAULTS: dict[str, dict[str, object]] = {
    "llama_context_default_params": {
        "n_ctx": 512,
        "n_ubatch": 512,
        "n_outputs_max_per_seq": 1,
        "n_threads": 4,
        "rope_scaling_type": -1,
        "yarn_beta_slow": -1.0,
        "type_k": 1,
        "type_v": 1,
        "embeddings": False,
        "swa_full": True,
        "kv_unified": False,
        "n_samplers": 0,
        "ctx_other": None,
    },
    "llama_model_default_params": {
        "tensor_buft_overrides": None,
        "n_gpu_layers": -1,
        "split_mode": 1,
        "main_gpu": 0,
        "vocab_only": False,
        "use_extra_bufts": True,
        "load_mtp": False,
    },
}

ROOM = 128  # bytes for a llama_batch, more than it has: a library with another one must not write over its end
BATCH = ("token", "embd", "pos", "n_seq_id", "seq_id", "logits")  # pointers, in their order, from byte 8 on

RawBatch = Callable[[int], bytes]


def check_library(release: str, library: Any = None) -> None:
    """Compares the loaded library with the one that the suite has seen in this release.

    Args:
        release: Of llama-cpp-python, as ``0.3.36``.
        library: The ctypes library; None: the one that llama_cpp has loaded.

    Raises:
        UnsupportedBackendError: Names the library, what differs, and both values.
    """
    library = library or lib._lib
    if release not in VERSIONS:
        raise _unsupported(library, f"is that of llama-cpp-python {release}", " and ".join(VERSIONS))
    for name, tested in VERSIONS[release].items():
        if not hasattr(library, name):
            raise _unsupported(library, f"has no function {name}", f"version {tested}")
        found = ctypes.CFUNCTYPE(ctypes.c_char_p)(_address(library, name))() or b""
        if found.decode(errors="replace").split("-")[0] != tested:
            raise _unsupported(library, f"says {name} {found.decode(errors='replace')}", tested)
    for name, expected in DEFAULTS.items():
        params = getattr(lib, name)()
        for field, value in expected.items():
            if not hasattr(params, field):
                raise _unsupported(library, f"is described without a field {field} in {name}", repr(value))
            if getattr(params, field) != value:
                raise _unsupported(library, f"gives {field}={getattr(params, field)!r} in {name}", repr(value))
    check_batch(lambda embd: _raw_batch(library, embd), library)


def check_batch(raw: RawBatch, library: Any = None) -> None:
    """Does the library's own ``llama_batch_init`` write the fields that the native module reads and writes?

    Args:
        raw: The bytes of a fresh batch, given the width of its embeddings.
        library: Named in the message.

    Raises:
        UnsupportedBackendError: A field lies elsewhere.
    """
    for embd, empty in ((0, "embd"), (4, "token")):
        n_tokens, *pointers = struct.unpack_from(f"<ixxxx{len(BATCH)}Q", raw(embd))
        found = [name for name, pointer in zip(BATCH, pointers, strict=True) if not pointer]
        if n_tokens or found != [empty]:
            told = f"with n_embd={embd} makes a llama_batch without {', '.join(found) or 'nothing'}"
            raise _unsupported(library or lib._lib, f"{told}, n_tokens={n_tokens}", f"without {empty}, n_tokens=0")


def _raw_batch(library: Any, embd: int) -> bytes:
    class Room(ctypes.Structure):
        _fields_ = [("bytes", ctypes.c_ubyte * ROOM)]

    init = ctypes.CFUNCTYPE(Room, ctypes.c_int32, ctypes.c_int32, ctypes.c_int32)(_address(library, "llama_batch_init"))
    room = init(1, embd, 1)
    data = bytes(room)
    lib.llama_batch_free(lib.llama_batch.from_buffer_copy(data))
    return data


def _address(library: Any, name: str) -> int:
    return ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0


def _unsupported(library: Any, found: str, tested: str) -> UnsupportedBackendError:
    path = getattr(library, "_name", "the loaded llama.cpp library")
    return UnsupportedBackendError(
        f"{path} {found}, hd_edge is tested with {tested}: use the library that llama-cpp-python carries (is "
        "LLAMA_CPP_LIB_PATH set?), or install a llama-cpp-python of the tested range"
    )
