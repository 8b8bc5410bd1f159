"""What is held back for a stop text: as much as may be its beginning, found without looking at all of it."""

from __future__ import annotations

import pytest

from hd_edge.engine.reply import StoppedText


class Counted(str):
    """A stop text that counts how often it is asked."""

    asked = 0

    def __getitem__(self, key):
        self.asked += 1
        return super().__getitem__(key)

    def startswith(self, *arguments):
        self.asked += 1
        return super().startswith(*arguments)


def test_a_long_stop_text_costs_what_is_held_not_what_it_is():
    """Of a request's 4 MiB, each token would read billions of characters."""
    stop = Counted("x" * 10_000)
    text = StoppedText([stop])
    assert "".join(text.feed(letter) for letter in "a river") == "a river"
    assert text.feed("xx") == ""
    assert text.feed("y") == "xxy"
    assert stop.asked <= 16
    assert not text.stopped


def test_an_empty_stop_text_stands_before_any_text():
    for stops in ([""], ["x", ""]):
        text = StoppedText(stops)
        assert (text.feed("axe"), text.stopped, text.end()) == ("", True, "")


@pytest.mark.parametrize("stop", ["END", "abab", "aab", "x"])
@pytest.mark.parametrize("text", ["aaab", "abaabab!", "the EN END", "xE", "ENDEND", "ababEN", "abc"])
def test_the_text_is_cut_as_the_whole_would_be(stop, text):
    fed = StoppedText([stop])
    said = ""
    for letter in text:
        said += fed.feed(letter)
        if fed.stopped:
            break
    said += fed.end()
    assert said == text.split(stop)[0]
    assert fed.stopped == (stop in text)
