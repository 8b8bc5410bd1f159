"""scripts/benchmarks/spec_bench.py on a tiny model: all arms, groups, cuts, going on."""

from __future__ import annotations

import json

import pytest
import spec_bench

from hd_edge.bench.arm import Settings
from hd_edge.model.questions import Question
from hd_edge.store.store import Store

ARMS = ("plain", "llama-cpp", "llama-cpp-pld", "paper", "auto", "auto-warm")


@pytest.fixture
def questions(tmp_path):
    file = tmp_path / "question.jsonl"
    rows = [
        {"question_id": 81, "category": "writing", "turns": ["the cat", "the dog"]},
        {"question_id": 91, "category": "roleplay", "turns": ["a bird", "and then"]},
        {"question_id": 161, "category": "translation", "turns": ["ein Hund"]},
        {"question_id": 481, "category": "rag", "turns": ["no " * 400 + "end"]},
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    return file


def bench(models, *arguments):
    shared = ("-m", str(models("Q4_0")), "-t", "1", "-c", "256", "-n", "8", "--no-row-kernels")
    return spec_bench.main([*shared, *map(str, arguments)])


def test_all_arms_by_group(models, questions, tmp_path, capsys):
    file, warm = tmp_path / "out.json", tmp_path / "warm.txt"
    warm.write_text("one\ntwo\nthree\n")
    assert bench(models, questions, "--warm-prompts", warm, "--warm-limit", 2, "--json", file) == 0
    told = capsys.readouterr()
    assert "1 of 4 questions were cut to fit the context" in told.err
    assert "auto-warm has learned 2 of 2 answers" in told.err
    assert "| auto-warm     | all          |" in told.out
    report = json.loads(file.read_text())
    assert list(report["arms"]) == list(ARMS)
    assert list(report["arms"]["auto"]["by_category"]) == ["conversation", "translation", "rag"]
    assert [(row["question"], row["turn"]) for row in report["answers"]] == [
        *(("81", 1), ("81", 2), ("161", 1), ("481", 1), ("91", 1), ("91", 2))
    ]
    assert report["cut"] == ["481"]
    assert report["identical"]["llama-cpp"]["identical"] == 6
    assert report["settings"]["warm_prompts"] == "warm.txt"
    assert (tmp_path / "out.stores" / "auto-warm-0.sqlite3").exists()


def learned(path):
    """How many answers a store has learned."""
    with Store(path, read_only=True) as store:
        return store.counters()["answers"]


def test_ctrl_c_leaves_a_file_and_going_on_asks_only_what_is_missing(models, questions, tmp_path, monkeypatch, capsys):
    file = tmp_path / "out.json"
    shared = (questions, "--arms", "plain", "auto", "--json", file)

    def stop(done, total, record):
        if record is not None:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(spec_bench, "tell", stop)
        assert bench(models, *shared, "--questions", 1) == 130
    first = json.loads(file.read_text())
    assert len(first["answers"]) == 1
    store = tmp_path / "out.stores" / "auto-0.sqlite3"
    answers = learned(store)
    assert bench(models, *shared, "--resume") == 0
    assert learned(store) == answers + 5
    both = json.loads(file.read_text())
    assert both["answers"][0] == first["answers"][0]
    assert len(both["answers"]) == 6
    with pytest.raises(SystemExit, match="made with other settings"):
        bench(models, *shared, "--resume", "--temperature", 0.5)
    assert bench(models, *shared, "--questions", 1) == 0  # anew
    assert learned(store) == 4  # from the beginning


def test_one_turn_and_some_of_each_group(models, questions, tmp_path):
    file = tmp_path / "out.json"
    assert bench(models, questions, "--turns", 1, "--questions", 1, "--arms", "plain-again", "--json", file) == 0
    report = json.loads(file.read_text())
    assert [row["question"] for row in report["answers"]] == ["81", "161", "481"]
    assert list(report["arms"]) == ["plain", "plain-again"]
    assert report["identical"]["plain-again"]["identical"] == 3


def test_arms_that_lack_something(models, questions, capsys):
    with pytest.raises(SystemExit, match="needs --server-binary"):
        bench(models, questions, "--arms", "llama-server-ngram-mod")
    with pytest.raises(SystemExit):
        bench(models, questions, "--arms", "auto-warm")
    assert "auto-warm needs --warm-store or --warm-prompts" in capsys.readouterr().err


@pytest.mark.parametrize("cold", [False, True])
def test_a_cold_arm_knows_no_cost_before_its_first_answer(models, questions, tmp_path, monkeypatch, cold):
    warmed = []
    monkeypatch.setattr(spec_bench.Drafted, "warm_up", lambda arm, _prompt, _settings: warmed.append(arm.name))
    file = tmp_path / "out.json"
    shared = ("--turns", 1, "--questions", 1, "--arms", "plain", "auto", "--json", file)
    assert bench(models, questions, *shared, *["--cold"] * cold) == 0
    assert warmed == (["plain"] if cold else ["plain", "auto"])
    assert json.loads(file.read_text())["settings"]["cold"] is cold


def test_a_draft_model_adds_its_arm(questions):
    args = spec_bench.arguments([str(questions), "-m", "x.gguf", "--draft-model", "small.gguf"])
    assert args.arms[-1] == "llama-server-draft-simple"
    assert spec_bench.settings_of(args, Settings())["draft_model"] == "small.gguf"


class Letters:
    """A tokenizer whose tokens are bytes."""

    def tokenize(self, text, add_bos, special):
        return list(text)

    def detokenize(self, ids):
        return bytes(ids)


def test_only_the_middle_of_the_longest_turn_is_cut():
    settings = Settings(max_tokens=10, n_ctx=200)
    short = Question("q", "c", ("begin", "end"))
    assert spec_bench.fitted(short, Letters(), settings) == short
    long = Question("q", "c", ("b" * 50 + "x" * 400 + "e" * 50,))
    cut = spec_bench.fitted(long, Letters(), settings).turns[0]
    assert cut.startswith("b" * 50)
    assert cut.endswith("e" * 50)
    assert len(cut) + settings.max_tokens + spec_bench.TEMPLATE <= settings.n_ctx
    with pytest.raises(SystemExit, match="does not fit 200 tokens"):
        spec_bench.fitted(Question("q", "c", ("b" * 150, "e" * 150)), Letters(), settings)
