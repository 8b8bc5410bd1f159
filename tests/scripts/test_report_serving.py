"""scripts/report/: servers, promises and goals of the headline run, on small made-up measurements."""

from __future__ import annotations

import pytest
import report
import report_data
import report_goals
from report_files import NAME, docs, measured, page, row

__all__ = ["docs", "page"]


def loop(seconds, tokens, over=None):
    arm = {
        "rounds": [{"seconds": seconds}],
        "seconds": seconds,
        "tokens": tokens,
        "tokens_per_second": tokens / seconds,
    }
    return {**arm, "tokens_per_forward": 1.5, "sound": 19, "calls": 20}


def test_tool_loops_are_told_by_server(docs):
    ratio = {"loop": {"median": 3.0, "low": 2.5, "high": 3.5}, "token": {"median": 2.0, "low": 1.5, "high": 2.5}}
    slower = {of: {"median": 0.9, "low": 0.9, "high": 0.9} for of in ("loop", "token")}
    arms = {"hd-edge": loop(4.0, 800), "llama-server": loop(12.0, 1000), "llama_cpp.server": loop(3.6, 700)}
    over = {"llama-server": ratio, "llama_cpp.server": slower, "hd-edge, no drafts": slower}
    data = {"settings": {"model": "smol-q4_0.gguf"}, "modes": {"schema": {"arms": arms, "over": over}}}
    run = report_data.Run("tool-loop-smol", "tool-loop", data)
    told = row(
        report.page([*report_data.load(docs / "benchmarks"), run]), NAME.format(run.name), "schema", "`llama-server`"
    )
    assert told[3:] == ["12.0 s", "83", "1.50", "19 of 20", "3.00 (2.50 to 3.50)", "2.00 (1.50 to 2.50)"]
    met = {goal.wanted: goal.met for goal in report_goals.goals([run])}
    assert met == {
        "whole tool loops: at least 1 times `llama-server`": True,
        "whole tool loops: at least 1 times `llama_cpp.server`": False,
    }


@pytest.mark.parametrize(
    ("model", "theirs", "wanted", "met"),
    [("smol", 45.0, 2, True), ("smol", 60.0, 2, False), ("7b-4layers", 30.0, 3, True), ("7b-4layers", 40.0, 3, False)],
)
def test_eight_clients_have_a_goal(docs, model, theirs, wanted, met):
    def served(speed):
        times = {"first_token_seconds": {"median": 0.5}, "gap_seconds": {"median": 0.02}}
        return [{"tokens_per_second": speed, **times}, {"tokens_per_second": 1.1 * speed, **times}]

    arms = {"hd-edge": served(100.0), "llama-server": served(theirs)}
    data = {"settings": {"model": "smol-q4_0.gguf"}, "clients": {"2": arms, "8": arms}}
    run = report_data.Run(f"company-{model}", "company", data)
    (goal,) = report_goals.goals([run])
    assert (goal.wanted, goal.met) == (f"eight clients: at least {wanted} times llama-server", met)
    page = report.page([*report_data.load(docs / "benchmarks"), run])
    told = row(page, NAME.format(run.name), "smol-q4_0", "8", "`llama-server`")[4:]
    assert told[1:3] == ["0.50 s", "20 ms"]
    assert told[3] == f"{100 / theirs:.2f} ({100 / theirs:.2f} to {100 / theirs:.2f})"


def test_busy_machines_and_restarts_have_tables(docs):
    speeds = {"plain:auto": {"tokens_per_second": 200.0}, "drafted:auto": {"tokens_per_second": 300.4}}
    busy = report_data.Run("busy-smol", "busy", {"loads": {"0": speeds, "2": {"plain:auto": speeds["plain:auto"]}}})
    found = {"seconds": {"cold": 2.0, "restart": 0.1}, "speedup": {"restart": 20.0}}
    prefix = report_data.Run("prefix-smol", "prefix", {"prefixes": {"3500": found}})
    page = report.page([*report_data.load(docs / "benchmarks"), busy, prefix])
    assert row(page, NAME.format("busy-smol"), "0")[2:] == ["200", "300"]
    assert row(page, NAME.format("busy-smol"), "2")[2:] == ["200", "-"]
    assert row(page, NAME.format("prefix-smol"), "3500")[2:] == ["2.000 s", "0.100 s", "20.0"]


def test_a_cold_run_is_held_against_plain_only(docs):
    data = measured(docs)
    warm = {goal.wanted for goal in report_goals.goals([report_data.Run("spec-bench-q4_0", "spec-bench", data)])}
    data["settings"]["cold"] = True
    cold = {goal.wanted for goal in report_goals.goals([report_data.Run("spec-bench-q4_0", "spec-bench", data)])}
    assert warm - cold == {"what replays predict: at least 1.28 times `plain`"}


def test_chats_with_a_drafter_have_a_goal(docs):
    data = measured(docs)
    for found in (data["arms"], data["speedup"]):
        found["auto-drafter"] = found["auto"]
    for size, wanted in (("7b", "1.65"), ("13b", "1.75")):
        found = report_goals.goals([report_data.Run(f"trace-bench-{size}", "trace-bench", data)])
        met = {goal.wanted: goal.met for goal in found}
        assert met[f"chat with a drafter: at least {wanted} times `plain`"] is False


def test_the_goals_table_begins_with_what_is_missed(docs):
    lines = report_goals.goals_table(report_goals.goals(report_data.load(docs / "benchmarks"))).splitlines()[2:]
    ends = [line.split(" | ")[-1] for line in lines]
    assert ends == sorted(ends)
    assert ends[0] == "**missed** |"
    assert ends[-1] == "met |"


def test_a_peers_drafts_stand_against_its_own_program():
    bases = {
        name: report_data.base_of(name)
        for name in ("auto", "llama-cpp-pld", "llama-server-ngram-mod", "openvino-lookup")
    }
    assert list(bases.values()) == ["plain", "llama-cpp", "llama-server-plain", "openvino-plain"]


def test_prompts_and_answers_are_told_apart(page):
    told = row(page, NAME.format("spec-bench-smollm2-q4_0"), "`llama-cpp`")[2:]
    assert told == ["4100", "40", "0.10 s", "0.35 s"]  # 410 tokens in 0.1 s, ten in 0.25 s


def test_what_was_promised_opens_the_page(docs):
    data = measured(docs)
    cold = report_data.Run("spec-bench-smol-cold-t0.7", "spec-bench", data)
    page = report.page([*report_data.load(docs / "benchmarks"), cold])
    promised = page.split("## What is promised")[1].split("\n## ")[0]
    runs = {line.split(" | ")[0].strip("| ") for line in promised.splitlines() if "missed" in line or "met" in line}
    assert runs == {"spec-bench-smollm2-q4_0", "spec-bench-smol-cold-t0.7"}
    assert "whole requests: at least 2 times `llama-cpp` | 1.24 | **missed**" in promised
    assert promised.count("spec-bench-smol-cold-t0.7 | `auto`") == 1  # no group loses
    assert "T(8)/T(1)" not in promised
