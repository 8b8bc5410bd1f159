"""The benchmark: turns, planted slow-downs, the mathematics of the summary."""

from __future__ import annotations

import json

import pytest
from fake_bench import Clock, FakeArm, FakeLlama, answer, as_it_is

from hd_edge.bench.arm import Answer, LocalArm, Settings, never, timed
from hd_edge.bench.drafted import Drafted, Slowed
from hd_edge.bench.summary import bounds, identical, interval, loops, speedup, summarise, total
from hd_edge.bench.turns import Record, Results, run
from hd_edge.errors import ContextFullError
from hd_edge.model.questions import Question
from hd_edge.stats import GenerationStats

SETTINGS = Settings(max_tokens=40, n_ctx=512)
ASKED = [Question(f"q{i}", "a" if i % 2 else "b", ("one",)) for i in range(12)]


# -- turns -------------------------------------------------------------------------------------------------------------


def test_each_turn_begins_with_another_arm_and_second_turns_continue_with_the_plain_answer():
    order, asked = [], []

    def make(name):
        def answers(messages):
            order.append(name)
            asked.append([m["content"] for m in messages])
            return answer(1.0, text=f"{name} said")

        return FakeArm(name, answers)

    results = run([make("auto"), make("plain")], [Question("q", "c", ("one", "two"))], SETTINGS, as_it_is)
    assert order == ["auto", "plain", "plain", "auto"]
    assert asked == [["one"], ["one"], *[["one", "plain said", "two"]] * 2]
    assert [(r.question, r.turn, list(r.answers)) for r in results.records] == [
        ("q", 1, ["auto", "plain"]),
        ("q", 2, ["auto", "plain"]),
    ]


def test_questions_that_do_not_fit_are_skipped_and_said():
    def make(messages):
        if messages[-1]["content"] == "long":
            raise ContextFullError("too long")
        return answer(1.0)

    told = []

    def tell(done, total, record):
        told.append((done, total))

    questions = [Question("a", "c", ("short", "long", "short")), Question("b", "c", ("short",))]
    results = run([FakeArm("plain", make)], questions, SETTINGS, as_it_is, tell)
    assert results.skipped == {"a, turn 2": "too long"}
    assert [(r.question, r.turn) for r in results.records] == [("a", 1), ("b", 1)]
    assert told == [(0, 4), (1, 4), (3, 4), (4, 4)]


def test_an_interrupted_run_keeps_what_it_has_and_goes_on_from_there():
    left = [2]

    def make(messages):
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        return answer(1.0)

    results = Results()
    with pytest.raises(KeyboardInterrupt):
        run([FakeArm("plain", make)], ASKED, SETTINGS, as_it_is, results=results)
    assert [r.question for r in results.records] == ["q0", "q1"]
    again = Results([Record.from_dict(json.loads(json.dumps(r.to_dict()))) for r in results.records])
    assert again == results
    left[0] = 100
    run([FakeArm("plain", make)], ASKED, SETTINGS, as_it_is, results=again)
    assert [r.question for r in again.records] == [q.name for q in ASKED]
    assert left == [90]


def test_no_turn_begins_after_the_time_given():
    clock = Clock()

    def make(messages):
        clock.sleep(10)
        return answer(1.0)

    assert len(run([FakeArm("plain", make)], ASKED, SETTINGS, as_it_is, seconds=25, clock=clock).records) == 3


# -- does it measure? --------------------------------------------------------------------------------------------------


@pytest.fixture
def planted(monkeypatch):
    """Plain, plain again and plain slowed by 5 %, on one drifting noisy machine."""
    monkeypatch.setattr(LocalArm, "_ends", lambda self, token: False)
    clock = Clock()
    llm = FakeLlama(clock)
    arms = [
        Drafted("plain", llm, clock=clock),
        Drafted("again", llm, clock=clock),
        Slowed("slowed", llm, 0.05, clock=clock, sleep=clock.sleep),
    ]
    return summarise(run(arms, ASKED, SETTINGS, lambda messages: list(messages[0]["content"].encode())))


def test_identical_arms_come_out_equal(planted):
    found = planted["speedup"]["again"]["overall"]
    assert found["low"] <= 1.0 <= found["high"]
    assert found["median"] == pytest.approx(1.0, abs=0.01)
    ones = dict.fromkeys(("median", "low", "high", "total", "total_low", "total_high"), 1)
    assert planted["speedup"]["plain"]["overall"] == {**ones, "answers": 12}


def test_a_slow_down_of_5_percent_is_seen(planted):
    found = planted["speedup"]["slowed"]["overall"]
    assert found["high"] < 1.0
    assert found["total_high"] < 1.0
    assert found["median"] == pytest.approx(1 / 1.05, abs=0.01)
    assert found["total"] == pytest.approx(1 / 1.05, abs=0.01)
    assert planted["identical"]["slowed"] == {"prompts": 12, "identical": 12, "first_differences": []}


def test_the_forward_of_the_prompt_is_no_decode_time():
    clock = Clock()

    def generate():
        clock.sleep(5)
        try:
            for token in range(100):
                yield token
                clock.sleep(1)
        finally:
            clock.sleep(0.25)  # what follows a generation belongs to it

    run_ = timed(generate, 4, never, clock)
    assert (run_.ids, run_.prompt_seconds, run_.seconds) == ([0, 1, 2, 3], 5, 3.25)
    assert timed(generate, 50, lambda token: token == 2, clock).ids == [0, 1, 2]
    assert timed(lambda: iter(()), 50, never, clock).seconds == 0


