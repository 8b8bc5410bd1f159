"""What a visitor wants to know: tokens per second of llama_cpp.Llama, of the best peer, and of hd_edge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import report_again as again
from report_data import LONG_DOCUMENTS, Run, model_of, table
from report_goals import PEERS

OURS, THEIRS = "auto", "llama-cpp"
MOST = 4  # kinds of requests
LONG = 500  # tokens: the median prompt of a group with long context
BEGIN, END = "<!-- benchmarks -->", "<!-- /benchmarks -->"


@dataclass(frozen=True)
class Line:
    """Tokens per second while decoding, of one kind of request.

    Attributes:
        what: Model and kind of request.
        speeds: By program, ``llama_cpp.Llama`` first, hd_edge last.
    """

    what: str
    speeds: dict[str, float]


def lines(runs: list[Run]) -> list[Line]:
    """The first run of each kind that met peers: short and long context of the very first, whole others."""
    found: dict[tuple[str, bool], Run] = {}
    for run in runs:
        if run.kind in ("spec-bench", "trace-bench") and {OURS, THEIRS} <= set(run.arms):
            found.setdefault((run.kind, run.asks_long_documents), run)
    met = list(found.values())
    return [line for run in met for line in _lines(run, split=run is met[0])]


def _lines(run: Run, *, split: bool) -> Iterator[Line]:
    lengths = {group: _prompt(run, group) for group in run.arms[OURS]["by_category"]}
    kinds: dict[str, list[str]] = {"": list(lengths)}
    if split and min(lengths.values()) < LONG <= max(lengths.values()):
        kinds = {
            "short prompts": [group for group, tokens in lengths.items() if tokens < LONG],
            "prompts of about {0:.0f} tokens": [group for group, tokens in lengths.items() if tokens >= LONG],
        }
    for kind, groups in kinds.items():
        peers = [arm for arm in run.arms if arm.startswith(PEERS) and arm != THEIRS]
        speeds = {arm: _speed(run, arm, groups) for arm in (*peers, THEIRS, OURS)}
        best = max(peers, key=speeds.__getitem__, default=None)
        told = {"llama_cpp.Llama": speeds[THEIRS], **({best: speeds[best]} if best else {}), "hd_edge": speeds[OURS]}
        words = kind.format(round(median(lengths[group] for group in groups), -2))
        asked = "Spec-Bench" if run.kind == "spec-bench" else "recorded answers, random weights"
        if run.asks_long_documents:
            asked, words = LONG_DOCUMENTS, f"prompts of about {round(median(lengths.values()), -2):,.0f} tokens"
        if 2 * run.arms[OURS].get("looping", 0) > run.arms[OURS]["answers"]:
            words = ", ".join(filter(None, (words, "answers that repeat themselves")))
        yield Line(", ".join(filter(None, (model_of(run), asked, words))), told)


def _prompt(run: Run, group: str) -> float:
    """Median tokens of a group's prompts."""
    of = [record["arms"][OURS]["prompt_tokens"] for record in run.data["answers"] if record["category"] == group]
    return median(of)


def _speed(run: Run, arm: str, groups: list[str]) -> float:
    sums = [run.arms[arm]["by_category"][group] for group in groups]
    return float(sum(one["tokens"] for one in sums) / sum(one["seconds"] for one in sums))


def block(runs: list[Run]) -> str:
    """At most six rows: speeds, editing, and the worst that drafting does."""
    rows = []
    for line in lines(runs)[:MOST]:
        (_, theirs), *peer, (_, ours) = line.speeds.items()
        best = f"{speed(peer[0][1])} (`{peer[0][0]}`)" if peer else "-"
        rows.append([line.what, speed(theirs), best, f"**{speed(ours)}** ({ours / theirs:.1f} times)"])
    for run in (run for run in runs if run.kind == "edit-bench"):
        arm = run.arms["prediction"]
        told = f"**{speed(arm['tokens_per_second'])}** ({arm['speedup_decode']:.1f} times plain decoding)"
        rows.append([f"{model_of(run)}, a document edited, the old text given as `prediction`", "-", "-", told])
    cases = [case for run in runs if run.kind == "adversarial" for case in run.data["cases"].values()]
    if cases:
        worst = f"{min(case['speedup']['total'] for case in cases):.2f} of plain decoding"
        rows.append(["text that never repeats, or a store full of the wrong text", "-", "-", worst])
    return table(["tokens per second while decoding", "`llama_cpp.Llama`", "best peer", "hd_edge"], rows)


def speed(value: float) -> str:
    """Tokens per second with three digits at most."""
    return f"{value:.0f}" if value >= 20 else f"{value:.1f}"


def replace_block(text: str, runs: list[Run], others: Sequence[again.Told] = ()) -> str:
    """README with the table between the marks made anew, and what other runs say.

    Raises:
        SystemExit: A mark is missing or there is more than one.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise SystemExit(
            f"the README needs one {BEGIN} and one {END} behind it: it has {text.count(BEGIN)} and {text.count(END)}"
        )
    head, rest = text.split(BEGIN)
    told = "\n\n".join(filter(None, (block(runs), _spans(runs, others))))
    return f"{head}{BEGIN}\n{told}\n{END}{rest.split(END)[1]}"


def _spans(runs: list[Run], others: Sequence[again.Told]) -> str:
    """One number is of one hour: what several say."""
    together = again.together(runs, others)
    found = [f"{what} {low:.1f} to {high:.1f} times" for what, (low, high) in again.spans(together).items()]
    if not found:
        return ""
    return f"{len(together)} runs, in hours in which such a machine was fast and slow: {', '.join(found)}."
