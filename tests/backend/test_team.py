"""The number of threads on simulated machines: what a team costs where nothing is wrong, and what it saves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from busy_machine import TWO_CORES, BusyMachine, many_cores

from hd_edge.backend.team import SPLIT_CELLS, Team
from hd_edge.backend.threads import running_threads

SEEDS = range(10)


def applied(most: int, **settings: Any) -> tuple[Team, list[int]]:
    sizes: list[int] = []
    return Team(most, sizes.append, **settings), sizes


def shares(load: str, forwards: int) -> list[float]:
    """Of the best team, per seed, from a fresh start."""
    return [BusyMachine(TWO_CORES[load], seed=seed).run(applied(2)[0], forwards) for seed in SEEDS]


@pytest.mark.parametrize("load", ["idle", "gentle"])
def test_an_idle_machine_loses_at_most_two_percent(load: str) -> None:
    assert min(shares(load, 2000)) > 0.98
    assert sum(shares(load, 128)) / len(SEEDS) > 0.98


@pytest.mark.parametrize("load", ["one", "two", "four"])
def test_a_busy_machine_keeps_nearly_the_best_teams_speed(load: str) -> None:
    assert min(shares(load, 2000)) > 0.93
    assert min(shares(load, 128)) > 0.85


def test_a_compiler_in_the_background() -> None:
    assert min(shares("compiler", 2000)) > 0.9


@pytest.mark.parametrize("load", ["one", "compiler"])
def test_loads_that_come_and_go(load: str) -> None:
    for seed in SEEDS:
        team, _ = applied(2)
        idle = BusyMachine(TWO_CORES["idle"], seed=seed)
        assert idle.run(team, 300) > 0.97
        assert BusyMachine(TWO_CORES[load], seed=seed).run(team, 600) > 0.85
        idle.run(team, 1200)  # until the next trial with all threads
        assert team.home == 2


def test_many_cores_lose_few_threads() -> None:
    for busy, best in ((0, 16), (1, 15), (8, 8), (12, 4)):
        team, _ = applied(16)
        machine = BusyMachine(many_cores(16, busy))
        machine.run(team, 2000)
        assert team.home <= best
        assert machine.run(team, 1000) > 0.85, busy


def test_long_contexts_that_depend_on_threads_keep_all_of_them() -> None:
    team, sizes = applied(2, most_cells=SPLIT_CELLS)
    machine = BusyMachine(TWO_CORES["one"])
    machine.run(team, 50, cells=SPLIT_CELLS)
    assert team.home == 1
    machine.run(team, 500, cells=SPLIT_CELLS + 1)
    assert sizes[-1] == 2
    assert team.size == 2
    machine.run(team, 1, cells=SPLIT_CELLS)
    assert team.size == 1


def test_a_short_prompt_goes_to_the_team_in_use_and_a_long_one_to_all_threads() -> None:
    team, sizes = applied(2, most_cells=1000)
    BusyMachine(TWO_CORES["one"]).run(team, 50)
    for rows, cells, size in ((30, 30, 1), (512, 512, 1), (30, 1001, 2), (2000, 1000, 2)):
        team.gather()
        team.prompt(rows, cells)
        assert team.size == sizes[-1] == size, (rows, cells)
    team.before(0)
    assert team.size == 1


def trials(running: int | None, load: str, forwards: int = 3000) -> tuple[int, Team]:
    """How often the team changed, from a start on that machine."""
    sizes: list[int] = []
    team = Team(2, sizes.append, running=lambda: running)
    BusyMachine(TWO_CORES[load]).run(team, forwards)
    return len(sizes), team


@pytest.mark.parametrize(("load", "running", "home"), [("one", 2, 1), ("idle", 2, 2)])
def test_the_systems_count_spares_trials(load: str, running: int, home: int) -> None:
    told, team = trials(running, load)
    blind, _ = trials(None, load)
    assert team.home == home
    assert told <= 0.5 * blind


def test_a_wrong_count_only_puts_trials_off() -> None:
    _, team = trials(40, "one")  # a container that sees its host's threads
    assert team.home == 1
    BusyMachine(TWO_CORES["idle"]).run(team, 3000)
    assert team.home == 2


def test_each_veto_puts_a_trial_off_longer() -> None:
    team = Team(2, lambda size: None, running=lambda: 40)
    team.home = 1
    until = []
    for _ in range(4):
        team._step = team._wait(2).until
        assert team._vetoed(2)
        until.append(team._wait(2).until - team._step)
    assert until == [until[0] * n for n in (1, 2, 3, 4)]


def test_running_threads(tmp_path: Path) -> None:
    loads = tmp_path / "loadavg"
    loads.write_text("27.65 24.58 36.26 21/230 25137\n")
    assert running_threads(loads) == 21
    loads.write_text("strange")
    assert running_threads(loads) is None
    assert running_threads(tmp_path / "missing") is None


def test_one_thread_is_never_more() -> None:
    team, sizes = applied(1)
    BusyMachine({1: 50.0}).run(team, 100)
    assert sizes == []


def test_forwards_of_unknown_price_say_nothing() -> None:
    team, sizes = applied(2)
    for _ in range(100):
        team.before(0)
        team.after(0.0)
    assert sizes == []
