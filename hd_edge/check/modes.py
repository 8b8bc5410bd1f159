"""Runs the comparison of ``check.py`` in exact and in default mode, each in a process of its own.

llama.cpp decides once per process whether it uses its tiled matrix product, which exact mode turns off; so the two
modes cannot share a process.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from multiprocessing.connection import Connection
from typing import Any

from hd_edge.backend.signals import held_signals
from hd_edge.errors import ExactModeError, HDEdgeError


@dataclass(frozen=True)
class CheckSettings:
    """What is compared.

    Attributes:
        model: Path of the GGUF file.
        n_ctx: Size of the context window.
        n_threads: Threads; None: physical cores.
        n_gpu_layers: Layers on the GPU.
        n_batch: Tokens of one prefill batch.
        tokens: Most tokens per answer.
        temperature: Of the sampled runs.
        seeds: Of the sampled runs; prompt i takes seed i modulo their number.
        context_tokens: At least so many tokens of other text before every prompt, in the same turn.
        store: A model tier to draft from as well; it is only read.
        statistics: A statistics tier to draft from as well.
        drafter: A small GGUF to draft with as well.
    """

    model: str
    n_ctx: int = 4096
    n_threads: int | None = None
    n_gpu_layers: int = 0
    n_batch: int = 512
    tokens: int = 128
    temperature: float = 0.8
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    context_tokens: int = 0
    store: str | None = None
    statistics: str | None = None
    drafter: str | None = None


def run_mode(settings: CheckSettings, exact: bool, prompts: list[str], on_prompt: Callable[[], None]) -> dict[str, Any]:
    """Compares all prompts in one mode.

    Args:
        settings: What is compared.
        exact: Which mode.
        prompts: Texts.
        on_prompt: Called after every compared answer, ``answers(settings, prompts)`` times.

    Returns:
        ``Outcome.to_dict()`` and under ``exact`` whether the mode promises identical answers, as default mode does
        where kernels of ours compute all that depends on rows; or ``{"unavailable": reason}`` where exact mode is.

    Raises:
        HDEdgeError: The model cannot be loaded or a prompt does not fit.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(sender, settings, exact, prompts), daemon=True)
    try:
        with held_signals():  # one that ended this process halfway would leave the child without its task
            child.start()
        sender.close()
        while True:
            kind, value = receiver.recv()
            if kind == "prompt":
                on_prompt()
            elif kind == "error":
                raise value
            else:
                return value  # type: ignore[no-any-return]
    except EOFError:
        child.join()
        msg = f"the process that checked {settings.model} ended with exit code {child.exitcode}, 0 is expected"
        raise HDEdgeError(msg) from None
    finally:
        receiver.close()
        if child.pid is not None:
            child.terminate()
            child.join()


def answers(settings: CheckSettings, prompts: list[str]) -> int:
    """How many answers one mode compares."""
    return len(prompts) * (2 if settings.seeds else 1)


def _child(sender: Connection, settings: CheckSettings, exact: bool, prompts: list[str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent takes Ctrl-C and ends this process
    try:
        result = _compare(settings, exact, prompts, lambda: sender.send(("prompt", None)))
    except ExactModeError as error:
        result = {"unavailable": str(error)}
    except HDEdgeError as error:
        sender.send(("error", error))
        return
    except BrokenPipeError:  # the parent is gone: nobody waits for the rest
        return
    sender.send(("result", result))
    sys.stdout.flush()


def _compare(settings: CheckSettings, exact: bool, prompts: list[str], on_prompt: Callable[[], None]) -> dict[str, Any]:
    from hd_edge import Llama
    from hd_edge.errors import ConfigError, ContextFullError

    from .check import Comparison, other_text, prompt_tokens

    llm = Llama(
        settings.model,
        store=settings.store,
        statistics=settings.statistics,
        drafter=settings.drafter,
        learn=False,
        prefix_cache=None,
        exact=exact,
        n_ctx=settings.n_ctx,
        n_batch=settings.n_batch,
        n_threads=settings.n_threads,
        n_threads_batch=settings.n_threads,
        n_gpu_layers=settings.n_gpu_layers,
    )
    try:
        if llm.plain_reason:
            msg = f"{settings.model} decodes plainly, there is nothing to compare: {llm.plain_reason}"
            raise ConfigError(msg)
        if (needed := settings.context_tokens + settings.tokens) > llm.n_ctx():
            msg = f"context and answer need {needed} tokens at least, n_ctx is {llm.n_ctx()}: raise n_ctx"
            raise ContextFullError(msg)
        other = other_text(llm, prompts, settings.context_tokens)
        texts = [prompt_tokens(llm, other + prompt) for prompt in prompts]
        same = takewhile(lambda column: len(set(column)) == 1, zip(*texts, strict=False))
        before = [column[0] for column in same] if other else []
        longest = max(len(text) for text in texts) + settings.tokens
        if longest > llm.n_ctx():
            msg = f"context, longest prompt and answer need {longest} tokens, n_ctx is {llm.n_ctx()}: raise n_ctx"
            raise ContextFullError(msg)
        comparison = Comparison(llm, settings.tokens, settings.temperature, before)
        for _ in comparison.run([text[len(before) :] for text in texts], settings.seeds):
            on_prompt()
        return comparison.outcome.to_dict() | {"exact": llm.exact}
    finally:
        llm.close()
