"""One object in many threads, many objects, and generations that are dropped anywhere."""

from __future__ import annotations

import threading

from one_model import PROMPT, make, take

from hd_edge import DecodeError


def test_six_threads_on_one_object(models):
    llm = make(models)
    prompts = [f"{letter * 3} the cat sat" for letter in "abcdef"]
    want = [llm(prompt, max_tokens=12, temperature=0.0)["choices"][0]["text"] for prompt in prompts]
    wrong = []

    def work(i):
        try:
            texts = [llm(prompts[i], max_tokens=12, temperature=0.0)["choices"][0]["text"] for _ in range(4)]
            wrong.extend(text for text in texts if text != want[i])
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    llm.close()


def test_streams_of_many_threads_end_with_an_error_or_are_right(models):
    llm = make(models)
    prompts = [[1, *range(300 + i, 320 + i)] for i in range(4)]
    want = [take(llm.generate(prompt, temp=0.0), 25) for prompt in prompts]
    wrong, ended = [], 0

    def work(i):
        nonlocal ended
        for n in range(12):
            got = []
            try:
                for token in llm.generate(prompts[i], temp=0.0):
                    got.append(token)
                    if len(got) == 25 - n:
                        break
            except DecodeError:
                ended += 1
            if got != want[i][: len(got)]:
                wrong.append((i, got))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert [take(llm.generate(prompt, temp=0.0), 25) for prompt in prompts] == want
    assert llm.verifier.check_integrity() == ""
    llm.close()


def test_two_models_in_two_threads(models):
    texts = [[], []]

    def work(i):
        llm = make(models)
        for _ in range(3):
            texts[i].append(llm(PROMPT, max_tokens=20, temperature=0.0)["choices"][0]["text"])
        llm.close()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(texts[0] + texts[1])) == 1
