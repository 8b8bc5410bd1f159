"""The tables of docs/benchmarks.md: one function per question, from all runs that answer it to Markdown."""

from __future__ import annotations

from statistics import fmean
from typing import Any

from report_data import Ratio, Run, against, model_of, speedups, table
from report_goals import PEERS
from report_headline import THEIRS

HARDWARE = ("processor", "gpu", "cores", "system", "llama_cpp_python", "commit", "date")
SETTINGS = ("model", "tokens", "max_tokens", "n_threads", "threads", "temperature", "row_kernels")


def link(run: Run) -> str:
    """Its name, leading to the file."""
    return f"[{run.name}](benchmarks/{run.name}.json)"


def speeds(runs: list[Run]) -> str:
    """A line per run of questions or recorded answers: every arm's median ratio to ``plain``."""
    rows = []
    for run in runs:
        ratios = {arm: speedups(run, arm) for arm in run.data["speedup"] if arm != "plain"}
        ours = {arm: ratios[arm] for arm in ("auto", "auto-warm") if arm in ratios}
        if not ours:  # of the drafter alone
            continue
        worst = min(min(ratio.value for ratio in groups.values()) for _, groups in ours.values())
        peers = {arm: ratio for arm, (ratio, _) in ratios.items() if arm.startswith(PEERS) and arm != THEIRS}
        best = max(peers, key=lambda arm: peers[arm].value, default=None)
        whole = against(run, "auto", THEIRS, whole=True)
        same = run.data["identical"].get("auto") if run.kind == "spec-bench" else None
        cells = [str(ratios[arm][0]) if arm in ratios else "-" for arm in ("auto", "auto-warm", "paper", THEIRS)]
        rows.append(
            [
                link(run),
                f"{run.arms['plain']['tokens_per_second']:.1f}",
                *cells[:2],
                Ratio(worst),
                *cells[2:],
                f"{peers[best]} `{best}`" if best else "-",
                f"{whole:.2f}" if whole else "-",
                f"{same['identical']} of {same['prompts']}" if same else "-",
            ]
        )
    head = ["run", "`plain`, tokens/s", "`auto`", "`auto-warm`", "worst group", "`paper`", f"`{THEIRS}`", "best peer"]
    return table([*head, f"`auto`, whole requests over `{THEIRS}`", "`auto`: text of `plain`"], rows)


def drafters(runs: list[Run]) -> str:
    """A line per run and arm with a drafter: its ratio to ``plain``, what its forwards gave, the ratio by text."""
    rows = []
    for run in runs:
        for arm, sums in run.arms.items():
            if not arm.endswith("-drafter"):
                continue
            overall, groups = speedups(run, arm)
            by_group = ", ".join(f"{name.removesuffix('.eval')} {ratio.value:.2f}" for name, ratio in groups.items())
            figures = (sums["mean_accepted_tokens"], sums["rows"] / sums["forwards"])
            plain = f"{run.arms['plain']['tokens_per_second']:.1f}"
            rows.append([link(run), f"`{arm}`", plain, overall, *(f"{figure:.2f}" for figure in figures), by_group])
    head = ["run", "arm", "`plain`, tokens/s", "times `plain`", "tokens/forward", "rows/forward", "by text"]
    return table(head, rows, words=2)


def requests(runs: list[Run]) -> str:
    """Prompts and answers told apart, for every arm of the runs that met peers."""
    rows = []
    for run in runs:
        for arm, sums in run.arms.items() if THEIRS in run.arms else ():
            prompts, answers = sums["prompt_seconds"], sums["seconds"]
            read = sum(record["arms"][arm]["prompt_tokens"] for record in run.data["answers"])
            speeds = [f"{n / seconds:.0f}" for n, seconds in ((read, prompts), (sums["tokens"], answers))]
            times = [f"{each / sums['answers']:.2f} s" for each in (prompts, prompts + answers)]
            rows.append([link(run), f"`{arm}`", *speeds, *times])
    head = ["run", "arm", "prompt tokens/s", "decoding tokens/s", "time to the first token", "a whole request"]
    return table(head, rows, words=2)


def sources(runs: list[Run]) -> str:
    """Where the tokens of the first run's drafting arms came from."""
    rows = []
    for arm, sums in runs[0].arms.items():
        if accepted := {tier: n for tier, n in sums["accepted_by_tier"].items() if n}:
            drafted, forwards = sum(sums["drafted_by_tier"].values()), sums["forwards"]
            figures = (sums["mean_accepted_tokens"], sums["rows"] / forwards, sum(accepted.values()) / drafted)
            shares = ", ".join(f"{tier} {n / sums['tokens']:.2f}" for tier, n in accepted.items())
            rows.append([f"`{arm}`", *(f"{figure:.2f}" for figure in figures), shares])
    head = ["arm", "tokens/forward", "rows/forward", "accepted/drafted", "share of the tokens, by tier"]
    return f"{link(runs[0])}:\n\n{table(head, rows)}"


def no_help(runs: list[Run]) -> str:
    """Texts that drafting cannot help with, and answers at temperatures."""
    rows = []
    for run in runs:
        for case, found in run.data.get("cases", {}).items():
            rows.append([link(run), case, found["arms"]["auto"]["tokens"], Ratio(found["speedup"]["total"]), "-"])
        for row in next(iter(run.data.get("tables", {}).values()), []):
            if found := row["cost"].get("measured"):
                ratios = [Ratio(found[name]) for name in ("speedup", "worst_group")]
                rows.append([link(run), f"temperature {row['name']}", "-", *ratios])
    return table(["run", "text", "tokens", "over `plain`", "worst group"], rows, words=2)


