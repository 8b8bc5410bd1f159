"""A client that knows the server's OpenAPI document and sends whatever it allows, and what it does not."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from one_model import ALONE
from openapi import Call, Document, check_answer, check_life

from hd_edge import Engine

pytestmark = pytest.mark.filterwarnings("ignore:Detected duplicate leading")  # llama_cpp's, of prompts like "<s>"
PATIENCE = 60.0  # seconds that an answer may take on a busy machine: less than a hang


@pytest.fixture(scope="module", params=["Llama", "Engine"])
def http(models, tiny, serve, request):
    one = request.param == "Llama"
    model = tiny(prefix_cache=None) if one else Engine(str(models("Q4_0")), n_ctx=256, parallel=2, **ALONE)
    with httpx.Client(base_url=serve(model, most_bytes=100_000).url, timeout=PATIENCE) as client:
        yield client


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
    check_life(http)
    assert set(document.document["paths"]) <= routes
    if examples >= 1000:
        assert document.fields <= sent, document.fields - sent


def test_what_the_document_allows_is_answered(http, survival):
    hammer(http, 60, survival)


@pytest.mark.slow
def test_what_the_document_allows_is_answered_for_long(http, survival):
    hammer(http, 2000, survival)
