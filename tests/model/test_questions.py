"""Prompts and questions of files: one reader for check, build and bench."""

from __future__ import annotations

import pytest

from hd_edge.errors import ConfigError
from hd_edge.model.questions import Question, per_category, read_prompts, read_questions, spread


def test_the_built_in_questions_have_seven_categories_of_four():
    questions = read_questions()
    counts = {}
    for question in questions:
        counts[question.category] = counts.get(question.category, 0) + 1
    assert counts == dict.fromkeys(
        ["conversation", "translation", "summarization", "qa", "math_reasoning", "rag", "editing"], 4
    )
    assert {len(q.turns) for q in questions if q.category == "conversation"} == {2}
    assert len({q.name for q in questions}) == 28


def test_questions_of_a_file(tmp_path):
    file = tmp_path / "q"
    file.write_text("one\n\ntwo\n")
    assert read_questions(file) == [
        Question("prompts:1", "prompts", ("one",)),
        Question("prompts:3", "prompts", ("two",)),
    ]
    file.write_text('{"question_id": 81, "category": "writing", "turns": ["a", "b"]}\n{"prompt": "c"}\n')
    assert read_questions(file) == [Question("81", "writing", ("a", "b")), Question("prompts:2", "prompts", ("c",))]
    for bad in ('{"turns": []}', '{"turns": "ab"}', '{"prompt": 3}', '{"text": "b"}', "{nonsense"):
        file.write_text('{"prompt": "c"}\n' + bad)
        with pytest.raises(ConfigError, match="line 2: expected a JSON object"):
            read_questions(file)
    file.write_text("\n")
    with pytest.raises(ConfigError, match="holds no question"):
        read_questions(file)
    with pytest.raises(ConfigError, match="No such file"):
        read_questions(tmp_path / "missing")


def test_a_field_of_its_own_and_lines_that_are_json_texts(tmp_path):
    file = tmp_path / "prompts.jsonl"
    file.write_text('"one"\n\n{"prompt": "two"}\n{"turns": ["three", "four"]}\n')
    assert read_prompts(file) == ["one", "two", "three"]
    file.write_text('"o\u2028ne"\n{"prompt": "t\u0085wo"}\n', encoding="utf-8")
    assert read_prompts(file) == ["o\u2028ne", "t\x85wo"]
    file.write_text('{"question": "one"}')
    assert read_prompts(file, field="question") == ["one"]
    with pytest.raises(ConfigError, match="line 1: expected a JSON object with a text in 'prompt' or texts in 'turns'"):
        read_prompts(file)


def test_the_built_in_prompts_are_forty():
    assert len(read_prompts()) == 40


def test_categories_take_turns_and_are_evenly_spread():
    chosen = per_category([Question(f"{c}{i}", c, ("x",)) for c in "abc" for i in range(6)], 2)
    assert [q.name for q in chosen] == ["a0", "b0", "c0", "a3", "b3", "c3"]
    assert spread([1, 2], 5) == [1, 2]
