"""Our own CPU kernels for 1 to 16 rows: whether they may be used, and for which model.

llama.cpp asks each buffer type of its CPU backend for a weight before it falls back to its plain layout. The native
library answers with one more type, in which weights lie so that several rows cost little more than one; which models
were loaded before makes no difference. These lists are internal to llama.cpp. So only versions that were tested are
touched, their structures are checked and a small product of every weight type is compared with llama.cpp's own before
a model may use it. Whatever differs: one warning, and llama.cpp's kernels stay.
"""

from __future__ import annotations

import ctypes
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hd_edge.backend.api import again, has_gpu
from hd_edge.errors import ConfigError, KernelWarning

log = logging.getLogger("hd_edge")

TESTED = ("0.3.36", "0.3.35")  # llama-cpp-python: its ggml has the structures of native/kernels/ggml_abi.hpp
VARIABLE = "HD_EDGE_ROW_KERNELS"
OFF = ("0", "off", "false", "no")

INT, TEXT, LONG = ctypes.c_int, ctypes.c_char_p, ctypes.c_longlong
FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {  # of native/kernels/c_api.cpp: result, arguments
    "hd_rows_symbol": (TEXT, (INT,)),
    "hd_rows_type": (TEXT, (INT,)),
    "hd_rows_isa": (TEXT, (TEXT,)),
    "hd_rows_known": (INT, (TEXT,)),
    "hd_rows_install": (TEXT, (ctypes.POINTER(ctypes.c_void_p), TEXT)),
    "hd_rows_offer": (None, (INT,)),
    "hd_rows_alone": (INT, ()),
    "hd_rows_taken": (LONG, ()),
    "hd_attention_type": (TEXT, (INT,)),
    "hd_attention_problem": (TEXT, ()),
    "hd_attention_offer": (None, (INT,)),
    "hd_attention_takes": (INT, (INT,) * 4),
}


@dataclass(frozen=True)
class Status:
    """What became of the kernels in this process.

    Attributes:
        active: True if models may use them.
        reason: Why not; empty if active.
        isa: Instruction set in use, such as ``"AVX2"``; empty if not active.
        types: Weight types with kernels of ours, as in ``("Q4_0", "Q4_1", ...)``.
        chosen: True if they are off because the user said so.
        attention: Types of K and V with attention of ours; empty if attention stays llama.cpp's.
        attention_reason: Why it stays; empty if it does not.
    """

    active: bool
    reason: str
    isa: str
    types: tuple[str, ...]
    chosen: bool = False
    attention: tuple[str, ...] = ()
    attention_reason: str = ""

    @property
    def text(self) -> str:
        """For people: which kernels compute, and why if they are not ours."""
        return f"own, {self.isa}" if self.active else f"llama.cpp's, {self.reason}"


process_lock = threading.RLock()  # not that a signal's handler that forks waits for itself
_library: ctypes.CDLL | None = None
_status: Status | None = None
_disabled = False


def enable() -> Status:
    """Installs the kernels, once per process, and lets models use them.

    Returns:
        What came of it; a failure is warned of once and is no error.

    Raises:
        ConfigError: HD_EDGE_ROW_KERNELS has an unknown value.
    """
    global _status, _disabled
    with process_lock:
        _disabled = False
        if _status is not None:
            return _status
        _status = status = _install()
    if not status.active:
        _tell(status)
    return status


def disable() -> None:
    """Models loaded from now on use llama.cpp's own kernels; those that are loaded stay as they are."""
    global _disabled
    with process_lock:
        _disabled = True


def status() -> Status:
    """What became of the kernels so far, without doing anything."""
    if _disabled:
        return _inactive("switched off by disable()", chosen=True)
    return _status or _inactive("no model was loaded yet")


@contextmanager
def offered(setting: Any) -> Iterator[Status]:
    """Around the loading of one model, in the thread that loads it: may the model use the kernels?

    Args:
        setting: ``"auto"``: where they have kernels for a tensor. ``False``: never.

    Yields:
        The status that holds for this model.

    Raises:
        ConfigError: ``setting`` or HD_EDGE_ROW_KERNELS has an unknown value.
    """
    if setting is not False and not (isinstance(setting, str) and setting == "auto"):
        msg = f"row_kernels={setting!r} is neither 'auto' nor False"
        raise ConfigError(msg)
    if setting is False:
        yield _inactive("switched off for this model", chosen=True)
        return
    state = status() if _disabled else enable()
    if _library is None:
        yield state
        return
    _library.hd_rows_offer(int(state.active))
    _library.hd_attention_offer(int(state.active))
    try:
        yield state
    finally:
        _library.hd_rows_offer(0)
        _library.hd_attention_offer(0)


