"""Children of ``multiprocessing``: what they learned is saved when they have run, what is their parent's is not."""

from __future__ import annotations

import os

import pytest
from children import python

from hd_edge.store.store import Store

CHILD = """
import multiprocessing.util, sys, threading, time

def llama(path, store):
    from hd_edge import Llama
    settings = dict(n_ctx=256, n_threads=1, n_threads_batch=1, statistics=None, prefix_cache=None)
    return Llama(path, store=store, **settings)

def drop(llm, first):
    '''A generation that is over and not learned yet: the next one, or the end, learns it.'''
    generation = llm.generate([1, first], temp=0.0)
    tokens = [next(generation) for _ in range(8)]
    generation.close()

def opens(path, store):
    global kept
    kept = llama(path, store)
    drop(kept, 300)

def in_a_thread(path, store):
    '''It is waited for, and still learns when the rest of the child has ended.'''
    global kept
    kept = llama(path, store)

    def late():
        while not multiprocessing.util._exiting:
            time.sleep(0.01)
        drop(kept, 300)

    threading.Thread(target=late).start()

def inherits():
    drop(llm, 301)

if __name__ == "__main__":
    path, store, method, how = sys.argv[1:]
    context = multiprocessing.get_context(method)
    if how == "inherits":
        llm = llama(path, store)
        drop(llm, 300)
        again = llm.generate([1, 302], temp=0.0)
        next(again)
    work, arguments = {"opens": (opens, (path, store)), "in_a_thread": (in_a_thread, (path, store)),
                       "inherits": (inherits, ())}[how]
    children = [context.Process(target=work, args=arguments) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    print(*(child.exitcode for child in children))
"""
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.mark.parametrize(
    ("method", "how", "answers"),
    [
        pytest.param("fork", "opens", 2, marks=needs_fork),
        pytest.param("forkserver", "opens", 2, marks=needs_fork),
        ("spawn", "opens", 2),
        pytest.param("fork", "in_a_thread", 2, marks=needs_fork),
        ("spawn", "in_a_thread", 2),
        pytest.param("fork", "inherits", 4, marks=needs_fork),  # two of the parent, one of each child
    ],
)
def test_what_a_child_learned_is_saved_when_it_has_run(models, store_path, tmp_path, method, how, answers):
    program = tmp_path / "program.py"
    program.write_text(CHILD)
    done = python("-W", "ignore", program, models("Q4_0"), store_path, method, how)
    assert (done.returncode, done.stdout) == (0, "0 0\n"), done.stderr
    with Store(store_path) as store:
        assert store.counters()["answers"] == answers


def test_loading_the_package_loads_nothing_of_multiprocessing_that_llama_cpp_does_not():
    code = "import llama_cpp, sys; before = set(sys.modules); import hd_edge; print(*set(sys.modules) - before)"
    assert "multiprocessing" not in python("-c", code).stdout
