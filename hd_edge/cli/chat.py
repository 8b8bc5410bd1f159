"""``hd-edge chat``: talk to a model in the terminal."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import click

from hd_edge.config import data_folder

from .conversation import Conversation, read
from .offer import choose
from .options import ASKED_MODEL, load_llama, loading_options, sampling, sampling_options
from .session import Session
from .streams import as_utf8
from .talk import Talk
from .ui import UI
from .values import FilePath

SESSION_NAME = re.compile(r"\w[\w.-]*")


@click.command()
@ASKED_MODEL
@loading_options
@sampling_options
@click.option("-sys", "--system", help="System prompt; from now on, where a conversation goes on.")
@click.option("--show-drafts", is_flag=True, help="Style tokens by the tier they were drafted from.")
@click.option("--load", type=FilePath(path_type=Path), help="Go on with a saved conversation.")
@click.option("--session", metavar="NAME", help="Go on with the conversation of this name, and keep it.")
@click.option("--no-history", is_flag=True, help="Keep nothing of what you type for later sessions.")
@click.option("-q", "--quiet", is_flag=True, help="No statistics after answers.")
def chat(**options: Any) -> None:
    """Talk to a model: it streams, keeps the history, and learns from what it said."""
    settings = sampling(options)
    system, drafts, load = options.pop("system"), options.pop("show_drafts"), options.pop("load")
    system = None if system is None else as_utf8(system)
    quiet, name = options.pop("quiet"), options.pop("session")
    history = None if options.pop("no_history") else data_folder() / "chat_history"
    session = Session(session_path(name)) if name is not None else None
    goes_on = load
    if session is not None and session.path.exists():
        kept = len(read(session.path).turns)  # told before a model is loaded
        if load is not None and kept:
            msg = f"--session {name} has a conversation of {kept} messages already, which --load would take the place "
            msg += "of: give another name, or leave --load out and type /load FILE, which keeps both"
            raise click.UsageError(msg)
        goes_on = load or session.path
    options["model"] = options["model"] or choose()
    llm = load_llama(options)
    try:
        talk = Talk(Conversation(llm, system or "", settings), UI(), drafts, quiet, session, history)
        if goes_on is not None:
            talk.go_on(str(goes_on), system)
        talk.run()
    finally:
        llm.close()
    if talk.unkept and not talk.keyboard.terminal:
        sys.exit(1)


def session_path(name: str) -> Path:
    """The file of a named session, in the folder of the stores."""
    if not SESSION_NAME.fullmatch(name):
        msg = f"--session {name!r}: a name has letters, digits, '_', '-' and '.', and begins with none of the last two"
        raise click.UsageError(msg)
    return data_folder() / "sessions" / f"{name}.json"