def computes_attention(type_k: int, type_v: int, size_k: int, size_v: int) -> bool:
    """Whether attention over such a KV cache is computed here, each row independent of the others.

    Args:
        type_k: ggml's number of the type of K.
        type_v: The same for V.
        size_k: Columns of a head of K.
        size_v: Columns of a head of V.
    """
    return _library is not None and bool(_library.hd_attention_takes(type_k, type_v, size_k, size_v))


def without_repacking() -> bool:
    """Keeps llama.cpp from repacking weights of the model that this thread loads; what our kernels take stays theirs.

    Returns:
        False if our kernels are not offered to the model: then its weights are to have no extra buffer types at all.
    """
    return _library is not None and bool(_library.hd_rows_alone())


def used(offer: Status) -> Status:
    """What became of an offer: some files have no weights of a type with kernels of ours.

    Args:
        offer: What ``offered`` gave for the model that this thread loaded last.
    """
    if not offer.active or _library is None or _library.hd_rows_taken() > 0:
        return offer
    return _inactive("they took none of the model's weights")


def _inactive(reason: str, *, chosen: bool = False) -> Status:
    return Status(active=False, reason=reason, isa="", types=(), chosen=chosen)


def _tell(status: Status) -> None:
    """Says once why the kernels stay off: aloud, unless the user wanted it so or has a GPU to compute with."""
    message = f"llama.cpp's own kernels stay in use, several rows of a draft cost more with them: {status.reason}"
    if status.chosen or has_gpu():
        log.info(message)
    else:
        warnings.warn(message, KernelWarning, stacklevel=4)


def _install() -> Status:
    """Loads the library and hands it the functions of the llama.cpp in this process."""
    global _library
    isa = os.environ.get(VARIABLE, "auto").strip().lower() or "auto"
    if isa in OFF:
        return _inactive(f"{VARIABLE}={isa}", chosen=True)
    import llama_cpp
    from llama_cpp import llama_cpp as lib

    version = llama_cpp.__version__
    if version not in TESTED:
        return _inactive(f"llama-cpp-python {version} is none of those tested with them ({', '.join(TESTED)})")
    path = _library_path()
    if path is None:
        return _inactive("this build of hd_edge has none")
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        return _inactive(f"{path} cannot be loaded: {error}")
    if missing := _declare(library):
        return _inactive(f"{path} has no function {missing}, another version of hd_edge built it: {again()}")
    wanted = b"" if isa == "auto" else isa.encode()
    found = library.hd_rows_isa(wanted)
    if found is None:
        if wanted and library.hd_rows_known(wanted) == 0:
            known = "auto, off, avx512bf16, avx512vnni, avxvnni, avx2, neoni8mm, neondotprod"
            msg = f"{VARIABLE}={isa!r} is none of {known}"
            raise ConfigError(msg)
        return _inactive("no kernels for this processor")
    names = _strings(library.hd_rows_symbol)
    addresses = (ctypes.c_void_p * len(names))()
    for i, name in enumerate(names):
        function = getattr(lib._lib, name, None)
        if function is None:
            return _inactive(f"the loaded llama.cpp has no function {name}")
        addresses[i] = ctypes.cast(function, ctypes.c_void_p).value
    problem = library.hd_rows_install(addresses, wanted)
    if problem is not None:
        return _inactive(problem.decode())
    _library = library
    problem = library.hd_attention_problem()
    if problem is not None:
        log.info("llama.cpp's own attention stays in use: %s", problem.decode())
    return Status(
        active=True,
        reason="",
        isa=found.decode(),
        types=tuple(_strings(library.hd_rows_type)),
        attention=tuple(_strings(library.hd_attention_type)) if problem is None else (),
        attention_reason=problem.decode() if problem is not None else "",
    )


def _library_path() -> Path | None:
    """The library lies beside the native module, wherever an editable install put that."""
    from hd_edge import _native

    found = sorted(Path(_native.__file__).parent.glob("_row_kernels.*"))
    return found[0] if found else None


def _declare(library: ctypes.CDLL) -> str:
    """Says what the library's functions take and give.

    Returns:
        Name of the first function that it lacks: another version of hd_edge built it. Empty if it has all.
    """
    for name, (result, arguments) in FUNCTIONS.items():
        function = getattr(library, name, None)
        if function is None:
            return name
        function.argtypes, function.restype = arguments, result
    return ""


def _strings(function: Any) -> list[str]:
    """What a C function of an index gives, up to its NULL."""
    out: list[str] = []
    while (text := function(len(out))) is not None:
        out.append(text.decode())
    return out
