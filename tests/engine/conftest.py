"""A model that drafts well and widely, and llama_cpp's own beside it."""

from __future__ import annotations

from contextlib import closing

import pytest
from one_model import drafting_well, make, make_theirs


@pytest.fixture(scope="package")
def base(models):
    with closing(make_theirs(models)) as llm:
        yield llm


@pytest.fixture(scope="package")
def loaded(models):
    with make(models, draft="off") as llm:
        yield llm


@pytest.fixture
def llm(loaded, base):
    with drafting_well(loaded, base):
        yield loaded


@pytest.fixture
def fresh(models, opened):
    """One that the test closes."""
    return opened(make(models))
