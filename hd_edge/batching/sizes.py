"""Sizes of an ``Engine``: how many conversations, cells and rows, checked before a model is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hd_edge.backend.ranges import DEFAULTS, check_ranges, expect
from hd_edge.errors import ConfigError

from .piece_budget import LEAST_PIECE

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_SEQUENCES = 256  # LLAMA_MAX_SEQ
BESIDE = 2  # sequences that are nobody's: what was thrown away, and what is on its way
LEAVES = 4  # of a conversation's draft tree
KEPT = 2  # conversations in the cache for each that is answered: the others may be gone on with
MOST_PARALLEL = (MOST_SEQUENCES - BESIDE) // LEAVES
SLACK = 8  # a part of the cells is for rejected drafts, until they are cleared away
STEP = 256  # llama.cpp rounds the size of a context to it
MOST = 2**31 - 1


@dataclass(frozen=True)
class Sizes:
    """What an engine's arguments come to.

    Attributes:
        window: Tokens of each conversation.
        cells: Tokens of all conversations together.
        slots: Conversations in the cache.
        context: Cells of the context, with those for rejected drafts.
    """

    window: int
    cells: int
    slots: int
    context: int

    @classmethod
    def of(
        cls,
        trained: Callable[[], int],
        parallel: int,
        n_ctx: int,
        n_cells: int | None,
        queue: int,
        settings: dict[str, Any],
    ) -> Sizes:
        """Of the arguments as ``Engine`` takes them; ``trained`` is asked for the model's own window if ``n_ctx`` is 0.

        Raises:
            ConfigError: One is out of range, or too small for so many conversations.
        """
        _check("parallel", parallel, 1, MOST_PARALLEL)
        _check("n_ctx", n_ctx, 0, MOST)
        n_ctx = n_ctx or trained()
        _check("queue", queue, 0, MOST)
        if n_cells is None and parallel * n_ctx > MOST:
            msg = f"parallel={parallel} conversations of n_ctx={n_ctx} tokens need {parallel * n_ctx} cells, a context "
            raise ConfigError(msg + f"has at most {MOST}: ask for less of one, or say n_cells")
        _check("n_cells", n_ctx if n_cells is None else n_cells, n_ctx, MOST)
        for name in ("drafter", "logits_all", "draft_model"):
            if settings.get(name):
                msg = f"{name}={settings[name]!r} is for one conversation at a time: an Engine cannot take it"
                raise ConfigError(msg)
        cells = parallel * _whole(n_ctx) if n_cells is None else _whole(n_cells)
        slots = min(KEPT * parallel, MOST_PARALLEL)
        rows = {name: settings.get(name, DEFAULTS[name].default) for name in ("n_batch", "n_ubatch")}
        check_ranges(rows)
        batch = min(rows.values())
        needed = max(slots * LEAVES + BESIDE, parallel + LEAST_PIECE)  # llama.cpp asserts a row for each sequence
        if batch < needed:
            msg = f"forwards over {batch} rows (n_batch, n_ubatch) are too small for parallel={parallel}: at least "
            raise ConfigError(msg + f"{needed} are needed")
        context = _whole(cells + max(cells // SLACK, 2 * batch))
        if context > MOST:
            msg = f"{cells} cells for conversations and {context - cells} for rejected drafts are more than the {MOST} "
            raise ConfigError(msg + "of a context: ask for a smaller n_ctx or n_cells")
        return cls(_whole(n_ctx), cells, slots, context)


def _whole(cells: int) -> int:
    return -(-cells // STEP) * STEP


def _check(name: str, value: Any, least: int, most: int) -> None:
    expect(name, value, type(value) is int and least <= value <= most, f"an integer from {least} to {most}")
