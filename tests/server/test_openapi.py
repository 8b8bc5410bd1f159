"""A client that knows the server's OpenAPI document and sends whatever it allows, and what it does not."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from openapi import Call, Document, check_answer
from served import Served

from hd_edge import Engine, Llama
from hd_edge.server import create_app

pytestmark = pytest.mark.filterwarnings("ignore:Detected duplicate leading")  # llama_cpp's, of prompts like "<s>"
PATIENCE = 60.0  # seconds that an answer may take on a busy machine: less than a hang
ONE = {"n_threads": 1, "n_threads_batch": 1, "store": None, "statistics": None, "prefix_cache": None}


@pytest.fixture(scope="module", params=["Llama", "Engine"])
def http(models, request):
    path = str(models("Q4_0"))
    alone = request.param == "Llama"
    model = Llama(path, n_ctx=256, **ONE) if alone else Engine(path, n_ctx=256, parallel=2, **ONE)
    served = Served(create_app(model, "tiny", most_bytes=100_000))
    with httpx.Client(base_url=served.url, timeout=PATIENCE) as client:
        yield client
    served.stop()


def hammer(http: httpx.Client, examples: int, survival) -> None:
    survival.what = "hostile HTTP from the OpenAPI document"
    document = Document(http.get("/openapi.json").json())
    sent: set[tuple[str, str]] = set()
    routes: set[str] = set()

    @settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
        derandomize=True,
        database=None,
    )
    @given(document.calls())
    def run(call: Call) -> None:
        with survival.case():
            headers = {"Content-Type": call.kind} if call.kind else {}
            check_answer(http.request(call.method, call.path, content=call.body, headers=headers))
        sent.update((call.route, name) for name in call.names)
        routes.add(call.route)

    run()
    assert http.get("/health").json() == {"status": "ok"}
    made = http.post("/v1/completions", json={"prompt": "the cat", "max_tokens": 3, "temperature": 0.0}).json()
    assert made["usage"]["completion_tokens"] == 3
    assert set(document.document["paths"]) <= routes
    if examples >= 1000:
        assert document.fields <= sent, document.fields - sent


def test_what_the_document_allows_is_answered(http, survival):
    hammer(http, 60, survival)


@pytest.mark.slow
def test_what_the_document_allows_is_answered_for_long(http, survival):
    hammer(http, 2000, survival)
