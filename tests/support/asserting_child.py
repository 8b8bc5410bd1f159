"""A process that loads files over which llama.cpp would end it, with our own look at them switched off."""

from __future__ import annotations

import contextlib
import ctypes
import io

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


def taken(sound):
    """A program takes the log while it loads and puts it back, with and without its data; then a loud loading."""
    heard: list[list[int]] = []
    Llama(sound, **SETTINGS).close()
    for keeps_data in (True, False):
        before, data, lines = lib.llama_log_callback(), ctypes.c_void_p(), []
        callback = lib.llama_log_callback(lambda _level, text, _data, lines=lines: lines.append(text))
        lib.llama_log_get(ctypes.byref(before), ctypes.byref(data))
        lib.llama_log_set(callback, None)
        Llama(sound, **SETTINGS).close()
        now = lib.llama_log_callback()
        lib.llama_log_get(ctypes.byref(now), ctypes.byref(ctypes.c_void_p()))
        in_place = ctypes.cast(now, ctypes.c_void_p).value == ctypes.cast(callback, ctypes.c_void_p).value
        lib.llama_log_set(before, data if keeps_data else None)
        during = len(lines)
        del callback
        others = [ctypes.CFUNCTYPE(None, ctypes.c_char_p)(lambda _: None) for _ in range(50)]  # in its memory
        with contextlib.redirect_stderr(io.StringIO()) as printed:
            Llama(sound, **SETTINGS, verbose=True).close()
        heard.append([during, len(lines) - during, len(printed.getvalue().splitlines()), in_place and len(others)])
    return heard


def passed_on(sound):
    """How often a callback hears a line that passes it on to the one before it, and is put in place where it is not."""
    Llama(sound, **SETTINGS).close()
    before, data, lines = lib.llama_log_callback(), ctypes.c_void_p(), []

    def hear(level, text, own):
        lines.append(text.decode())
        before(level, text, own if len(lines) % 2 else data)

    callback = lib.llama_log_callback(hear)
    for _ in range(2):
        now, its_data = lib.llama_log_callback(), ctypes.c_void_p()
        lib.llama_log_get(ctypes.byref(now), ctypes.byref(its_data))
        if ctypes.cast(now, ctypes.c_void_p).value != ctypes.cast(callback, ctypes.c_void_p).value:
            before, data = now, its_data
            lib.llama_log_set(callback, None)
        Llama(sound, **SETTINGS).close()
    return [line for line in lines if "loaded meta data" in line]
