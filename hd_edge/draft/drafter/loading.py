"""Loading a drafter beside its target, and refusing what cannot draft before that takes time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from hd_edge.errors import ConfigError, ModelFileError
from hd_edge.model.find import resolve_drafter
from hd_edge.model.gguf import GGUFHeader, read_header
from hd_edge.model.parts import model_bytes

from .reader import Reader
from .spelling import Spelling
from .tier import DrafterTier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from hd_edge.config import DraftConfig

MOST_CONTEXT = 2048  # tokens of the drafter's window; when it is full, the last half is read again
PAYS = 0.15  # of the target's bytes: a drafter with more takes longer than its words save
OVERHEAD = 1.5  # a small model takes longer than its share of bytes: its forwards are many and short
EMBEDDING = ("bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "jina-bert-v3", "modern-bert", "t5encoder")


class LoadedDrafter:
    """A drafter and its context.

    Args:
        target: The loaded target.
        llama: The loaded drafter.
        owned: Whether it is closed with the target; one that the user loaded is not.

    Attributes:
        tier: What the target's planner asks.
        llama: The drafter.
    """

    def __init__(self, target: Any, llama: Any, *, owned: bool) -> None:
        self.llama, self._owned = llama, owned
        if llama.plain_reason:
            self.close()
            msg = f"drafter {llama.model_path} cannot draft: {llama.plain_reason}; name a small causal model"
            raise ConfigError(msg)
        share = OVERHEAD * model_bytes(llama.model_path) / max(model_bytes(target.model_path), 1)
        reader = Reader(llama, longest=llama.n_ctx() // 2, cancelled=lambda: bool(target._life.cancelled))
        self.tier = DrafterTier(reader, Spelling(llama.model), Spelling(target.model), share=share)

    def close(self) -> None:
        """Closes what belongs to the target."""
        if self._owned:
            self.llama.close()


def check_drafter(drafter: Any, config: DraftConfig, model_path: str) -> Any:
    """What ``Llama(drafter=...)`` means: a file, a loaded ``Llama``, or None.

    Args:
        drafter: ``"demo"``, a file, a name of ``hd-edge models``, a loaded ``hd_edge.Llama``, or None.
        config: How the target drafts.
        model_path: The target's file.

    Returns:
        The drafter's file as a string, the ``Llama``, or None: no drafter may draft.

    Raises:
        ConfigError: It is none of these, embeds, keeps a state that cannot be rolled back, or is larger than the
            target, or the target does not draft by itself.
        ModelFileError: The file is missing, truncated or no GGUF.
    """
    if drafter is None or "drafter" not in config.tiers:
        return None
    if config.profile != "auto":
        msg = f"drafter={_name(drafter)!r} needs draft='auto', got draft={config.profile!r}: leave one of them out"
        raise ConfigError(msg)
    if not isinstance(drafter, (str, os.PathLike)):
        if isinstance(drafter, type) or not hasattr(drafter, "plain_reason"):
            kind = type(drafter).__name__
            msg = f"drafter is of type {kind}, expected a GGUF file, 'demo', or a loaded hd_edge.Llama"
            raise ConfigError(msg)
        path = str(drafter.model_path)
    else:
        path = drafter = resolve_drafter(os.fspath(drafter)) if isinstance(drafter, str) else os.fspath(drafter)
    check_header(read_header(path), path)
    small, large = model_bytes(path), model_bytes(model_path)
    if small > large:
        msg = (
            f"drafter {path} has {small / 1e6:.0f} MB, the model it drafts for {large / 1e6:.0f} MB: a drafter must be "
            "smaller, at best by 20 times"
        )
        raise ConfigError(msg)
    return drafter


def check_header(header: GGUFHeader, path: str) -> None:
    """Refuses files whose header says that they cannot draft.

    Raises:
        ConfigError: Says why.
    """
    reason = ""
    if header.architecture in EMBEDDING or not header.causal:
        reason = f"{header.architecture!r} embeds, it does not generate"
    elif header.architecture == "clip":
        reason = "it is the vision part of another model"
    elif header.keeps_state:
        reason = "recurrent and hybrid models cannot roll back"
    if reason:
        msg = f"drafter {path} cannot draft: {reason}; name a small causal model"
        raise ConfigError(msg)


def suitable(model_path: str, candidates: Mapping[str, Path]) -> list[str]:
    """Which of these models may draft for another one and pay, the smallest first, with their share of its bytes.

    Args:
        model_path: The target's file.
        candidates: Files by their names.
    """
    fit = []
    for name, path in candidates.items():
        share = model_bytes(path) / max(model_bytes(model_path), 1)
        if not 0 < share <= PAYS:
            continue
        try:
            check_header(read_header(path), name)
        except (ConfigError, ModelFileError):
            continue
        fit.append((share, name))
    return [f"{name} ({share:.1%} of the model's bytes)" for share, name in sorted(fit)]


def load_drafter(target: Any, drafter: Any, load: Callable[..., Any]) -> LoadedDrafter:
    """The drafter beside its loaded target.

    Args:
        target: The loaded target, whose threads and layers on the GPU it takes.
        drafter: What ``check_drafter`` returned.
        load: ``hd_edge.Llama``.

    Raises:
        ConfigError: It cannot draft.
        ModelFileError: llama.cpp cannot load it.
    """
    if not isinstance(drafter, (str, os.PathLike)):
        return LoadedDrafter(target, drafter, owned=False)
    header = read_header(os.fspath(drafter))
    trained = header.scalars.get(f"{header.architecture}.context_length")
    most = trained if isinstance(trained, int) and trained > 0 else MOST_CONTEXT
    llama = load(
        os.fspath(drafter),
        draft="off",
        store=None,
        statistics=None,
        prefix_cache=None,
        n_ctx=min(MOST_CONTEXT, most, max(target.n_ctx(), 256)),
        n_threads=target.n_threads,
        n_threads_batch=target.n_threads_batch,
        n_gpu_layers=target.model_params.n_gpu_layers,
    )
    return LoadedDrafter(target, llama, owned=True)


def _name(drafter: Any) -> str:
    return os.fspath(drafter) if isinstance(drafter, (str, os.PathLike)) else type(drafter).__name__
