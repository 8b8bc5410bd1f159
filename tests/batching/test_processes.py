"""Engines at the end of a process, in a forked child, and where nobody holds them any more."""

from __future__ import annotations

import os

import pytest
from children import python

SETTINGS = "parallel=2, n_ctx=2048, n_threads=1, n_threads_batch=1, store=None, statistics=None"
BEGIN = f"""
import gc, os, sys, threading
from hd_edge import ClosedError, Engine
engine = Engine(sys.argv[1], {SETTINGS})
handles = [engine.submit([1, 300 + i], max_tokens=2000, temperature=0.0) for i in range(4)]
stream = engine.submit([1, 300], max_tokens=2000, stream=True)
"""
FORKED = """
pid = os.fork()
if pid == 0:
    try:
        engine.submit([1, 300])
    except ClosedError as error:
        assert "made in process" in str(error), error
        engine.close()
        os._exit(0)
    os._exit(1)
assert os.waitpid(pid, 0)[1] == 0
assert engine.submit([1, 300], max_tokens=1, user="other") is not None
engine.close()
"""
DROPPED = """
KEPT = ("MainThread", "hd_edge-engine", "hd_edge-prefix")  # the last two end with the engine
engine._prefixes.cache.price.compute = 1e-3  # so that there is something to save, and a thread that does it
for handle in [*handles, stream]:
    handle.cancel()
last = engine.submit([1, 300], max_tokens=1)
last.result()
del engine, handle, handles, stream, last
for thread in threading.enumerate():
    if thread.name not in KEPT:
        thread.join()
assert "hd_edge-prefix" in [thread.name for thread in threading.enumerate()]
gc.collect()
for thread in threading.enumerate():
    if thread.name in KEPT[1:]:
        thread.join(30)
assert [thread.name for thread in threading.enumerate()] == ["MainThread"], threading.enumerate()
"""


@pytest.mark.parametrize(
    "code",
    [
        "",
        "sys.exit(0)",
        pytest.param(FORKED, marks=pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")),
        DROPPED,
    ],
    ids=["falls off its end", "exits", "forks", "drops it"],
)
def test_a_process_with_an_engine_ends_well(models, code):
    done = python("-W", "ignore", "-c", BEGIN + code, models("Q4_0"))
    said = [line for line in done.stderr.splitlines() if "n_ctx_train" not in line]
    assert (done.returncode, said) == (0, [])
