"""Closed: what is left of a model that was freed."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, NoReturn

from hd_edge.errors import ClosedError

PARTS = ("_model", "_ctx", "_batch")  # of ``llama_cpp.Llama``


class Closed:
    """Stands where parts of a freed model stood: whatever asks it for something gets a ``ClosedError``."""

    def __getattr__(self, name: str) -> NoReturn:
        raise ClosedError


def bury(llama: Any) -> None:
    """Puts ``Closed`` in the place of every pointer into the freed model, whoever holds the object that had it."""
    closed = Closed()
    for name in PARTS:
        part = llama.__dict__.get(name)
        if part is not None:
            vars(part).update(
                {inner: closed for inner in ("model", "vocab", "ctx", "memory", "batch") if hasattr(part, inner)}
            )
            setattr(llama, name, closed)
    llama.tokenizer_ = closed
    llama.__dict__.pop("vocabulary", None)
    llama.__dict__.pop("_prompt_size", None)


class Kept(ExitStack):
    """What frees a part of a model, when ``let_go()`` was called and not before.

    Where a model is in a cycle, the garbage collector ends its parts in any order, and llama_cpp's free themselves: the
    weights before the context, or both before what they hold was learned and saved.
    """

    free = False

    def close(self) -> None:
        """Frees the part, if that may be."""
        if self.free:
            super().close()


def keep(llama: Any) -> None:
    """From now on nothing but ``close()`` frees the parts of a loaded model."""
    for name in PARTS:
        part = getattr(llama, name)
        kept = Kept()
        kept.push(part._exit_stack.pop_all())
        part._exit_stack = kept


def let_go(llama: Any) -> None:
    """The parts may be freed; nothing uses them any more."""
    for name in PARTS:
        stack = getattr(llama.__dict__.get(name), "_exit_stack", None)
        if isinstance(stack, Kept):
            stack.free = True


def abandon(llama: Any) -> None:
    """Frees nothing, now or later: to give back what lies on a server that is gone would end the process."""
    for owner in (llama, *(llama.__dict__.get(name) for name in PARTS)):
        stack = getattr(owner, "_stack" if owner is llama else "_exit_stack", None)
        if stack is not None:
            stack.pop_all()


class NotLoaded:
    """What a class has in place of the life of its objects: until the constructor makes one there is none."""

    def __get__(self, llama: object, owner: type) -> Any:
        if llama is None:
            return self
        msg = f"this {owner.__name__} was never loaded: call its constructor, or in a subclass super().__init__()"
        raise ClosedError(msg)
