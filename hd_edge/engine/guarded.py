"""llama_cpp's methods that touch the model or its context, as the model's life allows them.

Where ``llama_cpp.Llama`` reads freed memory, crashes, or goes on with a context that is not what it thinks it is, these
raise an error that says what happened. What they compute is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import llama_cpp
from llama_cpp import llama_cpp as lib

from hd_edge.backend.adapters import watch
from hd_edge.backend.log import quiet_aborts
from hd_edge.backend.memory import keeps_state
from hd_edge.backend.positions import within
from hd_edge.backend.ranges import expect, is_integer
from hd_edge.backend.tokens import token_ids
from hd_edge.errors import ContextFullError, DecodeError, TokenError

from .answers import UNTOUCHED, code_of, decode_error
from .closed import NotLoaded, abandon, bury, keep, let_go
from .forked import computes
from .given import GivenTokens
from .life import Life
from .loaded import load
from .options import EMBED, SAMPLE, arguments, check_cache, check_texts
from .rewind import known, rewind
from .sampling import close_chain

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Self

    from hd_edge import _native
    from hd_edge.backend.rpc import RPCServers

    from .decode import Decoder


class Guarded(llama_cpp.Llama):  # type: ignore[misc]
    """``llama_cpp.Llama``, one caller at a time."""

    input_ids: NDArray[np.intc]
    _stack: ExitStack
    _remote: RPCServers | None = None
    checkpoints: Any = None  # as in ``hd_edge.prefix.keeping``
    _lent = False  # the memory begins with a state that was loaded, and was not computed here
    _sampler: Any
    _life: Life = NotLoaded()  # type: ignore[assignment]  # until there is one

    def _begin_life(self) -> None:
        """First of all, so that a constructor that fails can be cleaned up."""
        self._life = Life(self._free)
        self._abort: _native.AbortFlag | _native.Verifier | None = None
        self._verifier: _native.Verifier | None = None
        self._decoder: Decoder | None = None

    def _take_abort(self, flag: _native.AbortFlag | _native.Verifier) -> None:
        """The model is loaded: from now on it can be cancelled."""
        self._abort, self._adapters = flag, watch(self.ctx)
        self._ctx._exit_stack.callback(flag.detach)
        keep(self)
        self._life.threads = max(self.n_threads, self.n_threads_batch)
        self._life.attach(flag)
        quiet_aborts()

    def cancel(self) -> None:
        """Ends the running generation, or nothing; may be called from any thread at any moment.

        On the CPU the forward under way is aborted, on a GPU awaited. The state stays good for the next prompt.
        """
        self._life.cancel()

    def close(self) -> None:
        """Frees the model; may be called twice, and from any thread.

        A generation that runs is cancelled and ends after the step under way, and what it said is learned. Whatever is
        called afterwards raises a ``ClosedError``.
        """
        if "_life" in self.__dict__:
            self._life.close(self._free)

    def _free(self) -> None:
        with ExitStack() as parts:
            if "_stack" in self.__dict__:
                parts.callback(bury, self)
                if self._remote is not None and self._remote.gone():
                    abandon(self)
                parts.callback(super().close)
                let_go(self)
            if self._remote is not None:
                parts.callback(self._remote.close)
        self._abort = self._verifier = None

    def __enter__(self) -> Self:
        with self._life.part():
            return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- the low-level loop --------------------------------------------------------------------------------------

    def eval(self, tokens: Sequence[int]) -> None:
        """As ``llama_cpp.Llama.eval``.

        Raises:
            TokenError: Something else than ids, or an id outside the vocabulary.
            ContextFullError: The tokens do not fit behind those of the context.
            DecodeError: The forward failed or was cancelled; the context is as before it, or, where the model cannot
                roll back, at an earlier token, which ``n_tokens`` tells.
        """
        with self._life.part():
            tokens, room = token_ids(tokens, self._n_vocab), self._n_ctx - known(self)
            if len(tokens) > room:
                msg = f"the context is full: {len(tokens)} more tokens, room for {room}; load with a larger n_ctx"
                raise ContextFullError(msg)
            self._check_weights()
            if self._ctx.memory is None:
                msg = "the model has no KV cache: it embeds, it cannot generate"
                raise DecodeError(msg)
            if self._verifier is not None:
                wanted = self.n_tokens
                if (kept := rewind(self, self._verifier, wanted)) < wanted:
                    tokens = [*self.input_ids[kept:wanted].tolist(), *tokens]
            try:
                super().eval(tokens)
            except RuntimeError as error:
                code = code_of(error)
                if self._verifier is not None:
                    if keeps_state(self) and code not in UNTOUCHED:
                        self._verifier.rollback()  # some layers' states are overwritten
                    rewind(self, self._verifier, self.n_tokens)
                elif code not in UNTOUCHED:  # recurrent states and sliding windows have no way back
                    self._forget()
                raise decode_error(self, code, len(tokens)) from error

    def sample(self, *args: Any, **kwargs: Any) -> int:
        """As ``llama_cpp.Llama.sample``: from the last row, whatever was generated before.

        Raises:
            DecodeError: There is no row to draw from.
        """
        with self._life.part():
            own = self._sampler is None  # else the generation's in whose step this is
            settings = arguments(SAMPLE, self, *args, **kwargs) if own else kwargs
            idx = settings.pop("idx", None)
            expect("idx", idx, idx is None or is_integer(idx), "the number of a token, or None")
            row = -1 if idx is None else idx - known(self)
            if self.n_tokens and row == -1 and self._requires_eval and self._verifier is not None:
                self._again()  # the last forward was over a draft tree, or made for another state
            if not self.n_tokens or not lib.llama_get_logits_ith(self.ctx, row):
                msg = f"there are no logits of row {row} to draw from, {self.n_tokens} tokens are known: eval() first"
                raise DecodeError(msg)
            if not own:
                return int(super().sample(idx=idx))
            del settings["self"]
            self._sampler = self._init_sampler(**settings)
            try:
                return int(super().sample(idx=idx))
            finally:
                close_chain(self)

    def reset(self) -> None:
        """As ``llama_cpp.Llama.reset``."""
        with self._life.part():
            if self._lent:
                self._forget()
            super().reset()

    # -- state ---------------------------------------------------------------------------------------------------

    def save_state(self) -> Any:
        """As ``llama_cpp.Llama.save_state``, in the middle of a generation too, which goes on."""
        with self._life.operation(ends=False):
            if self._decoder is not None:
                self._decoder.pause()
            return super().save_state()

    def load_state(self, state: Any) -> None:
        """As ``llama_cpp.Llama.load_state``.

        Raises:
            ContextFullError: The state holds more tokens than the context.
            DecodeError: It is none of this model with this context; the context is empty.
        """
        with self._life.operation():
            load(self, state, super().load_state)

    def set_cache(self, cache: Any) -> None:
        """As ``llama_cpp.Llama.set_cache``.

        Raises:
            ConfigError: It is no cache.
        """
        check_cache(cache)
        with self._life.part():
            super().set_cache(cache)

    # -- embeddings ----------------------------------------------------------------------------------------------

    def embed(self, input: Any, *args: Any, **kwargs: Any) -> Any:
        """As ``llama_cpp.Llama.embed``.

        Raises:
            ConfigError: The input is no text and no list of texts.
            TokenError: A text without any token.
            ContextFullError: With ``truncate=False``, a text of more tokens than a batch.
            DecodeError: The forward failed or was cancelled, or the model was not loaded with ``embedding=True``.
        """
        count = check_texts(self, arguments(EMBED, self, input, *args, **kwargs))
        with self._life.operation():
            self._check_weights()
            if not self.context_params.embeddings:
                msg = "the model was loaded to generate: load it with embedding=True to embed"
                raise DecodeError(msg)
            try:
                return super().embed(input, *args, **kwargs)
            except BaseException as error:  # whatever ended it, the memory may hold some of these texts
                self._forget()
                code = code_of(error) if isinstance(error, RuntimeError) else 0
                if code:
                    raise decode_error(self, code, count) from error
                raise

    # -- what reads the model only -------------------------------------------------------------------------------

    def tokenize(self, *args: Any, **kwargs: Any) -> Any:
        """As ``llama_cpp.Llama.tokenize``.

        Raises:
            TokenError: The text is none in bytes.
        """
        text = args[0] if args else kwargs.get("text", b"")
        if isinstance(text, GivenTokens):
            return list(text.ids)
        if not isinstance(text, bytes):
            msg = f"tokenize() takes a text in bytes, got {type(text).__name__}: text.encode('utf-8')"
            raise TokenError(msg)
        return self._life.read(lambda: super(Guarded, self).tokenize(*args, **kwargs))

    def n_ctx(self) -> int:
        """Tokens of the context window: no more than the model has positions for."""
        cells = int(self._life.read(super().n_ctx))
        return within(self._header, cells)

    def n_embd(self) -> int:
        """Values of an embedding."""
        return int(self._life.read(super().n_embd))

    def n_vocab(self) -> int:
        """Tokens of the vocabulary."""
        return int(self._life.read(super().n_vocab))

    def token_eos(self) -> int:
        """Id of the end-of-sequence token, -1 if there is none."""
        return int(self._life.read(super().token_eos))

    def token_bos(self) -> int:
        """Id of the beginning-of-sequence token, -1 if there is none."""
        return int(self._life.read(super().token_bos))

    def token_nl(self) -> int:
        """Id of the newline token, -1 if there is none."""
        return int(self._life.read(super().token_nl))

    def pooling_type(self) -> Any:
        """As ``llama_cpp.Llama.pooling_type``."""
        return self._life.read(super().pooling_type)

    # -- parts ---------------------------------------------------------------------------------------------------

    def _again(self) -> None:
        """The last token once more, for its row."""
        self.n_tokens -= 1
        self.eval([int(self.input_ids[self.n_tokens])])

    def _check_weights(self) -> None:
        """A forward is about to begin."""
        computes(self._life.threads, self._life.lost)
        if self.model_params.vocab_only:
            msg = "the model was loaded with vocab_only=True: it tokenizes, it cannot compute; load it without"
            raise DecodeError(msg)

    def _forget(self) -> None:
        """Nothing is known any more."""
        self._ctx.kv_cache_clear()
        self._batch.reset()
        if self._verifier is not None:
            self._verifier.forget()
        if self.checkpoints is not None:
            self.checkpoints.cut(0)
        self.n_tokens, self._lent = 0, False
        self._adapters.forgotten()
        self._requires_eval = True
