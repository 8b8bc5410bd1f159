"""Generations beside each other on an ``Engine``, and drafts that are often right and often wrong."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha1

import numpy as np
from llama_cpp import StoppingCriteriaList
from one_model import take

from hd_edge import Engine, Llama, _native
from hd_edge.draft.planner import Step, root_alone
from hd_edge.draft.tree_planner import default_calibration

WINDOW = 256
Answer = tuple[list[int], list[bytes]]


@dataclass
class Asked:
    """A generation: what is asked, and how many of its tokens are wanted."""

    prompt: list[int]
    tokens: int
    settings: dict

    def of(self, llm: Llama) -> Answer:
        """Its tokens, and digests of the logits that each was drawn from."""
        rows: list[bytes] = []
        keep = StoppingCriteriaList([lambda _, row: rows.append(sha1(row.tobytes()).digest()) or False])
        if "seed" in self.settings:
            llm.set_seed(self.settings["seed"])
        settings = {name: value for name, value in self.settings.items() if name != "seed"}
        generation = llm.generate(self.prompt, stopping_criteria=keep, **settings)
        made = take(generation, self.tokens)
        if llm.token_eos() in made:  # nobody reads on behind it
            del made[made.index(llm.token_eos()) + 1 :]
        return made, rows[: len(made)]


class Oracle:
    """A planner that knows what will be said: right paths of many lengths, among wrong branches; and often nothing.

    Args:
        answers: What follows each prompt.
        seed: Of its choices.
    """

    def __init__(self, answers: dict[tuple[int, ...], list[int]], seed: int) -> None:
        self._answers, self._choose = answers, random.Random(seed)
        self._coming: list[int] = []
        self._leaves = 1

    def follow(self, forced: object) -> None:
        pass

    def begin(self, tokens: np.ndarray, prediction: np.ndarray) -> None:
        *prompt, first = tokens.tolist()
        self._coming = self._answers[tuple(prompt)][1:]
        assert self._answers[tuple(prompt)][0] == first

    def propose(self, root: int, rows: int, leaves: int, price: float) -> np.ndarray:
        self._leaves = leaves
        return np.full(self._choose.randrange(max(rows, 1)), 0.9, np.float32)

    def take(self, root: int, rows: int) -> _native.DraftTree:
        tree, node, right = root_alone(root), 0, self._choose.randrange(rows + 1)
        for token in self._coming[:right]:
            for _ in range(self._choose.randrange(2)):
                self._add_wrong(tree, node, token, rows)
            if len(tree) > rows:
                break
            node = tree.add(token, node, _native.Tier.context)
        while len(tree) <= rows and self._add_wrong(tree, len(tree) - 1, -1, rows):
            pass
        return tree

    def _add_wrong(self, tree: _native.DraftTree, node: int, right: int, rows: int) -> bool:
        token = self._choose.randrange(300, 500)
        if len(tree) > rows or tree.leaves >= self._leaves or token == right or tree.child(node, token) >= 0:
            return False
        tree.add(token, node, _native.Tier.context)
        return True

    def calibration(self) -> bytes:
        return default_calibration()

    def cost_rows(self) -> list:
        return []

    def learn_shared(self, step: Step, price: float, share: float) -> None:
        del self._coming[: len(step.tokens)]


def asked(seed: int, n_vocab: int) -> Asked:
    """Half of them begin as others do, some repeat themselves, so that drafts come true; many temperatures."""
    choose = random.Random(seed)
    common = [choose.randrange(100, n_vocab) for _ in range(4)] * choose.randrange(1, 12)
    if choose.random() < 0.5:
        common = [300 + i % 7 for i in range(choose.randrange(20, 60))]
    own = [choose.randrange(100, n_vocab) for _ in range(choose.randrange(1, 30))]
    settings: dict = {"temp": choose.choice([0.0, 0.0, 0.7, 1.0])}
    if settings["temp"]:
        settings["seed"] = choose.randrange(2**31)
    if choose.random() < 0.2:
        settings["repeat_penalty"] = 1.2
    return Asked([*common, *own], choose.randrange(1, 60), settings)


def in_company(engine: Engine, all_asked: list[Asked], seed: int, seats: list[Llama] | None = None) -> list[Answer]:
    """Each on the next free seat, in an order of its own."""
    free = list(engine.seats if seats is None else seats)
    order = list(range(len(all_asked)))
    random.Random(seed).shuffle(order)
    made: dict[int, Answer] = {}

    def answer(number: int) -> None:
        seat = free.pop()
        made[number] = all_asked[number].of(seat)
        free.append(seat)

    with ThreadPoolExecutor(len(free)) as threads:
        list(threads.map(answer, order))
    return [made[number] for number in range(len(all_asked))]


def integrity(engine: Engine) -> str:
    """What is wrong with the KV cache, between two forwards."""
    with engine.model._life.operation(ends=False):
        return engine.model.shared.check_integrity()
