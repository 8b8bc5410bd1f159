"""The process around a model: its end, a fork, and signals while a model loads."""

from __future__ import annotations

import os

import pytest
from children import run_code as child

LOAD = """
import os, signal, sys, threading
from hd_edge import Llama, ClosedError
settings = dict(n_ctx=512, n_threads=int(sys.argv[2]), n_threads_batch=int(sys.argv[2]), store=None, statistics=None)
llm = Llama(sys.argv[1], **settings)
"""


def printed(code, *arguments):
    """The lines that a program writes which ends well."""
    done = child(code, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_interpreter_ends_in_the_middle_of_a_generation(models):
    code = """
begun = threading.Event()
def run():
    while True:
        for i, token in enumerate(llm.generate([1, *range(300, 340)], temp=0.8)):
            if i == 5: begun.set()
threading.Thread(target=run, daemon=True).start()
begun.wait()
generation = Llama(sys.argv[1], **settings).generate([1, 300], temp=0.0)
next(generation)
print("end")
"""
    for _ in range(3):
        done = child(LOAD + code, models("Q4_0"), "1")
        assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_forked_child_works_or_says_why_it_cannot(models, threads):
    code = """
want = llm("the cat", max_tokens=8, temperature=0.0)["choices"][0]["text"]
open_one = llm.generate([1, *range(300, 380)], temp=0.0)  # long enough to tell what a prompt costs, and to be saved
next(open_one)
child = os.fork()
if child == 0:
    try:
        llm.reset()
        print("same" if llm("the cat", max_tokens=8, temperature=0.0)["choices"][0]["text"] == want else "other")
    except ClosedError as error:
        print(error)
    llm.close()
    sys.exit(7)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
next(open_one)
print(code, llm("the cat", max_tokens=8, temperature=0.0)["choices"][0]["text"] == want)
"""
    first, last = printed(LOAD + code, models("Q4_0"), threads)
    assert first == "same" if threads == "1" else "the 2 threads it computes with stayed behind" in first
    assert last == "7 True"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_loading_in_a_forked_child_of_a_process_that_computed(models):
    """OpenMP in the child waits for the parent's threads for ever: several are refused, one works."""
    code = """
from hd_edge import ConfigError
before = os.fork()
if before == 0:  # nothing was computed yet: several threads work
    llm = Llama(sys.argv[1], **settings)
    signal.alarm(60)
    llm("the cat", max_tokens=2)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(before, 0)[1]), flush=True)
want = llm("the cat", max_tokens=8, temperature=0.0)["choices"][0]["text"]
child = os.fork()
if child == 0:
    signal.alarm(60)
    for threads in (2, 1):
        try:
            settings.update(n_threads=threads, n_threads_batch=threads)
            other = Llama(sys.argv[1], **settings)
            print(other("the cat", max_tokens=8, temperature=0.0)["choices"][0]["text"] == want, flush=True)
        except ConfigError as error:
            print(error, flush=True)
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    before, refused, one, code = printed(LOAD + code, models("Q4_0"), "2")
    assert before == "0"
    assert "stayed behind" in refused
    assert (one, code) == ("True", "7")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_loading_in_a_forked_child_of_a_process_that_computed_with_plain_llama_cpp(models):
    code = """
import os, signal, sys
import llama_cpp
from hd_edge import ConfigError, Llama
plain = llama_cpp.Llama(sys.argv[1], n_ctx=256, n_threads=2, n_threads_batch=2, verbose=False)
for computes in (False, True):
    if computes:
        plain("the cat", max_tokens=8)
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        for threads in (2, 1):
            try:
                kept = dict(store=None, statistics=None, prefix_cache=None)
                other = Llama(sys.argv[1], n_ctx=256, n_threads=threads, n_threads_batch=threads, **kept)
                print(bool(other("the cat", max_tokens=4)["choices"]), flush=True)
            except ConfigError as error:
                print(error, flush=True)
            if not computes:
                break
        os._exit(7)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
    works, first, refused, one, second = printed(code, models("Q4_0"))
    assert (works, first, one, second) == ("True", "7", "True", "7")
    assert "stayed behind" in refused


@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("where", ["stopping_criteria", "logits_processor", "on_prefill"])
def test_a_fork_in_a_callback(models, where, threads):
    """The child is in the middle of a step: with one thread it goes on, else no forward may begin that never ends."""
    code = """
children = []
def fork(*arguments):
    if not children and parent == os.getpid():
        children.append(os.fork())
    return arguments[-1] if sys.argv[3] == "logits_processor" else False
parent = os.getpid()
options = {}
if sys.argv[3] == "on_prefill":
    llm.on_prefill = fork
else:
    options[sys.argv[3]] = fork
try:
    said = len(llm.create_completion([1, *range(300, 340)], max_tokens=5, temperature=0.0, **options)["choices"])
except ClosedError as error:
    said = error
if parent != os.getpid():
    print(said, flush=True)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]), said)
"""
    forked, own = printed(LOAD + code, models("Q4_0"), threads, where)
    assert own == "0 1"
    assert forked == "1" if threads == "1" else "threads it computes with stayed behind" in forked


def test_a_fork_while_another_thread_computes(models):
    code = """
inside, go = threading.Event(), threading.Event()
def stop(ids, scores):
    inside.set(); go.wait()
    return True
thread = threading.Thread(target=lambda: list(llm.generate([1, 300], temp=0.0, stopping_criteria=stop)))
thread.start()
inside.wait()
child = os.fork()
if child == 0:
    try:
        llm("the cat")
    except ClosedError as error:
        print(error)
    sys.exit(0)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
go.set()
thread.join()
print(code)
"""
    said, code = printed(LOAD + code, models("Q4_0"), "1")
    assert "another thread was computing with it" in said
    assert code == "0"


def test_ctrl_c_while_a_model_loads_is_not_lost(models):
    """The signal comes while llama.cpp calls Python: what the handler raises there would end in ctypes."""
    code = """
import os, signal, sys
from llama_cpp import llama_cpp as lib
from hd_edge import Llama
lines = 0
def log(level, text, data):
    global lines
    lines += 1
    if lines == int(sys.argv[2]): os.kill(os.getpid(), signal.SIGINT)
callback = lib.llama_log_callback(log)
lib.llama_log_set(callback, None)
try:
    Llama(sys.argv[1], store=None, n_ctx=64, verbose=False)
except KeyboardInterrupt:
    print("interrupted", flush=True)
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
os._exit(0)
"""
    for line in ("1", "20", "60"):
        done = child(code, models("Q4_0"), line)
        assert done.stdout == "interrupted\n", done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_while_another_thread_loads(models):
    """The lock that loading threads take in turns is not held in the child by a thread that stayed behind."""
    code = """
from hd_edge.engine import forked
begun, go = threading.Event(), threading.Event()
def load():
    with forked.loading():
        begun.set(); go.wait()
thread = threading.Thread(target=load); thread.start(); begun.wait()
pid = os.fork()
if pid == 0:
    Llama(sys.argv[1], **settings)
    os._exit(7)
status = os.waitpid(pid, 0)[1]
go.set(); thread.join()
print(os.waitstatus_to_exitcode(status))
"""
    done = child(LOAD + code, models("Q4_0"), "1")
    assert (done.returncode, done.stdout) == (0, "7\n"), done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_waits_until_stores_rest(tmp_path):
    """SQLite's locks are copied: in the middle of another thread's transaction the child would find the file locked."""
    code = """
import os, sys, threading, time
from hd_edge.store.store import Store
from hd_edge.model.identity import Identity
identity = Identity("a" * 64, "b" * 64, 512, "x")
store = Store(sys.argv[1], identity)
inside, forking = threading.Event(), threading.Event()
def write():
    with store.file.writing() as db:
        db.execute("INSERT INTO meta VALUES ('count.x', 1)")
        inside.set()
        forking.wait()
thread = threading.Thread(target=write); thread.start(); inside.wait()
os.register_at_fork(before=forking.set)  # runs before ours, which were registered earlier
pid = os.fork()
if pid == 0:
    with Store(sys.argv[1], identity) as own:
        own.set_meta({"count.y": 2})
        print(own.counters(), flush=True)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    done = child(code, str(tmp_path / "m.sqlite3"))
    assert (done.returncode, done.stdout) == (0, "{'x': 1, 'y': 2}\n0\n"), done.stderr


def test_a_subinterpreter_is_refused(models):
    """There llama.cpp's first call back into Python waits for ever."""
    pytest.importorskip("_xxsubinterpreters")
    code = """
import sys, _xxsubinterpreters as interpreters
one = interpreters.create()
interpreters.run_string(one, '''
import sys, warnings
sys.path[:0] = %r
warnings.simplefilter("ignore")
from hd_edge import ConfigError, Llama
try:
    Llama(%r, n_ctx=256, n_threads=1, store=None, statistics=None, prefix_cache=None)
except ConfigError as error:
    print(error, flush=True)
''' % (sys.path, sys.argv[1]))
interpreters.destroy(one)  # else llama_cpp alone would wait for ever at the end
print("end")
"""
    refused, end = printed(code, models("Q4_0"))
    assert "subinterpreter" in refused
    assert end == "end"
