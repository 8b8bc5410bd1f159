"""Hierarchy: the SQLite tiers of one ``Llama`` object, and what its store remembers between runs.

A file that cannot be used costs drafts, never an answer (``SafeStore``). Files are written between generations only.
"""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from hd_edge import _native
from hd_edge.config import ANSWER_WAIT, CLOSE_WAIT, user_path
from hd_edge.store.safety import SafeStore, default_path

from .model import ModelTier
from .statistics import StatisticsTier

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from hd_edge.config import DraftConfig
    from hd_edge.model.identity import Identity
    from hd_edge.stats import GenerationStats

    from .tier import StoredTier

log = logging.getLogger("hd_edge")

NO_TOKENS = np.zeros(0, dtype=np.int32)
SAVED_EVERY = 32  # generations between two saves of calibration and cost curve

CostRow = tuple[int, int, float, int]  # rows, context in units of 1,024 tokens (0 or 1), seconds, samples


class Learner(Protocol):
    """A planner that learns what the store should keep."""

    def calibration(self) -> bytes:
        """State of the mixer."""
        ...

    def cost_rows(self) -> list[CostRow]:
        """The cost curve."""
        ...


@dataclass(eq=False)
class Generation:
    """One that began.

    Attributes:
        stats: Its counts, as far as it has come.
        text: The conversation, and which spans of it are output tokens; None: it has not ended.
        process: In which it began.
    """

    stats: GenerationStats
    text: tuple[NDArray[np.int32], Sequence[tuple[int, int]]] | None = None
    process: int = field(default_factory=os.getpid)


