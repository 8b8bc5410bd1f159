"""``hd-edge chat``: talk to a model in the terminal."""

from __future__ import annotations

import contextlib
import random
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hd_edge.errors import HDEdgeError

from .conversation import Conversation, Pieces
from .options import load_llama, model_options, sampling, sampling_options
from .progress import PrefillLine
from .streams import as_utf8, sentence
from .ui import UI
from .values import FilePath

SESSION_NAME = re.compile(r"\w[\w.-]*")
HELP = """\
/help               this list
/reset              forget the conversation
/system [TEXT]      show or set the system prompt
/regenerate         take the last answer back and answer again
/drafts [on|off]    show which tokens were drafted, by tier
/stats              counts of this session
/save FILE          write the conversation as JSON
/load FILE          read one
/exit               leave (also Ctrl-D)
Ctrl-C stops an answer and keeps what was said. A line that ends in \\ goes on in the next one;
\"\"\" on a line of its own begins and ends a text of many lines."""


@click.command()
@model_options
@sampling_options
@click.option("-sys", "--system", default="", help="System prompt.")
@click.option("--show-drafts", is_flag=True, help="Style tokens by the tier they were drafted from.")
@click.option("--load", type=FilePath(path_type=Path), help="Go on with a saved conversation.")
@click.option("--session", metavar="NAME", help="Go on with the conversation of this name, and keep it.")
@click.option("-q", "--quiet", is_flag=True, help="No statistics after answers.")
def chat(**options: Any) -> None:
    """Talk to a model: it streams, keeps the history, and learns from what it said."""
    settings = sampling(options)
    system, drafts, load = as_utf8(options.pop("system")), options.pop("show_drafts"), options.pop("load")
    quiet, name = options.pop("quiet"), options.pop("session")
    session = session_path(name) if name is not None else None
    llm = load_llama(options)
    try:
        conversation = Conversation(llm, system, settings)
        if load is not None:
            conversation.load(load)
        elif session is not None and session.exists():
            conversation.load(session)
        Chat(conversation, UI(), drafts, quiet, session).run()
    finally:
        llm.close()


def session_path(name: str) -> Path:
    """The file of a named session, in the folder of the stores."""
    from hd_edge.config import data_folder

    if not SESSION_NAME.fullmatch(name):
        msg = f"--session {name!r}: a name has letters, digits, '_', '-' and '.', and begins with none of the last two"
        raise click.UsageError(msg)
    return data_folder() / "sessions" / f"{name}.json"


