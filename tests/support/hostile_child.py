"""Loads files that others made, each in a process of its own with limits, and says what came of each.

Usage: hostile_child.py KIND FOLDER; KIND is ``store`` or ``model``. Prints one JSON object: name of each file to
``sound``, ``error: ...`` (one of ours), ``raised: ...`` (not ours), ``signal N`` or ``hang``.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path

from hostile_stores import looked_at
from store_helpers import IDENTITY, answer, rows_of, use

from hd_edge import Llama
from hd_edge.errors import HDEdgeError
from hd_edge.model.vocabulary_file import vocabulary_of
from hd_edge.store.store import Store
from hd_edge.store.upkeep import verify

SECONDS = {"store": 20, "model": 20}  # of processor time; ten times that on the clock is a hang
MEMORY = 1 << 30  # bytes beside what the process has at the start


def load_store(path: Path) -> None:
    """Reads it, learns into it, and learned is what can be read; but for damage that only a look at all of it finds."""
    before = path.read_bytes()
    try:
        looked_at(path)
    except HDEdgeError as error:
        assert str(error).isprintable()
    assert path.read_bytes() == before, "reading changed the file"
    said = use(path)
    assert all(text.isprintable() for text in said)
    if path.read_bytes() != before:
        with Store(path, IDENTITY) as store:
            keys = list(rows_of(answer(12), 5))
            assert all(store.fetch([key])[key] is not None for key in keys) or verify(store), "learned and not there"


def load_model(path: Path) -> None:
    """The vocabulary alone, as for a build of statistics; then the model, which answers."""
    tell = None
    try:
        with vocabulary_of(path):
            pass
    except HDEdgeError as error:
        tell = error
    with Llama(str(path), n_ctx=64, n_threads=1, n_threads_batch=1, store=None, statistics=None) as llm:
        llm.create_completion([1, 5, 6], max_tokens=4, temperature=0.0)
    if tell is not None:
        raise tell


LOADS = {"store": load_store, "model": load_model}


def in_fork(kind: str, path: Path, tell: int) -> int:
    """What the forked process does; its exit status."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS[kind], SECONDS[kind] + 5))
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    warnings.simplefilter("ignore")
    try:
        LOADS[kind](path)
        said = "sound"
    except HDEdgeError as error:
        said = f"error: {error}"
    except BaseException:
        said = f"raised: {traceback.format_exc(limit=-3)}"
    os.write(tell, said.encode("utf-8", "replace")[-4000:])
    return 0


def outcome(kind: str, path: Path) -> str:
    """How loading a file ends."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        os._exit(in_fork(kind, path, write))
    os.close(write)
    deadline = time.monotonic() + 10 * SECONDS[kind]
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(read)
            return "hang"
        time.sleep(0.005)
    with os.fdopen(read, "rb") as told:
        said = told.read().decode("utf-8", "replace")
    if os.WIFSIGNALED(ended[1]):
        number = os.WTERMSIG(ended[1])
        return "hang" if number == signal.SIGXCPU else f"signal {number}"
    return said or f"exit {os.WEXITSTATUS(ended[1])}"


def warmed_up(kind: str) -> None:
    """Everything is imported before the forks: they cost milliseconds then."""
    if kind == "store":
        use(None)


if __name__ == "__main__":
    warmed_up(sys.argv[1])
    files = sorted(path for path in Path(sys.argv[2]).glob("*/file"))
    print(json.dumps({path.parent.name: outcome(sys.argv[1], path) for path in files}))
