"""Settings of the chat page: sent, kept, and what is wrong stands beside the field."""

from __future__ import annotations

import pytest
from browser import Chat

pytestmark = pytest.mark.browser


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
