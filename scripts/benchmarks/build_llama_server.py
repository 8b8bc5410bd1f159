#!/usr/bin/env python3
"""Builds llama.cpp's ``llama-server`` from the llama.cpp inside llama-cpp-python's source distribution.

    build_llama_server.py build/llama-server                  fetches the sources of the installed version with pip
    build_llama_server.py build/llama-server --source llama_cpp_python-0.3.36/vendor/llama.cpp

So the peer that a benchmark meets is of the same commit as the library under hd_edge, compiled for this machine as
pip compiles it, for the CPU. The last line on stdout is the path of the binary. About ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

OPTIONS = {
    "CMAKE_BUILD_TYPE": "Release",
    "BUILD_SHARED_LIBS": "OFF",  # one file that can be copied
    "GGML_NATIVE": "ON",
    "LLAMA_OPENSSL": "OFF",
    "LLAMA_BUILD_UI": "OFF",
    "LLAMA_USE_PREBUILT_UI": "OFF",  # would be downloaded
    "LLAMA_BUILD_COMMON": "ON",
    "LLAMA_BUILD_TOOLS": "ON",
    "LLAMA_BUILD_SERVER": "ON",
    **{f"LLAMA_BUILD_{part}": "OFF" for part in ("TESTS", "EXAMPLES", "APP", "IS_DEV")},
}


def fetch(folder: Path) -> Path:
    """Unpacks the source distribution of the installed llama-cpp-python into ``folder``; returns its llama.cpp.

    Raises:
        SystemExit: pip does not find or cannot fetch it.
    """
    wanted = f"llama-cpp-python=={version('llama-cpp-python')}"
    archives = folder / "sdist"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary=llama-cpp-python", "-d", archives]
    if not list(archives.glob("*.tar.gz")) and subprocess.run([*command, wanted], check=False).returncode:
        raise SystemExit(f"pip could not fetch the sources of {wanted}: unpack them by hand and name them by --source")
    archive = next(archives.glob("*.tar.gz"))
    source = folder / archive.name.removesuffix(".tar.gz") / "vendor" / "llama.cpp"
    if not source.exists():
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data") if sys.version_info >= (3, 12) else packed.extractall(folder)
    return source


def configure(source: Path, folder: Path, extra: list[str]) -> None:
    """Runs cmake for ``source`` in ``folder``.

    Raises:
        SystemExit: There is no llama.cpp with a server at ``source``, or cmake failed.
    """
    if not (source / "tools" / "server" / "CMakeLists.txt").exists():
        raise SystemExit(
            f"{source} holds no tools/server: name the folder vendor/llama.cpp of llama-cpp-python's sdist"
        )
    defined = [f"-D{name}={value}" for name, value in OPTIONS.items()] + [f"-D{text}" for text in extra]
    _run(["cmake", "-S", str(source), "-B", str(folder), *defined])


def build(folder: Path, jobs: int) -> Path:
    """Compiles; returns the binary.

    Raises:
        SystemExit: The compiler failed.
    """
    _run(["cmake", "--build", str(folder), "--target", "llama-server", "-j", str(jobs)])
    return folder / "bin" / "llama-server"


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, stdout=sys.stderr, check=False)
    except FileNotFoundError as error:
        raise SystemExit(f"Missing: {error.filename}, which llama.cpp is built with.") from error
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:2])} failed with status {done.returncode}; its last lines say why.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the build, new or used before")
    parser.add_argument("--source", type=Path, help="folder of llama.cpp; default: pip fetches it")
    parser.add_argument("-j", "--jobs", type=int, default=2)
    parser.add_argument("-D", dest="define", action="append", default=[], help="another cmake option, NAME=VALUE")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    configure(args.source or fetch(args.folder), args.folder / "build", args.define)
    print(build(args.folder / "build", args.jobs))


if __name__ == "__main__":
    main()