class Hierarchy:
    """Model tier, statistics tier, calibration and cost curve.

    Args:
        identity: Tokenizer and model.
        config: Which tiers may draft.
        store: ``"default"``, a path, or None: in memory.
        statistics: ``"default"``, a path, or None: no statistics tier.
        learn: False: nothing is written, not even a new file.
        cost_settings: What the cost curve depends on beside the model.

    Attributes:
        learner: The planner whose calibration and cost curve are saved; None: nobody's.
        tiers: The tiers in use, for the planner.
        calibration: State of the mixer as last saved; None: none.
        cost_rows: The cost curve as last saved.

    Raises:
        StoreForeignError: A file that was named is no store of hd_edge.
    """

    def __init__(
        self,
        identity: Identity,
        config: DraftConfig,
        *,
        store: str | os.PathLike[str] | None,
        statistics: str | os.PathLike[str] | None,
        learn: bool,
        cost_settings: str = "",
    ) -> None:
        self.learner: Learner | None = None
        self._cost_settings = cost_settings
        self._n_vocab = identity.n_vocab
        self._generations = 0  # that ended
        self._learned = self._saved = 0  # how many there were when what they taught, and the planner, was written
        self._under_way: Generation | None = None  # the one that began last
        self._pid = os.getpid()
        self.model = ModelTier(_safe_store(store, identity, "model", learn=learn))
        self.tiers: list[StoredTier] = [self.model] if "model" in config.tiers else []
        if "statistics" in config.tiers and statistics is not None:
            try:
                corpus = StatisticsTier(_safe_store(statistics, identity, "statistics", learn=False))
            except BaseException:  # also a warning that a filter makes an exception
                self.model.close()
                raise
            self.tiers += [corpus] if corpus.store is not None else []
        self.calibration = self._sound(self.model.safe.read(lambda store: store.load_calibration()))
        self.cost_rows: list[CostRow] = self.model.safe.read(lambda store: store.load_cost(cost_settings)) or []

    def _sound(self, calibration: bytes | None) -> bytes | None:
        """The calibration if the mixer takes it, else None: a damaged one is as good as none."""
        try:
            if calibration is not None:
                _native.Drafter(1, max_tokens=16).load_calibration(calibration)
        except ValueError as error:
            self.model.safe.tell("calibration", f"the store's calibration is damaged ({error}); the default is used")
            return None
        return calibration

    def ending(self, stats: GenerationStats) -> Callable[[NDArray[np.int32], Sequence[tuple[int, int]]], None]:
        """Of a generation that begins: to be called when it ends. In a forked child nothing: the parent has it too."""
        self._own()
        self._take_in(self._under_way, over=True)
        begun = self._under_way = Generation(stats)

        def end(tokens: NDArray[np.int32], spans: Sequence[tuple[int, int]]) -> None:
            begun.text = tokens, spans
            self._take_in(begun)

        return end

    def _own(self) -> None:
        """Whatever ended, and was looked up, before this process was forked is for its parent to count and to save."""
        if self._pid != os.getpid():
            self._generations = self._learned = self._saved = 0
            self.model.take_in((None, self._lookups()), (), {})
            self._pid = os.getpid()

    def _lookups(self) -> dict[str, tuple[int, int]]:
        return {tier.name: (tier.lookups, tier.hits) for tier in self.tiers}

    def finished(self, tokens: NDArray[np.int32], spans: Sequence[tuple[int, int]], stats: GenerationStats) -> None:
        """A generation ended: counts it; ``catch_up()`` learns it. Never raises, and touches no file.

        Args:
            tokens: The whole conversation.
            spans: Which of its tokens are output tokens: [begin, end) each.
            stats: Of the generation; the look-ups are added.
        """
        self._take_in(Generation(stats, (tokens, spans)))

    def _take_in(self, one: Generation | None, *, over: bool = False) -> None:
        """Counts a generation that has ended, once, and gives its text to the model tier.

        Args:
            one: May be taken in already, or be the parent's of this forked process.
            over: It has ended, even if nobody said so: a signal's handler raised just then. Its text is not known.
        """
        taken, before = self.model.taken or (None, dict[str, tuple[int, int]]())
        if one is None or one is taken or one.process != os.getpid() or not (over or one.text):
            return
        stats, now, counts = one.stats, self._lookups(), {"tokens": one.stats.tokens, "forwards": one.stats.forwards}
        for name, (lookups, hits) in now.items():
            lookups_before, hits_before = before.get(name, (0, 0))
            stats.lookups[name] = counts[f"{name}.lookups"] = lookups - lookups_before
            counts[f"{name}.hits"] = hits - hits_before
        for name, drafted in stats.drafted.items():
            counts |= {f"{name}.drafted": drafted, f"{name}.accepted": stats.accepted[name]}
        tokens, spans = one.text or (NO_TOKENS, ())
        if len(tokens) and not 0 <= int(tokens.min()) <= int(tokens.max()) < self._n_vocab:
            log.warning("a generation is not learned: its tokens were overwritten with ids outside the vocabulary")
            spans = ()
        learns = self.model in self.tiers
        answers = [(tokens[:end], begin) for begin, end in spans] if learns else []
        self.model.take_in((one, now), answers, counts if learns else {})
        self._generations += 1

    def catch_up(self) -> None:
        """Learns the generations that ended, and writes. Raises nothing but what a signal handler does."""
        self._own()
        self._take_in(self._under_way)
        if self._learned == self._generations:
            return
        for tier in self.tiers:
            tier.safe.resume()
        self.model.flush()
        if self._generations >= self._saved + SAVED_EVERY:
            self._save()
            self._saved = self._generations
        self._learned = self._generations

    def _save(self) -> None:
        store, learner = self.model.store, self.learner
        if learner is not None and self._generations and store is not None and store.file.in_place():
            calibration, curve = learner.calibration(), learner.cost_rows()
            self.model.safe.write(lambda store: store.save_planner(calibration, self._cost_settings, curve))

    def close(self) -> None:
        """Learns and writes what is left and closes the files. Never raises; a second call does nothing."""
        with ExitStack() as rest:  # all of it, wherever a signal's handler raises
            for tier in self.tiers:
                rest.callback(tier.close)
            rest.callback(self.model.close, ANSWER_WAIT)
            rest.callback(self._save)
            rest.callback(self.model.flush, CLOSE_WAIT)
            rest.callback(lambda: self._take_in(self._under_way, over=True))
            self._take_in(self._under_way, over=True)
            self.catch_up()


def _safe_store(where: str | os.PathLike[str] | None, identity: Identity, kind: str, *, learn: bool) -> SafeStore:
    """``"default"``, a file, a folder of files, or None.

    Raises:
        ConfigError: It begins with a home folder that is not known.
        StoreForeignError: The file that was named is no store of hd_edge.
    """
    default = where == "default"
    path = default_path(identity, kind) if default or where is None else user_path(where)
    if not default and os.path.isdir(path):  # noqa: PTH112 - Path raises where a name is too long
        path /= default_path(identity, kind).name
    return SafeStore(None if where is None else path, identity, kind=kind, learn=learn, default=default)
