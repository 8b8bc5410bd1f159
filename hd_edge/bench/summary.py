"""From records to figures: sums by arm and category, and ratios to the arm ``plain``.

A ratio is the time per token of ``plain`` over that of the arm, of the same turn of the same question. What is told is
the median of these ratios and its bootstrap interval of 95 % (Efron 1979): a percentile interval over whole questions,
as the turns of one are no independent samples.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from hd_edge.stats import GenerationStats

from .arm import Answer
from .turns import PLAIN, Record, Results

RESAMPLED = 2000
LOOP, PERIOD = 72, 36  # tokens at the end of an answer that repeat, and of what they repeat at most
Time = Callable[[Answer], float]  # seconds per token; 0.0 where an answer was too short to tell


def decode_time(answer: Answer) -> float:
    """Seconds per token after the first."""
    return answer.stats.seconds / answer.timed_tokens if answer.timed_tokens else 0.0


def request_time(answer: Answer) -> float:
    """Seconds per token of the whole request, the prompt's forward included."""
    stats = answer.stats
    return (stats.prompt_seconds + stats.seconds) / stats.tokens if stats.tokens else 0.0


def loops(ids: Sequence[int] | None) -> bool:
    """Whether an answer ends in a phrase that it repeats: small models do, and drafting profits more than it should."""
    end = list(ids or ())[-LOOP:]
    return len(end) == LOOP and any(end[period:] == end[:-period] for period in range(1, PERIOD + 1))


def total(answers: Sequence[Answer]) -> dict[str, Any]:
    """Sums over answers of one arm, and the figures people read; ``tokens`` are those that ``seconds`` bought."""
    summed = GenerationStats()
    for answer in answers:
        summed.add(answer.stats)
    summed.tokens = sum(answer.timed_tokens for answer in answers)
    speeds = [1 / time for answer in answers if (time := decode_time(answer)) > 0]
    return {
        **summed.to_dict(),
        "answers": len(answers),
        "looping": sum(loops(answer.ids) for answer in answers),
        "tokens_per_second_spread": statistics.stdev(speeds) if len(speeds) > 1 else None,
        "rows_per_forward": summed.rows / summed.forwards if summed.forwards else 0.0,
        "draft_share": summed.draft_seconds / summed.forward_seconds if summed.forward_seconds else 0.0,
    }


def speedup(records: Iterable[Record], arm: str, time: Time = decode_time) -> dict[str, Any] | None:
    """Median ratio to ``plain``, all time by all time, their intervals, and how many ratios there are.

    Args:
        records: Those without a time of either arm are left out.
        arm: Name of the arm.
        time: Seconds per token of an answer.

    Returns:
        None if no record has both times. One question has no interval: its bounds are None.
    """
    ratios: dict[str, list[float]] = {}  # by question
    seconds: dict[str, list[tuple[float, float]]] = {}  # plain's, and the arm's for as many tokens
    for record in records:
        plain, other = time(record.answers[PLAIN]), time(record.answers[arm])
        if plain > 0 and other > 0:
            ratios.setdefault(record.question, []).append(plain / other)
            weight = record.answers[PLAIN].stats.tokens
            seconds.setdefault(record.question, []).append((plain * weight, other * weight))
    if not ratios:
        return None
    low, high = interval(list(ratios.values())) if len(ratios) > 1 else (None, None)
    flat = [ratio for group in ratios.values() for ratio in group]
    return {
        "median": float(np.median(flat)),
        "low": low,
        "high": high,
        **total_ratio([np.sum(pairs, axis=0) for pairs in seconds.values()]),
        "answers": len(flat),
    }


