"""What a person does with the chat page: ask, edit, ask anew, stop, copy, keep conversations, leave and come back."""

from __future__ import annotations

import json

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


def test_settings_are_sent_kept_and_say_what_is_wrong(chat, server):
    chat.set(system="Be brief.", temperature="7", seed="x", max_tokens="0", key="two words")
    wrong = dict(zip(("system", "temperature", "top_p", "max_tokens", "seed", "key"), [None] * 6, strict=True))
    for name in wrong:
        field = chat.page.locator(f"#settings-form [name={name}]")
        wrong[name] = field.get_attribute("aria-invalid") and chat.page.locator(f"#{name}-wrong").inner_text()
        assert field.get_attribute("aria-describedby") == (f"{name}-wrong" if wrong[name] else None)
    assert wrong == {
        "system": None,
        "temperature": "The temperature is from 0 to 2; 7 is not.",
        "top_p": None,
        "max_tokens": "The most tokens is from 1 to 2147483647; 0 is not.",
        "seed": "The seed is a number, such as 100; “x” is none.",
        "key": "A key has no blanks and only Latin letters.",
    }
    assert chat.page.evaluate("document.activeElement.name") == "temperature"
    for name, value in {"temperature": "0,5", "seed": "7", "max_tokens": "30", "key": "", "top_p": ".9"}.items():
        chat.page.fill(f"#settings-form [name={name}]", value)
    chat.page.click("#settings-form .main")
    chat.see("#settings-dialog").to_be_hidden()
    chat.load()
    chat.ask("Hello")
    asked = server.asked[-1]
    assert asked["messages"][0] == {"role": "system", "content": "Be brief."}
    expected = {"temperature": 0.5, "top_p": 0.9, "max_tokens": 30, "seed": 7}
    assert {name: asked[name] for name in expected} == expected


def test_what_the_server_refuses_of_a_setting_stands_beside_it(chat, server):
    server.refusals = [(400, {"message": "temperature: too hot", "param": "temperature", "code": None})]
    chat.ask("Hello")
    chat.see("#temperature-wrong").to_have_text("temperature: too hot")
    chat.page.keyboard.press("Escape")
    assert chat.notes() == ["The server refuses: temperature: too hot"]


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


def test_the_theme_follows_the_system_or_the_setting(chromium, server):
    context = chromium.new_context(color_scheme="dark")
    chat = Chat(context.new_page(), server.url)
    page = "getComputedStyle(document.body).backgroundColor"
    dark = chat.page.evaluate(page)
    chat.set(theme="light")
    light = chat.page.evaluate(page)
    assert light != dark
    chat.load()
    assert chat.page.evaluate(page) == light
    context.route("**/app.js", lambda route: route.abort())  # before any module runs: no flash of the other theme
    chat.page.reload()
    assert chat.page.evaluate(page) == light
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
