"""``hd_edge.Llama``: constructor, generation and state. Its completion calls are in completion.py."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from os import PathLike
from time import perf_counter
from typing import Any, Literal

import numpy as np
from llama_cpp import llama_cpp as lib

from . import _native
from .backend import api as backend
from .backend import exact as exact_mode
from .backend.kernels import offered
from .backend.settings import BASE_GENERATE, address, batch_rows, check_settings, cost_settings, why_plain
from .backend.threads import physical_cores
from .config import DraftConfig
from .draft.forced import grammar_planner
from .draft.planner import NoDraft, Planner
from .engine.decode import Decoder
from .engine.prefill import check_prompt, prefill
from .engine.sampling import Samplers
from .errors import ModelFileError
from .model import gguf as gguf_file
from .model.completion import Completions
from .model.text import Piece, PieceStream, PieceTokenizer
from .prefix.gated import GatedState
from .prefix.opening import check_arguments, open_cache
from .stats import TIER_NAMES, GenerationStats, count_plain
from .store.identity import identify
from .tiers.memory import Hierarchy

log = logging.getLogger("hd_edge")
log.addHandler(logging.NullHandler())

MAX_SEQUENCES = 32  # n_seq_max: leaves of one tree; llama.cpp's batch checks grow with its square


class Llama(GatedState, Completions):
    """``llama_cpp.Llama``, faster: same constructor, same methods, same text.

    Args:
        model_path: Path of a GGUF file.
        draft: ``"auto"``, ``"paper"``, ``"off"``, or a ``DraftConfig``.
        store: File of what this model said before; ``"default"``: one per model in the user's data folder; None: none.
        statistics: File of the statistics tier, ``"default"`` for the one of this tokenizer if there is one, None for
            none.
        learn: False: the store is only read.
        prefix_cache: Where state of prompts is kept: ``"auto"`` (a cache folder), a folder, ``"memory"``, or None.
        prefix_cache_bytes: Most bytes of that folder; None: 4 GiB, or a quarter of the disk's free space if less.
        exact: On the CPU: n rows give bit for bit the logits of n single steps, so drafted text is plain text.
        row_kernels: ``"auto"``: our own CPU kernels for a few rows where there are any; False: never.
        verbose: Let llama.cpp print its log.
        **settings: Everything ``llama_cpp.Llama`` takes. Flash attention is on, threads are the physical cores.

    Raises:
        ConfigError: An argument has a wrong name, type or value.
        ModelFileError: The file is missing, truncated or no GGUF, or llama.cpp cannot load it.
        ExactModeError: ``exact=True`` cannot be had for this file or machine.
        UnsupportedBackendError: The installed llama-cpp-python is none that hd_edge is tested with.

    Attributes:
        stats: ``GenerationStats`` of the last generation.
        total_stats: The same, summed over all of them.
    """

    def __init__(
        self,
        model_path: str,
        *,
        draft: str | DraftConfig = "auto",
        store: str | PathLike[str] | None = "default",
        statistics: str | PathLike[str] | None = "default",
        learn: bool = True,
        prefix_cache: str | PathLike[str] | None = "auto",
        prefix_cache_bytes: int | None = None,
        exact: bool = False,
        row_kernels: Literal["auto", False] = "auto",
        verbose: bool = False,
        **settings: Any,
    ) -> None:
        self._verifier: _native.Verifier | None = None
        self._decoder: Decoder | None = None
        self.on_step: Callable[[_native.DraftTree, list[int], list[int]], None] | None = None
        self.stats = GenerationStats()
        self.total_stats = GenerationStats()
        self._draft_config = DraftConfig.of(draft)
        self._arguments: dict[str, Any] = {
            "draft": self._draft_config,
            "store": store,
            "statistics": statistics,
            "learn": learn,
            "prefix_cache": prefix_cache,
            "prefix_cache_bytes": prefix_cache_bytes,
            "exact": exact,
            "row_kernels": row_kernels,
        }
        self._exact: exact_mode.ExactSettings | None = None
        check_settings({"exact": exact, "verbose": verbose, "learn": learn}, settings)
        check_arguments(prefix_cache, prefix_cache_bytes)
        api = backend.load()
        self._header = gguf_file.read_header(model_path)
        settings.setdefault("flash_attn", True)
        for name in ("n_threads", "n_threads_batch"):
            settings[name] = settings.get(name) or physical_cores()
        self._n_sequences = 1 if self._header.keeps_state else min(MAX_SEQUENCES, batch_rows(settings))
        if exact:
            exact_mode.switch_tiling_off()  # before the kernels' own test: llama.cpp reads the switch once
        with offered(row_kernels) as kernels:
            if exact:
                self._exact = exact_mode.plan(self._header, settings, kernels.types)
                settings.update(type_k=self._exact.type_k, type_v=self._exact.type_v)
            try:
                super().__init__(model_path, verbose=verbose, **settings)
            except ValueError as error:
                msg = f"llama.cpp cannot load {model_path}: {error}; verbose=True shows its log"
                raise ModelFileError(msg) from error
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
            return
        if exact:
            exact_mode.check_rows(self)
        self._verifier = _native.Verifier(
            api,
            address(self.ctx),
            address(self._ctx.memory),
            n_vocab=self._n_vocab,
            n_ctx=self._n_ctx,
            max_rows=min(self._draft_config.max_rows, self.n_batch),
            max_sequences=self._n_sequences,
            ordered=True,
        )
        self._prefixes = open_cache(self, self._header, prefix_cache, prefix_cache_bytes, exact)
        if self._draft_config.profile != "off":
            self._hierarchy = Hierarchy(
                identify(self.model),
                self._draft_config,
                store=store,
                statistics=statistics,
                learn=learn,
                cost_settings=cost_settings(self._header, settings, exact),
            )
            self._planner = self._hierarchy.planner(self._n_vocab, self._verifier)

    # -- the constructor hook: llama_cpp assigns both attributes once, before it loads the model -------------------

    @property
    def context_params(self) -> Any:
        """llama_cpp's context parameters, with room for one sequence id per branch in one unified KV cache."""
        return self.__dict__["context_params"]

    @context_params.setter
    def context_params(self, params: Any) -> None:
        params.n_seq_max = self._n_sequences
        params.kv_unified = True
        self.__dict__["context_params"] = params

    @property
    def model_params(self) -> Any:
        """llama_cpp's model parameters, without weight repacking where exact mode rules it out."""
        return self.__dict__["model_params"]

    @model_params.setter
    def model_params(self, params: Any) -> None:
        if self._exact is not None and not self._exact.repacking:
            params.use_extra_bufts = False
        self.__dict__["model_params"] = params

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
            ContextFullError: The prompt does not fit the context.
        """
        bound = BASE_GENERATE.bind(self, tokens, *args, **kwargs)
        bound.apply_defaults()
        settings = dict(bound.arguments)
        del settings["self"], settings["tokens"]
        if isinstance(tokens, str):
            ids = self.tokenize(tokens.encode("utf-8"), add_bos=self._model.add_bos_token(), special=True)
            return self._pieces(check_prompt(self, ids, settings["reset"]), settings)
        return self._tokens(check_prompt(self, tokens, settings["reset"]), settings)

    def _tokens(self, tokens: list[int], settings: dict[str, Any]) -> Generator[int, Sequence[int] | None, None]:
        """One generation over token ids, counted in ``stats``."""
        if self._decoder is not None:
            self._decoder.settle()  # a generator left open by the caller ends here
        self.stats = GenerationStats()
        try:
            if self._verifier is None:
                yield from count_plain(super().generate(tokens, **settings), self.stats, len(tokens))
            else:
                with self._generating():
                    yield from self._drafted(self._verifier, tokens, settings)
        finally:
            if self._hierarchy is not None:
                self._hierarchy.finished(self._planner, self.stats)
            self.total_stats.add(self.stats)

    def _drafted(
        self, verifier: _native.Verifier, tokens: list[int], settings: dict[str, Any]
    ) -> Generator[int, Sequence[int] | None, None]:
        reset, stop = settings.pop("reset"), settings.pop("stopping_criteria")
        samplers = Samplers(self, verifier, settings)
        started = perf_counter()
        self.stats.prompt_tokens = len(tokens)
        verifier.clear_cancel()
        if not prefill(self, verifier, tokens, reset, self._prefixes):
            return
        self.stats.prompt_seconds = perf_counter() - started
        limits = (min(self._draft_config.max_rows, self.n_batch), self._n_sequences)
        first, node = samplers.first, samplers.node
        planner = grammar_planner(self, self._planner, settings["grammar"])
        self._decoder = Decoder(
            self, verifier, planner, first, node, limits, stop, self.stats, self.on_step, expected=self._expected
        )
        try:
            yield from self._decoder.run()
        finally:
            self._decoder = None
            samplers.close()

    def _pieces(self, tokens: list[int], settings: dict[str, Any]) -> Iterator[Piece]:
        """Text of a generation, piece by piece, until the model ends its answer or the context is full."""
        stream = PieceStream()
        room = self._n_ctx - len(tokens)
        generation = self._tokens(tokens, settings)
        try:
            for token in generation:
                tier = self.tier
                if lib.llama_vocab_is_eog(self._model.vocab, token):
                    break
                yield Piece(stream.feed(self.detokenize([token])), token, tier)
                room -= 1
                if room <= 0:
                    break
        finally:
            generation.close()

    @property
    def tier(self) -> str:
        """Where the token that the running generation yielded last came from; ``"target"`` if not drafted."""
        return self._decoder.tier if self._decoder is not None else TIER_NAMES[0]

    def cancel(self) -> None:
        """Ends the running generation; may be called from another thread.

        On the CPU the forward under way is aborted, on a GPU awaited. The state stays good for the next prompt.
        """
        if self._verifier is not None:
            self._verifier.cancel()

    # -- state -----------------------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        state.update(self._arguments)
        return state

    def close(self) -> None:
        """Frees the model; may be called twice."""
        if getattr(self, "_decoder", None) is not None:
            self._decoder.settle()  # type: ignore[union-attr]
            self._decoder = None
        self._close_prefixes()
        if getattr(self, "_hierarchy", None) is not None:
            self._hierarchy.close(self._planner)  # type: ignore[union-attr]
            self._hierarchy = None
        if getattr(self, "_verifier", None) is not None:
            self._verifier.detach()  # type: ignore[union-attr]
            self._verifier = None
        if hasattr(self, "_stack"):
            super().close()
