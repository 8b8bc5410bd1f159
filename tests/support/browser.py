"""A page in Chromium, and what a person does with it."""

from __future__ import annotations

import os
import shutil
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1200, "height": 850}


def find_chromium() -> str | None:
    """Path of a Chromium; ``CHROMIUM`` names one that lies elsewhere."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


class Chat:
    """The chat page in one tab.

    Args:
        page: Of playwright.
        url: Of the server.

    Attributes:
        requested: Addresses of all requests of the tab.
        complaints: What the browser wrote to its console as an error, and scripts that failed.
    """

    def __init__(self, page: Any, url: str) -> None:
        self.page, self.url = page, url
        self.requested: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requested.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda line: line.type == "error" and self.complaints.append(line.text))
        self.load()

    def load(self) -> None:
        """Opens or reloads the page, and waits until the server has told its model."""
        if self.page.url.startswith(self.url):
            self.page.reload()
        else:
            self.page.goto(self.url)
        self.see("#model").not_to_be_empty()

    def see(self, selector: str) -> Any:
        """What is expected of elements; waits for it. (``wait_for_function`` evaluates, which the policy forbids.)"""
        from playwright.sync_api import expect

        return expect(self.page.locator(selector))

    def send(self, text: str) -> None:
        """Writes a message and presses Enter."""
        self.page.fill("#text", text)
        self.page.press("#text", "Enter")

    def ask(self, text: str) -> str:
        """Sends a message and returns what is shown as the answer."""
        turns = len(self.answers())
        self.send(text)
        self.see(".answer").to_have_count(turns + 1)
        self.wait()
        return self.answers()[-1]

    def wait(self) -> None:
        """Waits until no answer is on its way."""
        self.see("#send").to_have_text("Send", timeout=60_000)

    def answers(self) -> list[str]:
        return self.page.locator(".answer > .text").all_inner_texts()

    def questions(self) -> list[str]:
        return [text.removeprefix("You: ") for text in self.page.locator(".bubble").all_text_contents()]

    def chats(self) -> list[str]:
        """Titles of the kept conversations, newest first."""
        return self.page.locator("#list .chat").all_text_contents()

    def notes(self) -> list[str]:
        return list(self.page.locator(".note:visible").all_inner_texts())

    def set(self, **values: str) -> None:
        """Opens the settings, fills fields, and saves."""
        self.page.click("#settings")
        for name, value in values.items():
            field = self.page.locator(f"#settings-form [name={name}]")
            if name == "theme":
                field.select_option(value)
            else:
                field.fill(value)
        self.page.click("#settings-form .main")
