"""In a process of its own: a model and its open generation in one cycle, which the garbage collector frees."""

from __future__ import annotations

import gc
import json
import sys

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


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](**json.loads(sys.argv[2]))))
