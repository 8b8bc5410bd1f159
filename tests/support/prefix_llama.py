"""Models that keep prefixes, and what they answer."""

import ctypes

import llama_cpp
import numpy as np
from one_model import ONE, last_row, take

from hd_edge import Llama

POINTER = ctypes.POINTER(ctypes.c_float)
SETTINGS = {**ONE, "n_ctx": 1024}
TEXT = np.random.default_rng(11).integers(3, 259, 900).tolist()


def load(path, **more):
    llm = Llama(str(path), **{**SETTINGS, **more})
    if llm._prefixes is not None:
        dear(llm)
    return llm


def dear(llm):
    """The tiny model computes faster than a disk reads; here it shall not."""
    price = llm._prefixes.price
    price.least_seconds = price.gain = 0.0
    price.worth_writing = price.worth_taking = price.worth_restoring = lambda *_: True
    price.compute = price.compute or 1.0


def steer(llm, call=llama_cpp.llama_set_adapter_cvec, context=None):
    """Puts a control vector on it."""
    n, layers = llm.n_embd(), llama_cpp.llama_model_n_layer(llm.model)
    vector = np.random.default_rng(0).normal(0, 3, n * layers).astype(np.single)
    assert call(context or llm.ctx, vector.ctypes.data_as(POINTER), vector.size, n, 1, layers - 1) == 0


def answer(llm, tokens, n=12, **sampling):
    """First row of logits, tokens, and how many of the prompt's were known."""
    generation = llm.generate(tokens, **{"temp": 0.0, **sampling})
    out = [next(generation)]
    row = last_row(llm)
    out += take(generation, n - 1)
    return row.tobytes(), out, llm.stats.cached_tokens