def interval(groups: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Percentile bootstrap interval (95 %) of the median, groups resampled as wholes."""
    owner = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    values = np.concatenate([np.asarray(group, dtype=float) for group in groups])
    order = np.argsort(values, kind="stable")
    drawn = np.random.default_rng(0).multinomial(len(groups), [1 / len(groups)] * len(groups), RESAMPLED)
    below = np.cumsum(drawn[:, owner[order]], axis=1)  # how many of a sample's values come up to each, in order
    half = below[:, -1:] / 2
    lower, upper = np.argmax(below >= half, axis=1), np.argmax(below > half, axis=1)
    medians = (values[order][lower] + values[order][upper]) / 2
    low, high = np.percentile(medians, [2.5, 97.5])
    return float(low), float(high)


def total_ratio(seconds: Sequence[Any]) -> dict[str, float | None]:
    """All time of ``plain`` by all time of the arm, and its bootstrap interval over questions.

    It weighs long answers more than the median does, and needs fewer of them to see a small difference on a noisy
    machine.

    Args:
        seconds: Of plain and of the arm, for each question.
    """
    times = np.asarray(seconds, dtype=float)
    whole = times.sum(axis=0)
    ratio = float(whole[0] / whole[1])
    if len(times) < 2:
        return {"total": ratio, "total_low": None, "total_high": None}
    drawn = np.random.default_rng(0).multinomial(len(times), [1 / len(times)] * len(times), RESAMPLED)
    sums = drawn @ times
    low, high = np.percentile(sums[:, 0] / sums[:, 1], [2.5, 97.5])
    return {"total": ratio, "total_low": float(low), "total_high": float(high)}


def bounds(ratio: dict[str, Any], of: str = "") -> str:
    """The interval of a ratio, ``of="total_"`` for that of all time; empty where one question has none."""
    low, high = ratio[f"{of}low"], ratio[f"{of}high"]
    return "" if low is None else f"{low:.2f} - {high:.2f}"


def identical(records: Sequence[Record], arm: str) -> dict[str, Any]:
    """How many answers are those of ``plain``, and where the others part: at a token, or a character without ids."""
    differences = []
    for record in records:
        plain, other = record.answers[PLAIN], record.answers[arm]
        in_ids = plain.ids is not None and other.ids is not None
        a, b = (plain.ids, other.ids) if in_ids else (plain.text, other.text)
        if a != b:
            pairs = enumerate(zip(a or (), b or (), strict=False))
            index = next((i for i, pair in pairs if pair[0] != pair[1]), min(len(a or ()), len(b or ())))
            unit = "token" if in_ids else "character"
            differences.append({"question": record.question, "turn": record.turn, unit: index})
    return {"prompts": len(records), "identical": len(records) - len(differences), "first_differences": differences}


def by_category(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Records of each category, in the order in which they came up."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.category, []).append(record)
    return groups


def summarise(results: Results, **about: Any) -> dict[str, Any]:
    """The file of ``hd-edge bench --json``.

    Args:
        results: At least one record; every record has the same arms.
        about: What else the file tells: ``hardware``, ``model``, ``settings``.

    Returns:
        ``schema``, what ``about`` says, ``arms``, ``speedup`` and ``identical`` by arm, ``skipped``, and the records
        under ``answers``. Without an arm ``plain`` the ratios are left out.
    """
    records = results.records
    groups = by_category(records)
    names = list(records[0].answers) if records else []
    arms: dict[str, Any] = {}
    ratios: dict[str, Any] = {}
    same: dict[str, Any] = {}
    for arm in names:
        arms[arm] = total([record.answers[arm] for record in records])
        arms[arm]["by_category"] = {c: total([record.answers[arm] for record in of]) for c, of in groups.items()}
        if PLAIN in names:
            same[arm] = identical(records, arm)
            ratios[arm] = {
                **_ratios(records, groups, arm, decode_time),
                "request": _ratios(records, groups, arm, request_time),
            }
    return {
        "schema": 1,
        **about,
        "arms": arms,
        "speedup": ratios,
        "identical": same,
        "skipped": results.skipped,
        "answers": [record.to_dict() for record in records],
    }


def _ratios(records: Sequence[Record], groups: dict[str, list[Record]], arm: str, time: Time) -> dict[str, Any]:
    return {
        "overall": speedup(records, arm, time),
        "by_category": {category: speedup(of, arm, time) for category, of in groups.items()},
    }
