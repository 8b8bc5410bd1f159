"""The sections of docs/benchmarks.md: one function per kind of measurement, from its data to Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

from report_data import Ratio, Run, against, base_of, speedups, total

HARDWARE = ("processor", "gpu", "cores", "system", "python", "llama_cpp_python", "hd_edge", "commit")
LEFT_OUT = ("bytes", "name", "parameters")  # of a model's file


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], *, words: int = 1) -> str:
    """A Markdown table; its first ``words`` columns are aligned to the left, the others to the right."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * words + "---:|" * (len(head) - words)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def picture(name: str, what: str) -> str:
    return f"![{what}](benchmarks/{name}.svg)"


def conditions(run: Run) -> str:
    """Machine, commit, settings: one paragraph, and the file that has all of it."""
    data = run.data
    hardware = data.get("hardware") or {}
    known = {**{key: hardware.get(key) for key in HARDWARE}, "commit": hardware.get("commit") or data.get("commit")}
    told = [_words(key, value) for key, value in known.items() if value not in (None, "")]
    model = data.get("model")
    named = {"model": model} if isinstance(model, str) else dict(model or {})
    settings = {**named, **(data.get("settings") or {})}
    told_settings = [_words(key, value) for key, value in settings.items() if key not in LEFT_OUT and _is_plain(value)]
    note = f" {data['note']}" if data.get("note") else ""
    text = "; ".join(filter(None, (", ".join(told), ", ".join(dict.fromkeys(told_settings)))))
    return f"{text}.{note} Data: [`{run.name}.json`](benchmarks/{run.name}.json)."


def _is_plain(value: Any) -> bool:
    return isinstance(value, (str, int, float)) and value != "" and not (isinstance(value, str) and len(value) > 80)


def _words(key: str, value: Any) -> str:
    if key in ("processor", "gpu", "system", "model", "file", "quantization"):
        return str(value)
    if key in ("llama_cpp_python", "hd_edge"):
        return f"{key.replace('llama_cpp_python', 'llama-cpp-python')} {value}"
    shown = {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value
    return f"{key.replace('_', ' ')} {f'{shown:.6g}' if isinstance(shown, float) else shown}"


def arms_section(run: Run) -> str:
    """Spec-Bench questions or recorded answers, arm by arm: speed-up by group, then what each arm did."""
    names = [arm for arm in run.arms if arm != "plain" and arm in run.data["speedup"]]
    groups = list(run.arms["plain"]["by_category"])
    groups = groups if len(groups) > 1 else []
    rows = []
    for arm in names:
        overall, by_group = speedups(run, arm)
        rows.append([f"`{arm}`", overall, total(run, arm), *(_short(by_group.get(group)) for group in groups)])
    parts = [conditions(run), table(["speed-up over `plain`", "median", "all time", *map(_words_of, groups)], rows)]
    if groups:
        parts.append(picture(run.name, "Speed-up by group and arm"))
    parts.append(_details(run))
    return "\n\n".join(parts)


def _short(ratio: Ratio | None) -> str:
    return str(Ratio(ratio.value)) if ratio else "-"


def _words_of(group: str) -> str:
    return group.replace("_", " ")


def _details(run: Run) -> str:
    """What each arm did; columns that no arm has anything to say in are left out."""
    cells = {name: [tell(run, arm) for arm in run.arms] for name, tell in COLUMNS.items()}
    told = {name: column for name, column in cells.items() if any(column)}
    rows = [[f"`{arm}`", *(column[i] or "-" for column in told.values())] for i, arm in enumerate(run.arms)]
    return table(["arm", *told], rows)


def _per_forward(run: Run, arm: str, name: str) -> str:
    sums = run.arms[arm]
    part = sums[name] if isinstance(sums.get(name, 0), (int, float)) else sum(sums[name].values())
    return _share(part, sums["forwards"])


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.2f}" if part and whole else ""


def _acceptance(run: Run, arm: str) -> str:
    accepted, drafted = (
        sum((run.arms[arm].get(name) or {}).values()) for name in ("accepted_by_tier", "drafted_by_tier")
    )
    return _share(accepted, drafted)


def _drafting(run: Run, arm: str) -> str:
    sums = run.arms[arm]
    drafted = sum((sums.get("accepted_by_tier") or {}).values())
    return f"{sums['draft_seconds'] / sums['forwards'] * 1e6:.0f} µs" if drafted and sums.get("draft_seconds") else ""


def _whole(run: Run, arm: str) -> str:
    """Speed-up with the prompt's forward."""
    known = arm != "plain" and "request" in run.data["speedup"].get(arm, {})
    return str(speedups(run, arm, "request")[0]) if known else ""


