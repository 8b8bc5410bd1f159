"""Closed: what is left of a model that was freed."""

from __future__ import annotations

from typing import Any, NoReturn

from hd_edge.errors import ClosedError


class Closed:
    """Stands where parts of a freed model stood: whatever asks it for something gets a ``ClosedError``."""

    def __getattr__(self, name: str) -> NoReturn:
        raise ClosedError


def bury(llama: Any) -> None:
    """Puts ``Closed`` in the place of every pointer into the freed model, whoever holds the object that had it."""
    closed = Closed()
    for name in ("_model", "_ctx", "_batch"):
        part = llama.__dict__.get(name)
        if part is not None:
            vars(part).update(
                {inner: closed for inner in ("model", "vocab", "ctx", "memory", "batch") if hasattr(part, inner)}
            )
            setattr(llama, name, closed)
    llama.tokenizer_ = closed
    llama.__dict__.pop("vocabulary", None)
    llama.__dict__.pop("_prompt_size", None)


def abandon(llama: Any) -> None:
    """Frees nothing, now or later: to give back what lies on a server that is gone would end the process."""
    for owner in (llama, *(llama.__dict__.get(name) for name in ("_model", "_ctx", "_batch"))):
        stack = getattr(owner, "_stack" if owner is llama else "_exit_stack", None)
        if stack is not None:
            stack.pop_all()
