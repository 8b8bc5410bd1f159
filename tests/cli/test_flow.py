"""Answers in a terminal: wrapped, Markdown rendered, and nothing twice, however they arrive."""

from __future__ import annotations

import io
import random
import sys

import pyte
import pytest

from hd_edge.cli import flow
from hd_edge.cli.blocks import MarkdownBlocks
from hd_edge.cli.flow import Flow
from hd_edge.cli.foreign import shown
from hd_edge.cli.ui import UI

POINTS = "\n".join(f"{n}. point number {n} of the list\n   - below it" for n in range(1, 15))
FUNCTIONS = "".join(f"def f{n}(x):\n    return x + {n}\n\n" for n in range(12))
ROWS = "".join(f"| {n} | {'wide ' * n} |\n" for n in range(4))
ONES = "".join(f"1. {'word ' * n}\n\n   more\n" for n in range(3))
TEXTS = {
    "prose": "Roses are **red**,\nviolets are *blue*. " + "A long line of words goes on and on. " * 12 + "\n\nEnd.",
    "lists": f"Before:\n\n{POINTS}\n\nAfter.",
    "ones": f"{ONES}\n- a\n- b\n\n1. c",
    "code": f"See:\n\n```python\n{FUNCTIONS}```\n\nDone.",
    "table": f"| a | b |\n|---|---|\n{ROWS}\nbelow",
    "headings": "# One\n\ntext\n\n## Two\n> quoted\n\n---\n\n[a link](http://example.org) and `code`",
    "loose": "1. a\n\n2. b\n\n   ```\n   c\n   ```\n3. d\n\n- x\n\n- y\n\n---\n\n42",
    "references": "[1]: http://example.org\n\nsee [1], and\n\n[2]: <b>",
    "blank": "\n\n  \nHello",
    "nothing": "\n \n",
    "html": "Write <b>bold</b>, or\n\n<div>\nthis\n</div>\n\nSetext\n======\n\n\\* no list",
}


@pytest.fixture
def terminal(monkeypatch):
    """Shows pieces in a terminal of that size; returns its emulator and its lines, scrolled ones first."""

    def show(pieces, columns, lines, *, markdown=True):
        monkeypatch.setattr(sys, "stdout", io.StringIO())
        monkeypatch.setattr(flow, "EVERY", 0.0)  # draws after each piece
        monkeypatch.setattr(flow, "SHARE", float("inf"))
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("LINES", str(lines))
        monkeypatch.setenv("TERM", "xterm-256color")
        written = Flow(markdown=markdown, coloured=True)
        for text, style in pieces:
            written.feed(text, style)
        written.close()
        screen = pyte.HistoryScreen(columns, lines, history=10_000)
        screen.set_mode(pyte.modes.LNM)
        pyte.Stream(screen).feed(sys.stdout.getvalue())
        rows = [*screen.history.top, *(screen.buffer[y] for y in range(lines))]
        found = ["".join(row[x].data for x in range(columns)).rstrip() for row in rows]
        return screen, "\n".join(found).strip("\n").split("\n")

    return show


def pieces(text, seed):
    rng = random.Random(seed)
    while text:
        size = rng.randint(1, 9)
        yield text[:size], ""
        text = text[size:]


@pytest.mark.parametrize("columns", [30, 100])
@pytest.mark.parametrize("name", TEXTS)
def test_what_streams_is_what_is_shown_at_once(terminal, name, columns):
    """In a terminal that is lower than the answer, however it is cut into pieces, each line stands there once."""
    _, whole = terminal([(TEXTS[name], "")], columns, 200)
    for seed, lines in enumerate((4, 7, 12)):
        _, streamed = terminal(pieces(TEXTS[name], seed), columns, lines)
        assert streamed == whole


