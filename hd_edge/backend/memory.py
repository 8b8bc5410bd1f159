"""Memory: what the memory of a context can take back, and what a draft may look like because of it.

A KV cache forgets any cell. A recurrent state (gated delta net, Mamba, short convolutions) is overwritten by every
token. For some architectures llama.cpp keeps snapshots after the last ``n_rs_seq`` tokens of a forward, from which a
rejected draft is taken back without copying. For the others a second sequence shares the state while a draft is
verified; a rejected draft goes back to it, and its accepted tokens are fed again. Branches would need a state each, so
such a draft is one chain. A small
cache of a sliding window never reuses cells of several branches: one chain there, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import llama_cpp
from llama_cpp import llama_cpp as lib

from hd_edge.backend.api import version_tuple
from hd_edge.config import MAX_LEAVES

if TYPE_CHECKING:
    from hd_edge.config import DraftConfig
    from hd_edge.model.gguf import GGUFHeader

# Architectures of which llama.cpp keeps snapshots (llm_arch_supports_rs_rollback), by the first tested release of
# llama-cpp-python that does; others get a second sequence.
ROLLBACK: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("qwen35", "qwen35moe", "nemotron_h", "nemotron_h_moe", "deepseek4"), (0, 3, 35)),
    **dict.fromkeys(("qwen4exp", "lfm2", "lfm2moe", "bailingmoe3", "kimi-k3", "glm5-next"), (0, 3, 36)),
}
SNAPSHOTS = 7  # of the recurrent state: drafts of so many tokens. Each costs memory and, drafted or not, a little time


@dataclass(frozen=True)
class Wanted:
    """What is asked of llama.cpp when a context is made.

    Attributes:
        sequences: ``n_seq_max``: branches of a draft, or the conversation and a copy of its state.
        snapshots: ``n_rs_seq``: tokens that a recurrent state can take back.
    """

    sequences: int
    snapshots: int

    @classmethod
    def of(cls, header: GGUFHeader, settings: dict[str, Any], config: DraftConfig) -> Wanted:
        """What a model file and the constructor's arguments, with ``n_batch``, leave room for."""
        rows = int(settings["n_batch"])
        if header.keeps_state:
            micro = min(rows, int(settings.get("n_ubatch", 512)))  # llama.cpp asserts n_ubatch > n_rs_seq + 1
            drafts = config.profile != "off" and not _is_llama_cpps(settings)
            most = min(SNAPSHOTS, config.max_rows - 1) if drafts else 0
            if most and not takes_back(header.architecture):
                return cls(min(2, rows), 0)
            return cls(1, max(min(most, micro - 2), 0))
        return cls(1 if header.windowed and settings.get("swa_full") is False else min(MAX_LEAVES, rows), 0)


def takes_back(architecture: str, version: str = llama_cpp.__version__) -> bool:
    """Whether llama.cpp itself takes back the recurrent state of an architecture.

    Args:
        architecture: ``general.architecture`` of the file.
        version: Of llama-cpp-python.
    """
    since = ROLLBACK.get(architecture)
    return since is not None and version_tuple(version) >= since


def _is_llama_cpps(settings: dict[str, Any]) -> bool:
    """Whether llama_cpp itself will generate: it does not know that a snapshot serves once, behind a forward."""
    vision = hasattr(settings.get("chat_handler"), "clip_model_path")
    return bool(vision or settings.get("embedding") or settings.get("draft_model") is not None)


def limits(llama: Any, config: DraftConfig) -> dict[str, Any]:
    """The limits of a loaded model's native ``Verifier``."""
    rows, params = min(config.max_rows, llama.n_batch), llama.context_params
    window = int(lib.llama_model_n_swa(llama.model))  # a full cache, too, may begin with a state that lacks cells
    if not keeps_state(llama):
        return {"max_rows": rows, "max_sequences": params.n_seq_max, "window": window}
    window = 0 if params.swa_full else window
    rollback = int(lib.llama_n_rs_seq(llama.ctx))
    copies = not rollback and params.n_seq_max > 1
    most = min(rows, SNAPSHOTS + 1 if copies else rollback + 1)
    return {"max_rows": most, "max_sequences": 1, "rollback": rollback, "window": window, "copies": copies}


def why_no_draft(llama: Any) -> str:
    """Why a loaded model that decodes here cannot be drafted for; empty if it can."""
    if keeps_state(llama) and not lib.llama_n_rs_seq(llama.ctx) and llama.context_params.n_seq_max < 2:
        return f"n_batch={llama.n_batch} leaves no room for a draft and a copy of the recurrent state"
    return ""


def keeps_state(llama: Any) -> bool:
    """Whether a loaded model has a recurrent state."""
    return bool(llama._is_recurrent or llama._is_hybrid)
