"""A LoRA adapter on a loaded model. llama_cpp's constructor does the same, and crashes on a file that does not fit."""

from __future__ import annotations

import os
from typing import Any

from llama_cpp import llama_cpp as lib

from hd_edge.backend.log import captured_log
from hd_edge.errors import ModelFileError
from hd_edge.model.gguf import read_header


def apply_lora(llama: Any, path: str, scale: float) -> None:
    """Puts the adapter on the model; it is freed with it.

    Args:
        llama: A loaded ``llama_cpp.Llama``.
        path: GGUF file of the adapter.
        scale: Its strength.

    Raises:
        ModelFileError: The file is no adapter, or one of another model.
    """
    read_header(path)
    with captured_log() as lines:
        adapter = lib.llama_adapter_lora_init(llama._model.model, os.fsencode(path))
    if not adapter:
        reason = "; ".join(line.strip() for line in lines if "failed" in line or "error" in line.lower())
        msg = f"{path} is no LoRA adapter of {llama.model_path}: {reason or 'llama.cpp cannot load it'}"
        raise ModelFileError(msg)
    llama.lora_path, llama.lora_scale, llama._lora_adapter = path, scale, adapter
    llama._stack.callback(lib.llama_adapter_lora_free, adapter)
    adapters = (lib.llama_adapter_lora_p_ctypes * 1)(adapter)
    if lib.llama_set_adapters_lora(llama._ctx.ctx, adapters, 1, (lib.ctypes.c_float * 1)(scale)):
        msg = f"{path} cannot be put on {llama.model_path}: llama.cpp refuses the adapter"
        raise ModelFileError(msg)
