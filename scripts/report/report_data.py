"""The measurements a report is made of: JSON files of one folder, told apart by the start of their names."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

# What each kind of file holds, and the script that writes it.
KINDS = {
    "spec-bench": "scripts/benchmarks/spec_bench.py",
    "trace-bench": "scripts/benchmarks/trace_bench.py",
    "adversarial": "scripts/benchmarks/adversarial_bench.py",
    "cost-curve": "scripts/benchmarks/cost_curve.py",
    "context-curve": "scripts/benchmarks/cost_curve.py",
    "replay": "scripts/replay/simulate_drafts.py",
    "ablations": "scripts/replay/ablations.py",
    "edit-bench": "scripts/benchmarks/edit_bench.py",
    "overhead": "scripts/benchmarks/overhead.py",
    "tool-loop": "scripts/benchmarks/tool_loop_bench.py",
    "company": "scripts/benchmarks/company_bench.py",
    "busy": "scripts/benchmarks/busy_bench.py",
    "prefix": "scripts/benchmarks/prefix_bench.py",
}
TEXTS = frozenset({"text", "ids", "turns", "prompt", "messages", "content", "usage"})
DIGITS = 6
LONG_DOCUMENTS = "long documents"  # group of questions that long_questions.py makes


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

    @property
    def is_cold(self) -> bool:
        """Whether its drafting arms did not know beforehand what rows cost."""
        return bool(self.data.get("settings", {}).get("cold"))

    @property
    def asks_long_documents(self) -> bool:
        """Whether its only group is that of long documents."""
        return all(list(sums.get("by_category", ())) == [LONG_DOCUMENTS] for sums in self.arms.values())


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


def against(run: Run, arm: str, base: str, *, whole: bool = False) -> float | None:
    """Median over the answers of the time per token of ``base`` over that of the arm; None: nothing to compare.

    Args:
        run: Of questions or recorded answers.
        arm: Name of the arm.
        base: Name of the other one.
        whole: With the prompt's forward.
    """
    times = [
        [_per_token(record["arms"].get(name), whole) for name in (base, arm)] for record in run.data.get("answers", ())
    ]
    ratios = [theirs / ours for theirs, ours in times if theirs and ours]
    return median(ratios) if ratios else None


def _per_token(answer: dict[str, Any] | None, whole: bool) -> float:
    """Seconds; 0.0 where there is nothing to tell. The first token is the prompt's."""
    if answer is None or answer["tokens"] < 2:
        return 0.0
    seconds = answer["seconds"] + (answer["prompt_seconds"] if whole else 0.0)
    return float(seconds / (answer["tokens"] - (not whole)))


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], *, words: int = 1) -> str:
    """A Markdown table; its first ``words`` columns are aligned to the left, the others to the right."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * words + "---:|" * (len(head) - words)]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)])


def model_of(run: Run) -> str:
    """Name of its model, as tables show it."""
    model = run.data.get("model") or run.data["settings"].get("model", "")
    name = model["file"] if isinstance(model, dict) else model
    return " ".join(filter(None, (name.removesuffix(".gguf"), run.data.get("type"))))


def base_of(arm: str) -> str:
    """The arm with the same program and no drafts."""
    for program in ("llama-server-", "openvino-"):
        if arm.startswith(program):
            return f"{program}plain"
    return "llama-cpp" if arm.startswith("llama-cpp") else "plain"


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
    path = folder / source.name
    path.write_text(_dumps(slim(data)) + "\n", encoding="utf-8")
    load(folder)  # refuses a name of no kind
    return path


def _dumps(data: dict[str, Any]) -> str:
    """JSON with a line per key, and at the end one per answer."""
    records = data.pop("answers") if isinstance(data.get("answers"), list) else None
    parts = [f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in data.items()]
    if records is not None:
        lines = ",\n  ".join(json.dumps(record, separators=(",", ":")) for record in records)
        parts.append(f'"answers": [\n  {lines}\n ]')
    return "{\n " + ",\n ".join(parts) + "\n}"
