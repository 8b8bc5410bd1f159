"""A tiny model and a server of it; what a file wants otherwise it defines anew."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from one_model import ONE
from served import Served

from hd_edge import Llama
from hd_edge.server import create_app


@pytest.fixture(scope="module")
def tiny(models):
    """``tiny(n_ctx=...)`` loads one."""
    return lambda **settings: Llama(str(models("Q4_0")), **{**ONE, "n_ctx": 256, **settings})


@pytest.fixture(scope="module")
def serve():
    """``serve(model)``: a server that ends, and its model with it, when the file's tests have."""
    with ExitStack() as stack:
        yield lambda model, name="tiny", **more: stack.enter_context(Served(create_app(model, name, **more)))


@pytest.fixture(scope="module")
def llm(tiny):
    with tiny() as llm:
        yield llm


@pytest.fixture(scope="module")
def served(llm, serve):
    return serve(llm)


@pytest.fixture(scope="module")
def client(served):
    """OpenAI's own."""
    with served.openai() as client:
        yield client
