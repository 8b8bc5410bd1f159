"""What the measurements are held against: each goal with what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from report_data import LEAST, Run, against, base_of, model_of, speedups, table
from report_serving import company, loops

OURS = ("auto", "auto-warm")
PEERS = ("llama-", "openvino")  # how the names of other programs' arms begin
REPLAY_EXPECTS = {"q4_0": 1.28, "q4_1": 1.08}  # SmolLM2 on two cores, from replays, by the end of the file's name
EIGHT_ROWS = {"Q4_0": 1.4, "Q8_0": 1.4, "Q4_K_M": 1.6}
DRAFTING = 0.02  # of a forward's time
TRACE_SPEEDUP = 1.35
CHAT_WITH_DRAFTER = {"13b": 1.75, "": 1.65}  # by recorded answers, of a 13B and of a 7B
WARM_CHAT = 1.8  # the same of a 7B that begins with what it said before
CROWD = {"7b": 3.0, "": 2.0}  # eight clients, over llama-server, by the model's size
LOOP = 1.0  # a tool loop, over every other server
REQUESTS = 2.0  # whole requests over llama_cpp.Llama
LONG_REQUESTS, LONG_DECODING = 2.3, 3.0  # the same behind 3,000 tokens, and decoding alone
LARGEST_GAP = 0.05
PROMISED = ("whole requests", "decoding", "chat with a drafter", "warm chat", "eight clients", "whole tool loops")


@dataclass(frozen=True)
class Goal:
    """``measured`` against ``wanted``, which both are told in words."""

    run: str
    wanted: str
    measured: str
    met: bool


def goals(runs: list[Run]) -> list[Goal]:
    """All goals that the measurements speak about."""
    return [Goal(run.name, *told) for run in runs if run.kind in OF for told in OF[run.kind](run)]


Told = Iterator[tuple[str, str, bool]]


def least(what: str, value: float, least: float = LEAST, of: str = "`plain`") -> tuple[str, str, bool]:
    """A goal that a ratio reaches."""
    return f"{what}: at least {least:g} times {of}", f"{value:.2f}", value >= least


def drafting(what: str, share: float) -> tuple[str, str, bool]:
    """The goal of what drafting may cost."""
    return f"{what}drafting at most 2 % of the forwards", f"{100 * share:.1f} %", share <= DRAFTING


def _arms(run: Run) -> Told:
    ratios = {arm: speedups(run, arm) for arm in run.data["speedup"] if arm != "plain"}
    peers = [name for name in ratios if name.startswith(PEERS)]
    for arm in filter(ratios.__contains__, OURS):
        overall, by_group = ratios[arm]
        group, worst = min(by_group.items(), key=lambda item: item[1].value)
        yield least(f"`{arm}` in every group, the worst is {group.replace('_', ' ')}", worst.value)
        sums = run.arms[arm]
        yield drafting(f"`{arm}`: ", sums["draft_seconds"] / sums["forward_seconds"] if sums["forward_seconds"] else 0)
        if rivals := {arm: ratio[0].value for arm, ratio in ratios.items() if arm in peers or arm == "paper"}:
            best = max(rivals, key=rivals.__getitem__)
            measured = f"{overall.value:.2f} and {rivals[best]:.2f}"
            yield f"`{arm}` above every peer and `paper`, the best is `{best}`", measured, overall.value > rivals[best]
        alone = {name: against(run, name, base_of(name)) or 0.0 for name in (*peers, arm) if base_of(name) != name}
        if len(alone) > 1:
            best = max((name for name in alone if name != arm), key=alone.__getitem__)
            wanted = f"`{arm}` brings its program more than `{best}` its own"
            yield wanted, f"{alone[arm]:.2f} and {alone[best]:.2f}", alone[arm] > alone[best]
    yield from _expected(run, {arm: ratio[0].value for arm, ratio in ratios.items()})


def _expected(run: Run, ratios: dict[str, float]) -> Told:
    if "auto" in ratios and run.kind == "spec-bench":
        whole = against(run, "auto", "llama-cpp", whole=True)
        if whole and run.asks_long_documents:
            yield least("whole requests", whole, LONG_REQUESTS, "`llama-cpp`")
            yield least("decoding", against(run, "auto", "llama-cpp") or 0.0, LONG_DECODING, "`llama-cpp`")
            return
        if whole:
            yield least("whole requests", whole, REQUESTS, "`llama-cpp`")
        for ending, wanted in REPLAY_EXPECTS.items():
            if ending in run.name.lower() and not run.is_cold:
                yield least("what replays predict", ratios["auto"], wanted)
    elif run.kind == "trace-bench":
        if "auto-drafter" in ratios:
            wanted = next(wanted for size, wanted in CHAT_WITH_DRAFTER.items() if size in run.name)
            yield least("chat with a drafter", ratios["auto-drafter"], wanted)
        if "auto-warm-drafter" in ratios and "7b" in run.name:
            yield least("warm chat with a drafter", ratios["auto-warm-drafter"], WARM_CHAT)
        free = [value for arm, value in ratios.items() if arm in OURS]
        if free and "7b" in run.name and "q4_0" in run.name.lower():
            yield least("7B Q4_0", max(free), TRACE_SPEEDUP)
        if "llama-cpp" in ratios:
            yield least("`plain`", 1 / ratios["llama-cpp"], LEAST, "`llama-cpp`")


def _adversarial(run: Run) -> Told:
    for case, found in run.data["cases"].items():
        yield least(case, found["speedup"]["total"])


def _cost(run: Run) -> Told:
    at = {n: i for i, n in enumerate(run.data["rows"])}
    ours, theirs, name = run.data["row_kernels"], run.data["llama_cpp"], model_of(run).upper()
    wanted = next((most for kind, most in EIGHT_ROWS.items() if "7B" in name and name.endswith(kind)), None)
    if wanted and {1, 8} <= set(at):
        measured = ours[at[8]] / ours[at[1]]
        yield f"T(8)/T(1) at most {wanted}", f"{measured:.2f}", measured <= wanted
    for n in (n for n in (1, 512) if n in at):
        yield least(f"{n} row{'s' * (n > 1)}", theirs[at[n]] / ours[at[n]], LEAST, "llama.cpp's speed")


def _replay(run: Run) -> Told:
    for cost, result in run.data["cost"].items():
        if sum(result["reliability"]["nodes"]):
            gap = result["reliability"]["largest_gap"]
            wanted = f"{cost}: chances come true within {100 * LARGEST_GAP:.0f} points"
            yield wanted, f"{100 * gap:.1f} points", gap <= LARGEST_GAP


def _ablations(run: Run) -> Told:
    """Rows that were timed on a model."""
    for title, rows in run.data["tables"].items():
        for row in rows:
            if measured := row["cost"].get("measured"):
                what = f"{title.split(' (')[0]} {row['name']}"
                yield least(what, measured["speedup"])
                yield least(f"{what}, worst group", measured["worst_group"])


def _overhead(run: Run) -> Told:
    yield drafting("", run.data["draft_share_of_forward"])
    yield least("without drafts", run.data["speedup"]["plain over llama-cpp"]["median"], LEAST, "`llama-cpp`")


def _tool_loop(run: Run) -> Told:
    for arm, ratios in loops(run, "schema").items():
        if "no drafts" not in arm:
            yield least("whole tool loops", ratios["loop"]["median"], LOOP, f"`{arm}`")


def _company(run: Run) -> Told:
    for clients, found in company(run).items():
        if clients == 8 and found:
            wanted = next(wanted for size, wanted in CROWD.items() if size in run.name)
            yield least("eight clients", found["median"], wanted, "llama-server")


def promises(found: list[Goal]) -> list[Goal]:
    """Those of the goals that a user was promised: whole requests, and no loss from the first minute on."""
    loss = "in every group"
    return [
        goal for goal in found if goal.wanted.startswith(PROMISED) or ("-cold-" in goal.run and loss in goal.wanted)
    ]


def goals_table(found: list[Goal]) -> str:
    """Goals, the missed ones first."""
    rows = sorted(found, key=lambda goal: goal.met)
    cells = [[goal.run, goal.wanted, goal.measured, "met" if goal.met else "**missed**"] for goal in rows]
    return table(["run", "goal", "measured", ""], cells, words=4)


OF = {
    "spec-bench": _arms,
    "trace-bench": _arms,
    "adversarial": _adversarial,
    "cost-curve": _cost,
    "replay": _replay,
    "ablations": _ablations,
    "overhead": _overhead,
    "tool-loop": _tool_loop,
    "company": _company,
}
