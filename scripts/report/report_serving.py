"""Servers, busy machines and restarts: the tables of docs/benchmarks.md that compare whole requests over HTTP."""

from __future__ import annotations

from statistics import median
from typing import Any

from report_data import Run, model_of, table

OURS, THEIRS = "hd-edge", "llama-server"  # names of the benchmarks' arms


def loops(run: Run, mode: str) -> dict[str, dict[str, dict[str, float]]]:
    """By other server: its time over ours, whole loops and per token; empty where the mode was not run."""
    found: dict[str, Any] = run.data["modes"].get(mode, {}).get("over", {})
    return found


def company(run: Run) -> dict[int, dict[str, float]]:
    """By number of clients: our tokens per second over llama-server's, round by round; empty without that arm."""
    found = {}
    for clients, arms in run.data["clients"].items():
        rounds = zip(arms.get(OURS, ()), arms.get(THEIRS, ()), strict=False)
        ratios = [ours["tokens_per_second"] / theirs["tokens_per_second"] for ours, theirs in rounds]
        found[int(clients)] = {"median": median(ratios), "low": min(ratios), "high": max(ratios)} if ratios else {}
    return found


def spread(ratio: dict[str, float]) -> str:
    """Median and range of the rounds."""
    return f"{ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"


def tool_loops(runs: list[Run]) -> str:
    """A line per server and mode."""
    rows = []
    for run in runs:
        for mode, found in run.data["modes"].items():
            for arm, sums in found["arms"].items():
                ratios = loops(run, mode).get(arm)
                sound = f"{sums['sound']} of {sums['calls']}"
                figures = (f"{sums['seconds'] / len(sums['rounds']):.1f} s", f"{sums['tokens_per_second']:.0f}")
                told = [spread(ratios[of]) if ratios else "-" for of in ("loop", "token")]
                rows.append([_link(run), mode, f"`{arm}`", *figures, f"{sums['tokens_per_forward']:.2f}", sound, *told])
    head = ["run", "calls by", "server", "a loop", "tokens/s", "tokens/forward", "sound calls"]
    return table([*head, "its time over ours", "per token"], rows, words=3)


def crowds(runs: list[Run]) -> str:
    """A line per number of clients and server."""
    rows = []
    for run in runs:
        over = company(run)
        for clients, arms in run.data["clients"].items():
            for arm, rounds in arms.items():
                first, gap = (
                    median(one[of]["median"] for one in rounds) for of in ("first_token_seconds", "gap_seconds")
                )
                speed = median(one["tokens_per_second"] for one in rounds)
                ratio = spread(over[int(clients)]) if arm == THEIRS and over[int(clients)] else "-"
                cells = [f"{speed:.1f}", f"{first:.2f} s", f"{1e3 * gap:.0f} ms", ratio]
                rows.append([_link(run), model_of(run), clients, f"`{arm}`", *cells])
    head = ["run", "model", "clients", "server", "tokens/s in all", "first token", "gap", "ours over it"]
    return table(head, rows, words=4)


def others_at_work(runs: list[Run]) -> str:
    """A line per load: tokens per second of each arm."""
    rows, arms = [], list(dict.fromkeys(arm for run in runs for load in run.data["loads"].values() for arm in load))
    for run in runs:
        for load, found in run.data["loads"].items():
            speeds = [f"{found[arm]['tokens_per_second']:.0f}" if arm in found else "-" for arm in arms]
            rows.append([_link(run), load, *speeds])
    return table(["run", "programs beside", *(f"`{arm}`" for arm in arms)], rows, words=2)


def restarts(runs: list[Run]) -> str:
    """A line per length of the prefix."""
    rows = []
    for run in runs:
        for tokens, found in run.data["prefixes"].items():
            times = [f"{seconds:.3f} s" for seconds in found["seconds"].values()]
            rows.append([_link(run), tokens, *times, f"{found['speedup']['restart']:.1f}"])
    names = list(next(iter(runs[0].data["prefixes"].values()))["seconds"])
    return table(["run", "tokens", *names, "restart, times faster than cold"], rows)


def _link(run: Run) -> str:
    return f"[{run.name}](benchmarks/{run.name}.json)"