def _over(run: Run, arm: str, base: str) -> str:
    ratio = None if arm == base else against(run, arm, base)
    return f"{ratio:.2f}" if ratio is not None else ""


def _same(run: Run, arm: str) -> str:
    same = run.data.get("identical", {}).get(arm) if run.kind != "trace-bench" else None  # replayed: the same by force
    return f"{same['identical']} of {same['prompts']}" if same and arm != "plain" else ""


def _same_as_base(run: Run, arm: str) -> str:
    same, count = run.data.get("same_as_base", {}).get(arm, (0, 0))
    return f"{same} of {count}" if count and arm != base_of(arm) else ""


COLUMNS: dict[str, Callable[[Run, str], str]] = {
    "tokens": lambda run, arm: str(run.arms[arm]["tokens"]),
    "tokens/s": lambda run, arm: f"{run.arms[arm]['tokens_per_second']:.1f}",
    "tokens/forward": lambda run, arm: f"{run.arms[arm]['mean_accepted_tokens']:.2f}",
    "rows/forward": lambda run, arm: _per_forward(run, arm, "rows"),
    "accepted/drafted": _acceptance,
    "look-ups/forward": lambda run, arm: _per_forward(run, arm, "lookups"),
    "drafting/forward": _drafting,
    "whole requests over `plain`": _whole,
    "over `llama-cpp`": lambda run, arm: _over(run, arm, "llama-cpp"),
    "over its own base": lambda run, arm: _over(run, arm, base_of(arm)),
    "text of `plain`": _same,
    "text of its own base": _same_as_base,
}


def tiers_section(run: Run) -> str:
    """Where accepted tokens came from, and how deep they stood."""
    drafting = {arm: sums for arm, sums in run.arms.items() if sum((sums.get("accepted_by_tier") or {}).values())}
    tiers = list(dict.fromkeys(tier for sums in drafting.values() for tier in sums["accepted_by_tier"]))
    rows = []
    for arm, sums in drafting.items():
        drafted = sums.get("drafted_by_tier") or {}
        cells = []
        for tier in tiers:
            accepted, asked = sums["accepted_by_tier"].get(tier, 0), drafted.get(tier, 0)
            rate = f" ({accepted / asked:.2f})" if asked else ""
            cells.append(f"{accepted / sums['tokens']:.2f}{rate}" if accepted or asked else "-")
        rows.append([f"`{arm}`", *cells])
    return table(["share of the tokens (accepted/drafted)", *tiers], rows)


def adversarial_section(run: Run) -> str:
    """Texts that drafting cannot help with."""
    rows = []
    for case, found in run.data["cases"].items():
        auto, speed = found["arms"]["auto"], found["speedup"]
        counts = [f"{auto[name] / auto['forwards']:.2f}" for name in ("tokens", "rows")]
        ratios = [Ratio(speed["total"]), Ratio(speed["median"])]
        rows.append([case, auto["tokens"], *ratios, *counts, f"{100 * found['draft_share']:.1f} %"])
    head = ["case", "tokens", "all time over `plain`", "median of pieces", "tokens/forward", "rows/forward"]
    return conditions(run) + "\n\n" + table([*head, "drafting, of the forwards"], rows)


def cost_section(runs: list[Run]) -> str:
    """Cost of n rows over one row, llama.cpp's kernels and ours, and how much faster ours are."""
    sizes = [n for n in (1, 2, 3, 4, 6, 8, 12, 16, 32, 512) if all(n in run.data["rows"] for run in runs)]
    rows = []
    for run in runs:
        at = {n: run.data["rows"].index(n) for n in sizes}
        for arm, name in (("llama_cpp", "llama.cpp"), ("row_kernels", "ours")):
            curve = run.data[arm]
            cells = [f"{curve[at[n]] / curve[at[1]]:.2f}" for n in sizes[1:]]
            rows.append([_cost_name(run), name, f"{curve[at[1]] * 1e3:.2f} ms", *cells])
        faster = [f"{run.data['llama_cpp'][at[n]] / run.data['row_kernels'][at[n]]:.2f}x" for n in sizes]
        rows.append([_cost_name(run), "ours faster by", *faster])
    listed = "\n".join(f"- {_cost_name(run)}: {conditions(run)}" for run in runs)
    head = ["model", "kernels", "T(1)", *(f"T({n})/T(1)" for n in sizes[1:])]
    return "\n\n".join([listed, table(head, rows), picture("cost-curves", "T(n)/T(1) of both kernels")])


