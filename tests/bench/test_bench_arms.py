"""The arms of the benchmark on a real (tiny) model."""

from __future__ import annotations

from contextlib import closing
from datetime import date

import pytest

from hd_edge.bench.arm import WARM_UP_MESSAGES, Settings
from hd_edge.bench.arms import ARMS, Arms, Tiers
from hd_edge.bench.hardware import commit, hardware, model_file, processor
from hd_edge.bench.turns import run
from hd_edge.draft.cost import CostCurve
from hd_edge.errors import ConfigError, ContextFullError
from hd_edge.model.questions import Question
from hd_edge.store.merge import merge
from hd_edge.store.store import Store


@pytest.fixture(scope="module")
def arms(models):
    settings = Settings(max_tokens=30, n_ctx=512, row_kernels=False)  # bit for bit what llama_cpp computes
    tiers = Tiers(warm_prompts=("the cat sat on the mat", "a dog"), warm_tokens=30)
    with closing(Arms(str(models("Q4_0")), settings, tiers)) as made:
        yield made


def test_all_arms_say_the_same_and_count_what_they_do(arms):
    own = arms.llm.planner
    made = [arms.make(name) for name in ARMS if "drafter" not in name]
    for arm in made:
        arm.warm_up(arms.tokenize(WARM_UP_MESSAGES), arms.settings)
    results = run(made, [Question("q", "c", ("the cat sat on the mat", "and then"))], arms.settings, arms.tokenize)
    assert [*results.records[0].answers] == [name for name in ARMS if "drafter" not in name]
    for record in results.records:
        plain = record.answers["plain"]
        assert plain.stats.forwards == plain.stats.rows == plain.timed_tokens
        for name, found in record.answers.items():
            stats = found.stats
            assert stats.prompt_tokens == plain.stats.prompt_tokens
            assert stats.tokens == len(found.ids)
            assert stats.seconds > 0
            assert stats.prompt_seconds > 0
            if name in ("plain-again", "plain-slowed", "llama-cpp"):
                assert (found.ids, stats.forwards, stats.rows) == (plain.ids, plain.stats.forwards, plain.stats.rows)
            if name in ("paper", "llama-cpp-pld"):  # auto drafts where it pays
                assert stats.rows > stats.forwards, name
    assert results.records[0].answers["paper"].stats.drafted["context"] > 0
    assert arms.llm.planner is own


def test_an_arm_of_another_name_keeps_its_store_to_itself(arms, monkeypatch):
    """adversarial_bench.py calls its arms "auto"; the second case once began with what the first had learned."""
    monkeypatch.setattr(arms, "tiers", Tiers(warm_texts=((list(range(80, 100)), 0),)))
    prompt = arms.tokenize([{"role": "user", "content": "the cat"}])
    first = arms.make("auto-warm")
    first.name = "auto"
    before = len(first.hierarchy.model.store)
    first.answer(prompt, arms.settings, list(range(40, 70)))
    second = arms.make("auto-warm")
    assert len(first.hierarchy.model.store) > before
    assert len(second.hierarchy.model.store) == before


def test_warming_up_measures_the_cost_and_learns_nothing(arms):
    arm, warm = arms.make("auto"), arms.make("auto-warm")
    assert len(warm.hierarchy.model.store) > 0
    before = arm.planner.calibration()
    assert arm.cost_rows() == []
    arm.warm_up(arms.tokenize(WARM_UP_MESSAGES), arms.settings)
    assert arm.planner.cost.known
    assert arm.planner.calibration() == before
    assert len(arm.hierarchy.model.store) == 0


def test_the_same_seed_gives_the_same_answer(arms):
    settings = Settings(max_tokens=20, n_ctx=512, temperature=0.8, seed=3)
    arm = arms.make("plain")
    prompt = arms.tokenize([{"role": "user", "content": "the cat"}])
    first, second = arm.answer(prompt, settings), arm.answer(prompt, settings)
    other = arm.answer(prompt, Settings(max_tokens=20, n_ctx=512, temperature=0.8, seed=4))
    assert first.ids == second.ids != other.ids


def test_a_script_is_followed_by_every_arm_and_costs_what_it_costs(models, opened):
    """On one model, as recorded answers are replayed."""
    text = tuple(range(300, 340))
    settings = Settings(max_tokens=4, n_ctx=512)
    shared = opened(Arms(str(models("Q4_0")), settings, Tiers(warm_texts=((list(text), 8),)), one_model=True))
    names = ["plain", "llama-cpp", "llama-cpp-pld", "paper", "auto-warm"]
    made = [shared.make(name) for name in names]
    for arm in made:
        arm.warm_up(text[:8], settings)
    found = {arm.name: arm.answer(text[:8], settings, text[8:]) for arm in made}
    assert shared._theirs is None
    for name, given in found.items():
        assert (given.text, given.ids, given.stats.tokens) == ("", None, 32), name
    assert found["plain"].stats.forwards == found["llama-cpp"].stats.forwards == 31
    assert found["paper"].stats.accepted["context"] + found["paper"].stats.accepted["model"] == 0  # cold, no repeats
    assert len(made[-1].hierarchy.model.store) > 20  # warm_texts
    own = shared.make("plain").answer(text[:8], settings)  # the model's own sampler is back
    assert own.ids != list(text[8:12])
    assert own.ids == shared.make("llama-cpp").answer(text[:8], settings).ids


