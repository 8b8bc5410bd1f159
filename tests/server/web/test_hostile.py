"""What a model writes is never trusted: no script runs, no request leaves the page, and the page goes on."""

from __future__ import annotations

import pytest
from browser import Chat

pytestmark = pytest.mark.browser

ELSEWHERE = "http://evil.example"

HOSTILE = {
    "script": "<script>document.title = 'owned'; fetch('/v1/owned')</script>",
    "event": "<img src=x onerror=\"document.title='owned'\"> <svg onload=\"document.title='owned'\"></svg>",
    "frame": f"<iframe src='{ELSEWHERE}/frame'></iframe><object data='{ELSEWHERE}/o'></object>",
    "style": f"<style>body {{ background: url({ELSEWHERE}/style) }}</style><link rel=stylesheet href={ELSEWHERE}/l>",
    "image": f"![secret]({ELSEWHERE}/leak.png) ![][ref]\n\n[ref]: {ELSEWHERE}/ref.png",
    "link": "[press](javascript:document.title='owned') <javascript:alert(1)> [data](data:text/html,<b>1</b>)",
    "encoded": "[press](&#106;avascript:document.title='owned') [tab](java\tscript:document.title='owned')",
    "form": f"<form action='{ELSEWHERE}'><input name=q autofocus onfocus=\"document.title='owned'\"></form>",
    "math": "<math><mtext><table><mglyph><style><img src=x onerror=\"document.title='owned'\"></style>",
    "attribute": "[a](http://x.example/\"onmouseover=\"document.title='owned') `<img src=x>`",
    "fence": '```"><img src=x onerror="document.title=\'owned\'">\ncode\n```',
    "clobber": "<form id=turns></form><a id=send name=send></a><input id=text>",
    "base": f"<base href='{ELSEWHERE}/'><meta http-equiv=refresh content='0;url={ELSEWHERE}'>",
}


@pytest.fixture
def watched(context, server):
    """A page whose other hosts do not exist; what is asked of them is noted."""
    context.route(lambda url: not url.startswith(server.url), lambda route: route.abort())
    return Chat(context.new_page(), server.url)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("drafts", [False, True], ids=["plain", "drafts"])
def test_hostile_answers_do_nothing(watched, server, text, drafts):
    if drafts:
        watched.page.check("#show")
    server.says(*[text[i : i + 3] for i in range(0, len(text), 3)], "\n\nThe end.")
    watched.ask("Attack")
    box = watched.page.locator(".answer > .text")
    assert "The end." in box.inner_text()
    assert box.locator("img, script, iframe, object, style, link, form, svg, math, base, meta, input").count() == 0
    attributes = "e => [...e.querySelectorAll('*')].flatMap(one => [...one.attributes].map(a => a.name))"
    assert [name for name in box.evaluate(attributes) if name.startswith("on") or name in ("style", "id", "src")] == []
    for link in box.locator("a").all():
        assert (link.get_attribute("href") or "http:").startswith(("http:", "https:", "mailto:"))
        assert link.get_attribute("rel") == "noopener noreferrer nofollow"
        assert link.get_attribute("target") == "_blank"
    assert watched.page.title() == "Attack · hd_edge"
    assert [url for url in watched.requested if not url.startswith(server.url)] == []
    assert not any(url.endswith("owned") for url in watched.requested)
    assert watched.complaints == []
    assert watched.ask("Still there?")


def test_an_image_is_a_link_to_it(watched, server):
    server.says(f"![secret]({ELSEWHERE}/leak.png)")
    watched.ask("Image?")
    link = watched.page.locator(".answer > .text a")
    assert (link.inner_text(), link.get_attribute("href")) == ("secret", f"{ELSEWHERE}/leak.png")


def test_html_is_shown_as_it_was_written(watched, server):
    server.says("Use <b>bold</b>:\n\n<div>\n  <p>one</p>\n</div>\n")
    watched.ask("HTML?")
    assert watched.answers() == ["Use <b>bold</b>:\n\n<div>\n  <p>one</p>\n</div>"]


@pytest.mark.parametrize(
    "text", ["> " * 5000 + "deep", "[" * 5000, "*a " * 5000, "- " * 3000 + "x", "x " + "`" * 20_000], ids=range(5)
)
def test_a_text_that_breaks_parsers_is_shown_in_time(watched, server, text):
    server.says(text)
    assert watched.ask("Break")
    watched.wait()
    assert watched.complaints == []


def test_hostile_questions_titles_and_names_are_texts(watched, server):
    text = "<img src=x onerror=\"document.title='owned'\">"
    watched.ask(text)
    assert watched.questions() == [text]
    assert watched.chats() == [text]
    watched.load()
    assert watched.questions() == [text]
    assert watched.page.locator("img").count() == 0
    assert watched.complaints == []


def test_the_policy_is_a_wall_of_its_own(watched, server):
    """Were the first two walls to fall, the browser still refuses."""
    said = watched.page.evaluate(
        """async url => {
            const refused = new Set();
            const all = new Promise(done => document.addEventListener("securitypolicyviolation", event => {
                refused.add(event.effectiveDirective);
                if (refused.size === 4) done();
            }));
            const image = new Image();
            image.src = url;
            document.body.append(image);
            await fetch(url).catch(() => {});
            try { document.body.insertAdjacentHTML("beforeend", "<p>x</p>"); } catch { refused.add("text"); }
            await Promise.race([all, new Promise(done => setTimeout(done, 5000))]);
            return [...refused];
        }""",
        f"{ELSEWHERE}/x.png",
    )
    assert set(said) == {"img-src", "connect-src", "text", "require-trusted-types-for"}
