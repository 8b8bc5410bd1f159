"""A process that loads files over which llama.cpp would end it, with our own look at them switched off."""

from __future__ import annotations

import ctypes

from llama_cpp import llama_cpp as lib

from hd_edge import Llama
from hd_edge.model import gguf

SETTINGS = {"n_ctx": 64, "n_threads": 1, "n_threads_batch": 1, "store": None, "statistics": None, "prefix_cache": None}


def load(sound, files):
    gguf.check_dimensions = gguf.check_values = lambda *_: None
    said = {}
    for path in files:
        try:
            Llama(path, **SETTINGS).close()
            error = None
        except Exception as raised:
            error = raised
        with Llama(sound, **SETTINGS) as llm:
            list(zip(llm.generate([1, 300], temp=0.0), range(4), strict=False))
        said[path] = (type(error).__name__, str(error), "sound")
    return said


def before(sound):
    """Whose abort callback stands between two loadings."""
    kind = ctypes.CFUNCTYPE(None, ctypes.c_char_p)
    set_ = lib._lib.ggml_set_abort_callback
    set_.argtypes, set_.restype = [ctypes.c_void_p], ctypes.c_void_p
    own = kind(lambda _: None)
    address = ctypes.cast(own, ctypes.c_void_p).value
    names = {None: "nobody's", address: "the user's"}
    Llama(sound, **SETTINGS).close()
    found = [names.get(set_(address), "another")]
    Llama(sound, **SETTINGS).close()
    return [*found, names.get(set_(None), "another")]


def heard(sound):
    """The lines that a log callback of somebody's own hears of a loading."""
    lines: dict[str, list[str]] = {"quiet": [], "loud": []}
    for name, heard in lines.items():
        callback = lib.llama_log_callback(lambda _level, text, _data, heard=heard: heard.append(text.decode()))
        lib.llama_log_set(callback, None)
        llm = Llama(sound, **SETTINGS, verbose=name == "loud")
        lib.llama_log_set(lib.llama_log_callback(), None)
        llm.close()
    return lines
