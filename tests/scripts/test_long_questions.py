"""scripts/benchmarks/long_questions.py: documents of whole paragraphs, questions whose answer stands in them."""

from __future__ import annotations

import json
import re

import long_questions
import pytest
import spec_bench

from hd_edge.model.questions import read_questions

PROSE = "The {0} paragraph says that {0} is a number, and goes on for a while so that there is something to quote: {0} "


def page(folder, name, numbers):
    text = "\n\n".join(
        f"# {n}\n\n{PROSE.format(n)}{'and so on ' * 5}until {n}.\n\n| a | table |\n\n```\ncode\n\nmore\n```"
        for n in numbers
    )
    file = folder / name
    file.write_text(text + "\n")
    return file


@pytest.fixture
def pages(tmp_path):
    return [page(tmp_path, "one.md", range(100, 130)), page(tmp_path, "two.md", range(200, 230))]


def write(models, pages, out, *arguments):
    shared = [str(out), "-m", str(models("Q4_0")), "--pages", *map(str, pages)]
    return long_questions.main([*shared, *map(str, arguments)])


def test_ten_questions_about_each_document(models, pages, tmp_path):
    out = tmp_path / "long-documents.jsonl"
    assert write(models, pages, out, "--tokens", 3000, "--documents", 2) == 0
    found = read_questions(out)
    assert [question.name for question in found[:2]] == ["document 1, question 1", "document 1, question 2"]
    assert {question.category for question in found} == {"long documents"}
    assert len({question.name for question in found}) == 20
    count = long_questions.counter(str(models("Q4_0")))
    texts = []
    for question in found:
        (turn,) = question.turns
        text, asked = turn.removeprefix("Here is a document.\n\n").rsplit("\n\n", 1)
        (quoted,) = re.findall('"(.*)"', asked)
        assert quoted in text
        assert len(quoted.split()) == 6
        texts.append(text)
    assert texts[:10] == texts[:1] * 10
    assert texts[10:] == texts[10:11] * 10
    assert all(2900 < count(text) <= 3000 for text in (texts[0], texts[10]))
    first, second = texts[0].split("\n\n"), texts[10].split("\n\n")
    assert [*first, *second] == long_questions.paragraphs(pages)[: len(first) + len(second)]
    assert not any("table" in text or "code" in text or "```" in text for text in texts)


def test_too_few_pages(models, pages, tmp_path):
    with pytest.raises(
        SystemExit, match=r"^9 documents of 3000 tokens were asked for, the pages are enough for [1-8]$"
    ):
        write(models, pages, tmp_path / "out.jsonl", "--documents", 9)


def test_headings_and_lists_are_no_prose():
    assert long_questions.is_prose("word " * 20)
    assert not long_questions.is_prose("word " * 19)
    assert not any(long_questions.is_prose(mark + "word " * 30) for mark in ("# ", "- ", "1. "))


def test_few_paragraphs_are_asked_about_in_several_forms():
    made = list(long_questions.questions(1, ["# Title", "one " * 30, "two " * 30]))
    assert len({question["turns"][0] for question in made}) == 10
    assert list(long_questions.questions(1, ["# Title"])) == []


def test_every_arm_reads_every_prompt_whole(models, pages, tmp_path, monkeypatch):
    """The questions of a document begin alike; a cache that kept it would make their prompts look cheap."""
    import llama_cpp

    out, report = tmp_path / "long-documents.jsonl", tmp_path / "out.json"
    write(models, pages, out, "--tokens", 600, "--documents", 1)
    read = []  # tokens of prompts, one forward after the other
    evaluate = llama_cpp.Llama.eval

    def spy(llm, tokens):
        if llm.n_tokens == 0:
            read.append(len(tokens))
        elif len(tokens) > 1:
            read[-1] += len(tokens)
        evaluate(llm, tokens)

    monkeypatch.setattr(llama_cpp.Llama, "eval", spy)
    arms = ("plain", "llama-cpp", "auto")
    shared = ["-m", str(models("Q4_0")), "-t", "1", "-c", "1024", "-n", "8", "--questions", "3", "--arms", *arms]
    assert spec_bench.main([str(out), *shared, "--json", str(report)]) == 0
    answers = json.loads(report.read_text())["answers"]
    assert [tokens for tokens in read if tokens > 100] == [
        answer["arms"]["plain"]["prompt_tokens"] for answer in answers for _ in arms
    ]
    assert {answer["arms"][arm]["cached_tokens"] for answer in answers for arm in arms} == {0}
    assert len(answers) == 3
