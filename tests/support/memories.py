"""Models whose memory cannot go back to any token: a state that is overwritten, a window whose cells are reused."""

from __future__ import annotations

import numpy as np
from one_model import ONE

STATES = ["qwen35-tiny", "qwen35moe-tiny", "lfm2-tiny", "mamba2-tiny", "granite-hybrid-tiny"]
SLIDING = ["gemma3-tiny", "gemma4-tiny", "gemma4moe-tiny", "gpt-oss-tiny"]


def settings_of(path, **more):
    """One thread; where the model has a window, it is smaller than the context."""
    windowed = {"swa_full": False, "n_ubatch": 32} if path.name.startswith(tuple(SLIDING)) else {}
    return {**ONE, "n_ctx": 1024, "n_batch": 128, **windowed, **more}


def words(seed, n):
    """Ordinary tokens of these models."""
    return np.random.default_rng(seed).integers(259, 1000, n).tolist()
