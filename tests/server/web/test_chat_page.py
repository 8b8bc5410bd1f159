"""What a person does with the chat page: ask, edit, ask anew, stop, copy, read on, on a desk and on a phone."""

from __future__ import annotations

import pytest
from browser import PHONE, Chat
from scripted import Scripted, answer, chunk, timings

pytestmark = pytest.mark.browser


def test_a_conversation_is_sent_whole_and_shown(chat, server):
    server.scripts = [answer("Rivers ", "run."), answer("To the ", "sea.")]
    assert chat.ask("Tell me about rivers.") == "Rivers run."
    assert chat.ask("Where do they end?") == "To the sea."
    assert server.asked[-1]["messages"] == [
        {"role": "user", "content": "Tell me about rivers."},
        {"role": "assistant", "content": "Rivers run."},
        {"role": "user", "content": "Where do they end?"},
    ]
    assert chat.complaints == []


def test_markdown_and_code_are_shown_as_such(chat, server):
    server.says(
        "# Title\n\nSome **bold** text.\n\n", "```python\ndef f():\n    return 1\n```\n\n| a | b |\n|-|-|\n| 1 | 2 |\n"
    )
    chat.ask("Show me.")
    text = chat.page.locator(".answer > .text")
    assert text.locator("h1").inner_text() == "Title"
    assert text.locator("strong").inner_text() == "bold"
    assert text.locator("td").all_inner_texts() == ["1", "2"]
    assert text.locator("pre code").text_content() == "def f():\n    return 1\n"
    assert "hljs-keyword" in text.locator("pre span").first.get_attribute("class")
    assert chat.page.locator(".language").inner_text().split() == ["python", "Copy"]


def test_code_answers_and_questions_are_copied(chat, server):
    server.says("Run\n\n```sh\nmake all\n```\n")
    chat.ask("How?")
    for place, copied in (
        (".language button", "make all"),
        (".answer .actions button >> nth=0", "Run\n\n```sh\nmake all\n```\n"),
        (".question .actions button >> nth=1", "How?"),
    ):
        chat.page.click(place)
        chat.see(place).to_have_text("Copied")
        assert chat.page.evaluate("navigator.clipboard.readText()") == copied


def test_keys_send_break_lines_and_stop(chat, server):
    chat.page.locator("#text").press_sequentially("one")
    chat.page.keyboard.press("Shift+Enter")
    chat.page.keyboard.type("two")
    server.scripts = [[chunk("Still "), Scripted.HOLD, chunk("never")]]
    chat.page.keyboard.press("Enter")
    chat.see(".answer > .text").to_have_text("Still")
    assert chat.questions() == ["one\ntwo"]
    chat.page.keyboard.type("next")
    chat.page.keyboard.press("Enter")  # not while an answer is on its way
    assert len(server.asked) == 1
    chat.page.keyboard.press("Escape")
    chat.wait()
    assert chat.notes() == ["Stopped."]
    assert chat.answers() == ["Still"]
    assert chat.page.input_value("#text") == "next"


def test_an_edited_message_goes_on_from_there_and_can_be_taken_back(chat, server):
    server.scripts = [answer("One."), answer("Two."), answer("Other.")]
    chat.ask("first")
    chat.ask("second")
    chat.page.locator(".question .actions button", has_text="Edit").first.click()
    area = chat.page.locator(".editing textarea")
    assert area.input_value() == "first"
    area.fill("changed")
    area.press("Enter")
    chat.see(".bubble").to_have_count(1)
    chat.wait()
    assert (chat.questions(), chat.answers()) == (["changed"], ["Other."])
    assert server.asked[-1]["messages"] == [{"role": "user", "content": "changed"}]
    chat.page.click("#toast button")
    chat.see(".bubble").to_have_count(2)
    assert (chat.questions(), chat.answers()) == (["first", "second"], ["One.", "Two."])


def test_an_edit_is_left_with_escape(chat):
    chat.ask("first")
    chat.page.locator(".question .actions button", has_text="Edit").click()
    chat.page.keyboard.press("Escape")
    chat.see(".editing").to_have_count(0)
    assert chat.questions() == ["first"]
    assert chat.page.evaluate("document.activeElement.textContent") == "Edit"


