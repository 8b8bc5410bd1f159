"""While llama.cpp loads a model and makes its context: quiet, and an assertion that fails ends the loading alone."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llama_cpp import llama_cpp as lib

from hd_edge import _native
from hd_edge.errors import HDEdgeError, ModelFileError

from .log import quiet_aborts


@contextmanager
def loading(model_path: str, *, verbose: bool) -> Iterator[None]:
    """This thread loads a model in this block.

    Args:
        model_path: For the message.
        verbose: llama_cpp prints llama.cpp's log. Else nothing of it: it shows warnings where it means errors. A log
            callback of somebody's own hears it all.

    Raises:
        ModelFileError: llama.cpp asserts something that the file is not; it would have ended the process.
    """
    function: Any = lib._lib.ggml_set_abort_callback
    setter = ctypes.cast(function, ctypes.c_void_p).value or 0
    if not verbose:
        quiet_aborts()
    _native.begin_loading(setter, not verbose)
    try:
        yield
    except Exception as error:
        asserted = _native.end_loading(setter)
        if not asserted or isinstance(error, HDEdgeError):
            raise
        where = asserted.rsplit("/llama.cpp/", 1)[-1]  # without the folder in which somebody built it
        msg = f"llama.cpp cannot load {model_path}, which does not hold what it takes for granted ({where})"
        raise ModelFileError(msg) from error
    finally:
        _native.end_loading(setter)
