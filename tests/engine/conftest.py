"""A model that drafts well and widely, and llama_cpp's own beside it."""

from __future__ import annotations

from itertools import islice

import llama_cpp
import pytest
from one_model import SETTINGS, make, prompt_of

from hd_edge.check.adversary import Adversary


@pytest.fixture(scope="package")
def base(models):
    llm = llama_cpp.Llama(str(models("Q4_0")), flash_attn=True, verbose=False, **SETTINGS)
    yield llm
    llm.close()


@pytest.fixture(scope="package")
def loaded(models):
    llm = make(models, draft="off")
    yield llm
    llm.close()


@pytest.fixture
def llm(loaded, base):
    """Drafts that know what plain decoding says: steps of many tokens, and many wrong branches."""
    tokens = prompt_of(loaded)
    base.reset()
    script = list(islice(base.generate(tokens, temp=0.0), 80))
    loaded.reset()
    base.reset()
    with loaded.drafting(Adversary(tokens + script, loaded.n_vocab(), 0.8, 1)):
        yield loaded


@pytest.fixture
def fresh(models):
    """One that the test closes."""
    llm = make(models)
    yield llm
    llm.close()
