"""Fingerprint: everything that the KV state of a token depends on beside the tokens.

Reading gigabytes of weights at every start would cost more than the store saves. So the fingerprint has the file's
size, its time of change, its header, and 256 pages from all over it. A copy with another time is another model: that
costs time, and no answer.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import llama_cpp

from hd_edge.backend.kernels import Status
from hd_edge.model.gguf import GGUFHeader

FORMAT = "1"  # of the state; another one is another model
HEAD, SAMPLE, SAMPLES = 64 << 10, 4096, 256  # bytes at the beginning, bytes of a sample, samples
CHOICES = (  # context parameters that K, V or the bits of either depend on
    *("n_batch", "n_ubatch", "flash_attn_type", "type_k", "type_v", "offload_kqv", "op_offload", "swa_full"),
    *("rope_scaling_type", "rope_freq_base", "rope_freq_scale", "attention_type"),
    *("yarn_ext_factor", "yarn_attn_factor", "yarn_beta_fast", "yarn_beta_slow", "yarn_orig_ctx"),
)
ARGUMENTS = ("n_gpu_layers", "split_mode", "main_gpu", "kv_overrides", "lora_scale", "lora_base")


def fingerprint(llama: Any, header: GGUFHeader, *, exact: bool, kernels: Status) -> bytes:
    """32 bytes that differ where the state of the same tokens may differ.

    Args:
        llama: A loaded ``Llama``.
        header: Of its files.
        exact: Whether exact mode was asked for.
        kernels: Ours, as they were offered to this model.

    Raises:
        OSError: A file of the model cannot be read.
    """
    own = (kernels.active, kernels.isa, kernels.types, kernels.attention)
    about: list[Any] = [FORMAT, llama_cpp.__version__, exact, llama._exact, *own]
    about += [(name, getattr(llama.context_params, name, None)) for name in CHOICES]
    about += [(name, getattr(llama, name, None)) for name in ARGUMENTS]
    if any("rope_factors" in name for name in header.tensor_types):
        about.append(llama.n_ctx())  # long and short factors change at a size of the context
    out = hashlib.sha256(repr(about).encode())
    lora = getattr(llama, "lora_path", None)
    for path in [*header.files, *([Path(lora)] if lora else [])]:
        _add_file(out, path)
    return out.digest()


def _add_file(out: Any, path: Path) -> None:
    status = path.stat()
    out.update(f"{status.st_size} {status.st_mtime_ns}".encode())
    with path.open("rb", buffering=0) as file:
        out.update(file.read(HEAD))
        step = max(status.st_size // SAMPLES, SAMPLE)
        for at in range(HEAD, status.st_size, step):
            file.seek(at)
            out.update(file.read(SAMPLE))