def costs(runs: list[Run]) -> str:
    """What rows cost, llama.cpp's kernels and ours."""
    rows = []
    for run in runs:
        ours, theirs = run.data["row_kernels"], run.data["llama_cpp"]
        at = {n: i for i, n in enumerate(run.data["rows"])}
        cells = [f"{curve[0] * 1e3:.1f} ms" for curve in (theirs, ours)]
        cells += [f"{curve[at[8]] / curve[0]:.1f}" for curve in (theirs, ours)]
        faster = [f"{theirs[at[n]] / ours[at[n]]:.1f}" for n in (1, 8, 512) if n in at]
        rows.append([f"[{model_of(run)}](benchmarks/{run.name}.json)", *cells, " / ".join(faster)])
    head = ["model", "T(1), llama.cpp", "T(1), ours", "T(8)/T(1), llama.cpp", "T(8)/T(1), ours"]
    return table([*head, "ours faster at 1 / 8 / 512 rows"], rows)


def contexts(runs: list[Run]) -> str:
    """What rows cost behind a context, llama.cpp's kernels and ours."""
    rows = []
    for run in runs:
        at = {n: i for i, n in enumerate(run.data["rows"])}
        for tokens, found in run.data["contexts"].items():
            ours, theirs, prompt = found["row_kernels"], found["llama_cpp"], found["prefill"]
            cells = [f"{ours[at[n]] * 1e3:.1f} ms ({theirs[at[n]] / ours[at[n]]:.1f})" for n in (1, 8)]
            cells += [f"{ours[at[8]] / ours[0]:.2f}", f"{ours[0] / found['roofline']:.2f}"]
            prefill = f"{prompt['row_kernels']:.2f} s ({prompt['llama_cpp'] / prompt['row_kernels']:.1f})"
            rows.append([f"{link(run)}, cache {run.data['settings']['kv']}", tokens, *cells, prefill])
    head = ["run", "L", "T(1), ours (times faster)", "T(8), ours (times faster)", "T(8)/T(1)", "T(1)/roofline"]
    return table([*head, "prompt, ours (times faster)"], rows)


def chances(runs: list[Run]) -> str:
    """One sentence about all replays."""
    gaps = {
        f"{run.name}, {cost}": found["reliability"]["largest_gap"]
        for run in runs
        for cost, found in run.data["cost"].items()
        if sum(found["reliability"]["nodes"])
    }
    worst = max(gaps, key=gaps.__getitem__)
    files = ", ".join(link(run) for run in runs)
    return (
        f"In {len(gaps)} replays the largest gap of a decile is {100 * fmean(gaps.values()):.1f} points in the mean, "
        f"{100 * gaps[worst]:.1f} in the worst ({worst}). Files: {files}."
    )


def tiers(runs: list[Run]) -> str:
    """Replays with some tiers only, and without a planner: speed-up, in brackets tokens per forward."""
    found: dict[str, dict[str, str]] = {}
    for run in runs:
        for title, rows in run.data["tables"].items():
            if title == "tiers" or title.endswith("number and length"):
                for row in rows:
                    what = row["name"] if title == "tiers" else f"{row['name']}, no planner"
                    for cost, told in row["cost"].items():
                        column = f"{run.name.removeprefix('ablations-')}, {cost}"
                        cell = f"{Ratio(told['speedup'])} ({told['mean_accepted_tokens']:.2f})"
                        found.setdefault(what, {})[column] = cell
    columns = list(dict.fromkeys(column for cells in found.values() for column in cells))
    found.pop("planner, no planner", None)  # the line of all tiers says it
    rows = [[what, *(cells.get(column, "-") for column in columns)] for what, cells in found.items()]
    return table(["tiers, or drafts of a fixed number and length", *columns], rows)


def beside(runs: list[Run]) -> str:
    """Editing, and what drafting costs beside the forwards."""
    said = []
    for run in runs:
        for arm, sums in run.arms.items() if run.kind == "edit-bench" else ():
            times = f"{sums['speedup_decode']:.2f} times as fast as `plain`, whole requests {sums['speedup_whole']:.2f}"
            said.append(f"{link(run)}: `{arm}` decodes {times}, {sums['mean_accepted_tokens']:.1f} tokens per forward.")
        if run.kind == "overhead":
            share, plain = run.data["draft_share_of_forward"], run.data["speedup"]["plain over llama-cpp"]
            spread = f"{plain['median']:.2f} of `llama_cpp.Llama` ({plain['min']:.2f} to {plain['max']:.2f})"
            told = f"drafting and learning take {100 * share:.1f} % of a forward's time"
            said.append(f"{link(run)}: without drafts {spread}, {told}.")
    return "\n".join(f"- {line}" for line in said)


def conditions(run: Run) -> str:
    """Machine, commit and settings in one line; empty where a file has none."""
    hardware, settings = run.data.get("hardware") or {}, run.data.get("settings") or {}
    told = {key: hardware.get(key) for key in HARDWARE} | {key: settings.get(key) for key in SETTINGS}
    told["commit"] = told["commit"] or run.data.get("commit")
    words = [_words(key, value) for key, value in told.items() if value not in (None, "")]
    return f"- {link(run)}: {', '.join(words)}" if words else ""


def _words(key: str, value: Any) -> str:
    if key in ("processor", "gpu", "system", "model", "date"):
        return str(value)
    shown = ("off", "on")[value] if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else value
    return f"{key.removeprefix('n_').replace('_', ' ')} {shown}"
