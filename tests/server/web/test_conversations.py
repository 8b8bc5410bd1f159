"""Conversations stay in the browser: across reloads and tabs, in files, and while others are open."""

from __future__ import annotations

import json

import pytest
from browser import Chat
from scripted import Scripted, answer, chunk

pytestmark = pytest.mark.browser


def test_conversations_survive_a_reload_and_can_be_renamed_and_deleted(chat, server):
    chat.ask("About rivers")
    chat.page.click("#new")
    chat.ask("About hills")
    chat.load()
    assert chat.chats() == ["About hills", "About rivers"]
    assert chat.questions() == ["About hills"]
    chat.page.locator("#list .chat", has_text="rivers").click()
    chat.see(".bubble").to_have_text("You: About rivers")
    chat.page.locator("#list .here .more").click()
    chat.page.fill("#chat-name", "Water")
    chat.page.keyboard.press("Enter")
    chat.see("#title").to_have_text("Water")
    chat.load()
    assert sorted(chat.chats()) == ["About hills", "Water"]
    chat.page.locator("#list li", has_text="Water").locator(".more").click()
    chat.page.click("#delete")
    chat.see("#list .chat").to_have_count(1)
    chat.page.click("#toast button")
    chat.see("#list .chat").to_have_count(2)
    assert chat.answers() == ["Yes."]
    assert chat.complaints == []


def test_an_exported_chat_is_one_that_the_terminal_reads(chat, server, tmp_path):
    from hd_edge.cli.conversation import read

    chat.set(system="Be brief.")
    chat.ask("About rivers")
    chat.page.click("#list .more")
    with chat.page.expect_download() as download:
        chat.page.click("#export-json")
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    assert path.name == "About rivers.json"
    messages = [{"role": "user", "content": "About rivers"}, {"role": "assistant", "content": "Yes."}]
    assert read(path) == ("Be brief.", messages)

    chat.page.set_input_files("#file", path)
    chat.see("#list .chat").to_have_count(2)
    assert chat.answers() == ["Yes."]
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps({"messages": "none"}), encoding="utf-8")
    chat.page.set_input_files("#file", wrong)
    chat.see("#toast").to_contain_text("wrong.json is no chat")

    chat.page.click("#list .here .more")
    with chat.page.expect_download() as download:
        chat.page.click("#export-markdown")
    download.value.save_as(tmp_path / "chat.md")
    assert "**You**\n\nAbout rivers" in (tmp_path / "chat.md").read_text(encoding="utf-8")


def test_an_answer_goes_on_in_its_conversation_while_another_is_open(chat, server):
    server.scripts = [[chunk("Slow "), Scripted.HOLD, *answer("answer.")]]
    chat.send("first")
    chat.see(".answer > .text").to_have_text("Slow")
    chat.page.click("#new")
    chat.see("#send").to_have_text("Send")
    assert chat.answers() == []
    server.released = 1
    chat.page.locator("#list .chat", has_text="first").click()
    chat.wait()
    assert chat.answers() == ["Slow answer."]


def test_two_tabs_see_the_same_conversations(chat, context, server):
    chat.ask("first")
    other = Chat(context.new_page(), server.url)
    assert other.chats() == ["first"]
    other.page.locator("#list .chat").click()
    chat.ask("second")
    other.see(".bubble").to_have_count(2)
    other.page.click("#list .more")
    other.page.click("#delete")
    chat.see("#list .chat").to_have_count(0)
    chat.see(".bubble").to_have_count(0)


def test_two_tabs_that_write_at_once_lose_nothing(chat, context, server):
    chat.ask("first")
    other = Chat(context.new_page(), server.url)
    other.page.locator("#list .chat").click()
    server.scripts = [[chunk("Slow "), Scripted.HOLD, *answer("answer.")], answer("Quick.")]
    chat.send("from one tab")
    chat.see(".answer > .text >> nth=1").to_have_text("Slow")
    other.see(".bubble").to_have_count(2)
    other.page.locator(".answer .actions button", has_text="Try again").click()
    other.see(".answer > .text >> nth=1").to_have_text("Quick.")
    other.wait()
    server.released = 1
    chat.wait()
    chat.see("#list .chat").to_have_count(2)
    assert sorted(chat.chats()) == ["first", "first (copy)"]
    chat.see("#title").to_have_text("first (copy)")
    assert chat.answers() == ["Yes.", "Slow answer."]
    other.see("#title").to_have_text("first")
    assert other.answers() == ["Yes.", "Quick."]
