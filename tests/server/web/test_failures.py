"""What the page says and keeps when the server does not answer as it should."""

from __future__ import annotations

import pytest
from browser import Chat
from scripted import Scripted, answer, chunk
from served import Served

pytestmark = pytest.mark.browser


def test_a_lost_connection_keeps_what_was_said_and_can_be_tried_again(chat, server):
    server.scripts = [[chunk("Half "), chunk("an answer"), Scripted.BREAK], answer("Whole.")]
    assert chat.ask("Hello") == "Half an answer"
    assert "cut off" in chat.notes()[0]
    chat.load()
    assert chat.answers() == ["Half an answer"]
    chat.page.locator(".answer .actions button", has_text="Try again").click()
    chat.see(".answer > .text").to_have_text("Whole.")
    chat.wait()
    assert chat.notes() == []


def test_a_server_that_is_gone_is_told(context):
    scripted = Scripted()
    served = Served(scripted.app)
    chat = Chat(context.new_page(), served.url)
    served.stop()
    assert chat.ask("Hello") == ""
    assert "cannot be reached" in chat.notes()[0]
    assert chat.questions() == ["Hello"]


@pytest.mark.parametrize("status", [429, 503])
def test_a_full_server_is_told_and_can_be_tried_again(chat, server, status):
    server.refusals = [(status, {"message": "too many requests wait", "code": None, "param": None})]
    chat.ask("Hello")
    assert chat.notes() == ["The server is busy, try again in a moment: too many requests wait"]
    chat.page.locator(".answer .actions button", has_text="Try again").click()
    chat.see(".answer > .text").to_have_text("Yes.")
    assert server.asked[0] == server.asked[1]


def test_an_error_in_the_stream_is_told(chat, server):
    server.scripts = [[chunk("Half"), {"error": {"message": "the server ends", "code": None, "param": None}}]]
    assert chat.ask("Hello") == "Half"
    assert chat.notes() == ["The server refuses: the server ends"]


def test_what_is_no_answer_of_ours_is_told(chat, server, context):
    context.route("**/v1/chat/completions", lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>"))
    chat.ask("Hello")
    assert chat.notes() == ["The server refuses: 502 Bad Gateway"]


def test_the_key_is_asked_for_where_it_is_set(context):
    scripted = Scripted(api_key="secret")
    served = Served(scripted.app)
    chat = Chat(context.new_page(), served.url)
    chat.see("#model").to_have_text("needs a key")
    chat.ask("Hello")
    chat.see("#key-wrong").to_have_text("The server asks for a key.")
    chat.see("#key").to_be_focused()
    chat.page.fill("#key", "wrong")
    chat.page.keyboard.press("Enter")
    chat.see("#settings-dialog").to_be_hidden()
    chat.page.locator(".answer .actions button", has_text="Try again").click()
    chat.see("#key-wrong").to_have_text("The server refuses this key.")
    chat.page.fill("#key", "secret")
    chat.page.keyboard.press("Enter")
    chat.see("#model").to_have_text("scripted")
    chat.page.locator(".answer .actions button", has_text="Try again").click()
    chat.see(".answer > .text").to_have_text("Yes.")
    served.stop()


def test_a_page_that_is_left_keeps_what_was_said(chat, server):
    server.scripts = [[chunk("Half "), chunk("an answer"), Scripted.HOLD]]
    chat.send("Hello")
    chat.see(".answer > .text").to_have_text("Half an answer")
    chat.load()
    assert chat.answers() == ["Half an answer"]
    assert "not whole" in chat.notes()[0]
    server.released = 1


def test_a_browser_that_keeps_nothing_is_told(context, server):
    context.add_init_script("Object.defineProperty(window, 'indexedDB', {get() { throw new Error('forbidden'); }});")
    context.add_init_script("Object.defineProperty(window, 'localStorage', {get() { throw new Error('forbidden'); }});")
    chat = Chat(context.new_page(), server.url)
    chat.see("#unkept").to_have_text("This browser keeps no conversations: forbidden")
    assert chat.ask("Hello") == "Yes."
    chat.see("#toast").to_have_text("This browser keeps no conversations: forbidden")
    chat.set(temperature="0")
    chat.ask("Hello")
    assert server.asked[-1]["temperature"] == 0
    assert chat.chats() == ["Hello"]
