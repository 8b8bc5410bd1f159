#!/usr/bin/env python3
"""Writes the page of models from what loading one of each shows: model_table.py > docs/models.md

Each is a small random model of that architecture (scripts/benchmarks/make_random_gguf.py); what is told depends on its
architecture and types, not on its size.
"""

from __future__ import annotations

import re
import sys
import tempfile
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import make_random_gguf

from hd_edge import Llama
from hd_edge.backend import exact, kernels

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = """# Which models are drafted for, and how

Written by `scripts/tools/model_table.py`, which loads a small random model of each kind on the CPU, with default
settings. A **tree** may have several branches; a **chain** has one, because the memory of the model takes back one
only. **Exact**: drafted text is plain text by default, bit for bit (`llm.exact`). **Own kernels**: which matrices
hd_edge multiplies with. **Second turn**: a conversation whose last tokens the chat template rewrites, 300 tokens
long: how many are not computed again.

| architecture | models | weights | drafts | exact | own kernels | second turn |
|---|---|---|---|---|---|---|
"""
FOOT = """
- **Hybrid models** (Qwen3.5, LFM2, Nemotron-H: a recurrent state beside attention) take a rejected draft back by
  llama.cpp's snapshots of the state, up to 7 tokens. They need the memory of seven more states (52 MB each for
  Qwen3.5-4B); `DraftConfig(max_rows=4)` halves that, `draft="off"` needs none.
- **Other recurrent models** (Mamba, RWKV, Granite hybrids, Falcon-H1) take it back by a copy: a second sequence
  shares the state while a draft is verified. Accepted tokens of a draft that was rejected in part are fed again,
  which costs rows; the planner counts them, so less is drafted.
- **Sliding windows** (Gemma, gpt-oss): llama.cpp's default is a cache of full size, which takes trees.
  `swa_full=False` saves its memory, and takes one chain. Behind `load_state()`, and llama_cpp's own caches of states
  (`set_cache`), answers with a cache of full size are those of a fresh context, bit for bit where `llm.exact` is true
  and hd_edge made the state; `llama_cpp.Llama` itself writes over cells of the state. One that fills the context to its
  last token, and any with `n_batch` below 3, is computed again.
- **Checkpoints**: where a memory cannot go back to any token, states of the conversation are kept as it grows, at
  most half of the prefix cache's memory (a sixteenth of the machine's, 64 MiB to 2 GiB), `prefix_cache=None` for none.
  Whole states of other conversations, and of earlier processes, come from the [prefix cache](prefix-cache.md).
- Embedding and vision models, `draft_model` of llama_cpp and attention that is not causal decode plainly.
"""
NO_PRODUCT = re.compile(r"token_embd|ssm_(conv1d|a|d|norm)\b|shortconv\.conv\b|\.bias$")  # looked up, added, convolved


@dataclass(frozen=True)
class Kind:
    """What is loaded.

    Attributes:
        shape: Of make_random_gguf.
        types: Its types of weights.
        models: Known ones, for people.
        settings: Beside the defaults.
    """

    shape: str
    types: tuple[str, ...]
    models: str
    settings: tuple[tuple[str, Any], ...] = ()


SMALL_WINDOW = (("swa_full", False), ("n_ubatch", 32))
KINDS = (
    Kind("tiny", ("Q4_0", "Q4_K_M", "F16"), "Llama, Mistral"),
    Kind("qwen35-tiny", ("Q4_0", "Q4_K_M", "Q8_0"), "Qwen3.5, Qwen3.6"),
    Kind("qwen35moe-tiny", ("Q4_K_M",), "Qwen3.5 and 3.6 with experts"),
    Kind("qwen3moe-tiny", ("Q4_0", "Q4_K_M", "Q3_K", "Q2_K"), "Qwen3-30B-A3B"),
    Kind("gemma3-tiny", ("Q4_0",), "Gemma 3"),
    Kind("gemma3-tiny", ("Q4_0",), "Gemma 3", SMALL_WINDOW),
    Kind("gemma4-tiny", ("Q4_0", "Q4_K_M"), "Gemma 4 E2B, E4B, 31B"),
    Kind("gemma4-tiny", ("Q4_0",), "Gemma 4 E2B, E4B, 31B", SMALL_WINDOW),
    Kind("gemma4moe-tiny", ("Q4_0", "Q4_K_M"), "Gemma 4 26B-A4B"),
    Kind("gpt-oss-tiny", ("MXFP4",), "gpt-oss"),
    Kind("gpt-oss-tiny", ("MXFP4",), "gpt-oss", SMALL_WINDOW),
    Kind("lfm2-tiny", ("Q4_0",), "LFM2"),
    Kind("granite-hybrid-tiny", ("Q4_0",), "Granite 4 hybrids"),
    Kind("mamba2-tiny", ("Q4_0",), "Mamba 2"),
)


def line(kind: Kind, types: str, folder: Path) -> tuple[str, ...]:
    """The columns of one model."""
    path = folder / f"{kind.shape}-{types}.gguf"
    make_random_gguf.write(path, make_random_gguf.SHAPES[kind.shape], types)
    settings = dict(kind.settings)
    llm = Llama(str(path), n_ctx=512, n_threads=1, store=None, statistics=None, prefix_cache="memory", **settings)
    try:
        told = f", `swa_full={settings['swa_full']}`" if settings else ""
        return (
            f"`{llm._header.architecture}`{told}",
            kind.models,
            types,
            drafts(llm),
            "yes" if llm.exact else "no",
            own_kernels(llm),
            second_turn(llm),
        )
    finally:
        llm.close()


def drafts(llm: Any) -> str:
    """What a draft may look like."""
    if llm.plain_reason:
        return f"none: {llm.plain_reason}"
    verifier = llm.verifier
    if verifier.max_leaves > 1:
        return f"tree, {verifier.max_leaves} branches"
    return f"chain, {verifier.max_rows - 1} tokens{', by a copy' if verifier.copies else ''}"


def own_kernels(llm: Any) -> str:
    """Which matrices are multiplied by kernels of ours."""
    header, types = llm._header, kernels.status().types
    left: dict[str, str] = {}
    for name, shape in header.dimensions.items():
        kind = header.tensor_types[name]
        if len(shape) < 2 or NO_PRODUCT.search(name):
            continue
        experts_of_floats = kind in exact.FLOATS and len(shape) == 3
        if experts_of_floats or not exact.independent(name, header, types):
            left.setdefault(re.sub(r"blk\.\d+\.|\.weight", "", name), kind)
    if not left:
        return "all"
    return "all but " + ", ".join(f"{name} ({kind})" for name, kind in left.items())


def second_turn(llm: Any) -> str:
    """How many tokens of a rewritten conversation are not computed again."""
    first = [1, *(259 + 7 * i % 700 for i in range(299))]
    for tokens in (first, [*first[:-4], *first[40:80]]):
        generation = llm.generate(tokens, temp=0.0)
        list(islice(generation, 10))
        generation.close()
    return f"{llm.stats.cached_tokens} of 296"


def lines() -> Iterator[tuple[str, ...]]:
    """All of the table."""
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            for types in kind.types:
                yield line(kind, types, Path(folder))


if __name__ == "__main__":
    print(HEAD + "".join(f"| {' | '.join(columns)} |\n" for columns in lines()) + FOOT, end="")
