"""Models that keep prefixes, and what they answer."""

import numpy as np

from hd_edge import Llama

SETTINGS = {"n_ctx": 1024, "n_threads": 1, "n_threads_batch": 1, "store": None, "statistics": None}
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


def answer(llm, tokens, n=12, **sampling):
    """First row of logits, tokens, and how many of the prompt's were known."""
    generation = llm.generate(tokens, **{"temp": 0.0, **sampling})
    out = [next(generation)]
    row = np.ctypeslib.as_array(llm._ctx.get_logits_ith(-1), (llm.n_vocab(),)).copy()
    out += [next(generation) for _ in range(n - 1)]
    generation.close()
    return row.tobytes(), out, llm.stats.cached_tokens
