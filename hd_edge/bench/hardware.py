"""Where a benchmark ran, and on what model: processor, GPU, versions, commit, file."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from llama_cpp import llama_cpp as lib

from hd_edge.backend.threads import physical_cores
from hd_edge.model.parts import model_bytes


def hardware(llm: Any) -> dict[str, Any]:
    """Processor, cores, GPU, versions and date.

    ``HD_EDGE_COMMIT`` and ``HD_EDGE_GPU_NAME`` say what the machine cannot: the commit of a copy without its
    repository, the name of the GPU.
    """
    import llama_cpp

    import hd_edge

    try:
        mine = version("hd-edge")
    except PackageNotFoundError:
        mine = hd_edge.__version__
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "physical_cores": physical_cores(),
        "gpu": os.environ.get("HD_EDGE_GPU_NAME", "") if llm.model_params.n_gpu_layers else "",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "llama_cpp_python": llama_cpp.__version__,
        "hd_edge": mine,
        "commit": os.environ.get("HD_EDGE_COMMIT") or commit(Path(hd_edge.__file__).parent),
        "date": date.today().isoformat(),
    }


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name as the system tells it."""
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def commit(folder: Path) -> str:
    """The commit that the package runs from, ``-dirty`` if files differ from it; empty outside its repository."""
    if not (folder.parent / ".git").exists():
        return ""
    try:
        found = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:  # no git
        return ""
    return found.stdout.strip()


def model_file(llm: Any) -> dict[str, Any]:
    """The model: file name, bytes, name, quantization, parameters."""
    path = Path(llm.model_path)
    kinds = {
        value: name.removeprefix("LLAMA_FTYPE_").removeprefix("MOSTLY_").removeprefix("ALL_")
        for name, value in vars(lib).items()
        if name.startswith("LLAMA_FTYPE_")
    }
    kind = str(llm.metadata.get("general.file_type", ""))
    return {
        "file": path.name,
        "bytes": model_bytes(path),
        "name": llm.metadata.get("general.name", ""),
        "quantization": kinds.get(int(kind), kind) if kind.isdigit() else "",
        "parameters": int(lib.llama_model_n_params(llm.model)),
    }
