"""Hierarchy: the SQLite tiers of one ``Llama`` object, and what its store remembers between runs.

Opening never fails: a file that cannot be used costs drafts, never an answer (``store_safety``). Files are written
between generations only.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hd_edge import _native
from hd_edge.errors import StoreError
from hd_edge.store.safety import default_path, open_model_store, open_statistics_store, warn

from . import ModelTier, StatisticsTier

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from hd_edge.config import DraftConfig
    from hd_edge.stats import GenerationStats
    from hd_edge.store.identity import Identity

    from .tier import StoredTier

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
        self._learn = learn
        self._cost_settings = cost_settings
        self._generations = 0
        self._counted: dict[str, tuple[int, int]] = {}
        opened = open_model_store(_place(store, identity, "model"), identity, learn=learn)
        self.model = ModelTier(opened, identity.n_vocab, learn=learn)
        self.tiers: list[StoredTier] = [self.model] if "model" in config.tiers else []
        if "statistics" in config.tiers and statistics is not None:
            place = _place(statistics, identity, "statistics")
            found = place and open_statistics_store(place, identity, asked_for=statistics != "default")
            if found:
                self.tiers.append(StatisticsTier(found, identity.n_vocab))
        self.calibration: bytes | None = None
        self.cost_rows: list[CostRow] = []
        try:
            self.calibration = _sound(opened.load_calibration())
            self.cost_rows = opened.load_cost(cost_settings)
        except StoreError as error:
            warn(f"{error}; going on without its calibration")

    def finished(self, tokens: NDArray[np.int32], spans: Sequence[tuple[int, int]], stats: GenerationStats) -> None:
        """A generation ended: the model tier learns it and writes, look-ups are counted. Never raises.

        Args:
            tokens: The whole conversation.
            spans: Which of its tokens are output tokens: [begin, end) each.
            stats: Of the generation; the look-ups are added.
        """
        if self.model in self.tiers:
            for begin, end in spans:
                self.model.learn(tokens[:end], begin)
        for tier in self.tiers:
            lookups, hits = self._counted.get(tier.name, (0, 0))
            stats.lookups[tier.name] += tier.lookups - lookups
            self.model.count(f"{tier.name}.lookups", tier.lookups - lookups)
            self.model.count(f"{tier.name}.hits", tier.hits - hits)
            self._counted[tier.name] = (tier.lookups, tier.hits)
        for name, drafted in stats.drafted.items():
            self.model.count(f"{name}.drafted", drafted)
            self.model.count(f"{name}.accepted", stats.accepted[name])
        self.model.count("tokens", stats.tokens)
        self.model.count("forwards", stats.forwards)
        self.model.flush()
        self._generations += 1
        if self._generations % SAVED_EVERY == 0:
            self._save()

    def _save(self) -> None:
        store, learner = self.model.store, self.learner
        if learner is None or store is None or not self._learn or self._generations == 0 or not store.file.in_place():
            return
        try:
            store.save_calibration(learner.calibration())
            store.save_cost(self._cost_settings, learner.cost_rows())
        except StoreError as error:
            self.model.complain(f"{error}; calibration and cost curve are not kept")

    def close(self) -> None:
        """Writes what is left and closes the files. Never raises; a second call does nothing."""
        self.model.flush()
        self._save()
        self.model.close()
        for tier in self.tiers:
            tier.close()


def _place(where: str | os.PathLike[str] | None, identity: Identity, kind: str) -> Path | None:
    if where is None:
        return None
    if where == "default":
        return default_path(identity, kind)
    path = Path(where).expanduser()
    return path / default_path(identity, kind).name if path.is_dir() else path


def _sound(calibration: bytes | None) -> bytes | None:
    """The calibration if the mixer takes it, else None: a damaged one is as good as none."""
    if calibration is None:
        return None
    try:
        _native.Drafter(1, max_tokens=16).load_calibration(calibration)
    except ValueError as error:
        warn(f"the store's calibration is damaged ({error}); going on with the default")
        return None
    return calibration
