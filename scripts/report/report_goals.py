"""What the measurements are held against: each goal with what was measured, and every loss by group and arm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from report_data import LEAST, Run, against, base_of, speedups

OURS = ("auto", "auto-warm")
DRAFTED = (*OURS, "paper")  # by hd_edge
REPLAY_EXPECTS = {"q4_0": 1.28, "q4_1": 1.08}  # SmolLM2 on two cores, from replays, by the end of the file's name
EIGHT_ROWS = {"Q4_0": 1.4, "Q8_0": 1.4, "Q4_K_M": 1.6}
DRAFTING = 0.02  # of a forward's time
TRACE_SPEEDUP = 1.35
LARGEST_GAP = 0.05


@dataclass(frozen=True)
class Goal:
    """``measured`` against ``wanted``, which both are told in words."""

    run: str
    wanted: str
    measured: str
    met: bool


def goals(runs: list[Run]) -> list[Goal]:
    """All goals that the measurements speak about."""
    of = {
        "spec-bench": _arms,
        "trace-bench": _arms,
        "adversarial": _adversarial,
        "cost-curve": _cost,
        "replay": _replay,
        "overhead": _overhead,
    }
    return [goal for run in runs if run.kind in of for goal in of[run.kind](run)]


def losses(run: Run) -> dict[str, list[tuple[str, float]]]:
    """Per arm the groups in which it is below ``LEAST`` of plain decoding; ``"all"`` is all of them together."""
    found: dict[str, list[tuple[str, float]]] = {}
    for arm in run.data["speedup"] if run.kind in ("spec-bench", "trace-bench") else ():
        if arm == "plain":
            continue
        overall, by_group = speedups(run, arm)
        groups = {"all": overall, **(by_group if len(by_group) > 1 else {})}
        slow = [(group, ratio.value) for group, ratio in groups.items() if ratio.value < LEAST]
        if slow:
            found[arm] = slow
    return found


def slow_tables(run: Run) -> Iterator[tuple[str, float]]:
    """Rows of an ablation that were timed on a model and are below ``LEAST``, overall or in their worst group."""
    for title, rows in run.data["tables"].items() if run.kind == "ablations" else ():
        for row in rows:
            measured = row["cost"].get("measured", {"speedup": 1.0, "worst_group": 1.0})
            for key, words in (("speedup", ""), ("worst_group", ", worst group")):
                if measured[key] < LEAST:
                    yield f"{title}: {row['name']}{words}", measured[key]


def _arms(run: Run) -> Iterator[Goal]:
    ratios = {arm: speedups(run, arm) for arm in run.data["speedup"] if arm != "plain"}
    for arm in filter(ratios.__contains__, OURS):
        overall, by_group = ratios[arm]
        group, worst = min(by_group.items(), key=lambda item: item[1].value)
        yield Goal(
            run.name,
            f"`{arm}` in no group below {LEAST} of `plain`",
            f"{worst.value:.2f} ({group.replace('_', ' ')})",
            worst.value >= LEAST,
        )
        sums = run.arms[arm]
        share = sums["draft_seconds"] / sums["forward_seconds"] if sums.get("forward_seconds") else 0.0
        yield Goal(
            run.name, f"`{arm}`: drafting at most 2 % of the forwards", f"{100 * share:.1f} %", share <= DRAFTING
        )
        peers = {name: r[0].value for name, r in ratios.items() if name.startswith("llama-")}
        for what, others in (
            ("every peer of llama.cpp", peers),
            ("`paper`", {"paper": ratios["paper"][0].value} if "paper" in ratios else {}),
        ):
            if others:
                best = max(others, key=lambda name: others[name])
                measured = f"{overall.value:.2f} against {others[best]:.2f} (`{best}`)"
                yield Goal(run.name, f"`{arm}` above {what}", measured, overall.value > others[best])
        bases = {name: against(run, name, base_of(name)) for name in peers if base_of(name) != name}
        alone = against(run, arm, "plain")
        if alone and any(bases.values()):
            best = max(bases, key=lambda name: bases[name] or 0.0)
            measured = f"{alone:.2f} against {bases[best]:.2f} (`{best}`)"
            wanted = f"`{arm}`: drafting brings more than any peer's, each over its own program without drafts"
            yield Goal(run.name, wanted, measured, alone > (bases[best] or 0.0))
    yield from _expected(run, ratios)


def _expected(run: Run, ratios: dict) -> Iterator[Goal]:
    if "auto" not in ratios:
        return
    value = ratios["auto"][0].value
    if run.kind == "trace-bench":
        if "7b" in run.name and "q4_0" in run.name.lower():
            measured = f"{max(r[0].value for arm, r in ratios.items() if arm in OURS):.2f}"
            yield Goal(run.name, f"7B Q4_0: at least {TRACE_SPEEDUP}", measured, float(measured) >= TRACE_SPEEDUP)
        if "llama-cpp" in ratios:
            theirs = ratios["llama-cpp"][0].value
            yield Goal(run.name, "`plain` at least as fast as `llama-cpp`", f"{1 / theirs:.2f}", theirs <= 1 / LEAST)
        return
    for ending, wanted in REPLAY_EXPECTS.items():
        if ending in run.name.lower():
            yield Goal(run.name, f"what replays predict: {wanted}", f"{value:.2f}", value >= wanted)


def _adversarial(run: Run) -> Iterator[Goal]:
    for case, found in run.data["cases"].items():
        ratio, tokens = found["speedup"]["total"], found["arms"]["auto"]["tokens"]
        yield Goal(run.name, f"{case}: not below {LEAST} of plain", f"{ratio:.3f} ({tokens} tokens)", ratio >= LEAST)


def _cost(run: Run) -> Iterator[Goal]:
    at = {n: run.data["rows"].index(n) for n in (1, 8, 512) if n in run.data["rows"]}
    ours, theirs = run.data["row_kernels"], run.data["llama_cpp"]
    name = " ".join(filter(None, (run.data["model"], run.data.get("type")))).upper().removesuffix(".GGUF")
    wanted = next((most for kind, most in EIGHT_ROWS.items() if "7B" in name and name.endswith(kind)), None)
    if wanted and {1, 8} <= set(at):
        measured = ours[at[8]] / ours[at[1]]
        yield Goal(run.name, f"T(8)/T(1) at most {wanted}", f"{measured:.2f}", measured <= wanted)
    for n in (1, 512):
        if n in at:
            ratio = theirs[at[n]] / ours[at[n]]
            yield Goal(run.name, f"{n} row{'s' * (n > 1)}: not slower than llama.cpp", f"{ratio:.2f}x", ratio >= LEAST)


def _replay(run: Run) -> Iterator[Goal]:
    for cost, result in run.data["cost"].items():
        if sum(result["reliability"]["nodes"]):
            gap = result["reliability"]["largest_gap"]
            wanted = f"{cost}: chances come true within {100 * LARGEST_GAP:.0f} points"
            yield Goal(run.name, wanted, f"{100 * gap:.1f} points", gap <= LARGEST_GAP)


def _overhead(run: Run) -> Iterator[Goal]:
    share = run.data["draft_share_of_forward"]
    yield Goal(run.name, "drafting at most 2 % of the forwards", f"{100 * share:.1f} %", share <= DRAFTING)
    for name, ratio in run.data["speedup"].items():
        if name == "plain over llama-cpp":
            measured = f"{ratio['median']:.2f}"
            yield Goal(run.name, "without drafts as fast as llama_cpp", measured, ratio["median"] >= LEAST)
