"""The chat page with the real server and SmolLM2-135M."""

from __future__ import annotations

from functools import partial

import pytest
from browser import Chat
from served import Served

from hd_edge import Llama
from hd_edge.server import create_app

pytestmark = pytest.mark.browser

CANCELLED = 'hd_edge:requests_total{outcome="cancelled"}'


@pytest.fixture
def serve(smollm2_q4_0):
    """Makes a server with a context window of this size."""
    running: list[Served] = []

    def start(n_ctx: int) -> Served:
        llm = Llama(str(smollm2_q4_0), n_ctx=n_ctx, n_threads=1, n_threads_batch=1, store=None, statistics=None)
        running.append(Served(create_app(llm, "smollm2")))
        running[-1].llm = llm
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
    begin, end = served.llm.create_chat_completion, served.llm.token_eos()
    endless = partial(begin, logit_bias={end: -100.0})  # it cannot end before it is stopped
    monkeypatch.setattr(served.llm, "create_chat_completion", endless)
    chat.send("Write a very long story about a river.")
    chat.see(".answer > .text").not_to_be_empty()
    chat.page.click("#send")
    chat.wait()
    assert chat.notes() == ["Stopped."]
    served.wait_for(CANCELLED, 1)
    served.wait_for("llamacpp:requests_processing", 0)
    assert served.llm.total_stats.tokens < 4000
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
