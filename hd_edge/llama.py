"""``hd_edge.Llama``: constructor, generation and state. Its completion calls are in completion.py."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from os import PathLike
from time import perf_counter
from typing import Any, Literal

import numpy as np

from . import _native
from .backend import api as backend
from .backend import exact as exact_mode
from .backend.hook import ParameterHook
from .backend.kernels import offered, used
from .backend.loading import loading
from .backend.memory import Wanted, limits, why_no_draft
from .backend.positions import within
from .backend.ranges import as_path, place
from .backend.rpc import RPCServers
from .backend.settings import BASE_GENERATE, address, batch_rows, check_settings, cost_settings, told, why_plain
from .backend.signals import held_signals
from .backend.threads import physical_cores
from .config import DraftConfig
from .draft.drafter.loading import check_drafter, load_drafter
from .draft.drafter.tier import DrafterTier
from .draft.drafting import Drafting
from .draft.jump_forward import jump_forward
from .draft.planner import NoDraft, Planner, Step
from .draft.profiles import planner_for
from .engine.chat import Chats
from .engine.decode import Decoder
from .engine.forked import check_threads
from .engine.forking import loads
from .engine.options import as_bytes, check_options, criteria_list, needed_criteria
from .engine.pace import pace_of
from .engine.plain import count_plain
from .engine.prefill import check_prompt, prefill
from .engine.rewind import known
from .engine.sampling import Samplers, close_chain
from .model import gguf as gguf_file
from .model.cache_memory import check_context
from .model.lora import apply_lora
from .model.text import PieceTokenizer
from .model.vocabulary import identify
from .prefix.keeping import Keeping
from .prefix.opening import check_arguments, open_cache, open_checkpoints
from .stats import GenerationStats
from .tiers.memory import Hierarchy

log = logging.getLogger("hd_edge")
log.addHandler(logging.NullHandler())


class Llama(Keeping, Chats, Drafting, ParameterHook):
    """``llama_cpp.Llama``, faster: same constructor, same methods, same text.

    Args:
        model_path: Path of a GGUF file.
        draft: ``"auto"``, ``"paper"``, ``"off"``, or a ``DraftConfig``.
        store: File of this model's earlier output; ``"default"``: one per model in the user's data folder; None: none.
        statistics: File of the statistics tier, ``"default"`` for the one of this tokenizer if there is one, None for
            none.
        learn: False: the store is only read.
        prefix_cache: Where state of prompts is kept: ``"auto"`` (a cache folder), a folder, ``"memory"``, or None.
        prefix_cache_bytes: Most bytes of that folder; None: 4 GiB, or a quarter of the disk's free space if less.
        exact: On the CPU: n rows give bit for bit the logits of n single steps, so drafted text is plain text.
        drafter: A small GGUF that drafts where the databases have nothing to say: a file, ``"demo"``, a name of
            ``hd-edge models``, a loaded ``Llama``, or None. Its vocabulary may be another one.
        row_kernels: ``"auto"``: our own CPU kernels for a few rows where there are any; False: never.
        rpc_servers: Other machines that compute parts of it, ``"host:port"`` of llama.cpp's ``rpc-server`` each; what
            stays here is for ``n_gpu_layers`` to say (all layers leave by default).
        verbose: Let llama.cpp print its log.
        **settings: Everything ``llama_cpp.Llama`` takes. Flash attention is on, threads: docs/threads.md.

    Raises:
        ConfigError: An argument has a wrong name, type or value.
        ModelFileError: The file is missing, truncated or no GGUF, or llama.cpp cannot load it.
        ExactModeError: ``exact=True`` is unavailable for this file or machine.
        UnsupportedBackendError: The installed llama-cpp-python is none that hd_edge is tested with, or has no RPC.

    Attributes:
        stats: ``GenerationStats`` of the last generation.
        total_stats: The same, summed over all of them up to now.
    """

    samplers: Callable[..., Samplers] = Samplers  # what a generation draws with: a seam for tools

    @loads
    def __init__(
        self,
        model_path: str | PathLike[str],
        *,
        draft: str | DraftConfig = "auto",
        store: str | PathLike[str] | None = "default",
        statistics: str | PathLike[str] | None = "default",
        learn: bool = True,
        prefix_cache: str | PathLike[str] | None = "auto",
        prefix_cache_bytes: int | None = None,
        exact: bool = False,
        drafter: str | PathLike[str] | Llama | None = None,
        row_kernels: Literal["auto", False] = "auto",
        rpc_servers: Sequence[str] | None = None,
        verbose: bool = False,
        **settings: Any,
    ) -> None:
        self._begin_life()
        self.on_step: Callable[[Step], None] | None = None
        self._begin_counting()
        self._draft_config = DraftConfig.of(draft)
        kept: dict[str, Any] = {"store": store, "statistics": statistics, "learn": learn, "prefix_cache": prefix_cache}
        self._arguments = {"draft": self._draft_config, **kept, "exact": exact, "row_kernels": row_kernels}
        self._arguments |= {"drafter": drafter, "rpc_servers": rpc_servers, "prefix_cache_bytes": prefix_cache_bytes}
        self._exact: exact_mode.ExactSettings | None = None
        check_settings({"exact": exact, "verbose": verbose, "learn": learn}, settings)
        check_arguments(prefix_cache, prefix_cache_bytes)
        store, statistics = place("store", store), place("statistics", statistics)
        model_path, lora = as_path("model_path", model_path), settings.get("lora_path")
        api = backend.load()
        if rpc_servers is not None:
            self._remote = RPCServers(rpc_servers)
            settings.setdefault("n_gpu_layers", -1)
        self._header = gguf_file.read_header(model_path).overridden(settings.get("kv_overrides"))
        check_context(self._header, settings)
        drafter = check_drafter(drafter, self._draft_config, model_path)
        settings["n_batch"] = batch_rows(self._header, settings)  # llama_cpp makes as many rows, then cuts
        exact_mode.check_batches(self._header, settings)
        settings.setdefault("flash_attn", True)
        chosen = settings.get("n_threads") or settings.get("n_threads_batch")  # a user's own number stays
        for name in ("n_threads", "n_threads_batch"):
            settings[name] = settings.get(name) or physical_cores()
        check_threads(settings["n_threads"], settings["n_threads_batch"])
        self._wanted = Wanted.of(self._header, settings, self._draft_config)
        if exact:
            exact_mode.switch_tiling_off()  # before the kernels' own test: llama.cpp reads the switch once
        adapter = None if lora is None else gguf_file.read_header(as_path("lora_path", lora))
        with offered(row_kernels) as kernels, held_signals() as self._held:
            if exact:
                self._exact = exact_mode.plan(self._header, settings, kernels, adapter)
                settings.update(type_k=self._exact.type_k, type_v=self._exact.type_v)
            else:
                self._exact = exact_mode.by_default(self._header, settings, kernels, adapter)
            with told(model_path, settings), loading(model_path, verbose=verbose):
                super().__init__(model_path, verbose=verbose, **{**settings, "lora_path": None})
                if lora is not None:
                    apply_lora(self, as_path("lora_path", lora), settings.get("lora_scale", 1.0))
        self._n_ctx: int = within(self._header, self._ctx.n_ctx())
        if self._remote is not None:
            self._remote.watch()
            self._life.check = self._remote.check
        self._kernels = used(kernels).text
        if settings.get("n_ctx", 512) < self._n_ctx:  # llama.cpp rounds up, llama_cpp's arrays follow the argument
            self.input_ids = np.zeros(self._n_ctx, dtype=np.intc)
            if settings.get("logits_all"):
                self.scores = np.zeros((self._n_ctx, self._n_vocab), dtype=np.single)
        if settings.get("tokenizer") is None:
            self.tokenizer_ = PieceTokenizer(self)
        self._planner: Planner = NoDraft()
        self._hierarchy: Hierarchy | None = None
        self._plain_reason = why_plain(self)
        if self._plain_reason:
            log.info("drafting is off for %s: %s", model_path, self._plain_reason)
            self._take_abort(_native.AbortFlag(api, address(self.ctx)))
            return
        self._cost_settings = cost_settings(self._header, settings, exact, kernels)
        if exact:
            exact_mode.check_rows(self)
        self._verifier = _native.Verifier(
            api,
            address(self.ctx),
            address(self._ctx.memory),
            n_vocab=self._n_vocab,
            n_ctx=self._ctx.n_ctx(),
            **limits(self, self._draft_config),
        )
        self._take_abort(self._verifier)
        self.checkpoints = open_checkpoints(self, prefix_cache)
        self._prefixes = open_cache(self, self._header, prefix_cache, prefix_cache_bytes, exact=exact, kernels=kernels)
        if drafter is not None:
            self._loaded_drafter = load_drafter(self, drafter, Llama)
        if self._draft_config.profile != "off" and (reason := why_no_draft(self)):
            self._plain_reason = reason
            log.info("drafting is off for %s: %s", model_path, reason)
        elif self._draft_config.profile != "off":
            self._planner, self._hierarchy = self.make_planner(
                self._draft_config, self._drafter_tier, store=store, statistics=statistics, learn=learn
            )
        most = None if chosen else settings["n_threads"]
        self._pace = pace_of(self, self._verifier, most, own_attention=self.own_attention)

    # -- generation ------------------------------------------------------------------------------------------------

    def generate(self, tokens: Sequence[int] | str, *args: Any, **kwargs: Any) -> Any:
        """Generates from token ids, or from text.

        Args:
            tokens: Prompt as token ids, or as a string.
            *args: As ``llama_cpp.Llama.generate`` takes them.
            **kwargs: The same by name.

        Returns:
            For token ids a generator of token ids, which takes ``send(token_ids)``. For a string a generator of
            ``Piece`` (text, token id, tier), which ends at the end of the answer or of the context.

        Raises:
            TokenError: No tokens, or an id outside the vocabulary.
            ConfigError: A sampling option is out of range.
            ContextFullError: The prompt does not fit the context.
            ClosedError: The model was closed; the generator raises it too.
        """
        bound = BASE_GENERATE.bind(self, tokens, *args, **kwargs)
        bound.apply_defaults()
        settings = dict(bound.arguments)
        del settings["self"], settings["tokens"]
        check_options(settings)
        if (stop := settings["stopping_criteria"]) is not None:
            needed = needed_criteria(criteria_list(stop), self._ends)
            settings["stopping_criteria"] = None if needed is None else self._life.callback(needed)
        if isinstance(tokens, str):
            self.check_size(len(tokens))
            begins = self._life.read(self._model.add_bos_token)
            ids = self.tokenize(as_bytes("tokens", tokens), add_bos=begins, special=True)
            return self._life.steps(self._pieces(check_prompt(self, ids, settings["reset"]), settings))
        return self._life.steps(self._tokens(check_prompt(self, tokens, settings["reset"]), settings))

    def _tokens(self, tokens: list[int], settings: dict[str, Any]) -> Generator[int, Sequence[int] | None, None]:
        """One generation over token ids, counted in ``stats``."""
        stats = self._count_anew(self._kernels)
        try:
            known(self)
            if self._verifier is None:
                plain = super().generate(tokens, **settings)
                yield from count_plain(plain, stats, len(tokens), lambda: self._life.cancelled)
            else:
                self.catch_up()
                yield from self._drafted(self._verifier, tokens, settings, stats)
        finally:
            close_chain(self)
            stats.ends = self._ends(stats.last)
        self.catch_up()

    def _drafted(
        self, verifier: _native.Verifier, tokens: list[int], settings: dict[str, Any], stats: GenerationStats
    ) -> Generator[int, Sequence[int] | None, None]:
        reset, stop = settings.pop("reset"), settings.pop("stopping_criteria")
        samplers = self.samplers(self, verifier, settings)
        started = perf_counter()
        stats.prompt_tokens = len(tokens)
        memory, pace = self._hierarchy, self._pace
        self._tell_drafter(self._hints.messages, len(tokens) + (0 if reset else self.n_tokens))
        ended = None if memory is None else memory.ending(stats)
        with (
            self._keeping(),
            pace.generation(self._planner),
            jump_forward(self, self._planner, settings["grammar"]) as planner,
        ):
            pace.prompt(min(len(tokens), self.n_batch), len(tokens))
            if not prefill(self, verifier, tokens, reset, self._prefixes):
                return
            stats.prompt_seconds = perf_counter() - started
            self._decoder = Decoder(
                *(self, verifier, planner, samplers, stats, stop, self._hints.prediction),
                on_step=self.on_step and self._life.callback(self.on_step),
                on_end=ended,
                pace=pace,
            )
            try:
                yield from self._decoder.run()
            finally:
                self._decoder = None

    def make_planner(
        self,
        config: DraftConfig,
        drafter: DrafterTier | None = None,
        *,
        store: str | PathLike[str] | None,
        statistics: str | PathLike[str] | None,
        learn: bool,
    ) -> tuple[Planner, Hierarchy]:
        """A planner for this model, and the memory that it drafts from and learns into."""
        identity, cost = identify(self.model), self._cost_settings
        memory = Hierarchy(identity, config, store=store, statistics=statistics, learn=learn, cost_settings=cost)
        return planner_for(config, self._n_vocab, memory, drafter), memory

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), **self._arguments}

    def _free(self) -> None:
        with ExitStack() as parts:
            parts.callback(super()._free)
            if (hierarchy := self.__dict__.get("_hierarchy")) is not None:
                parts.callback(hierarchy.close)
            parts.callback(self._end_prefixes)
            if self._loaded_drafter is not None:
                parts.callback(self._loaded_drafter.close)
        self._hierarchy = None
