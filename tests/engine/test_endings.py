"""Endings: a fork tells every object that is left, whatever became of the others."""

from __future__ import annotations

import os

import pytest
from children import run_code as child

CLOSED = """
import os, signal, sys
from hd_edge import ClosedError, Engine, Llama
path, kind = sys.argv[1:]
settings = dict(n_ctx=256, n_threads=2, n_threads_batch=2, store=None, statistics=None, prefix_cache=None)
gone = Engine(path, parallel=1, **settings) if kind == "engine" else Llama(path, **settings)
left = Llama(path, **settings)
left("the cat", max_tokens=4)
gone.close()
if os.fork() == 0:
    signal.alarm(60)
    for one in (left, gone):
        try:
            one.submit("x") if one is gone and kind == "engine" else one("the cat", max_tokens=4)
        except ClosedError as error:
            print(error, flush=True)
    os._exit(7)
print(os.waitstatus_to_exitcode(os.wait()[1]), bool(left("the cat", max_tokens=4)["choices"]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("kind", ["llama", "engine"])
def test_a_fork_with_a_closed_one_among_others(models, kind):
    """The child knows of those that were loaded after it that their threads stayed behind, and does not wait."""
    done = child(CLOSED, str(models("Q4_0")), kind)
    assert (done.returncode, done.stderr) == (0, "")
    used, closed, parent = done.stdout.splitlines()
    assert "threads it computes with stayed behind" in used
    assert {"llama": "the model is closed", "engine": "this engine was made in process"}[kind] in closed
    assert parent == "7 True"


FAILS = """
import os
from hd_edge.engine import endings

class One:
    def __init__(self, name): self.name = name; endings.begun(self)
    def end_with_interpreter(self, wait): pass
    def after_fork(self):
        print(self.name, flush=True)
        raise ValueError(self.name)

kept = [One(name) for name in "abc"]
if os.fork() == 0:
    os._exit(0)
os.wait()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_tells_all_whatever_one_raises():
    assert sorted(child(FAILS).stdout.split()) == ["a", "b", "c"]


def test_the_interpreter_ends_in_the_middle_of_a_load(models):
    """It waits for a constructor in a daemon thread: half a model is not freed, and nothing computes any more."""
    code = """
import atexit, sys, threading
leaving, begun, steps = threading.Event(), threading.Event(), []
atexit.register(lambda: print(steps, flush=True))  # the last of all
import hd_edge.llama
open_cache, pace_of = hd_edge.llama.open_cache, hd_edge.llama.pace_of
def slow(*arguments, **settings):
    begun.set()
    leaving.wait()
    return open_cache(*arguments, **settings)
def last(*arguments, **settings):
    steps.append("loaded")
    return pace_of(*arguments, **settings)
hd_edge.llama.open_cache, hd_edge.llama.pace_of = slow, last
kept = dict(store=None, statistics=None)
load = lambda: hd_edge.Llama(sys.argv[1], n_ctx=256, n_threads=1, n_threads_batch=1, **kept)
threading.Thread(target=load, daemon=True).start()
begun.wait()
atexit.register(leaving.set)  # the first
"""
    done = child(code, str(models("Q4_0")))
    assert (done.returncode, done.stdout, done.stderr) == (0, "['loaded']\n", "")