class CountsRecycled:
    """A native drafter that counts how often it is given rows."""

    def __init__(self, drafter):
        self._drafter, self.given = drafter, 0

    def recycle(self, *args):
        self.given += 1
        return self._drafter.recycle(*args)

    def __len__(self):
        return len(self._drafter)

    def __getattr__(self, name):
        return getattr(self._drafter, name)


def test_rows_of_another_text_than_the_script_are_not_recycled(arms):
    arm = arms.make("auto")
    arm.planner._drafter = drafter = CountsRecycled(arm.planner._drafter)
    prompt = arms.tokenize([{"role": "user", "content": "the cat"}])
    arm.answer(prompt, arms.settings, list(range(40, 60)))
    assert drafter.given == 0
    arm.answer(prompt, arms.settings)
    assert drafter.given > 0


def test_a_prompt_without_room_for_its_answer(arms):
    with pytest.raises(
        ContextFullError, match=r"the prompt has \d+ tokens, the answer up to 30, the context window 512"
    ):
        arms.make("plain").answer([300] * 500, arms.settings)


def test_arms_that_are_unavailable(arms, models, mamba, opened):
    with pytest.raises(ConfigError, match="arm 'quick' is not one of plain, auto,"):
        arms.make("quick")
    recurrent = opened(Arms(str(mamba), Settings(max_tokens=4, n_ctx=64, n_batch=1)))
    with pytest.raises(ConfigError, match="decodes plainly"):
        recurrent.make("auto")
    prompt = recurrent.tokenize([{"role": "user", "content": "the cat"}])
    assert recurrent.make("plain").answer(prompt, recurrent.settings).stats.tokens <= 4
    cold = opened(Arms(str(models("Q4_0")), Settings(n_ctx=64)))
    with pytest.raises(ConfigError, match="nothing to begin with"):
        cold.make("auto-warm")


def test_a_warm_store_is_copied_and_stays_as_it_is(arms, models, tmp_path):
    path = tmp_path / "warm.sqlite3"
    first = arms.make("auto-warm")
    with Store(path, first.hierarchy.model.store.identity) as store:
        merge(store, [first.hierarchy.model.store])
        rows = len(store)
    before = path.read_bytes()
    other = Arms(str(models("Q4_0")), arms.settings, Tiers(warm_store=path))
    arm = other.make("auto-warm")
    assert len(arm.hierarchy.model.store) == rows > 0
    arm.answer(arms.tokenize([{"role": "user", "content": "the cow jumped"}]), arms.settings)
    assert len(arm.hierarchy.model.store) > rows
    other.close()
    assert path.read_bytes() == before


def test_hardware_and_model(arms, tmp_path, monkeypatch):
    found = hardware(arms.llm)
    assert found["processor"]
    assert found["cores"] >= found["physical_cores"] >= 1
    assert found["llama_cpp_python"].startswith("0.3.")
    assert date.fromisoformat(found["date"]).year >= 2025
    monkeypatch.setenv("HD_EDGE_COMMIT", "abc")
    assert hardware(arms.llm)["commit"] == "abc"
    assert commit(tmp_path / "hd_edge") == ""
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Some CPU 3000\n")
    assert processor(cpuinfo) == "Some CPU 3000"
    model = model_file(arms.llm)
    assert model["quantization"] == "Q4_0"
    assert model["file"] == "Q4_0.gguf"
    assert model["bytes"] > 100_000
    assert model["parameters"] > 100_000


@pytest.mark.parametrize(("name", "known"), [("auto-drafter", False), ("auto-warm-drafter", True)])
def test_a_drafter_has_arms_of_its_own(models, opened, name, known):
    settings = Settings(max_tokens=40, n_ctx=512, row_kernels=False)
    tiers = Tiers(drafter=str(models("Q4_0")), warm_texts=((list(range(5, 60)), 3),))
    arms = opened(Arms(str(models("Q8_0")), settings, tiers))
    plain, drafted = arms.make("plain"), arms.make(name)
    assert (drafted.hierarchy.model.store.counters().get("answers", 0) > 0) == known
    drafted.planner.cost = CostCurve.of({1: 1.0, 2: 1.05, 4: 1.1})
    drafted.planner.asking.tier.reader._clock = lambda: 0.0
    drafted.planner.asking._prices = [0.0, 0.0]
    prompt = arms.tokenize([{"role": "user", "content": "the cat sat"}])
    answers = [arm.answer(prompt, settings) for arm in (plain, drafted)]
    assert answers[0].ids == answers[1].ids
    assert answers[1].stats.drafted["drafter"] > 0
    small = drafted.planner.asking.tier.reader.llama
    assert b"the cat sat" in small.detokenize(small.input_ids[: small.n_tokens].tolist())


def test_an_arm_without_its_drafter_is_refused(arms):
    with pytest.raises(ConfigError, match="'auto-drafter' has no drafter: name one with --drafter"):
        arms.make("auto-drafter")
    with pytest.raises(ConfigError, match="arm 'auto-cold' is not one of plain, auto"):
        arms.make("auto-cold")
