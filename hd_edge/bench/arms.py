"""Makes arms by name.

hd_edge's arms share one loaded model, those of llama-cpp-python another; each is loaded when an arm first needs it.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from hd_edge import _native
from hd_edge.config import DraftConfig
from hd_edge.draft.drafter.loading import LoadedDrafter, check_drafter, load_drafter
from hd_edge.errors import ConfigError
from hd_edge.model.chat_prompt import chat_tokens

from .arm import Clock, LocalArm, Messages, Settings
from .drafted import Drafted, Slowed
from .reference import Reference

if TYPE_CHECKING:
    from hd_edge import Llama
    from hd_edge.draft.drafter.tier import DrafterTier
    from hd_edge.draft.planner import Planner
    from hd_edge.tiers.memory import Hierarchy

ARMS = {
    "plain": "hd_edge without drafts: what every speed-up is measured against",
    "auto": "hd_edge as it comes, its store empty at the beginning; it learns from one answer to the next",
    "auto-drafter": "auto with a small model that drafts where the databases have nothing to say",
    "auto-warm": "auto, beginning with what the model answered to other prompts before",
    "auto-warm-drafter": "the same, with the small model of auto-drafter",
    "paper": "the published configuration of Hierarchy Drafting, its store empty at the beginning",
    "llama-cpp": "llama_cpp.Llama",
    "llama-cpp-pld": "llama_cpp.Llama with its prompt lookup",
    "plain-again": "plain a second time: its speed-up must be 1.00 within the interval",
    "plain-slowed": "plain, 5 % of each step slept behind it: its speed-up must be 0.95",
}
DRAFTING = (*(name for name in ARMS if name.startswith("auto")), "paper")
SLOWED = 0.05
KV_TYPES = {"f32": 0, "f16": 1, "q4_0": 2, "q8_0": 8, "bf16": 30}  # ggml's numbers


@dataclass(frozen=True)
class Tiers:
    """What the SQLite tiers of drafting arms hold.

    Attributes:
        warm_store: A store that ``auto-warm`` begins with a copy of; the file is only read.
        warm_texts: Conversations that it learns after those of the store: token ids, and how many are the prompt's.
        warm_prompts: Prompts whose answers it learns after those.
        warm_tokens: Longest of those answers.
        statistics: File of the statistics tier of all drafting arms; None: no such tier.
        drafter: The small model of arms named so.
    """

    warm_store: Path | None = None
    warm_texts: tuple[tuple[list[int], int], ...] = ()
    warm_prompts: tuple[str, ...] = ()
    warm_tokens: int = 512
    statistics: Path | None = None
    drafter: str | None = None


class Arms:
    """The arms of one model file.

    Args:
        model: Path of the GGUF file.
        settings: What all arms have in common.
        tiers: What their SQLite tiers hold.
        folder: Where the stores of drafting arms lie; a store that is there already is gone on with. None: a
            temporary folder.
        clock: Seconds.
        progress: Called while ``auto-warm`` learns beforehand, with answers made and their number.
        one_model: The arms of llama-cpp-python decode on hd_edge's model, with its kernels, too.

    Attributes:
        tiers: Of the arms that are made next.
    """

    def __init__(
        self,
        model: str,
        settings: Settings,
        tiers: Tiers | None = None,
        *,
        folder: Path | None = None,
        clock: Clock = perf_counter,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
        one_model: bool = False,
    ) -> None:
        self.model = model
        self.settings = settings
        self.tiers = tiers or Tiers()
        self._one_model = one_model
        self._clock = clock
        self._progress = progress
        self._ours: Any = None
        self._theirs: Any = None
        self._small: LoadedDrafter | None = None
        self._messages: dict[tuple[int, ...], Messages] = {}  # by the tokens that they became
        self._made: list[LocalArm] = []
        self._stores: Counter[str] = Counter()  # how many of each name: no arm learns from what another one did
        self._temporary = tempfile.TemporaryDirectory(prefix="hd_edge-bench-") if folder is None else None
        self._folder = Path(self._temporary.name) if self._temporary else Path(str(folder))

    @property
    def llm(self) -> Any:
        """The ``hd_edge.Llama`` to which each arm lends its planner."""
        if self._ours is None:
            from hd_edge import Llama

            self._ours = Llama(
                self.model,
                draft="auto",  # with "off" a hybrid model keeps nothing that a draft could be taken back by
                store=None,
                statistics=None,
                prefix_cache=None,
                row_kernels="auto" if self.settings.row_kernels else False,
                **self._common(),
            )
        return self._ours

    def tokenize(self, messages: Messages) -> list[int]:
        """A conversation as every arm is asked it."""
        tokens = chat_tokens(self.llm, messages)
        self.remember(tokens, messages)
        return tokens

    def remember(self, tokens: Sequence[int], messages: Messages) -> None:
        """These tokens are that conversation, which a drafter reads in its own template."""
        self._messages[tuple(tokens)] = messages

    def make(self, name: str) -> LocalArm:
        """The arm of that name, one of ARMS.

        Raises:
            ConfigError: There is none, or this model or these tiers do not allow it.
            HDEdgeError: The model cannot be loaded.
        """
        arm = self._make(name)
        self._made.append(arm)
        return arm

    def _make(self, name: str) -> LocalArm:
        if name in ("plain", "plain-again"):
            return Drafted(name, self.llm, clock=self._clock)
        if name == "plain-slowed":
            return Slowed(name, self.llm, SLOWED, clock=self._clock)
        if name in DRAFTING:
            return self._drafted(name)
        if name in ("llama-cpp", "llama-cpp-pld"):
            return Reference(name, self._base(), _lookup() if name.endswith("pld") else None, clock=self._clock)
        msg = f"arm {name!r} is not one of {', '.join(ARMS)}"
        raise ConfigError(msg)

    def _common(self) -> dict[str, Any]:
        settings = self.settings
        return {
            "n_ctx": settings.n_ctx,
            "n_batch": settings.n_batch,
            "n_threads": settings.n_threads,
            "n_threads_batch": settings.n_threads,
            "n_gpu_layers": settings.n_gpu_layers,
            "flash_attn": settings.flash_attn,
            "type_k": KV_TYPES[settings.type_kv],
            "type_v": KV_TYPES[settings.type_kv],
            "verbose": False,
        }

    def _base(self) -> Any:
        if self._one_model:
            return self.llm
        if self._theirs is None:
            import llama_cpp

            _ = self.llm  # checks the file, with errors that say what is wrong
            self._theirs = llama_cpp.Llama(self.model, **self._common())
        return self._theirs

    def _drafted(self, name: str) -> Drafted:
        llm = self.llm
        if llm.plain_reason:
            msg = f"arm {name!r} cannot be measured: {self.model} decodes plainly ({llm.plain_reason})"
            raise ConfigError(msg)
        path = self._folder / f"{name}-{self._stores[name]}.sqlite3"  # a file, as users have it: writing it takes time
        self._stores[name] += 1
        if "warm" in name and not path.exists():
            self._fill(path)
        drafter = self._drafter(name) if "drafter" in name else None
        planner, hierarchy = self._planner("paper" if name == "paper" else "auto", path, drafter)
        return Drafted(name, llm, planner, hierarchy, clock=self._clock, messages=self._messages.get)

    def _drafter(self, name: str) -> DrafterTier:
        """The small model, loaded once."""
        if self.tiers.drafter is None:
            msg = f"arm {name!r} has no drafter: name one with --drafter"
            raise ConfigError(msg)
        if self._small is None:
            from hd_edge import Llama

            drafter = check_drafter(self.tiers.drafter, DraftConfig(), self.model)
            self._small = load_drafter(self.llm, drafter, Llama)
        return self._small.tier

    def _planner(
        self, profile: Any, path: Path | None, drafter: DrafterTier | None = None
    ) -> tuple[Planner, Hierarchy]:
        """A planner, and the tiers it drafts from and learns into."""
        llm: Llama = self.llm
        config = DraftConfig(profile)
        return llm.make_planner(config, drafter, store=path, statistics=self.tiers.statistics, learn=True)

    def _fill(self, path: Path) -> None:
        """Writes the store that ``auto-warm`` begins with."""
        from hd_edge.build.model import BuildProgress, build_model
        from hd_edge.model.vocabulary import identify
        from hd_edge.store.merge import merge
        from hd_edge.store.store import Store

        tiers, llm = self.tiers, self.llm
        if tiers.warm_store is None and not tiers.warm_texts and not tiers.warm_prompts:
            msg = (
                "arm 'auto-warm' has nothing to begin with: name a store (hd-edge db build-model makes one) or prompts"
            )
            raise ConfigError(msg)

        def tell(state: BuildProgress) -> None:
            self._progress(state.done, state.total)

        identity = identify(llm.model)
        with Store(path, identity) as store:
            if tiers.warm_store is not None:
                with Store(tiers.warm_store, identity, read_only=True) as source:
                    merge(store, [source])
            counter = _native.AnswerCounter(identity.n_vocab)
            for tokens, prompt_len in tiers.warm_texts:
                store.add(dict(counter.records(np.array(tokens, np.int32), prompt_len)))
            if tiers.warm_prompts:
                planner, helper = self._planner("auto", None)
                with llm.drafting(planner):
                    build_model(llm, store, tiers.warm_prompts, max_tokens=tiers.warm_tokens, progress=tell)
                helper.close()

    def close(self) -> None:
        """Closes the arms, frees the models, removes the stores of a temporary folder."""
        for arm in self._made:
            arm.close()
        for llm in (self._small, self._ours, self._theirs):
            if llm is not None:
                llm.close()
        if self._temporary:
            self._temporary.cleanup()


def _lookup() -> Any:
    from llama_cpp.llama_speculative import LlamaPromptLookupDecoding

    return LlamaPromptLookupDecoding()