def test_markdown_looks_like_what_it_means(terminal):
    screen, lines = terminal([(TEXTS["headings"] + "\n\nA **bold** word.\n\n```python\nreturn 1\n```\n", "")], 60, 40)
    assert lines[0] == "One"
    assert "[a link]" not in "".join(lines)
    assert "a link (http://example.org) and code" in lines
    at = lines.index("A bold word.")
    assert [screen.buffer[at][x].bold for x in (0, 2, 5, 7)] == [False, True, True, False]
    assert screen.buffer[lines.index(" return 1")][1].fg != "default"
    assert {screen.buffer[y][x].bg for y in range(40) for x in range(60)} == {"default"}  # whatever the terminal's is


def test_line_breaks_and_tags_are_kept(terminal):
    _, lines = terminal([("old pond\na frog leaps in\nwater's <i>sound</i>", "")], 60, 10)
    assert lines == ["old pond", "a frog leaps in", "water's <i>sound</i>"]
    assert "<div>" in terminal([(TEXTS["html"], "")], 60, 20)[1]
    assert terminal([(TEXTS["references"], "")], 60, 20)[1][0] == "[1]: http://example.org"


def test_drafted_pieces_keep_their_text_and_have_their_colour(terminal):
    text = [("the **sky** is ", ""), ("blue and wide", "context"), ("\n\nand  far", "model")]
    screen, lines = terminal(text, 20, 10, markdown=False)
    assert lines == ["the **sky** is blue", "and wide", "", "and  far"]
    assert (screen.buffer[0][15].fg, screen.buffer[0][15].underscore) == ("cyan", True)
    assert (screen.buffer[3][0].fg, screen.buffer[3][0].bold) == ("magenta", True)
    assert screen.buffer[0][0].fg == "default"


def test_a_model_cannot_move_the_cursor():
    assert shown("a\x1b[2Jb\r\x07c\x9bd\n\te") == "a[2Jbcd\n\te"


def test_thoughts_come_first_and_a_pipe_has_the_answer_alone(capsys, monkeypatch):
    def say(ui):
        answer = ui.answer(drafts=False)
        answer.piece("let me see", thought=True)
        answer.piece("It is ")
        answer.piece("four.")
        answer.close()
        return capsys.readouterr().out

    assert say(UI(styled=False)) == "It is four.\n"
    monkeypatch.setitem(sys.modules, "hd_edge.cli.flow", None)  # as without rich
    assert say(UI(styled=True)) == "\x1b[2mlet me see\x1b[0m\n\nIt is four.\n"


class Watched(io.StringIO):
    """A terminal that is looked at after every write."""

    def __init__(self):
        super().__init__()
        self.emulator = pyte.HistoryScreen(40, 6, history=1000)
        self.emulator.set_mode(pyte.modes.LNM)
        self.stream = pyte.Stream(self.emulator)
        self.seen = []

    def write(self, text):
        self.stream.feed(text)
        rows = [*self.emulator.history.top, *(self.emulator.buffer[y] for y in range(6))]
        lines = ["".join(row[x].data for x in range(40)).rstrip() for row in rows]
        self.seen.append([line for line in lines if line])
        return super().write(text)


@pytest.mark.parametrize("markdown", [True, False])
def test_at_no_moment_a_line_stands_twice_or_is_gone(monkeypatch, markdown):
    watched = Watched()
    monkeypatch.setattr(sys, "stdout", watched)
    monkeypatch.setattr(flow, "EVERY", 0.0)
    monkeypatch.setattr(flow, "SHARE", float("inf"))
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "6")
    written = Flow(markdown=markdown, coloured=False)
    for number in range(20):
        for piece in (f"number {number} ", "is a line", "\n\n"):
            written.feed(piece, "")
    written.close()
    for lines in watched.seen:
        whole = [line for line in lines if line.endswith("line")]
        assert whole == [f"number {n} is a line" for n in range(len(whole))]
    counts = [sum(line.endswith("line") for line in lines) for lines in watched.seen]
    assert counts == sorted(counts)
    assert counts[-1] == 20


def test_lines_are_those_of_the_parser():
    blocks = MarkdownBlocks()
    blocks.feed("first\u2028second\u2029third.\n\nOne.\n\nTwo.", "")
    assert len(blocks.take(ended=False)) == 3
    blocks.feed("\n\nThree.", "")
    assert len(blocks.take(ended=True)) == 2
