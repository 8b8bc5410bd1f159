"""What is asked: questions of one or two turns, each in a category."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from io import TextIOWrapper
from pathlib import Path
from typing import TypeVar

from hd_edge.errors import ConfigError

from .text_file import read_whole

T = TypeVar("T")
OWN = "prompts"  # category of questions that name none


@dataclass(frozen=True)
class Question:
    """One conversation.

    Attributes:
        name: What records call it.
        category: Its group in tables.
        turns: What the user says, in order.
    """

    name: str
    category: str
    turns: tuple[str, ...]


def read_questions(
    path: str | Path | None = None, *, field: str = "prompt", built_in: str = "questions.jsonl"
) -> list[Question]:
    """Questions of a file: one per line, or JSON lines; None: a built-in set.

    Args:
        path: Lines of text, or JSON lines: texts, or objects with ``turns`` or the field, and perhaps ``category`` and
            ``question_id``. JSON is told by the file's name, or a first line that begins with a brace.
        field: Key of a question of one turn.
        built_in: The set that None stands for: ``questions.jsonl`` in seven categories, ``prompts.txt`` of one turn.

    Raises:
        ConfigError: The file cannot be read, holds no question, or a line is neither.
    """
    source = files(__package__) / built_in if path is None else Path(path)
    try:
        with source.open("rb") as data, TextIOWrapper(data, encoding="utf-8") as file:
            lines = read_whole(file, f"questions {source}").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"questions {source}: {error}"
        raise ConfigError(msg) from error
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not numbered:
        msg = f"{source} holds no question: one per line, or JSON lines with a key {field!r} or 'turns'"
        raise ConfigError(msg)
    if numbered[0][1].lstrip().startswith("{") or source.name.endswith((".jsonl", ".ndjson", ".json")):
        return [_question(line, field, number, f"{source} line {number}") for number, line in numbered]
    return [Question(f"{OWN}:{number}", OWN, (line,)) for number, line in numbered]


def read_prompts(path: str | Path | None = None, *, field: str = "prompt") -> list[str]:
    """The first turns of a file's questions; None: a built-in set of 40.

    Raises:
        ConfigError: As ``read_questions``.
    """
    return [question.turns[0] for question in read_questions(path, field=field, built_in="prompts.txt")]


def _question(line: str, field: str, number: int, where: str) -> Question:
    try:
        value = json.loads(line)
        value = {field: value} if isinstance(value, str) else value
        turns = [value[field]] if field in value else value["turns"]
        category = value.get("category", OWN)
        name = value.get("question_id", f"{category}:{number}")
    except (ValueError, KeyError, TypeError, AttributeError):
        turns, category, name = [], OWN, ""
    if not isinstance(turns, list) or not turns or not all(isinstance(turn, str) and turn for turn in turns):
        msg = f"{where}: expected a JSON object with a text in {field!r} or texts in 'turns', got {line[:40]!r}"
        raise ConfigError(msg)
    return Question(str(name), str(category), tuple(turns))


def spread(items: Sequence[T], most: int) -> list[T]:
    """``most`` of the items, evenly over the list."""
    if len(items) <= most:
        return list(items)
    return [items[i * len(items) // most] for i in range(most)]


def per_category(questions: Sequence[Question], most: int) -> list[Question]:
    """``most`` questions of each category, evenly spread; the categories take turns, so that an early end cuts all."""
    groups: dict[str, list[Question]] = {}
    for question in questions:
        groups.setdefault(question.category, []).append(question)
    chosen = [spread(group, most) for group in groups.values()]
    return [group[i] for i in range(max(map(len, chosen), default=0)) for group in chosen if i < len(group)]
