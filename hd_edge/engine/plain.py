"""Generations of ``llama_cpp`` itself, for models that decode plainly."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from time import perf_counter

from hd_edge.errors import DecodeError
from hd_edge.stats import GenerationStats


def count_plain(
    generation: Generator[int, Sequence[int] | None, None],
    stats: GenerationStats,
    prompt_tokens: int,
    cancelled: Callable[[], bool],
) -> Generator[int, Sequence[int] | None, None]:
    """Passes on a generation of ``llama_cpp`` itself, counting its tokens; one forward each. Ends when cancelled."""
    stats.prompt_tokens = prompt_tokens
    sent = None
    while not cancelled():
        started = perf_counter()
        try:
            token = generation.send(sent)
        except StopIteration:
            return
        except DecodeError:
            if not cancelled():
                raise
            return
        seconds = perf_counter() - started
        if stats.tokens == 0:
            stats.prompt_seconds = seconds
        else:
            stats.seconds += seconds
            stats.forwards += 1
            stats.rows += 1
        stats.tokens += 1
        stats.last = token
        sent = yield token
