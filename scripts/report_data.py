"""The measurements a report is made of: JSON files of one folder, told apart by the start of their names."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

# What each kind of file holds, and the script that writes it.
KINDS = {
    "spec-bench": "scripts/spec_bench.py",
    "trace-bench": "scripts/trace_bench.py",
    "adversarial": "scripts/adversarial_bench.py",
    "cost-curve": "scripts/cost_curve.py",
    "context-curve": "scripts/cost_curve.py",
    "replay": "scripts/simulate_drafts.py",
    "ablations": "scripts/ablations.py",
    "edit-bench": "scripts/edit_bench.py",
    "overhead": "scripts/overhead.py",
}
TEXTS = frozenset({"text", "ids", "turns", "prompt", "messages", "content", "usage"})
DIGITS = 6


@dataclass(frozen=True)
class Run:
    """One file: its name without ``.json``, which of ``KINDS`` it is, what it holds."""

    name: str
    kind: str
    data: dict[str, Any]

    @property
    def arms(self) -> dict[str, dict[str, Any]]:
        """Per arm its sums."""
        return dict(self.data.get("arms", {}))


@dataclass(frozen=True)
class Ratio:
    """A speed-up; ``low`` and ``high`` bound its 95 % interval where there is one."""

    value: float
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, found: Any) -> Ratio:
        """A number, or ``median``/``low``/``high``."""
        if isinstance(found, dict):
            return cls(found["median"], found.get("low"), found.get("high"))
        return cls(float(found))

    def __str__(self) -> str:
        mark = " ↓" if self.value < LEAST else ""
        spread = f" ({self.low:.2f} to {self.high:.2f})" if self.low is not None and self.high is not None else ""
        return f"{self.value:.2f}{spread}{mark}"


LEAST = 0.98  # a speed-up below it is a loss


def load(folder: Path) -> list[Run]:
    """All runs of a folder, by kind in the order of ``KINDS``, then by name.

    Raises:
        SystemExit: A file is of no known kind or no JSON object.
    """
    runs = []
    for path in sorted(folder.glob("*.json")):
        kind = next((kind for kind in KINDS if path.stem == kind or path.stem.startswith(f"{kind}-")), None)
        if kind is None:
            raise SystemExit(f"{path}: the name begins with none of {', '.join(KINDS)}")
        data = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(data, dict):
            raise SystemExit(f"{path}: a JSON object is needed, this is a {type(data).__name__}")
        runs.append(Run(path.stem, kind, data))
    order = list(KINDS)
    return sorted(runs, key=lambda run: (order.index(run.kind), run.name))


def speedups(run: Run, arm: str, of: str = "") -> tuple[Ratio, dict[str, Ratio]]:
    """Of an arm over plain decoding: overall and by category; ``of="request"``: with the prompt's forward."""
    found = run.data["speedup"][arm]
    found = found[of] if of else found
    groups = {name: Ratio.of(value) for name, value in found["by_category"].items() if value is not None}
    return Ratio.of(found["overall"]), groups


def total(run: Run, arm: str) -> Ratio:
    """All time of plain decoding by all time of the arm."""
    found = run.data["speedup"][arm]["overall"]
    return Ratio(found["total"], found.get("total_low"), found.get("total_high"))


def against(run: Run, arm: str, base: str) -> float | None:
    """Median over the answers of the time per token of ``base`` over that of the arm; None: nothing to compare."""
    records = run.data.get("answers", ())
    ratios = []
    for record in records.values() if isinstance(records, dict) else records:
        times = [_per_token(record["arms"][name]) for name in (base, arm) if name in record["arms"]]
        if len(times) == 2 and all(times):
            ratios.append(times[0] / times[1])
    return median(ratios) if ratios else None


def _per_token(answer: dict[str, Any]) -> float:
    """Seconds; the first token is the prompt's."""
    return answer["seconds"] / (answer["tokens"] - 1) if answer["tokens"] > 1 else 0.0


def base_of(arm: str) -> str:
    """The arm with the same program and no drafts."""
    if arm.startswith("llama-server-"):
        return "llama-server-plain"
    return "llama-cpp" if arm.startswith("llama-cpp") else "plain"


def same_as_base(data: dict[str, Any]) -> dict[str, list[int]]:
    """Per arm how many answers are token for token those of its own program without drafts, and how many there are."""
    found: dict[str, list[int]] = {}
    for record in data["answers"]:
        for arm, answer in record["arms"].items():
            base = record["arms"].get(base_of(arm))
            if base and answer.get("ids") and base.get("ids"):
                same, count = found.get(arm, [0, 0])
                found[arm] = [same + (answer["ids"] == base["ids"]), count + 1]
    return found


def slim(found: Any) -> Any:
    """Without texts, token ids and needless digits: counts and times stay."""
    if isinstance(found, dict):
        return {
            key: slim(value)
            for key, value in found.items()
            if not (key in TEXTS and isinstance(value, (str, list, dict)))
        }
    if isinstance(found, list):
        return [slim(value) for value in found]
    return float(f"{found:.{DIGITS}g}") if isinstance(found, float) else found


def add(source: Path, folder: Path) -> Path:
    """Copies a script's output into the folder, slimmed; one line per answer."""
    data = json.loads(source.read_text(encoding="utf-8"))
    if source.name.startswith("spec-bench") and "same_as_base" not in data:
        data["same_as_base"] = same_as_base(data)
    data = slim(data)
    path = folder / source.name
    path.write_text(_dumps(data) + "\n", encoding="utf-8")
    load(folder)  # refuses a name of no kind
    return path


def _dumps(data: dict[str, Any]) -> str:
    parts = []
    for key, value in sorted(data.items(), key=lambda item: item[0] == "answers"):  # answers last
        if key == "answers" and isinstance(value, (list, dict)):
            begin, end = "[]" if isinstance(value, list) else "{}"
            lines = [json.dumps(item, separators=(",", ":")) for item in (value if begin == "[" else value.values())]
            if begin == "{":
                lines = [f"{json.dumps(name)}: {line}" for name, line in zip(value, lines, strict=True)]
            parts.append(f'"answers": {begin}\n  ' + ",\n  ".join(lines) + f"\n {end}")
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}")
    return "{\n " + ",\n ".join(parts) + "\n}"
