"""The number of threads changes between forwards: nothing of the answer does, and each size has its own cost curve."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from llama_cpp import llama_cpp as lib
from one_model import last_row

import hd_edge.llama as llama_module
from hd_edge import Llama
from hd_edge.backend.team import SPLIT_CELLS, Team, threads_change_bits
from hd_edge.draft.cost import CostCurve
from hd_edge.engine.pace import Pace

PROMPT = [5, 9, 13, 5, 9, 13, 7, 5, 9, 13] * 3


def answer(llm: Llama, count: int) -> tuple[list[int], bytes]:
    tokens = list(itertools.islice(llm.generate(PROMPT, temp=0.0), count))
    return tokens, last_row(llm).tobytes()


def restless(self: Team, cells: int) -> None:
    """Another number of threads for every forward."""
    self._step += 1
    self.home = 1 + self._step % self.most
    self._set(self.home)


@pytest.mark.parametrize("draft", ["off", "auto"])
@pytest.mark.parametrize("kv", [lib.GGML_TYPE_F16, lib.GGML_TYPE_Q8_0])
def test_answers_do_not_depend_on_the_team(models: Any, monkeypatch: pytest.MonkeyPatch, draft: str, kv: int) -> None:
    settings: dict[str, Any] = {"store": None, "statistics": None, "n_ctx": 256, "type_k": kv, "type_v": kv}
    path = str(models("Q4_0"))
    with_draft_off = []
    for threads in (1, 2, 3):
        with Llama(path, draft="off", n_threads=threads, n_threads_batch=threads, **settings) as llm:
            with_draft_off.append(answer(llm, 60))
    monkeypatch.setattr(llama_module, "physical_cores", lambda: 3)
    monkeypatch.setattr(Team, "before", restless)
    llm = Llama(path, draft=draft, **settings)
    applied: list[int] = []
    real = llm._pace._apply
    llm._pace._apply = lambda size: (applied.append(size), real(size))[1]
    tokens, row = answer(llm, 60)
    llm.close()
    assert set(applied) == {1, 2, 3}
    assert [tokens] * 3 == [other for other, _ in with_draft_off]
    if draft == "off":
        assert {row} == {other for _, other in with_draft_off}


def test_a_number_of_the_users_own_stays(models: Any) -> None:
    for given in ({"n_threads": 2}, {"n_threads_batch": 1}):
        with Llama(str(models("Q4_0")), store=None, statistics=None, n_ctx=64, **given) as llm:
            assert not isinstance(llm._pace, Pace)


def test_where_the_number_of_threads_changes_bits(models: Any) -> None:
    f16, q8_0 = lib.GGML_TYPE_F16, lib.GGML_TYPE_Q8_0
    for kernels, kv, bound in (("auto", f16, None), (False, f16, SPLIT_CELLS), (False, q8_0, None)):
        settings = {"type_k": kv, "type_v": kv, "row_kernels": kernels}
        with Llama(str(models("Q4_0")), store=None, statistics=None, n_ctx=64, **settings) as llm:
            assert llm._pace.team._most_cells == bound
            assert not threads_change_bits(llm.context_params, own_attention=True)


def test_each_size_has_a_cost_curve_of_its_own() -> None:
    class Planner:
        cost = CostCurve([(1, 0, 0.010, 9), (4, 0, 0.012, 9)])

    planner = Planner()
    full = planner.cost
    pace = Pace(2, lambda size: None)
    with pace.generation(planner):
        pace.after(4, 0, 0.012)
        assert pace.team._recent[-1] == pytest.approx(0.010)
        pace.team._set(1)  # a trial
        assert planner.cost is not full
        for _ in range(3):
            planner.cost.observe(1, 0, 0.010)
        for _ in range(30):
            planner.cost.observe(4, 0, 0.030)
            planner.cost.observe(1, 0, 0.010)
        assert planner.cost.cost(4, 0) == pytest.approx(3.0, rel=0.01)
    assert planner.cost is full
    assert full.cost(4, 0) == pytest.approx(1.2)
