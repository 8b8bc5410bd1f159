"""The constructor's arguments: which there are, and what is refused before llama.cpp sees it."""

from __future__ import annotations

import ctypes
import inspect
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import llama_cpp
from jinja2 import TemplateError  # a dependency of llama_cpp

from hd_edge.errors import ConfigError, HDEdgeError, ModelFileError

from .exact import is_causal
from .kernels import Status
from .positions import within
from .ranges import check_ranges

if TYPE_CHECKING:
    from hd_edge.model.gguf import GGUFHeader

BASE_INIT = inspect.signature(llama_cpp.Llama.__init__)
BASE_GENERATE = inspect.signature(llama_cpp.Llama.generate)


def check_settings(flags: dict[str, object], settings: dict[str, Any]) -> None:
    """Refuses unknown names, and values that llama.cpp would abort at or misread.

    Raises:
        ConfigError: Names the argument, its value and what is expected.
    """
    known = [name for name in BASE_INIT.parameters if name not in ("self", "model_path", "kwargs")]
    for name in settings:
        if name not in known:
            ours = "draft, store, statistics, learn, exact, verbose"
            msg = f"Llama() got an unknown argument {name!r}; beside {ours} it takes {', '.join(known)}"
            raise ConfigError(msg)
    for name, value in flags.items():
        if not isinstance(value, bool):
            msg = f"{name}={value!r} is of type {type(value).__name__}, expected bool"
            raise ConfigError(msg)
    check_ranges(settings)


@contextmanager
def told(model_path: str, settings: dict[str, Any]) -> Iterator[None]:
    """What llama_cpp raises while it loads, in words.

    Raises:
        ConfigError: There is not enough memory.
        ModelFileError: llama.cpp cannot load the file.
    """
    try:
        yield
    except MemoryError as error:
        msg = f"n_batch={settings['n_batch']} needs more memory than there is: {error}; give a smaller one"
        raise ConfigError(msg) from error
    except (ValueError, TemplateError, RecursionError) as error:  # a chat template is read, too
        if isinstance(error, HDEdgeError):
            raise
        msg = f"llama.cpp cannot load {model_path}: {error}; verbose=True shows its log"
        raise ModelFileError(msg) from error


def batch_rows(header: GGUFHeader, settings: dict[str, Any]) -> int:
    """``n_batch`` as llama_cpp will set it: never above ``n_ctx``.

    A text to embed is one batch; behind the last learned position llama.cpp would end the process.
    """
    n_batch = int(settings.get("n_batch", BASE_INIT.parameters["n_batch"].default))
    n_ctx = int(settings.get("n_ctx", BASE_INIT.parameters["n_ctx"].default))
    if settings.get("embedding"):
        n_batch = within(header, n_batch)
    return min(n_batch, n_ctx) if n_ctx else n_batch


def cost_settings(header: GGUFHeader, settings: dict[str, Any], exact: bool, kernels: Status) -> str:
    """What the cost of a forward depends on, as a key of the stored cost curves.

    Args:
        header: The model.
        settings: The constructor's arguments.
        exact: Whether the mode is exact.
        kernels: What was offered to the model when it was loaded.
    """
    kinds = "+".join(sorted(header.matrix_types))
    names = ("n_threads", "n_gpu_layers", "type_k", "type_v", "flash_attn", "offload_kqv")
    chosen = ",".join(f"{name}={settings.get(name)}" for name in names)
    rows = kernels.isa + ("+attention" if kernels.attention else "") if kernels.active else "llama.cpp"
    return f"{platform.machine()},cores={os.cpu_count()},{kinds},{chosen},exact={exact},kernels={rows}"


def address(pointer: Any) -> int:
    """A ctypes pointer or an integer handle of llama_cpp as an integer."""
    return int(ctypes.cast(pointer, ctypes.c_void_p).value or 0)


def why_plain(llama: Any) -> str:
    """Why this model decodes plainly; empty if it need not."""
    if llama.context_params.embeddings:
        return "embedding mode"
    if llama._ctx.memory is None:
        return "the model has no KV cache"
    if hasattr(llama.chat_handler, "clip_model_path"):
        return "vision model"
    if not is_causal(llama._header, {"attention_type": llama.context_params.attention_type}):
        return "attention is not causal, a draft would change the tokens before it"
    if llama.draft_model is not None:
        return "a draft_model of llama_cpp is set"
    return ""
