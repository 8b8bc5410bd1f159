"""How a ``Llama`` comes to its prefix cache. Opening never fails: what cannot be had is logged and left out."""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llama_cpp import llama_cpp as lib

from hd_edge.backend.kv_state import KVState
from hd_edge.backend.memory import keeps_state
from hd_edge.backend.settings import why_plain
from hd_edge.config import user_path
from hd_edge.errors import ConfigError

from .base import PrefixBase
from .cache import PrefixCache
from .checkpoints import Checkpoints
from .disk import Disk
from .fingerprint import fingerprint
from .keeping import computed
from .memory import MemoryPieces
from .places import cache_folder, memory_budget
from .states import StateCache

if TYPE_CHECKING:
    from hd_edge.backend.kernels import Status
    from hd_edge.model.gguf import GGUFHeader

log = logging.getLogger("hd_edge")

AUTO, MEMORY = "auto", "memory"


def check_arguments(where: Any, budget: Any) -> None:
    """Refuses what is no place and no number of bytes.

    Raises:
        ConfigError: Names the argument, its value and what is expected.
    """
    path = os.fspath(where) if isinstance(where, (str, os.PathLike)) else b""
    if where is not None and (not isinstance(path, str) or not path or "\0" in path):
        msg = f"prefix_cache={where!r} is none of 'auto', a folder, 'memory' and None"
        raise ConfigError(msg)
    if budget is not None and (isinstance(budget, bool) or not isinstance(budget, int) or budget < 0):
        msg = f"prefix_cache_bytes={budget!r} is no number of bytes: give an integer of at least 0, or None"
        raise ConfigError(msg)


def why_no_state(llama: Any) -> str:
    """Why neither parts of this model's state nor whole ones can be saved and restored; empty if they can."""
    if reason := why_plain(llama):
        return reason
    if llama._logits_all:
        return "logits_all=True keeps logits of every token, which a restored prefix has not"
    if llama.checkpoints is not None:
        return ""
    if llama.context_params.flash_attn_type != lib.LLAMA_FLASH_ATTN_TYPE_ENABLED:
        return "flash attention is off, so V lies transposed in the KV cache"
    if llama.context_params.n_seq_max < 2:
        return "n_batch=1 leaves no scratch sequence"
    return ""


def open_checkpoints(llama: Any, where: Any) -> Checkpoints | None:
    """The checkpoints of a loaded model whose memory cannot go back to any token; None if it can, or nothing is kept.

    Args:
        llama: A loaded ``Llama``.
        where: ``prefix_cache`` of the constructor.
    """
    windowed = lib.llama_model_n_swa(llama.model) > 0 and not llama.context_params.swa_full
    if where is None or not (keeps_state(llama) or windowed):
        return None
    return Checkpoints(llama.ctx, memory_budget() // 2)


def open_cache(
    llama: Any,
    header: GGUFHeader,
    where: str | os.PathLike[str] | None,
    budget: int | None,
    *,
    exact: bool,
    kernels: Status,
) -> PrefixBase | None:
    """The prefix cache of a loaded model; None if there is to be none, or its state cannot be restored.

    Of whole states where the model has checkpoints, of pieces elsewhere.

    Args:
        llama: A loaded ``Llama``; its checkpoints are open.
        header: Of its file.
        where: ``"auto"``, a folder, ``"memory"``, or None.
        budget: Most bytes of the folder; None: the default; 0: in memory only.
        exact: Whether exact mode was asked for.
        kernels: Ours, as they were offered to this model.
    """
    if where is None:
        return None
    if reason := why_no_state(llama):
        log.info("the prefix cache is off: %s", reason)
        return None
    try:
        root = fingerprint(llama, header, exact=exact, kernels=kernels)
    except OSError as error:
        log.info("the prefix cache is off: the model's file cannot be read again (%s)", error)
        return None
    disk, whole = None, llama.checkpoints is not None
    if where != MEMORY and budget != 0:
        disk = Disk(cache_folder() if where == AUTO else user_path(where), root, budget, whole=whole)
    name = str(header.scalars.get("general.name") or Path(llama.model_path).stem)
    if whole:
        about = (root, name, MemoryPieces(memory_budget() // 2, whole=True), disk)
        return StateCache(llama.checkpoints, *about, turn=llama._life, live=_tokens_of(llama))
    state, memory = KVState(llama.ctx, llama.context_params.n_seq_max - 1), MemoryPieces(memory_budget())
    return PrefixCache(state, root, name, memory, disk, turn=llama._life, live=_tokens_of(llama))


def _tokens_of(llama: Any) -> Callable[[], Sequence[int] | None]:
    """The tokens whose state a model's KV cache holds, a copy; None once it is gone. It does not keep the model."""
    known = weakref.ref(llama)

    def live() -> Sequence[int] | None:
        model = known()
        return None if model is None else computed(model, model.input_ids[: model.n_tokens]).copy()

    return live
