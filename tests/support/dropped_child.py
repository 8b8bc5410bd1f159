"""In a process of its own: a model and its open generation in one cycle, which the garbage collector frees."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any

from llama_cpp import llama_cpp as lib

from hd_edge import Llama

unraisable: list[sys.UnraisableHookArgs] = []
sys.unraisablehook = unraisable.append


class Bot:
    def __init__(self, model: str) -> None:
        self.me = self
        self.llm = Llama(model, n_ctx=256, n_threads=1, store=None, prefix_cache="memory")

    def ask(self, how: str) -> object:
        messages = [{"role": "user", "content": "Hello"}]
        self.answer = {
            "tokens": lambda: self.llm.generate([1, 300]),
            "text": lambda: self.llm.generate("Hello"),
            "completion": lambda: self.llm("Hello", max_tokens=50, stream=True),
            "chat": lambda: self.llm.create_chat_completion(messages, stream=True, max_tokens=50),
        }[how]()
        next(self.answer)
        return next(self.answer)


def collect(model: str, how: str) -> str:
    for _ in range(4):
        bot = Bot(model)
        bot.ask(how)
        del bot
        gc.collect()
    return "collected" if not unraisable else str(unraisable[0].exc_value)


class Box:
    """Reaches a model's parts before the model."""

    def __init__(self, llm: Llama) -> None:
        self.model, self.context, self.me = llm._model, llm._ctx, self
        self.llm = llm


def order(model: str) -> list[str]:
    happened: list[str] = []

    def told(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments: (happened.append(name), function(*arguments))[1]

    Llama._end_prefixes = told("kept", Llama._end_prefixes)
    lib.llama_free = told("context", lib.llama_free)
    lib.llama_model_free = told("model", lib.llama_model_free)
    gc.disable()
    box = Box(Llama(model, n_ctx=256, n_threads=1, store=None, prefix_cache="memory"))
    gc.collect()  # from now on the collector has them in the order of the box
    del box
    gc.collect()
    return happened
