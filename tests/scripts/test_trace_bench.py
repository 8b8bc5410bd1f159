"""Decoding recorded answers: what arms with a warm store have done before they are measured."""

from __future__ import annotations

import json
import sys
from contextlib import closing

import trace_bench

from hd_edge.bench.drafted import Drafted

TEXT = "the quick brown fox jumps over the lazy dog and runs away from the old house again"


def write(path, first: int, count: int) -> str:
    """Answers of sixteen words and more, each another one."""
    words, lines = TEXT.split(), []
    for number in range(first, first + count):
        said = " ".join(words[number % 16 :] + words[: number % 16])
        lines.append(json.dumps({"prompt": f"Question {number}?", "output": said}))
    path.write_text("\n".join(lines))
    return str(path)


def test_practice_is_for_warm_arms_and_not_measured(models, tmp_path, monkeypatch):
    files = [write(tmp_path / "some.eval.jsonl", 0, 3), write(tmp_path / "some.history.jsonl", 3, 6)]
    options = ["-m", str(models("Q4_0")), "--arms", "auto", "auto-warm", "--answers", "1", "--tokens", "24", "-t", "1"]
    options += ["--traces", files[0], "--history", files[1], "--practice", "2", "--ctx", "512"]
    monkeypatch.setattr(sys, "argv", ["trace_bench.py", *options])
    answered, answer = [], Drafted.answer

    def told(arm, prompt, settings, said=None):
        answered.append((arm.name, said))
        return answer(arm, prompt, settings, said)

    monkeypatch.setattr(Drafted, "answer", told)
    args = trace_bench.arguments()
    with closing(trace_bench.load(args)) as arms:
        result = trace_bench.measure(args, arms)
        texts = arms.tiers.warm_texts
    recorded = [tuple(said) for name, said in answered if name == "auto-warm" and said]
    assert len(set(recorded)) == 3
    assert len([said for name, said in answered if name == "auto" and said]) == 1
    assert len(texts) == 4
    assert not {tuple(tokens[length : length + 24]) for tokens, length in texts} & set(recorded)
    assert [record["question"] for record in result["answers"]] == ["some.eval:1"]
    assert result["settings"]["practice"] == 2
