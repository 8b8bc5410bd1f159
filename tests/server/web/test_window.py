"""A conversation that outgrows the context window goes on, and a long one is told while it is read."""

from __future__ import annotations

import pytest
from scripted import Scripted, answer

pytestmark = pytest.mark.browser


def test_the_oldest_turns_are_left_out_in_words_when_the_window_is_full(chat, server):
    server.size = 400
    chat.load()
    long = "word " * 80
    server.says(long)
    for number in range(3):
        chat.ask(f"{number} {long}")
    server.says("Short.")
    chat.ask("last")
    assert len(chat.questions()) == 4
    sent = server.asked[-1]["messages"]
    assert sent[-1] == {"role": "user", "content": "last"}
    assert sum(len(message["content"].split()) + 8 for message in sent) <= 400
    dropped = chat.page.locator(".dropped").inner_text()
    assert "above no longer fit" in dropped
    assert "400 tokens" in dropped
    kept = (len(sent) - 1) // 2
    assert chat.page.evaluate("[...document.querySelectorAll('.dropped ~ .turn')].length") == kept + 1


def test_a_window_that_is_fuller_than_it_was_counted_drops_one_more_turn(chat, server):
    full = {"message": "too long", "code": "context_length_exceeded", "param": None}
    chat.ask("first")
    chat.ask("second")
    server.refusals = [(400, full)]
    assert chat.ask("third") == "Yes."
    assert [message["content"] for message in server.asked[-1]["messages"]] == ["second", "Yes.", "third"]
    assert chat.page.locator(".dropped").inner_text().startswith("The turn above no longer fits")
    server.refusals = [(400, full)] * 3
    chat.ask("a long question")
    assert "shorten it" in chat.notes()[-1]


def test_a_long_prompt_is_told_while_it_is_read(chat, server):
    read = {"total": 5000, "cache": 0, "processed": 1000, "time_ms": 2000}
    server.scripts = [[{"choices": [], "prompt_progress": read}, Scripted.HOLD, *answer("Done.")]]
    chat.send("Read this")
    chat.see(".waiting").to_have_text("reading 1,000 of 5,000 tokens, 8 s left")
    server.released = 1
    chat.wait()
    chat.see(".waiting").to_be_hidden()
