#!/usr/bin/env python3
"""An environment whose llama-cpp-python has llama.cpp's RPC backend, and the ``rpc-server`` that belongs to it.

    build_rpc.py build/rpc
    HD_EDGE_RPC_SERVER=build/rpc/build/bin/ggml-rpc-server build/rpc/venv/bin/python -m pytest -m rpc

Both are compiled from the source distribution of the installed llama-cpp-python; hd_edge is installed from this
checkout, with what its tests need. About ten minutes on two cores. The last two lines on stdout are the environment's
Python and the server.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import venv
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "benchmarks"))

from build_llama_server import configure, fetch  # noqa: E402


def environment(folder: Path) -> Path:
    """Makes the environment; returns its Python."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    pip = [str(python), "-m", "pip", "install", "-q"]
    wanted = f"llama-cpp-python=={version('llama-cpp-python')}"
    flags = os.environ | {"CMAKE_ARGS": f"{os.environ.get('CMAKE_ARGS', '')} -DGGML_RPC=ON".strip()}
    _run([*pip, "--no-cache-dir", "--no-binary", "llama-cpp-python", wanted], flags)
    _run([*pip, f"{ROOT}[demo,cli,server]", "--group", f"{ROOT}/pyproject.toml:test"])
    return python


def server(folder: Path, jobs: int) -> Path:
    """Compiles the server; returns it."""
    configure(fetch(folder), folder / "build", ["GGML_RPC=ON"])
    _run(["cmake", "--build", str(folder / "build"), "--target", "ggml-rpc-server", "-j", str(jobs)])
    return folder / "build" / "bin" / "ggml-rpc-server"


def _run(command: list[str], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, stdout=sys.stderr, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:4])} failed with status {done.returncode}; its last lines say why.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of both, new or used before")
    parser.add_argument("-j", "--jobs", type=int, default=2)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    python, binary = environment(args.folder / "venv"), server(args.folder, args.jobs)
    print(python)
    print(binary)


if __name__ == "__main__":
    main()
