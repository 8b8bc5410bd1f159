"""PaperPlanner: the configuration that the Hierarchy Drafting paper published, for comparison.

Seven drafts of four tokens, whatever they cost (arXiv 2502.05609): from the context (keyed by the last token, the seven
latest continuations of each key), then from the model tier (last token), then from statistics (last two tokens, then
the last one), until there are seven. Three defects of the published code are mended: output tokens enter the context at
once, short continuations are not padded, and drafts that begin alike share their rows.
"""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import TYPE_CHECKING

from hd_edge import _native

from .lookup import Lookups
from .planner import root_alone

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hd_edge.config import DraftConfig
    from hd_edge.tiers.tier import StoredTier

    from .planner import Step, TokenArray

ROUNDS = 4  # of look-ups in one step: each token of a draft needs the one before
EXPANDED = 64  # keys asked of one tier in one step
KEY_LENGTHS = (0, 1, 2, 3, 4, 4, 6, 6, 8)  # by tokens known: the longest key of a record that they fill
ORDER = {"context": (1,), "model": (1,), "statistics": (2, 1)}  # tiers as they are asked: tokens of their keys

Draft = tuple[int, ...]


class PaperPlanner:
    """Plans the published drafts.

    Args:
        config: Tiers in use.
        tiers: The SQLite tiers in use.
        drafts: Most drafts of a step.
        length: Tokens of a draft.
        order: Tiers as they are asked.
    """

    def __init__(
        self,
        config: DraftConfig,
        *,
        tiers: Sequence[StoredTier] = (),
        drafts: int = 7,
        length: int = 4,
        order: Sequence[str] = tuple(ORDER),
    ) -> None:
        self._drafts, self._length = drafts, length
        self._order = [name for name in order if name != "context" or name in config.tiers]
        self._caches = {tier.name: tier.cache for tier in tiers}
        self._missing: dict[str, list[int]] = {}
        self._tokens: list[int] = []
        self._context: dict[int, list[Draft]] = {}  # by token: its continuations, the latest last
        self.lookups = Lookups(tiers)

    def begin(self, tokens: TokenArray, prediction: TokenArray) -> None:  # noqa: ARG002
        """The conversation is now ``tokens``; the published method knows no predictions."""
        known = len(self._tokens)
        if tokens[:known].tolist() != self._tokens:
            self._tokens, self._context, known = [], {}, 0
        self._append(tokens[known:].tolist())

    def plan(self, root: int, rows: int, leaves: int) -> _native.DraftTree:
        """The drafts of this step, merged into one tree; the root alone where there are none."""
        drafts = self._propose()
        for _ in range(ROUNDS):
            if not self.lookups.fetch(self._missing):
                break
            drafts = self._propose()
        return merge(root, drafts, rows, leaves)

    def learn(self, step: Step) -> None:
        """After a step: the context learns its output tokens."""
        self.lookups.allow(step.seconds)
        self._append(step.tokens)

    def _append(self, tokens: Sequence[int]) -> None:
        for token in tokens:
            self._tokens.append(token)
            if len(self._tokens) > self._length:
                key, *draft = self._tokens[-self._length - 1 :]
                known = self._context.setdefault(key, [])
                if tuple(draft) in known:
                    known.remove(tuple(draft))
                known.append(tuple(draft))
                del known[: -self._drafts]

    def _propose(self) -> dict[Draft, str]:
        """The drafts of this step with their tiers, in the order in which they were found."""
        found: dict[Draft, str] = {}
        self._missing = {name: [] for name in self._caches}
        for name in self._order:
            for key_length in ORDER[name]:
                if key_length > len(self._tokens):
                    continue
                if name == "context":
                    drafts: Iterable[Draft] = self._context.get(self._tokens[-1], [])[::-1]
                else:
                    drafts = self._continuations(name, tuple(self._tokens[-key_length:]))
                for draft in drafts if len(found) < self._drafts else ():
                    found.setdefault(draft, name)
                    if len(found) == self._drafts:
                        break
        return found

    def _continuations(self, name: str, key: Draft) -> Iterator[Draft]:
        """The most frequent continuations of a key: best first by the count of the whole n-gram."""
        cache, number, expanded = self._caches.get(name), count(1), 0
        opened: list[tuple[float, int, Draft]] = [(-inf, 0, ())] if cache is not None else []
        while opened and expanded < EXPANDED:
            rarity, _, draft = heappop(opened)
            if len(draft) == self._length:
                yield draft
                continue
            expanded += 1
            tail = (key + draft)[-8:]
            length = KEY_LENGTHS[len(tail)]
            answer = cache.find(tail, length) if cache is not None else None
            if answer is None:
                self._missing[name].append(_native.ngram_key(tail, length))
            if draft and not (answer and answer[1]):
                yield draft
            for token, times in answer[1] if answer else ():
                heappush(opened, (max(rarity, -times), next(number), (*draft, token)))


def merge(root: int, drafts: dict[Draft, str], rows: int, leaves: int) -> _native.DraftTree:
    """One tree of all drafts; a draft that does not fit any more is cut short."""
    nodes: dict[Draft, list[Draft]] = {(): []}  # by path: the paths of its children
    tiers: dict[Draft, _native.Tier] = {}
    free = leaves - 1
    for draft, name in drafts.items():
        for end in range(1, len(draft) + 1):
            path, parent = draft[:end], draft[: end - 1]
            if path in nodes:
                continue
            branches = bool(nodes[parent])
            if len(nodes) >= rows or (branches and not free):
                break
            free -= branches
            nodes[parent].append(path)
            nodes[path], tiers[path] = [], _native.Tier[name]
    tree = root_alone(root)
    below = [(path, 0) for path in reversed(nodes[()])]
    while below:
        path, above = below.pop()
        node = tree.add(path[-1], above, tiers[path], 0.0)
        below += [(child, node) for child in reversed(nodes[path])]
    return tree
