"""Does the KV cache of a context fit this machine's memory? llama.cpp writes all of it at load, whatever there is."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from llama_cpp import llama_cpp as lib

from hd_edge.backend.settings import BASE_INIT
from hd_edge.errors import ConfigError

from .gguf import TENSOR_TYPES, GGUFHeader

F16 = 1  # llama.cpp's own cache type
KEYS_AND_VALUES = re.compile(r"blk\.(\d+)\.attn_([kv])\.weight")
MEMINFO = Path("/proc/meminfo")
LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))  # of a container


def check_context(header: GGUFHeader, settings: dict[str, Any]) -> None:
    """Refuses a context whose KV cache cannot be in memory: the process would be killed, or the machine swap for hours.

    Args:
        header: The model.
        settings: The constructor's arguments, in range.

    Raises:
        ConfigError: What it needs, what there is, and the largest context that fits.
    """
    on_gpu = settings.get("n_gpu_layers", 0) and settings.get("offload_kqv", True) and lib.llama_supports_gpu_offload()
    if on_gpu or settings.get("vocab_only"):
        return
    cells = int(settings.get("n_ctx", BASE_INIT.parameters["n_ctx"].default))
    name = f"n_ctx={cells}"
    if not cells:
        cells = trained_context(header)
        name = f"n_ctx=0 (the model's {cells})"
    each, free = cell_bytes(header, settings), free_bytes()
    if free is not None and cells * each > free:
        msg = (
            f"{name}: the KV cache needs {_gib(cells * each)}, this machine has {_gib(free)} of free memory: "
            f"give n_ctx (-c) of at most {free // each}"
        )
        raise ConfigError(msg)


def trained_context(header: GGUFHeader) -> int:
    """Tokens of the context that the model was trained with; 0 if its file does not tell."""
    tokens = header.scalars.get(f"{header.architecture}.context_length", 0)
    return tokens if isinstance(tokens, int) else 0


def cell_bytes(header: GGUFHeader, settings: dict[str, Any]) -> int:
    """Bytes of one token in the KV cache; 0 for models whose cache does not grow with the context, or is unknown."""
    kind = header.architecture
    windowed = header.windowed and settings.get("swa_full") is False
    if windowed or header.scalars.get(f"{kind}.attention.causal") is False:
        return 0
    layers, shared = (header.scalars.get(f"{kind}.{name}", 0) for name in ("block_count", "attention.shared_kv_layers"))
    own = layers - shared if isinstance(layers, int) and isinstance(shared, int) else 0  # the last ones may share
    columns = {
        (int(found[1]), found[2]): shape[-1]
        for name, shape in header.dimensions.items()
        if (found := KEYS_AND_VALUES.fullmatch(name)) and int(found[1]) < own
    }
    for layer, of in [*columns]:  # where no matrix makes values, they are the keys, and kept as well
        columns.setdefault((layer, "v"), columns[layer, of])
    total = 0
    for (_, of), width in columns.items():
        number = settings.get(f"type_{of}")
        _, block, size = TENSOR_TYPES[F16 if number is None else int(number)]
        total += width // block * size
    return total


def free_bytes() -> int | None:
    """Memory to be had without taking it from other programs, with swap space; None if the system does not tell."""
    try:
        lines = dict(line.split(":", 1) for line in MEMINFO.read_text(encoding="ascii").splitlines())
        free = 1024 * sum(int(lines[name].split()[0]) for name in ("MemAvailable", "SwapFree"))
    except (OSError, KeyError, ValueError):
        try:
            free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")  # all there is
        except (AttributeError, OSError, ValueError):
            return None
    for path in LIMITS:
        with suppress(OSError, ValueError):  # no such limit, or "max"
            free = min(free, int(path.read_text(encoding="ascii")))
    return free if free > 0 else None


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
