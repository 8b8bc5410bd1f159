"""The end of the interpreter: an engine at work ends before it, and nothing waits afterwards."""

from __future__ import annotations

import signal
import sys

import pytest
from children import python

BEGIN = """
import atexit, os, signal, sys, threading, time

def check():
    '''Behind hd_edge's own exit function: all has ended, and whatever comes now must not wait for anything.'''
    def say(what):
        os.write(2, (what + chr(10)).encode())
    for life in lives:
        if not life._closed:
            say("a life goes on")
    for thread in threading.enumerate():
        if thread.name == "hd_edge-engine":
            say("the engine's thread runs")
    from hd_edge.engine.turn import Turn
    def waits(name):
        def late(*_, **__):
            say(name + " after the end")
            os._exit(5)
        return late
    Turn.have, Turn.last, Turn.later = waits("have"), waits("last"), waits("later")
    threading.Thread.join, threading.Condition.wait = waits("join"), waits("wait")

atexit.register(check)
from hd_edge import Engine
from hd_edge.batching.loop import Loop
run = Loop._run
Loop._run = lambda self: (run(self), time.sleep(0.5))  # it is still there unless somebody waits for it
engine = Engine(sys.argv[1], parallel=2, n_ctx=2048, n_threads=1, n_threads_batch=1, store=None, statistics=None,
                prefix_cache="memory")
lives = [engine.model._life, *(seat._life for seat in engine.seats)]
streams = [engine.submit([1, 300 + i], max_tokens=2000, stream=True) for i in range(3)]
for _ in range(2):
    next(iter(streams[0]))
"""
SIGTERM = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3)); os.kill(os.getpid(), signal.SIGTERM); signal.pause()"
SIGINT = "os.kill(os.getpid(), signal.SIGINT); signal.pause()"
needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="no such signals")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("", 0),
        ("sys.exit(2)", 2),
        ("raise ValueError", 1),
        pytest.param(SIGTERM, 3, marks=needs_signals),
        pytest.param(SIGINT, -getattr(signal, "SIGINT", 2), marks=needs_signals),
        ("globals_ = [engine, streams]; globals_.append(globals_); del engine, streams", 0),
    ],
    ids=["falls off its end", "exits", "raises", "SIGTERM", "SIGINT", "in a cycle"],
)
def test_nothing_waits_after_the_end_of_the_interpreter(models, code, status):
    done = python("-W", "ignore", "-c", BEGIN + code, models("Q4_0"), PYTHONUNBUFFERED="1")
    said = [line for line in done.stderr.splitlines() if "after the end" in line or "goes on" in line or "runs" in line]
    assert (done.returncode, said) == (status, []), done.stderr
