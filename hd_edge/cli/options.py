"""Options that several verbs share, with llama.cpp's flag names."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from .interrupt import ends_at_ctrl_c
from .values import CONTEXT, COUNT, LAYERS, POSITIVE, SEED, THREADS, Finite, Name, Predict

if TYPE_CHECKING:
    from hd_edge import Engine, Llama

WHICH = "GGUF file, name of `hd-edge models`, or 'demo' (extra demo)"
MODEL = click.option("-m", "--model", type=Name(), required=True, help=f"{WHICH}.")
ASKED_MODEL = click.option("-m", "--model", type=Name(), help=f"{WHICH}; default: choose among those found.")
DRAFTER = click.option("--drafter", metavar="MODEL", help="Small GGUF that drafts too, or 'demo' (extra drafter).")


def _all_of(*options: Callable[..., Any]) -> Callable[..., Any]:
    """One decorator that adds these options."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return add


loading_options = _all_of(
    click.option("-c", "--ctx-size", type=CONTEXT, default=4096, show_default=True, help="0: the model's."),
    click.option("-b", "--batch-size", type=POSITIVE, default=512, show_default=True),
    click.option("-t", "--threads", type=THREADS, help="Threads; default: physical cores."),
    click.option("-ngl", "--gpu-layers", type=LAYERS, default=0, show_default=True, help="Layers on the GPU; -1: all."),
    click.option("--rpc", metavar="HOST:PORT,...", help="Machines with an rpc-server that compute layers, too."),
    click.option("--exact", is_flag=True, help="CPU: drafted text is bit for bit plain text."),
    DRAFTER,
    click.option("--no-draft", is_flag=True, help="Decode plainly."),
    click.option("--no-prefix-cache", is_flag=True, help="Keep no state of prompts, in memory or on disk."),
)
sampling_options = _all_of(
    click.option("-n", "--predict", type=Predict(), default=-1, show_default=True, help="Most tokens; -1: until done."),
    click.option("--temp", type=Finite(0, 1000), default=0.8, show_default=True, help="0: greedy."),
    click.option("--top-k", type=COUNT, default=40, show_default=True),
    click.option("--top-p", type=Finite(0, 1), default=0.95, show_default=True),
    click.option("--min-p", type=Finite(0, 1), default=0.05, show_default=True),
    click.option("--repeat-penalty", type=Finite(0, 1000, min_open=True), default=1.0, show_default=True),
    click.option("-s", "--seed", type=SEED, help="Random seed; default: a random one."),
)
model_options = _all_of(MODEL, loading_options)


def model_path(name: str) -> str:
    """The file that ``-m`` names: 'demo', a file, or a name of ``hd-edge models list``.

    Raises:
        ModelFileError: There is nothing of that name.
    """
    from hd_edge.model.find import resolve

    return _there(name, resolve(name))


def drafter_path(name: str | None) -> str | None:
    """The file that ``--drafter`` names, in the same way; None where none is wanted.

    Raises:
        ModelFileError: There is nothing of that name.
    """
    from hd_edge.model.find import resolve_drafter

    return _there(name, resolve_drafter(name)) if name else None


def _there(name: str, path: str) -> str:
    from hd_edge.errors import ModelFileError
    from hd_edge.model.find import HUB

    if os.path.lexists(path):
        return path
    fetch = f"; `hd-edge models add {name}` downloads it" if name.startswith(HUB) else ""
    given = "give the path of a .gguf file, 'demo', or a name that `hd-edge models list` tells"
    msg = f"model file {name} does not exist: {given}{fetch}"
    raise ModelFileError(msg)


def load_llama(options: dict[str, Any], **more: Any) -> Llama:
    """Takes the model options out of a verb's keyword arguments and loads the model."""
    from hd_edge import Llama

    path, settings = llama_settings(options)
    with ends_at_ctrl_c():
        return Llama(path, **settings, **more)


def load_engine(options: dict[str, Any], parallel: int) -> Engine:
    """The same for several conversations at a time."""
    from hd_edge import Engine

    path, settings = llama_settings(options)
    if settings.pop("drafter", None):
        msg = f"--drafter drafts for one conversation at a time, --parallel {parallel} asks for more: give one of them"
        raise click.UsageError(msg)
    with ends_at_ctrl_c():
        return Engine(path, parallel=parallel, **settings)


def llama_settings(options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Takes the model options out: the file, and the constructor's arguments."""
    settings: dict[str, Any] = {
        "n_ctx": options.pop("ctx_size"),
        "n_batch": options.pop("batch_size"),
        "n_gpu_layers": options.pop("gpu_layers"),
        "exact": options.pop("exact"),
        "draft": "off" if options.pop("no_draft") else "auto",
        "prefix_cache": None if options.pop("no_prefix_cache") else "auto",
    }
    if servers := options.pop("rpc"):
        settings["rpc_servers"] = servers.split(",")
        settings["n_gpu_layers"] = settings["n_gpu_layers"] or -1
    if drafter := options.pop("drafter"):
        if settings["draft"] == "off":
            msg = "--no-draft decodes plainly, --drafter asks for drafts: give one of them"
            raise click.UsageError(msg)
        settings["drafter"] = drafter_path(drafter)
    if threads := options.pop("threads"):
        settings.update(n_threads=threads, n_threads_batch=threads)
    return model_path(options.pop("model")), settings


def sampling(options: dict[str, Any]) -> dict[str, Any]:
    """Takes the sampling options out, under the names of ``create_completion``."""
    seed = options.pop("seed")
    return {
        "max_tokens": options.pop("predict"),
        "temperature": options.pop("temp"),
        "top_k": options.pop("top_k"),
        "top_p": options.pop("top_p"),
        "min_p": options.pop("min_p"),
        "repeat_penalty": options.pop("repeat_penalty"),
        "seed": None if seed == -1 else seed,
    }
