"""One model that a test may use from anywhere: how it is loaded, what it is asked, and what it says."""

from __future__ import annotations

from itertools import islice

from hd_edge import Llama

SETTINGS = {"n_ctx": 512, "n_threads": 1, "n_threads_batch": 1, "type_k": 8, "type_v": 8, "seed": 5}
PROMPT = "the cat sat on the mat and then the cat"
OTHER = [1, *range(300, 340)]


def make(models, **more):
    """A model of its own, whose text is llama_cpp's."""
    settings = {"exact": True, "row_kernels": False, "store": None, "statistics": None, **SETTINGS}
    return Llama(str(models("Q4_0")), **{**settings, **more})


def prompt_of(llm):
    return llm.tokenize(PROMPT.encode())


def take(generation, n):
    """The first tokens of a generation, which is closed."""
    tokens = list(islice(generation, n))
    generation.close()
    return tokens
