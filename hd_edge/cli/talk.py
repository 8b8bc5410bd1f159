"""The terminal side of a conversation: what a person types, what is shown, and the commands."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

from hd_edge.config import user_path
from hd_edge.errors import HDEdgeError
from hd_edge.extras import install

from .conversation import Conversation, Pieces
from .edit import Edit
from .interrupt import once
from .keyboard import Keyboard
from .progress import PrefillLine
from .session import Session
from .streams import StreamName, held, sentence
from .ui import UI

HELP = """\
/help               this list
/reset              forget the conversation
/system [TEXT]      show or set the system prompt; "/system clear": none
/regenerate         answer again, in place of the last answer
/edit FILE          have the model change a text; you see it and decide
/drafts [on|off]    show which tokens were drafted, by tier
/stats              counts of this session
/save FILE          write the conversation as JSON
/load FILE          read one
/exit               leave (also Ctrl-D)
Ctrl-C stops an answer and keeps what was said. What is pasted is one message.
Alt-Enter, or \\ at the end of a line, begins a new line; \"\"\" on a line of
its own begins and ends a text of many lines."""
COMMAND = re.compile(r"/([a-z]*)(?: +(.*))?")
FILES = ("save", "load", "edit")  # commands that take one
ALONE = ("help", "reset", "regenerate", "stats", "exit", "quit")  # commands with nothing behind them


class Talk:
    """Reads, answers and obeys.

    Args:
        conversation: With which model, and what was said.
        ui: Where it is shown.
        drafts: Show which tokens were drafted.
        quiet: No statistics after answers.
        session: Keeps the conversation after each answer.
        history: File that keeps what was typed.
    """

    def __init__(
        self,
        conversation: Conversation,
        ui: UI,
        drafts: bool,
        quiet: bool,
        session: Session | None = None,
        history: Path | None = None,
    ) -> None:
        self.conversation, self.ui, self.drafts, self.quiet = conversation, ui, drafts, quiet
        self.session = session
        self.reading = PrefillLine()
        conversation.llm.on_prefill = self.reading.show
        self.seed = conversation.settings.get("seed")
        self.dropped = 0  # turns that the user knows to be left out
        self.unkept = False  # the session lacks what was said last
        self.commands: dict[str, Callable[[str], None]] = {
            "help": lambda _: self.ui.note(HELP),
            "reset": self.reset,
            "system": self.system,
            "regenerate": self.regenerate,
            "edit": self.edit,
            "drafts": self.show_drafts,
            "stats": self.stats,
            "save": self.save,
            "load": self.load,
        }
        names = {**{name: name in FILES for name in self.commands}, "exit": False}
        self.keyboard = Keyboard(history, names, ui.note)

    def run(self) -> None:
        """Reads and answers until the input ends."""
        if self.keyboard.terminal:
            self.ui.note("/help lists the commands, Ctrl-D leaves.")
            if self.keyboard.plain:
                self.ui.note(f"history, colours and line breaks between words come with {install('cli')}")
            if self.drafts:
                self.ui.legend()
        while (text := self.keyboard.read()) is not None:
            if text in ("/exit", "/quit"):
                break
            try:
                self.handle(text)
            except KeyboardInterrupt:  # one more, after the answer was stopped
                continue
            except (HDEdgeError, OSError, ValueError) as error:  # ValueError: a name or a text that no file can have
                if isinstance(getattr(error, "filename", None), StreamName):  # no answer comes where it is read
                    raise
                self.ui.note(sentence(error))
        if self.session is not None and not self.unkept and self.session.lacks(self.conversation):
            name = self.session.path.stem
            self.ui.note(f"--session {name} stays as it was: what was changed here is kept with the next answer only")

    def handle(self, text: str) -> None:
        """Runs a command or answers a question. What begins with a path, or has several lines, is no command."""
        if not text:
            return
        command = COMMAND.fullmatch(text)
        if command is None:
            self.show(self.conversation.ask(text), "the question is taken back")
        elif command[2] and command[1] in ALONE:  # a slip of the keyboard must not forget a conversation
            self.ui.note(f"/{command[1]} takes nothing behind it; /help lists the commands")
        elif command[1] in FILES and not command[2]:
            self.ui.note(f"/{command[1]} FILE: name a file")
        elif run := self.commands.get(command[1]):
            run(command[2] or "")
        else:
            self.ui.note(f"/{command[1]} is no command; /help lists them")

    def show(self, pieces: Pieces, unsaid: str, *, again: bool = False) -> None:
        """Prints an answer while it is made, then what there is to know about it.

        Args:
            pieces: Of the answer; not begun.
            unsaid: What it means that nothing was said.
            again: It takes the place of the last answer.
        """
        replaced = self.conversation.turns if again else None
        self.conversation.settings["seed"] = random.randrange(2**31) if self.seed is None else self.seed
        shown = self.ui.answer(self.drafts)
        try:
            with held(), self.keyboard.silent(), once():
                try:
                    for piece in pieces:
                        self.reading.close()
                        shown.piece(piece.text, piece.tier, thought=piece.thought)
                except KeyboardInterrupt:  # while printing; while waiting, the conversation sees it
                    self.conversation.cancelled = True
                finally:
                    pieces.close()
                    self.reading.close()
                    shown.close()
        finally:  # also where the terminal was closed meanwhile
            self.keep(replaced)
        self.hints(unsaid)
        stats = self.conversation.llm.stats
        if stats.tokens and not self.quiet:
            self.ui.note(stats.summary())

    def keep(self, replaced: list[dict[str, str]] | None) -> None:
        """Writes the session, if there is one; where that fails, the chat goes on."""
        if self.session is None:
            return
        try:
            told = self.session.keep(self.conversation, replaced)
        except (HDEdgeError, OSError, ValueError) as error:
            self.unkept = True
            told = f"this answer is in no session yet: {sentence(error)}; /save FILE keeps it elsewhere"
        else:
            self.unkept = False
        if told is not None:
            self.ui.note(told)

    def hints(self, unsaid: str) -> None:
        """Says what happened to the answer, or to the turns before it."""
        talk, size = self.conversation, self.conversation.llm.n_ctx()
        most = talk.settings["max_tokens"]
        if not talk.answered:
            self.ui.note(f"{'stopped' if talk.cancelled else 'the model said nothing'}; {unsaid}")
        elif talk.cancelled:
            self.ui.note("stopped; what was said is kept")
        elif talk.cut and talk.llm.stats.tokens == most:
            self.ui.note(f'cut at {most} tokens (-n {most}): ask it to "go on", or begin with a larger -n')
        elif talk.cut:
            self.ui.note(f'cut: the context of {size} tokens is full; ask it to "go on", or begin with a larger -c')
        if talk.dropped > self.dropped:
            self.ui.note(
                f"the context of {size} tokens is full: the model no longer sees the first {talk.dropped} of "
                f"{len(talk.turns)} messages; /reset forgets all, -c gives more room"
            )
        self.dropped = talk.dropped

    def reset(self, _: str) -> None:
        """Forgets the conversation."""
        self.conversation.reset()
        self.dropped = 0
        self.ui.note("the conversation is empty again")

    def system(self, text: str) -> None:
        """Shows, sets or clears the system prompt."""
        if text:
            self.conversation.system = "" if text == "clear" else text
        self.ui.note(f"system prompt: {self.conversation.system or '(none)'}")

    def regenerate(self, _: str) -> None:
        """Answers the last question again, with another seed."""
        if not self.conversation.has_answer:
            self.ui.note("there is no answer yet")
            return
        if self.seed is not None:
            self.seed += 1
        self.show(self.conversation.ask_again(), "the last answer stays", again=True)

    def edit(self, name: str) -> None:
        """Has the model change a file; the conversation stays as it is."""
        edit = Edit(user_path(name))
        change = self.keyboard.ask("what should change? ")
        if not change:
            self.ui.note("nothing was asked for")
            return
        try:
            with self.keyboard.silent(), once():
                whole = edit.ask(self.conversation.llm, change, self.conversation.settings)
        except KeyboardInterrupt:
            self.ui.note(f"stopped; {edit.path} is as it was")
            return
        finally:
            self.reading.close()
        if not self.quiet:
            self.ui.note(self.conversation.llm.stats.summary())
        if not whole:
            self.ui.note(f"the new text was far too long and was cut; {edit.path} is as it was")
            return
        if not (changes := edit.diff()):
            self.ui.note(f"the model changed nothing, {edit.path} is as it was")
            return
        self.ui.diff(changes)
        if self.keyboard.ask("write this to the file? [y/N] ").lower() not in ("y", "yes"):
            self.ui.note(f"{edit.path} is as it was")
            return
        edit.write()
        self.ui.note(f"wrote {edit.path}")

    def show_drafts(self, word: str) -> None:
        """Switches the styling of drafted tokens."""
        if word not in ("", "on", "off"):
            self.ui.note(f"/drafts on, or /drafts off; it was {word!r}")
            return
        self.drafts = {"on": True, "off": False}.get(word, not self.drafts)
        self.ui.note("drafted tokens are shown:" if self.drafts else "drafted tokens are not shown")
        if self.drafts:
            self.ui.legend()

    def stats(self, _: str) -> None:
        """Counts of the session so far."""
        total = self.conversation.llm.total_stats
        rows = [
            [tier, str(drafted), str(total.accepted[tier]), f"{_percent(total.accepted[tier], total.tokens)} %"]
            for tier, drafted in total.drafted.items()
        ]
        self.ui.table(total.summary(), ["tier", "drafted", "accepted", "of all tokens"], rows)

    def save(self, name: str) -> None:
        """Writes the conversation to a file."""
        path = user_path(name)
        aside = self.conversation.save(path)
        if aside is not None:
            self.ui.note(f"another conversation stood there; it is kept as {aside.absolute()}")
        self.ui.note(f"saved {len(self.conversation.turns)} messages to {path.absolute()}")

    def load(self, name: str) -> None:
        """Goes on with a saved conversation."""
        self.go_on(name)

    def go_on(self, name: str, system: str | None = None) -> None:
        """The same, with another system prompt if there is one."""
        path, before, old = user_path(name), len(self.conversation.turns), self.conversation.system
        self.conversation.load(path)
        self.dropped = 0
        instead = f", in place of {before}" if before else ""
        self.ui.note(f"loaded {len(self.conversation.turns)} messages from {path.absolute()}{instead}")
        loaded = self.conversation.system
        if system is not None and system != loaded:
            self.conversation.system = system
            self.ui.note(f"system prompt from now on: {system or '(none)'}, in place of {loaded or '(none)'}")
        elif loaded or old:
            self.ui.note(f"system prompt: {loaded or '(none)'}")
        if self.keyboard.terminal and self.conversation.has_answer:
            question, answer = self.conversation.turns[-2:]  # where you stopped
            self.ui.note(f"> {question['content']}")
            shown = self.ui.answer(drafts=False)
            shown.piece(answer["content"])
            shown.close()


def _percent(part: int, whole: int) -> int:
    return round(100 * part / whole) if whole else 0