class Chat:
    """The terminal side of a conversation; kept in the file ``session`` after every answer, if there is one."""

    def __init__(
        self, conversation: Conversation, ui: UI, drafts: bool, quiet: bool, session: Path | None = None
    ) -> None:
        self.conversation, self.ui, self.drafts, self.quiet = conversation, ui, drafts, quiet
        self.session = session
        self.reading = PrefillLine()
        conversation.llm.on_prefill = self.reading.show
        self.seed = conversation.settings.get("seed")
        self.told_dropped = False
        self.commands: dict[str, Callable[[str], None]] = {
            "help": lambda _: self.ui.note(HELP),
            "reset": self.reset,
            "system": self.system,
            "regenerate": self.regenerate,
            "drafts": self.show_drafts,
            "stats": self.stats,
            "save": self.save,
            "load": self.load,
        }

    def run(self) -> None:
        """Reads and answers until the input ends."""
        if sys.stdin.isatty():
            with contextlib.suppress(ImportError):
                import readline  # noqa: F401  line editing for input()
            self.ui.note("/help lists the commands, Ctrl-D leaves.")
            if self.drafts:
                self.ui.note(f"drafted tokens are shown: {self.ui.legend()}")
        while (text := self.read()) is not None:
            if text in ("/exit", "/quit"):
                return
            try:
                self.handle(text)
            except (HDEdgeError, OSError, ValueError) as error:  # ValueError: a name or a text that no file can have
                self.ui.note(sentence(error))

    def handle(self, text: str) -> None:
        """Runs a command or answers a question."""
        if not text:
            return
        if text.startswith("/"):
            name, _, argument = text[1:].partition(" ")
            if name in self.commands:
                self.commands[name](argument.strip())
            else:
                self.ui.note(f"/{name} is no command; /help lists them")
            return
        self.show(self.conversation.ask, text)

    def read(self) -> str | None:
        """The next text of the user; None at the end of the input."""
        lines: list[str] = []
        block = False
        while True:
            try:
                line = as_utf8(input(("> " if not lines and not block else ". ") if sys.stdin.isatty() else ""))
            except EOFError:
                if sys.stdin.isatty():
                    self.ui.line()  # the shell's prompt begins a line of its own
                return "\n".join(lines) or None
            except KeyboardInterrupt:
                self.ui.line()
                self.ui.note("Ctrl-D or /exit leaves")
                lines, block = [], False
                continue
            if line.strip() == '"""':
                if block:
                    return "\n".join(lines).strip()
                block = True
            elif block:
                lines.append(line)
            elif line.endswith("\\"):
                lines.append(line[:-1])
            else:
                return "\n".join([*lines, line]).strip()

    def show(self, answer: Callable[..., Pieces], *arguments: str) -> None:
        """Prints an answer while it is made, then its statistics."""
        self.conversation.settings["seed"] = random.randrange(2**31) if self.seed is None else self.seed
        pieces = answer(*arguments)
        try:
            for piece, tier in pieces:
                self.reading.close()
                self.ui.piece(piece, tier if self.drafts else "target")
        except KeyboardInterrupt:  # while printing; while waiting, the conversation sees it
            self.conversation.cancelled = True
        finally:
            pieces.close()
            self.reading.close()
            self.ui.line()
        if self.session is not None:
            self.session.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.conversation.save(self.session)
        stats = self.conversation.llm.stats
        if self.conversation.cancelled:
            self.ui.note("stopped; what was said is kept")
        if self.conversation.dropped and not self.told_dropped:
            self.told_dropped = True
            self.ui.note(
                f"the context of {self.conversation.llm.n_ctx()} tokens is full: the oldest turns are left out"
            )
        if stats.tokens and not self.quiet:
            self.ui.note(stats.summary())

    def reset(self, _: str) -> None:
        """Forgets the conversation."""
        self.conversation.reset()
        self.told_dropped = False
        self.ui.note("the conversation is empty again")

    def system(self, text: str) -> None:
        """Shows or sets the system prompt."""
        if text:
            self.conversation.system = text
        self.ui.note(f"system prompt: {self.conversation.system or '(none)'}")

    def regenerate(self, _: str) -> None:
        """Answers the last question again, with another seed."""
        if not self.conversation.forget_answer():
            self.ui.note("there is no answer yet")
            return
        if self.seed is not None:
            self.seed += 1
        self.show(self.conversation.answer)

    def show_drafts(self, word: str) -> None:
        """Switches the styling of drafted tokens."""
        self.drafts = {"on": True, "off": False}.get(word, not self.drafts)
        self.ui.note(f"drafted tokens are {'shown: ' + self.ui.legend() if self.drafts else 'not shown'}")

    def stats(self, _: str) -> None:
        """Counts of the session so far."""
        total = self.conversation.llm.total_stats
        rows = [
            [
                tier,
                str(total.drafted[tier]),
                str(total.accepted[tier]),
                f"{_percent(total.accepted[tier], total.tokens)} %",
            ]
            for tier in total.drafted
        ]
        self.ui.table(total.summary(), ["tier", "drafted", "accepted", "of all tokens"], rows)

    def save(self, name: str) -> None:
        """Writes the conversation to a file."""
        if not name:
            self.ui.note("/save FILE: name a file")
            return
        self.conversation.save(Path(name).expanduser())
        self.ui.note(f"saved {len(self.conversation.turns)} messages to {name}")

    def load(self, name: str) -> None:
        """Goes on with a saved conversation."""
        if not name:
            self.ui.note("/load FILE: name a file")
            return
        self.conversation.load(Path(name).expanduser())
        self.ui.note(f"loaded {len(self.conversation.turns)} messages from {name}")


def _percent(part: int, whole: int) -> int:
    return round(100 * part / whole) if whole else 0
