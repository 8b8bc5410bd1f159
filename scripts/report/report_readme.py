"""The few rows of README.md that come from the measurements."""

from __future__ import annotations

from collections.abc import Iterator

from report_data import Run, against, base_of, speedups
from report_tables import table

BEGIN, END = "<!-- benchmarks -->", "<!-- /benchmarks -->"


def replace_block(text: str, runs: list[Run]) -> str:
    """README with the table between the marks made anew.

    Raises:
        SystemExit: A mark is missing or there is more than one.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise SystemExit(
            f"the README needs one {BEGIN} and one {END} behind it: it has {text.count(BEGIN)} and {text.count(END)}"
        )
    head, rest = text.split(BEGIN)
    return f"{head}{BEGIN}\n{block(runs)}\n{END}{rest.split(END)[1]}"


def block(runs: list[Run]) -> str:
    """One row per thing a reader asks about."""
    rows = [row for run in runs for row in _rows(run)]
    return table(["what", "ratio"], [*rows, *_kernels([run for run in runs if run.kind == "cost-curve"])])


def _rows(run: Run) -> Iterator[tuple[str, str]]:
    if run.kind in ("spec-bench", "trace-bench"):
        yield from _arms(run)
    elif run.kind == "edit-bench":
        arm = run.arms["prediction"]
        forwards = run.arms["plain"]["forwards"] / arm["forwards"]
        how = "answer forced, " if run.data["settings"]["forced"] else ""
        what = f"editing: {len(arm['runs'])} documents with one sentence to change, {how}`prediction` given"
        yield f"{what}: decoding; forwards", f"{arm['speedup_decode']:.1f}; {forwards:.1f}"
    elif run.kind == "overhead":
        plain = run.data["speedup"]["plain over llama-cpp"]["median"]
        yield 'without drafts (`draft="off"`) against `llama_cpp.Llama`, whole completions', f"{plain:.2f}"
        yield "drafting and learning, share of a forward's time", f"{100 * run.data['draft_share_of_forward']:.1f} %"


def _arms(run: Run) -> Iterator[tuple[str, str]]:
    arms = {arm: speedups(run, arm) for arm in run.data["speedup"] if arm != "plain"}
    named = run.data.get("model")
    model = named.get("file", "") if isinstance(named, dict) else run.data["settings"].get("model", "")
    kind = "Spec-Bench questions" if run.kind == "spec-bench" else "recorded answers"
    kernels = "" if run.data["settings"].get("row_kernels", True) else ", llama.cpp's kernels in all arms"
    for arm, words in (("auto", "drafted, nothing learned before"), ("auto-warm", "drafted, store filled before")):
        if arm in arms:
            overall, by_group = arms[arm]
            values = [ratio.value for ratio in by_group.values()] or [overall.value]
            spread = f"; groups {min(values):.2f} to {max(values):.2f}" if len(values) > 1 else ""
            answers = run.arms[arm].get("answers", len(run.data.get("answers", ())))
            same = run.data.get("identical", {}).get(arm) if run.kind == "spec-bench" else None
            told = f"; same text {same['identical']} of {same['prompts']}" if same else ""
            base = against(run, arm, "llama-cpp")
            beside = f"; {base:.2f} over `llama_cpp.Llama`" if base else ""
            what = f"{words}: {answers} {kind}, {model.removesuffix('.gguf')}{kernels}"
            yield what, f"{overall}{spread}{beside}{told}"
    peers = {arm: ratio for arm, (ratio, _) in arms.items() if arm.startswith("llama-") and base_of(arm) != arm}
    if peers:
        best = max(peers, key=lambda arm: peers[arm].value)
        alone = against(run, best, base_of(best))
        beside = f"; {alone:.2f} over its own program without drafts" if alone else ""
        yield f"the best of llama.cpp's own draftless modes there (`{best}`)", f"{peers[best]}{beside}"


def _kernels(runs: list[Run]) -> Iterator[tuple[str, str]]:
    """One row of all cost curves at the width of large models; of all there are where none is so wide."""
    wide = [run for run in runs if "7b" in run.data["model"].lower()] or runs
    if not wide:
        return
    names = [" ".join(filter(None, (run.data["model"].removesuffix(".gguf"), run.data.get("type")))) for run in wide]
    told = []
    for n in (1, 8):
        at = [run.data["rows"].index(n) for run in wide]
        ratios = [run.data["llama_cpp"][i] / run.data["row_kernels"][i] for i, run in zip(at, wide, strict=True)]
        told.append(" / ".join(f"{ratio:.1f}" for ratio in ratios))
    yield f"our CPU kernels against llama.cpp's, {' / '.join(names)}: one row; eight rows", "; ".join(told)
