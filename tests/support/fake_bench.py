"""A machine whose clock the test turns: a model that takes time, drifts and is noisy, and arms with given times."""

from __future__ import annotations

import math
import random
from contextlib import contextmanager

from hd_edge.bench.arm import Answer
from hd_edge.stats import GenerationStats


class Clock:
    """Seconds that pass only when somebody works or sleeps."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class FakeLlama:
    """Stands for ``hd_edge.Llama`` in the arms without drafts; each token takes 10 ms, more or less.

    The machine gets up to 40 % slower and faster again within a minute, and each step is off by some percent.
    """

    def __init__(self, clock, noise=0.03):
        self.clock, self.noise, self.random = clock, noise, random.Random(1)
        self.stats = GenerationStats()
        self.asked = []
        self.metadata = {}

    def catch_up(self):
        pass

    def _step(self):
        drift = 1.2 + 0.2 * math.sin(self.clock.now / 10)
        self.clock.now += 0.010 * drift * self.random.uniform(1 - self.noise, 1 + self.noise)

    def tokenize(self, text, special):
        self.asked.append(text.decode())
        return list(text)

    def detokenize(self, ids):
        return bytes(ids)

    @contextmanager
    def drafting(self, planner, memory=None):
        yield

    def reset(self):
        pass

    def set_seed(self, seed):
        pass

    def generate(self, prompt, temp):
        self.stats = GenerationStats()
        self._step()
        while True:
            yield 65 + self.stats.forwards % 26
            self._step()
            self.stats.forwards += 1
            self.stats.rows += 1


class FakeArm:
    """Answers with what a function makes of the conversation; its prompts are conversations as they are."""

    def __init__(self, name, make):
        self.name, self.make = name, make

    def warm_up(self, prompt, settings):
        pass

    def answer(self, prompt, settings):
        return self.make(prompt)

    def close(self):
        pass


def as_it_is(messages):
    """A prompt that still shows its conversation."""
    return list(messages)


def answer(seconds, tokens=11, ids=None, text="", prompt_seconds=0.1, **counts):
    """An answer that took so long for all but its first token."""
    ids = list(range(tokens)) if ids is None else ids
    stats = GenerationStats(prompt_tokens=5, prompt_seconds=prompt_seconds, tokens=len(ids), seconds=seconds, **counts)
    return Answer(text, ids, stats)
