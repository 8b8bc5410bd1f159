"""One object in many threads, many objects, and generations that are dropped anywhere."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from one_model import PROMPT, make, take

from hd_edge import DecodeError


def in_threads(work, count):
    """What so many threads say that work at once."""
    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(work, range(count)))


def test_six_threads_on_one_object(models, opened):
    llm = opened(make(models))
    prompts = [f"{letter * 3} the cat sat" for letter in "abcdef"]
    want = [llm(prompt, max_tokens=12, temperature=0.0)["choices"][0]["text"] for prompt in prompts]

    def work(i):
        return [llm(prompts[i], max_tokens=12, temperature=0.0)["choices"][0]["text"] for _ in range(4)]

    assert in_threads(work, 6) == [[text] * 4 for text in want]


def test_streams_of_many_threads_end_with_an_error_or_are_right(models, opened):
    llm = opened(make(models))
    prompts = [[1, *range(300 + i, 320 + i)] for i in range(4)]
    want = [take(llm.generate(prompt, temp=0.0), 25) for prompt in prompts]

    def work(i):
        for n in range(12):
            got = []
            try:
                for token in islice(llm.generate(prompts[i], temp=0.0), 25 - n):
                    got.append(token)
            except DecodeError:
                pass
            assert got == want[i][: len(got)]

    in_threads(work, 4)
    assert [take(llm.generate(prompt, temp=0.0), 25) for prompt in prompts] == want
    assert llm.verifier.check_integrity() == ""


def test_two_models_in_two_threads(models):
    def work(_):
        with make(models) as llm:
            return [llm(PROMPT, max_tokens=20, temperature=0.0)["choices"][0]["text"] for _ in range(3)]

    one, other = in_threads(work, 2)
    assert len(set(one + other)) == 1
