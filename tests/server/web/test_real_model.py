"""The chat page with the real server and SmolLM2-135M: one conversation at a time, and two."""

from __future__ import annotations

from functools import partial

import pytest
from browser import Chat
from served import Served

from hd_edge import Engine, Llama
from hd_edge.server import create_app

pytestmark = pytest.mark.browser

CANCELLED = 'hd_edge:requests_total{outcome="cancelled"}'


@pytest.fixture(params=[1, 2])
def serve(request, smollm2_q4_0):
    """Makes a server with a context window of this size for each conversation; a parameter says how many."""
    running: list[Served] = []

    def start(n_ctx: int) -> Served:
        settings = {"n_ctx": n_ctx, "n_threads": 1, "n_threads_batch": 1, "store": None, "statistics": None}
        several = {"parallel": request.param} if request.param > 1 else {}
        model = Engine(str(smollm2_q4_0), **settings, **several) if several else Llama(str(smollm2_q4_0), **settings)
        running.append(Served(create_app(model, "smollm2")))
        running[-1].model, running[-1].seats = model, model.seats if several else [model]
        return running[-1]

    yield start
    for served in running:
        served.stop()


def test_drafted_words_are_those_of_the_stream(context, serve):
    chat = Chat(context.new_page(), serve(1024).url)
    chat.see("#model").to_have_text("smollm2")
    chat.set(temperature="0", max_tokens="60")
    first = chat.ask("Tell me about rivers.")
    again = chat.ask("Tell me about rivers.")
    assert first
    assert again
    assert "drafted accepted" in chat.page.locator(".numbers").last.inner_text()
    chat.page.check("#show")
    assert chat.page.locator(".answer .context").count() > 0
    assert "the 60 tokens that the settings allow" in chat.notes()[-1]
    assert chat.complaints == []


def test_stop_stops_the_server(context, serve, monkeypatch):
    served = serve(8192)
    chat = Chat(context.new_page(), served.url)
    for seat in served.seats:
        endless = partial(seat.create_chat_completion, logit_bias={seat.token_eos(): -100.0})
        monkeypatch.setattr(seat, "create_chat_completion", endless)  # it cannot end before it is stopped
    chat.send("Write a very long story about a river.")
    chat.see(".answer > .text").not_to_be_empty()
    chat.page.click("#send")
    chat.wait()
    assert chat.notes() == ["Stopped."]
    served.wait_for(CANCELLED, 1)
    served.wait_for("llamacpp:requests_processing", 0)
    assert served.model.total_stats.tokens < 4000
    chat.set(max_tokens="5")
    assert chat.ask("Hello")


def test_a_conversation_outgrows_the_window_and_goes_on(context, serve):
    chat = Chat(context.new_page(), serve(512).url)
    chat.set(temperature="0", max_tokens="20")
    for number in range(5):
        assert chat.ask(f"Question {number}: " + "the river runs to the sea and " * 15)
    assert "512 tokens" in chat.page.locator(".dropped").inner_text()
    chat.ask("word " * 3000)
    assert "shorten it" in chat.notes()[-1]
    assert chat.ask("Hello")


def test_two_tabs_ask_at_once(context, serve):
    url = serve(1024).url
    tabs = [Chat(context.new_page(), url) for _ in range(2)]
    for tab in tabs:
        tab.set(temperature="0", max_tokens="40")
        tab.page.click("#new")
    alone = tabs[0].ask("Tell me about rivers.")
    for tab in tabs:
        tab.page.click("#new")
    for tab in tabs:
        tab.send("Tell me about rivers.")
    for tab in tabs:
        tab.wait()
        assert tab.page.locator(".answer > .text").last.inner_text() == alone
        assert tab.complaints == []
