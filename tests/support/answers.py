"""Answers of models, cut into pieces and put together again."""

from __future__ import annotations

import random

from hd_edge.model.call_parser import AnswerParser
from hd_edge.model.harmony import HarmonyParser


def read(parser: AnswerParser | HarmonyParser, pieces: list[str]) -> dict:
    message: dict = {"calls": []}
    deltas = [delta for piece in pieces for delta in parser.feed(piece)] + parser.end()
    for delta in deltas:
        assert len(delta) == 1
        for name in ("content", "reasoning_content"):
            if name in delta:
                assert delta[name]
                message[name] = message.get(name, "") + delta[name]
        for call in delta.get("tool_calls", ()):
            if call["index"] == len(message["calls"]):
                assert call["id"]
                assert call["type"] == "function"
                message["calls"].append([call["function"]["name"], call["function"]["arguments"]])
            else:
                assert set(call) == {"index", "function"}  # name and id once
                assert set(call["function"]) == {"arguments"}
                message["calls"][call["index"]][1] += call["function"]["arguments"]
    return message


def cuts(text: str, seed: int) -> list[str]:
    if seed == 0:
        return [text]
    if seed == 1:
        return list(text)
    places = sorted(random.Random(seed).sample(range(len(text)), min(7, len(text))))
    return [text[i:j] for i, j in zip([0, *places], [*places, len(text)], strict=True)]
