#!/usr/bin/env python3
"""Holds a run of the headline arms against other ones: does each ratio lie within what they span?

    report_again.py first second               two folders of headline.py
    report_again.py first second third         the third against what the first two span
    report_again.py --keep kept.json folder    keeps a run's ratios: a file that may stand for the folder

Ratios of questions and recorded answers have bootstrap intervals of 95 %, those of servers the range of their rounds.
They tell how questions and rounds differ, not how hours and machines do, so what several runs span is from the lowest
end to the highest. Ratios that only one side has are left out. Ends with 1 where a ratio lies outside.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from itertools import combinations
from pathlib import Path

from report_data import Ratio, Run, against, load, speedups, table
from report_serving import company, loops

HEAD = ["run", "what", "other runs", "this run", ""]
SPEC, LONG, CHAT = "spec-bench-smollm2-q4_0", "spec-bench-smollm2-q4_0-long", "trace-bench-random-7b-q4_0-chat"
WHOLE, DRAFTER = "`auto` over `llama-cpp`, whole requests", "`auto-drafter`, decoding"
SPANNED = {  # what a reader of one number wants to know
    "whole requests of Spec-Bench over `llama_cpp.Llama`": (SPEC, WHOLE),
    "of long documents": (LONG, WHOLE),
    "chat answers of a 7B with a drafter over plain decoding": (CHAT, DRAFTER),
}
Key = tuple[str, str]


@dataclass(frozen=True)
class Told:
    """What one run of the headline arms says in ratios.

    Attributes:
        commit: That it was measured at.
        date: Of the measurement.
        ratios: By file and what is compared.
        prompt_ms: Milliseconds that a token of a 7B's prompt took: how fast the cores computed; None: not measured.
    """

    commit: str
    date: str
    ratios: dict[Key, Ratio]
    prompt_ms: float | None = None

    @classmethod
    def by(cls, runs: Sequence[Run]) -> Told:
        """Of the files of a folder, of that commit that most of its ratios are of."""
        of = {run.name: run.data.get("hardware", {}) for run in runs}
        counts = Counter(str(of[run.name].get("commit", "")) for run in runs for _ in ratios(run))
        commit = max(counts, key=counts.__getitem__, default="")
        found = [run for run in runs if of[run.name].get("commit", commit) == commit]
        date = max((str(of[run.name].get("date", "")) for run in found), default="")
        told = {(run.name, what): ratio for run in found for what, ratio in ratios(run)}
        return cls(commit, date, told, next((prompt_ms(run) for run in found if run.name == CHAT), None))

    @classmethod
    def read(cls, path: Path) -> Told:
        """A folder of headline.py, or what was kept of one."""
        if path.is_dir():
            return cls.by(load(path))
        kept = json.loads(path.read_text(encoding="utf-8"))
        found = {(run, what): Ratio(*ends) for run, told in kept["ratios"].items() for what, ends in told.items()}
        return cls(kept["commit"], kept["date"], found, kept.get("prompt_ms"))

    def keep(self, path: Path) -> None:
        """Writes a file that ``read`` takes."""
        told: dict[str, dict[str, list[float | None]]] = {}
        for (run, what), ratio in self.ratios.items():
            told.setdefault(run, {})[what] = [None if end is None else round(end, 4) for end in astuple(ratio)]
        lines = ",\n  ".join(f"{json.dumps(run)}: {json.dumps(found)}" for run, found in told.items())
        head = f'"commit": {json.dumps(self.commit)}, "date": {json.dumps(self.date)}'
        head += f', "prompt_ms": {json.dumps(self.prompt_ms)}'
        path.write_text(f'{{{head},\n "ratios": {{\n  {lines}\n }}}}\n', encoding="utf-8")


def ratios(run: Run) -> Iterator[tuple[str, Ratio]]:
    """What a file says in ratios, by name."""
    for arm in run.data.get("speedup", {}):
        if run.kind in ("spec-bench", "trace-bench") and arm != "plain":
            yield f"`{arm}`, decoding", speedups(run, arm)[0]
            yield f"`{arm}`, whole requests", speedups(run, arm, "request")[0]
    if run.kind == "spec-bench" and (whole := against(run, "auto", "llama-cpp", whole=True)):
        yield WHOLE, Ratio(whole)
    if run.kind == "company":
        for clients, found in company(run).items():
            if found:
                yield f"{clients} clients over llama-server", Ratio.of(found)
    if run.kind == "tool-loop":
        for mode in run.data["modes"]:
            for arm, found in loops(run, mode).items():
                yield f"loops by {mode} over `{arm}`", Ratio.of(found["loop"])


def prompt_ms(run: Run) -> float:
    """Milliseconds that a token of a prompt took without drafts, over all answers."""
    plain = run.arms["plain"]
    return round(1000 * float(plain["prompt_seconds"]) / plain["prompt_tokens"], 1)


def rows(before: Sequence[Told], now: Told) -> list[list[str]]:
    """A line per ratio that both sides have and the others have bounds for, those outside first."""
    found = []
    for (run, what), ratio in now.ratios.items():
        earlier = [told.ratios[run, what] for told in before if (run, what) in told.ratios]
        bounds = [(one.low, one.high) for one in earlier if one.low is not None and one.high is not None]
        if not bounds:
            continue
        low, high = min(low for low, _ in bounds), max(high for _, high in bounds)
        told = "within" if low <= ratio.value <= high else "**outside**"
        values = ", ".join(f"{one.value:.2f}" for one in earlier)
        found.append([run, what, f"{values} ({low:.2f} to {high:.2f})", f"{ratio.value:.2f}", told])
    return sorted(found, key=lambda row: row[-1])


def together(runs: Sequence[Run], kept: Sequence[Told]) -> list[Told]:
    """The kept runs of other commits, and behind them what the files of a folder tell."""
    now = Told.by(runs)
    return [*(told for told in kept if told.commit != now.commit), now]


def spans(runs: Sequence[Told]) -> dict[str, tuple[float, float]]:
    """From where to where several runs go in what ``SPANNED`` names."""
    found = {what: [told.ratios[key].value for told in runs if key in told.ratios] for what, key in SPANNED.items()}
    return {what: (min(values), max(values)) for what, values in found.items() if len(values) > 1}


def moves(runs: Sequence[Told]) -> list[float]:
    """By what share each ratio differs between each two runs, the smallest first."""
    return sorted(
        abs(b.ratios[key].value / a.ratios[key].value - 1)
        for a, b in combinations(runs, 2)
        for key in a.ratios
        if key in b.ratios
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders, or files that --keep wrote")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="keep the ratios of the one run that is named")
    args = parser.parse_args(argv)
    told = [Told.read(path) for path in args.runs]
    if args.keep:
        if len(told) != 1:
            raise SystemExit(f"--keep takes one run, not {len(told)}")
        told[0].keep(args.keep)
        return 0
    if len(told) < 2:
        raise SystemExit("name two runs, or more: the last is held against those before it")
    found = rows(told[:-1], told[-1])
    if not found:
        names = " and ".join(map(str, args.runs))
        raise SystemExit(f"{names} have no ratio with bounds in common: name folders of headline.py")
    print(table(HEAD, found, words=2))
    return int(found[0][-1] != "within")


if __name__ == "__main__":
    sys.exit(main())
