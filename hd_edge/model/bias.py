"""``logit_bias``: checked, and put behind the caller's own logits processors, which ``llama_cpp`` would lose."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from llama_cpp import LogitsProcessorList
from numpy.typing import NDArray

from hd_edge.errors import ConfigError


def merge_bias(settings: dict[str, Any], n_vocab: int) -> None:
    """Turns ``logit_bias`` among the settings of a completion into one more of its ``logits_processor``.

    Raises:
        ConfigError: A key is no token id of the vocabulary, or a value no number.
    """
    bias = settings.pop("logit_bias", None)
    if bias is None or (isinstance(bias, Mapping) and not bias):
        return
    ids, values = _arrays(bias, n_vocab)

    def processor(_: Any, scores: NDArray[np.single]) -> NDArray[np.single]:
        biased = np.copy(scores)
        biased[ids] += values
        return biased

    settings["logits_processor"] = LogitsProcessorList([*processor_list(settings.get("logits_processor")), processor])


def _arrays(bias: Any, n_vocab: int) -> tuple[NDArray[np.intp], NDArray[np.single]]:
    try:
        pairs = {int(token): float(value) for token, value in bias.items()} if isinstance(bias, Mapping) else None
    except (TypeError, ValueError):
        pairs = None
    if pairs is None or any(math.isnan(value) for value in pairs.values()):
        msg = f"logit_bias={str(bias)[:60]} is not a mapping of token ids to numbers"
        raise ConfigError(msg)
    wrong = next((token for token in pairs if not 0 <= token < n_vocab), None)
    if wrong is not None:
        msg = f"logit_bias has token id {wrong}, the vocabulary {n_vocab}: tokenize with this model"
        raise ConfigError(msg)
    values = np.clip(list(pairs.values()), np.finfo(np.single).min, np.finfo(np.single).max)
    return np.array(list(pairs), dtype=np.intp), values.astype(np.single)


def processor_list(given: Any) -> list[Any]:
    """``logits_processor`` as a list; a single one may stand for itself.

    Raises:
        ConfigError: It is neither.
    """
    listed = [given] if callable(given) and not isinstance(given, list) else [] if given is None else given
    if not isinstance(listed, (list, tuple)) or not all(map(callable, listed)):
        msg = f"logits_processor={given!r} is no function and no list of functions (input_ids, scores) -> scores"
        raise ConfigError(msg)
    return list(listed)
