"""axe-core finds nothing: light and dark, wide and narrow, with and without what opens."""

from __future__ import annotations

import pytest
from browser import DESKTOP, PHONE, Chat
from scripted import Scripted, answer, chunk, timings

pytestmark = pytest.mark.browser

EVERYTHING = (
    "# Title\n\nSome **bold** [link](https://example.org), `code`.\n\n```python\n# why\ndef f(x: int) -> str:\n"
    "    return f'{x}' + str(1)  # long "
    + "x" * 200
    + "\n```\n\n| a | b |\n|-|-|\n| 1 | 2 |\n\n- [x] done\n- [ ] to do\n\n> quoted\n"
)
TIERS = ("target", "context", "model", "statistics", "drafter")


@pytest.fixture(scope="module")
def axe():
    return pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is missing").Axe()


def findings(axe, chat) -> list[str]:
    """What axe finds, but for the order of headings: that is the model's."""
    return [
        f"{found['impact']} {found['id']}: {node['target']} {node['failureSummary']}"
        for found in axe.run(chat.page).response["violations"]
        if found["id"] != "heading-order"
        for node in found["nodes"]
    ]


@pytest.fixture(params=["light", "dark"])
def scheme(request):
    return request.param


@pytest.fixture(params=["desktop", "phone"])
def chat(request, chromium, server, scheme):
    size = {"desktop": DESKTOP, "phone": PHONE}[request.param]
    context = chromium.new_context(viewport=size, color_scheme=scheme, reduced_motion="reduce")
    chat = Chat(context.new_page(), server.url)
    chat.narrow = request.param == "phone"
    yield chat
    context.close()


def test_axe_finds_nothing(axe, chat, server):
    def check(state: str) -> None:
        assert findings(axe, chat) == [], state

    check("empty")
    texts = [EVERYTHING[i : i + 5] for i in range(0, len(EVERYTHING), 5)]
    last = chunk(finish="stop", timings=timings(len(texts), 90, 60))
    server.scripts = [
        [chunk(thoughts="Let me think."), *(chunk(text, TIERS[i % 5]) for i, text in enumerate(texts)), last],
        [chunk("Half "), Scripted.BREAK],
    ]
    chat.ask("Everything, please")
    chat.page.click(".thoughts summary")
    check("an answer")
    chat.page.check("#show")
    check("drafts")
    chat.ask("And now?")
    check("a failure")
    server.scripts = [
        [
            {"choices": [], "prompt_progress": {"total": 5000, "cache": 0, "processed": 1000, "time_ms": 2000}},
            Scripted.HOLD,
            *answer("Done."),
        ]
    ]
    chat.send("Read")
    chat.see(".waiting progress").to_be_visible()
    check("reading")
    server.released = 1
    chat.wait()
    chat.page.locator(".question .actions button", has_text="Edit").first.click()
    check("editing")
    chat.page.keyboard.press("Escape")
    chat.page.click("#settings")
    check("settings")
    for name in ("temperature", "seed"):
        chat.page.fill(f"#settings-form [name={name}]", "wrong")
    chat.page.click("#settings-form .main")
    check("mistakes in settings")
    chat.page.keyboard.press("Escape")
    if chat.narrow:
        chat.page.click("#menu")
        check("the list on a phone")
    chat.page.click("#list .more")
    check("a chat's dialog")
    chat.page.click("#delete")
    chat.see("#toast").to_be_visible()
    check("a toast")


def test_the_keyboard_alone_reaches_everything(chat):
    """From the message on, Tab goes round through all that can be pressed, and each is seen when it has the focus."""
    chat.ask("first")
    seen: list[str] = []
    name = """() => {
        const here = document.activeElement, style = getComputedStyle(here);
        const marked = style.outlineStyle !== "none" || getComputedStyle(here.parentElement).boxShadow !== "none";
        const called = here === document.body ? "body" : here.id || here.textContent || here.tagName;
        return marked || here === document.body ? called : `${called} (unmarked)`;
    }"""
    chat.page.focus("#text")
    for _ in range(30):
        chat.page.keyboard.press("Tab")
        seen.append(chat.page.evaluate(name))
    wanted = {"send", "show", "settings", "Edit", "Copy", "Regenerate"}
    wanted |= {"menu"} if chat.narrow else {"new", "first", "⋯", "import"}
    assert wanted <= set(seen), seen
    assert [one for one in seen if "unmarked" in one] == []


def test_what_happens_is_told_to_who_does_not_see_it(chat, server):
    server.scripts = [[chunk("Rivers "), Scripted.HOLD, *answer("run.")]]
    chat.send("Tell me")
    chat.see("#status").to_have_text("The model answers.")
    chat.see(".answer").to_have_attribute("aria-busy", "true")
    server.released = 1
    chat.wait()
    chat.see("#status").to_have_text("Rivers run.")
    chat.see(".answer").to_have_attribute("aria-busy", "false")
