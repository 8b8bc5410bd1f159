"""One model that a test may use from anywhere: how it is loaded, what it is asked, and what it says."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import islice

import llama_cpp
import numpy as np

from hd_edge import Llama
from hd_edge.check.adversary import Adversary

ONE = {"n_threads": 1, "n_threads_batch": 1, "store": None, "statistics": None}  # nothing is learned
ALONE = {**ONE, "prefix_cache": None}  # and nothing is kept
SETTINGS = {"n_ctx": 512, "n_threads": 1, "n_threads_batch": 1, "type_k": 8, "type_v": 8, "seed": 5}
PROMPT = "the cat sat on the mat and then the cat"
OTHER = [1, *range(300, 340)]


def make(models, **more):
    """A model of its own, whose text is llama_cpp's."""
    settings = {"exact": True, "row_kernels": False, "store": None, "statistics": None, **SETTINGS}
    return Llama(str(models("Q4_0")), **{**settings, **more})


def make_theirs(models, **more):
    """The same of llama_cpp."""
    return llama_cpp.Llama(str(models("Q4_0")), flash_attn=True, verbose=False, **{**SETTINGS, **more})


@contextmanager
def drafting_well(ours, theirs):
    """Drafts that know what plain decoding says: steps of many tokens, and many wrong branches."""
    tokens = prompt_of(ours)
    theirs.reset()
    script = list(islice(theirs.generate(tokens, temp=0.0), 80))
    ours.reset()
    theirs.reset()
    with ours.drafting(Adversary(tokens + script, ours.n_vocab(), 0.8, 1)):
        yield ours


def prompt_of(llm):
    return llm.tokenize(PROMPT.encode())


def last_row(llm):
    """The logits that the next token would be drawn from."""
    return np.ctypeslib.as_array(llm._ctx.get_logits_ith(-1), (llm.n_vocab(),)).copy()


def take(generation, n):
    """The first tokens of a generation, which is closed."""
    tokens = list(islice(generation, n))
    generation.close()
    return tokens