def context_section(run: Run) -> str:
    """T(n, L) of both programs, the prompt's forward and the roofline of one row."""
    sizes = run.data["rows"]
    rows = []
    for tokens, found in run.data["contexts"].items():
        pairs = zip(found["llama_cpp"], found["row_kernels"], strict=True)
        cells = [f"{theirs * 1e3:.1f} / {ours * 1e3:.1f} ({theirs / ours:.1f}x)" for theirs, ours in pairs]
        prefill = "{llama_cpp:.2f} / {row_kernels:.2f} s".format(**found["prefill"])
        one = found["row_kernels"][0]
        rows.append([tokens, prefill, *cells, f"{found['roofline'] * 1e3:.1f} ({one / found['roofline']:.2f})"])
    head = ["tokens", "prefill", *(f"T({n})" for n in sizes), "roofline (T(1), times it)"]
    return conditions(run) + "\n\n" + table(head, rows)


def _cost_name(run: Run) -> str:
    return " ".join(filter(None, (run.data["model"], run.data.get("type"))))


def reliability_section(runs: list[Run]) -> str:
    """Predicted against actual acceptance."""
    rows = []
    for run in runs:
        for cost, result in run.data["cost"].items():
            if sum(result["reliability"]["nodes"]):
                gap = 100 * result["reliability"]["largest_gap"]
                counts = [sum(result["reliability"]["nodes"]), f"{gap:.1f} points"]
                told = [
                    f"{result[key]:.2f}" for key in ("speedup", "worst_group", "mean_accepted_tokens", "rows_per_step")
                ]
                rows.append(
                    [f"[{run.data['traces']}](benchmarks/{run.name}.json)", cost, run.data["tiers"], *told, *counts]
                )
    head = ["answers", "costs", "tiers", "speed-up", "worst group", "tokens/forward", "rows/forward", "nodes"]
    return table([*head, "largest gap"], rows) + "\n\n" + picture("reliability", "Predicted against actual acceptance")


def edit_section(run: Run) -> str:
    """Documents with one sentence to change."""
    rows = []
    for arm, sums in run.arms.items():
        ratios = [f"{sums[name]:.2f}" for name in ("mean_accepted_tokens", "speedup_decode", "speedup_whole")]
        rows.append([f"`{arm}`", sums["tokens"], sums["forwards"], *ratios, sums["same_text_as_plain"]])
    head = ["arm", "tokens", "forwards", "tokens/forward", "speed-up of decoding", "of whole requests", "same text"]
    return conditions(run) + "\n\n" + table(head, rows)


def overhead_section(run: Run) -> str:
    """What hd_edge costs beside the forwards."""
    data = run.data
    rows = [
        [name, f"{ratio['median']:.2f}", f"{ratio['min']:.2f} to {ratio['max']:.2f}"]
        for name, ratio in data["speedup"].items()
    ]
    share = f"Drafting and learning take {100 * data['draft_share_of_forward']:.1f} % of a forward's time."
    return "\n\n".join([conditions(run), table(["whole completions", "median", "smallest to largest"], rows), share])


def ablations_section(run: Run) -> str:
    """Replays with one thing changed at a time: speed-up (tokens per forward) on each cost table."""
    parts = [conditions(run)]
    for title, rows in run.data["tables"].items():
        costs = list(rows[0]["cost"])
        cells = [[row["name"], *map(_ablated, row["cost"], row["cost"].values())] for row in rows]
        parts.append(table([title, *costs], cells))
    if "warm_up" in run.data:
        parts.append(_warm_up(run))
    return "\n\n".join(parts)


def _ablated(cost: str, found: dict[str, Any]) -> str:
    worst = f", worst group {Ratio(found['worst_group'])}" if cost == "measured" else ""
    return f"{Ratio(found['speedup'])} ({found['mean_accepted_tokens']:.2f}){worst}"


def _warm_up(run: Run) -> str:
    """Speed-up over the conversations of a learning store, in four parts."""
    curves = run.data["warm_up"]["speedup"]
    count = min(len(values) for values in curves.values())
    edges = [count * i // 4 for i in range(5)]
    rows = []
    for name, values in curves.items():
        means = [sum(values[a:b]) / max(b - a, 1) for a, b in pairwise(edges)]
        rows.append([name, *(f"{mean:.2f}" for mean in means)])
    head = ["speed-up, mean of conversations", *(f"{a + 1} to {b}" for a, b in pairwise(edges))]
    return table(head, rows) + "\n\n" + picture(f"{run.name}-warm-up", "Speed-up over the first conversations")
