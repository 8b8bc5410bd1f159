"""A server that is lost at any moment: the process goes on with an error, or ends with one; it is never killed."""

from __future__ import annotations

import pytest
from children import python
from rpc_server import Remote

pytestmark = pytest.mark.rpc

BEGIN = """
import gc, logging, os, signal, socket, sys, threading
from hd_edge import ClosedError, ConfigError, DecodeError, Engine, Llama
from hd_edge.backend import rpc
from hd_edge.prefix import saver
from hd_edge.prefix.price import Price

Price.worth_taking = lambda *_: True  # whatever computing costs here
saver.IDLE = 600.0  # not by chance at the moment when the server goes
path, name, pid = sys.argv[1], sys.argv[2], int(sys.argv[3])
settings = dict(n_ctx=1024, n_threads=1, n_threads_batch=1, store=None, statistics=None, rpc_servers=[name])
settings |= dict(prefix_cache="memory")
prompt = [1, *range(300, 400)]  # long enough to tell what a prompt costs
logging.basicConfig(stream=sys.stdout, format="%(message)s")

def lose():
    os.kill(pid, signal.SIGKILL)
    host, port = name.split(":")
    while True:  # until its sockets are closed
        try:
            socket.create_connection((host, int(port)), 1).close()
        except OSError:
            return

def refused(call):
    try:
        call()
    except DecodeError as error:
        assert f"the RPC server {name} is gone" in str(error), error
    else:
        raise AssertionError("no error")
"""
LLAMA = """
llm = Llama(path, **settings)
llm.create_completion(prompt, max_tokens=4, temperature=0.0)
"""
ENGINE = """
engine = Engine(path, parallel=2, **settings)
engine.submit(prompt, max_tokens=4, temperature=0.0).result()
"""
CASES = {
    "idle": LLAMA + "lose(); refused(lambda: llm.create_completion(prompt)); refused(lambda: llm('cat')); llm.close()",
    "every call": LLAMA
    + """
state = llm.save_state()
lose()
calls = [llm.save_state, lambda: llm.load_state(state), lambda: llm.eval([5]), llm.reset, llm.sample,
         lambda: list(llm.generate(prompt)), lambda: llm.create_chat_completion([{"role": "user", "content": "x"}]),
         lambda: next(llm.create_completion(prompt, stream=True)), lambda: llm.embed("cat")]
for call in calls:
    refused(call)
llm.close()
""",
    "before the close": LLAMA + "lose(); llm.close(); llm.close()",
    "before the end of the process": LLAMA + "lose()",
    "before it is dropped": LLAMA + "lose(); del llm; gc.collect()",
    "before a prefix is saved": """
saver.IDLE = 0.01
finish, saved = saver.Saver._finish, threading.Event()
def late(self):
    saver.Saver._finish = finish
    lose()
    finish(self)
    saved.set()
saver.Saver._finish = late
"""
    + LLAMA
    + "saved.wait(); assert not llm._prefixes.saver._unsaved; llm.close()",
    "while a generation rests": LLAMA
    + "open_one = llm.generate(prompt, temp=0.0); next(open_one); lose(); llm.close()",
    "while a generation rests that is closed": LLAMA
    + "open_one = llm.generate(prompt, temp=0.0); next(open_one); lose(); open_one.close(); llm.close()",
    "idle engine": ENGINE
    + """
lose()
refused(lambda: engine.submit(prompt).result())
engine._loop._thread.join()
refused(lambda: engine.submit(prompt).result())
engine.close()
""",
    "before the close of an engine": ENGINE + "lose(); engine.close(); engine.close()",
    "before the end of a process with an engine": ENGINE + "lose()",
    "before an engine is dropped": ENGINE + "lose(); del engine; gc.collect()",
    "before it is watched": """
watch = rpc.RPCServers.watch
rpc.RPCServers.watch = lambda self: (lose(), watch(self))
try:
    Llama(path, **settings)
except ConfigError as error:
    assert f"cannot reach {name}" in str(error), error
else:
    raise AssertionError("no error")
gc.collect()
""",
    "before a forked child": LLAMA
    + """
pid_of_child = os.fork()
if pid_of_child == 0:
    try:
        llm.create_completion(prompt)
    except ClosedError as error:
        assert "its connections to other machines stayed behind" in str(error), error
        sys.exit(7)  # frees what it thinks is its own
    sys.exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(pid_of_child, 0)[1]) == 7
assert llm.create_completion(prompt, max_tokens=1)
lose()
""",
}
END = "\nprint('end')\n"


@pytest.fixture
def remote():
    one = Remote()
    yield one
    one.end()


def run(models, remote, code):
    arguments = (models("Q4_0"), remote.name, remote.process.pid)
    return python("-X", "faulthandler", "-W", "ignore", "-c", BEGIN + code, *arguments)


@pytest.mark.parametrize("case", CASES)
def test_a_server_lost_between_two_forwards_is_an_error_and_no_abort(models, remote, case):
    done = run(models, remote, CASES[case] + END)
    assert done.returncode == 0, done.stderr
    assert "end" in done.stdout.splitlines()
    logged = 0 if case == "before it is watched" else 1
    assert done.stdout.count("what the KV cache holds is not saved") == logged, done.stdout


STOPPED = """
def before(cells):
    os.kill(pid, signal.SIGSTOP)  # so that it is in the middle of the forward when it goes
    threading.Timer(0.3, os.kill, (pid, signal.SIGKILL)).start()
"""
IN_A_FORWARD = {
    "of a Llama": LLAMA + STOPPED + "llm._pace.before = before; llm.create_completion(prompt, max_tokens=4)",
    "of an Engine": ENGINE + STOPPED + "engine.model._pace.before = before; engine.submit(prompt).result()",
    "of a prompt": LLAMA + STOPPED + "evaluate = llm.eval; llm.eval = lambda t: (before(0), evaluate(t)); llm('cat')",
}


@pytest.mark.parametrize("case", IN_A_FORWARD)
def test_a_server_lost_in_a_forward_ends_the_process_with_one_line(models, remote, case):
    done = run(models, remote, IN_A_FORWARD[case] + END)
    said = [line for line in done.stderr.splitlines() if line.startswith("hd_edge:")]
    assert (done.returncode, len(said)) == (1, 1), done.stderr
    assert remote.name in said[0]
    assert "end" not in done.stdout.splitlines()
