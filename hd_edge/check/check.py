"""Does drafted text equal plain text? Measured on the user's own model, file and machine, for ``hd-edge check``.

Every prompt is answered twice by the same ``Llama``, plainly and drafted, and the token ids are compared. Drafts come
from the model's planner with a cold store in memory and, every other step, from a noisy replay of the plain answer
(``replay.py``), so they are longer, wider and more often wrong than in use.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from llama_cpp import llama_cpp as lib

from hd_edge import Llama
from hd_edge.draft.planner import NoDraft
from hd_edge.model.chat_prompt import chat_tokens

from .replay import ReplayPlanner


@dataclass(frozen=True)
class Difference:
    """Where drafted text left plain text.

    Attributes:
        prompt: Index of the prompt.
        seed: Seed of the sampled run; None for greedy.
        index: Place of the first differing token in the answer.
        plain: Token id that plain decoding drew.
        drafted: Token id that drafted decoding drew; -1: it ended.
        margin: How much larger the plain token's logit was than the drafted one's, in plain decoding. Tiny: a tie.
    """

    prompt: int
    seed: int | None
    index: int
    plain: int
    drafted: int
    margin: float


@dataclass
class Outcome:
    """Counts of one mode."""

    greedy: int = 0
    greedy_identical: int = 0
    sampled: int = 0
    sampled_identical: int = 0
    seeds: list[int] = field(default_factory=list)
    tokens: int = 0  # compared, greedy
    forwards: int = 0  # of the drafted runs
    drafted_tokens: int = 0  # output tokens of the drafted runs
    differences: list[Difference] = field(default_factory=list)

    @property
    def identical(self) -> bool:
        """True if nothing differed."""
        return not self.differences

    def count(self, seed: int | None, length: int, difference: Difference | None) -> None:
        """Adds one compared prompt."""
        same = difference is None
        if seed is None:
            self.greedy += 1
            self.greedy_identical += same
            self.tokens += length
        else:
            self.sampled += 1
            self.sampled_identical += same
        if difference is not None:
            self.differences.append(difference)

    def to_dict(self) -> dict[str, Any]:
        """The part of ``hd-edge check --json`` that describes one mode."""
        return {
            "greedy": {"prompts": self.greedy, "tokens": self.tokens, "identical": self.greedy_identical},
            "sampled": {"prompts": self.sampled, "seeds": self.seeds, "identical": self.sampled_identical},
            "mean_accepted_tokens": self.drafted_tokens / self.forwards if self.forwards else 0.0,
            "differences": [asdict(difference) for difference in self.differences],
        }


def prompt_tokens(llm: Llama, text: str) -> list[int]:
    """A prompt as one chat turn, if the model has a chat template."""
    return chat_tokens(llm, [{"role": "user", "content": text}])


def other_text(llm: Llama, prompts: Sequence[str], tokens: int) -> str:
    """Text of at least `tokens` tokens to put before a prompt, made of the prompts, the shortest first.

    It belongs into the turn of the prompt: behind several unanswered turns a chat model often answers nothing at all.
    """
    text = ""
    for prompt in itertools.cycle(sorted(prompts, key=len)):
        if not tokens or len(llm.tokenize(text.encode("utf-8"), add_bos=False)) >= tokens:
            break
        text += prompt + "\n\n"
    return text


class Comparison:
    """Compares drafted with plain answers of one ``Llama``.

    Args:
        llm: The model, with drafting on.
        length: Most tokens of an answer.
        temperature: Of the sampled runs.
        before: Tokens that stand in the KV cache before every prompt, for long contexts.
    """

    def __init__(self, llm: Llama, length: int, temperature: float, before: Sequence[int] = ()) -> None:
        self._llm = llm
        self._length = length
        self._temperature = temperature
        self._before = list(before)
        self._replay = ReplayPlanner(llm.planner, llm.n_vocab())
        self.outcome = Outcome()

    def run(self, prompts: Sequence[Sequence[int]], seeds: Sequence[int]) -> Iterator[Difference | None]:
        """Every prompt greedily and, if there are seeds, sampled with one of them in turn."""
        self.outcome.seeds = list(seeds)
        self._llm.reset()
        self._llm.eval(self._before)
        for number, prompt in enumerate(prompts):
            self._hold(prompt)
            yield self._compare(number, prompt, None)
            if seeds:
                yield self._compare(number, prompt, seeds[number % len(seeds)])

    def _hold(self, prompt: Sequence[int]) -> None:
        """Brings all but the last token of a prompt into the KV cache: its answers begin with the same cells."""
        self._llm.n_tokens = len(self._before)
        self._llm.eval(prompt[:-1])

    def _compare(self, number: int, prompt: Sequence[int], seed: int | None) -> Difference | None:
        llm = self._llm
        with llm.drafting(NoDraft()):
            plain = list(self._answer(prompt, seed))
        self._replay.expect(plain)
        drafted = []
        with llm.drafting(self._replay), closing(self._answer(prompt, seed)) as generation:
            for token in generation:
                drafted.append(token)
                if len(drafted) > len(plain) or token != plain[len(drafted) - 1]:
                    break
        self.outcome.forwards += llm.stats.forwards
        self.outcome.drafted_tokens += llm.stats.tokens
        difference = None
        if drafted != plain:
            index = next(
                (i for i, pair in enumerate(zip(drafted, plain, strict=False)) if pair[0] != pair[1]), len(drafted)
            )
            other = drafted[index] if index < len(drafted) else -1
            margin = self._margin(prompt, seed, index, plain[index], other)
            difference = Difference(number, seed, index, plain[index], other, margin)
        self.outcome.count(seed, len(plain), difference)
        return difference

    def _answer(self, prompt: Sequence[int], seed: int | None, stop: Any = None) -> Generator[int, None, None]:
        """Tokens up to the end of the answer; always from the same state of the KV cache."""
        llm = self._llm
        llm.n_tokens = len(self._before) + len(prompt) - 1
        llm.set_seed(0 if seed is None else seed)
        temperature = 0.0 if seed is None else self._temperature
        generation = llm.generate([*self._before, *prompt], temp=temperature, stopping_criteria=stop)
        try:
            for count, token in enumerate(generation, 1):
                yield token
                if count == self._length or lib.llama_vocab_is_eog(llm._model.vocab, token):
                    return
        finally:
            generation.close()

    def _margin(self, prompt: Sequence[int], seed: int | None, index: int, plain: int, drafted: int) -> float:
        """Logit of the plain token less that of the drafted one, where they part."""
        if drafted < 0:
            return 0.0
        rows = []
        at = len(self._before) + len(prompt) + index

        def stop(ids: Any, row: Any) -> bool:
            if len(ids) == at:
                rows.append(np.array(row))
            return len(ids) >= at

        with self._llm.drafting(NoDraft()):
            for _ in self._answer(prompt, seed, stop):
                pass
        return float(rows[0][plain] - rows[0][drafted])
