"""The tokenizer of a file, loaded without its weights."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from llama_cpp import llama_cpp as lib

from hd_edge.backend.log import captured_log
from hd_edge.errors import ModelFileError

from .gguf import read_header

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def vocabulary_of(model_path: str | Path) -> Iterator[Any]:
    """Loads only the tokenizer of a GGUF file; yields ``llama_model*``.

    Raises:
        ModelFileError: The file is no GGUF, or llama.cpp cannot load it.
    """
    read_header(model_path)
    params = lib.llama_model_default_params()
    params.vocab_only = True
    with captured_log():
        lib.llama_backend_init()
        model = lib.llama_model_load_from_file(os.fsencode(model_path), params)
    if not model:
        msg = f"{os.fspath(model_path)}: llama.cpp cannot load a tokenizer from this file"
        raise ModelFileError(msg)
    try:
        yield model
    finally:
        lib.llama_model_free(model)