# -- summary -----------------------------------------------------------------------------------------------------------


def record(question, plain, arm, category="c", turn=1):
    return Record(question, category, turn, {"plain": plain, "arm": arm})


def test_speed_ups_are_medians_of_times_per_token():
    records = [
        record("1", answer(1.0), answer(0.5)),
        record("2", answer(1.0), answer(0.4, tokens=5)),  # 0.1 s per token in both, of another text
        record("3", answer(1.0), answer(4.0)),
        record("4", answer(0.0, tokens=1), answer(1.0)),  # nothing but the prompt's token: no time to compare
    ]
    found = speedup(records, "arm")
    assert found["median"] == 1.0
    assert found["answers"] == 3
    assert found["total"] == pytest.approx(0.3 / 0.55)
    assert found["total_low"] < found["total"] < found["total_high"]
    assert (found["low"], found["high"]) == (0.25, 2.0)
    assert speedup(records[3:], "arm") is None


def test_one_sample_has_no_spread_and_no_interval():
    records = [record("1", answer(1.0), answer(0.5), turn=turn) for turn in (1, 2)]  # no independent ones
    found = speedup(records, "arm")
    assert (found["median"], found["total"]) == (2.0, 2.0)
    assert [found[name] for name in ("low", "high", "total_low", "total_high")] == [None] * 4
    assert bounds(found) == ""
    assert total([answer(1.0)])["tokens_per_second_spread"] is None


def test_the_interval_covers_the_median_and_takes_questions_as_wholes():
    low, high = interval([[1.0 + i / 100] for i in range(100)])
    assert 1.3 < low < 1.495 < high < 1.7
    many = [[1.0] * 50, [2.0] * 50, [3.0] * 50]
    assert interval(many) == (1.0, 3.0)
    assert interval([[1.5]]) == (1.5, 1.5)


def test_totals_add_up():
    one = answer(1.0, forwards=5, rows=20, drafts=4, draft_seconds=0.1, forward_seconds=0.8)
    other = answer(3.0, tokens=31, forwards=15, rows=20, accepted_by_depth=[3, 1], accepted={"ngram": 4})
    found = total([one, other])
    assert (found["tokens"], found["seconds"], found["forwards"], found["rows"]) == (40, 4.0, 20, 40)
    assert found["tokens_per_second"] == 10.0
    assert found["tokens_per_second_spread"] == 0.0  # 10 tokens in 1 s, 30 in 3 s
    assert found["mean_accepted_tokens"] == 2.0
    assert found["rows_per_forward"] == 2.0
    assert found["draft_share"] == pytest.approx(0.125)
    assert found["accepted_by_depth"] == [3, 1]
    assert found["accepted_by_tier"] == {"context": 0, "model": 0, "statistics": 0, "drafter": 0, "ngram": 4}
    empty = total([answer(0.0, tokens=0)])
    assert empty["tokens_per_second"] == empty["mean_accepted_tokens"] == 0.0


def test_answers_that_end_in_a_loop_are_counted():
    phrase = [5, 6, 7]
    assert loops([1, 2, *phrase * 24])
    assert loops([*range(36), *range(36)])
    assert not loops([*phrase * 24, 1])
    assert not loops(phrase * 23)
    assert not loops([*range(37), *range(35)])
    assert not loops(None)


def test_differences_are_told_by_place():
    records = [
        record("same", answer(1, ids=[1, 2]), answer(1, ids=[1, 2])),
        record("other", answer(1, ids=[1, 2, 3]), answer(1, ids=[1, 9, 3])),
        record("shorter", answer(1, ids=[1, 2, 3]), answer(1, ids=[1, 2])),
        record("text", answer(1, text="abc"), Answer("abd", None, GenerationStats())),
    ]
    assert identical(records, "arm") == {
        "prompts": 4,
        "identical": 1,
        "first_differences": [
            {"question": "other", "turn": 1, "token": 1},
            {"question": "shorter", "turn": 1, "token": 2},
            {"question": "text", "turn": 1, "character": 2},
        ],
    }


def test_the_summary_has_the_documented_shape():
    records = [record("1", answer(1.0), answer(0.5), "x"), record("2", answer(1.0), answer(2.0), "y")]
    made = summarise(Results(records, {"3": "too long"}), hardware={"cores": 2}, model={}, settings={})
    assert list(made) == [
        *("schema", "hardware", "model", "settings", "arms", "speedup", "identical", "skipped", "answers")
    ]
    assert made["schema"] == 1
    arm = made["arms"]["arm"]
    documented = {
        *("tokens", "seconds", "tokens_per_second", "forwards", "rows", "mean_accepted_tokens"),
        *("draft_seconds_per_step", "accepted_by_tier"),
    }
    assert documented < set(arm)
    assert documented < set(arm["by_category"]["x"])
    ratio = made["speedup"]["arm"]
    assert (ratio["by_category"]["x"]["median"], ratio["by_category"]["y"]["median"]) == (2.0, 0.5)
    assert ratio["request"]["by_category"]["x"]["median"] == pytest.approx(1.1 / 0.6)
    assert made["skipped"] == {"3": "too long"}
    assert [Record.from_dict(row) for row in made["answers"]] == records
    json.dumps(made)
