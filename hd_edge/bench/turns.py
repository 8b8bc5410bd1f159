"""Asks every arm every question, in turns: whatever disturbs the machine disturbs all arms alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import methodcaller
from time import monotonic
from typing import Any, TypeVar

from hd_edge.errors import ContextFullError
from hd_edge.model.questions import Question

from .arm import Answer, Arm, Messages, Settings

A = TypeVar("A", bound=Arm)
PLAIN = "plain"  # the arm that others are compared with, and whose first answers all second turns continue


@dataclass(frozen=True)
class Record:
    """One turn of one question, answered by all arms.

    Attributes:
        question: Its name.
        category: Its category.
        turn: 1 or 2.
        answers: By arm.
    """

    question: str
    category: str
    turn: int
    answers: dict[str, Answer]

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        answers = {name: answer.to_dict() for name, answer in self.answers.items()}
        return {"question": self.question, "category": self.category, "turn": self.turn, "arms": answers}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Record:
        """From ``to_dict()``."""
        answers = {name: Answer.from_dict(answer) for name, answer in values["arms"].items()}
        return cls(values["question"], values["category"], values["turn"], answers)


@dataclass
class Results:
    """What has been answered so far.

    Attributes:
        records: One for each turn of each question.
        skipped: Why questions were left out, by name.
    """

    records: list[Record] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)


Progress = Callable[[int, int, "Record | None"], None]  # turns done, turns in all, the latest


def run(
    arms: Sequence[Arm],
    questions: Sequence[Question],
    settings: Settings,
    tokenize: Callable[[Messages], list[int]],
    progress: Progress = lambda _done, _total, _record: None,
    *,
    results: Results | None = None,
    seconds: float = float("inf"),
    clock: Callable[[], float] = monotonic,
) -> Results:
    """Every arm answers a question before the next one is asked; each time another arm begins.

    A second turn continues with the first answer of the arm ``plain`` (without one, of the first arm), so that all arms
    are asked the same. A question that does not fit the context is left out.

    Args:
        arms: At least one; their names differ.
        questions: At least one.
        settings: Of all arms.
        tokenize: Makes the prompt of a conversation.
        progress: Called before the first turn and after every one.
        results: Goes on from these: what they hold is not asked again. They grow as the run goes, so that an
            interrupted one leaves what it has.
        seconds: No turn begins after so long.
        clock: Seconds.

    Returns:
        ``results``.
    """
    results = Results() if results is None else results
    done = {(record.question, record.turn): record for record in results.records}
    total = sum(len(question.turns) for question in questions)
    end = clock() + seconds
    asked = 0
    progress(asked, total, None)
    for question in questions:
        messages: Messages = []
        for turn, text in enumerate(question.turns, 1):
            messages.append({"role": "user", "content": text})
            record = done.get((question.name, turn))
            if record is None:
                if clock() > end:
                    return results
                try:
                    prompt = tokenize(messages)
                    answers = in_turns(arms, len(results.records), methodcaller("answer", prompt, settings))
                except ContextFullError as error:
                    results.skipped[f"{question.name}, turn {turn}"] = str(error)
                    asked += len(question.turns) - turn + 1
                    progress(asked, total, None)
                    break
                record = Record(question.name, question.category, turn, answers)
                results.records.append(record)
            asked += 1
            progress(asked, total, record)
            leader = record.answers.get(PLAIN) or next(iter(record.answers.values()))
            messages.append({"role": "assistant", "content": leader.text})
    return results


def in_turns(arms: Sequence[A], number: int, ask: Callable[[A], Answer]) -> dict[str, Answer]:
    """Asks every arm, the first of them another one for each number; the answers are in the order of the arms."""
    first = number % len(arms)
    answers = {arm.name: ask(arm) for arm in [*arms[first:], *arms[:first]]}
    return {arm.name: answers[arm.name] for arm in arms}
