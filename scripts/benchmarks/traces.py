"""Recorded answers of a model, as JSON lines of ``prompt`` and ``output``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

# How each model family was asked, by the start of the file's name. The answer follows the marker directly.
TEMPLATES = {
    "vicuna": "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
    "detailed, and polite answers to the user's questions. USER: {prompt} ASSISTANT:",
    "llama-2": "[INST] {prompt} [/INST]",
}
MAX_PROMPT = 1024  # tokens; longer prompts are left out
Tokenize = Callable[[str, bool], Sequence[int]]


@dataclass(frozen=True)
class Trace:
    """One recorded answer.

    Attributes:
        name: File and line, such as ``"vicuna-7b-v1.3.eval:12"``.
        category: The file's name, for tables.
        prompt: Token ids given to the model.
        answer: Token ids the model chose.
        asked: The question, without the template.
    """

    name: str
    category: str
    prompt: list[int]
    answer: list[int]
    asked: str = ""


def template_of(path: Path) -> str:
    """The prompt template for a file of recorded answers, by its name."""
    return next((text for start, text in TEMPLATES.items() if path.name.startswith(start)), "{prompt}")


def read_traces(path: Path, tokenize: Tokenize, *, tokens: int, least: int = 16) -> list[Trace]:
    """The answers of a file, each cut to ``tokens`` token ids; those with fewer than ``least`` are left out.

    Args:
        path: JSON lines with the keys ``prompt`` and ``output``.
        tokenize: Text to ids; its second argument asks for the begin-of-text token.
        tokens: Longest answer.
        least: Shortest answer.

    Raises:
        SystemExit: A line is no JSON object with these keys.
    """
    template, found = template_of(path), []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            asked, said = row["prompt"], row["output"]
        except (ValueError, KeyError, TypeError) as error:
            raise SystemExit(f"{path}:{number}: no JSON object with prompt and output: {error!r}") from error
        prompt = list(tokenize(template.format(prompt=asked), True))
        answer = list(tokenize(" " + said.strip(), False))[:tokens]
        if len(prompt) <= MAX_PROMPT and len(answer) >= least:
            name = path.name.removesuffix(".jsonl")
            found.append(Trace(f"{name}:{number}", name, prompt, answer, asked))
    return found