def test_an_answer_is_made_anew(chat, server):
    server.scripts = [answer("One."), answer("Later."), answer("Two.")]
    chat.ask("question")
    chat.ask("later question")
    chat.page.locator(".answer .actions button", has_text="Regenerate").first.click()
    chat.see(".answer > .text").to_have_text("Two.")
    chat.wait()
    assert chat.questions() == ["question"]
    assert server.asked[-1]["messages"] == [{"role": "user", "content": "question"}]


def test_thoughts_are_folded(chat, server):
    server.scripts = [[chunk(thoughts="Let me think."), chunk("Done."), chunk(finish="stop", timings=timings(2))]]
    assert chat.ask("Think") == "Done."
    chat.see(".thoughts .text").to_be_hidden()
    chat.page.click(".thoughts summary")
    chat.see(".thoughts .text").to_have_text("Let me think.")
    chat.ask("Again")
    assert server.asked[-1]["messages"][1] == {"role": "assistant", "content": "Done."}


def test_drafted_parts_are_shown_if_wished_with_speed_and_acceptance(chat, server):
    pieces = [("Some", "target"), (" **bold", "context"), ("** words", "model"), (".", "drafter")]
    last = chunk(finish="stop", timings=timings(4, drafted=5, accepted=3))
    server.scripts = [[*(chunk(*piece) for piece in pieces), last]]
    chat.ask("Hello")
    numbers = chat.page.locator(".numbers")
    assert "31.4 tokens/s" in numbers.inner_text()
    assert "3 of 5 drafted accepted" in numbers.inner_text()
    told = numbers.locator(".bar").get_attribute("aria-label")
    assert told == "Drafted: context 25 %, model 25 %, drafter 25 %"
    text = chat.page.locator(".answer > .text")
    assert text.locator(".context").count() == 0
    chat.page.check("#show")
    assert text.locator(".context").all_text_contents() == [" ", "bold"]  # "** " came from another tier
    assert text.locator(".model").all_text_contents() == [" words"]
    assert text.locator(".drafter").all_text_contents() == ["."]
    assert text.inner_text() == "Some bold words."
    chat.load()
    chat.see(".answer > .text .drafter").to_have_text(".")


def test_a_phone_has_one_column_and_a_list_that_slides_in(chromium, server):
    context = chromium.new_context(viewport=PHONE, has_touch=True, is_mobile=True)
    chat = Chat(context.new_page(), server.url)
    chat.ask("About rivers")
    assert chat.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    chat.see("#sidebar").to_be_hidden()
    chat.page.click("#menu")
    chat.see("#new").to_be_focused()
    chat.page.keyboard.press("Escape")
    chat.see("#menu").to_be_focused()
    chat.page.click("#menu")
    chat.page.click("#new")
    chat.see("#sidebar").to_be_hidden()
    chat.see("#title").to_have_text("New chat")
    context.close()


def test_the_page_follows_an_answer_unless_the_reader_has_gone_up(chat, server):
    paragraphs = [chunk(f"Paragraph {i}.\n\n") for i in range(40)]
    server.scripts = [[*paragraphs, Scripted.HOLD, *paragraphs, chunk("More."), Scripted.HOLD, *answer("End.")]]
    chat.send("Tell")
    place = "document.querySelector('#talk').scrollTop"
    chat.see(".answer > .text").to_contain_text("Paragraph 39.")
    chat.see("#down").to_be_hidden()
    assert chat.page.evaluate(place) > 500
    chat.page.hover("#talk")
    chat.page.mouse.wheel(0, -600)
    chat.see("#down").to_be_visible()
    stayed = chat.page.evaluate(place)
    server.released = 1
    chat.see(".answer > .text").to_contain_text("More.")
    assert chat.page.evaluate(place) == stayed
    server.released = 2
    chat.wait()
    chat.see(".answer > .text").to_contain_text("End.")
    assert chat.page.evaluate(place) == stayed
    chat.page.click("#down")
    chat.see("#down").to_be_hidden()
    chat.see("#text").to_be_focused()


def test_what_is_marked_in_an_answer_stays_marked_while_it_grows(chat, server):
    server.scripts = [[chunk("First paragraph.\n\n"), chunk("Second"), Scripted.HOLD, *answer(" one.\n\nThird.")]]
    chat.send("Tell")
    chat.see(".answer > .text").to_contain_text("Second")
    chat.page.evaluate("getSelection().selectAllChildren(document.querySelector('.answer > .text p'))")
    server.released = 1
    chat.wait()
    chat.see(".answer > .text").to_contain_text("Third.")
    assert chat.page.evaluate("getSelection().toString()").strip() == "First paragraph."
