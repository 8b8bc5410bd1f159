"""Servers that compute parts of a model: refused where llama.cpp would end the process, watched where it would, too."""

from __future__ import annotations

import signal
import socket
import sys
import threading
from contextlib import ExitStack, contextmanager

import pytest
from children import python
from llama_cpp import llama_cpp as lib
from one_model import ONE
from rpc_server import Remote

from hd_edge import ConfigError, DecodeError, Llama, UnsupportedBackendError
from hd_edge.backend import rpc
from hd_edge.backend.rpc import ANSWER, CAPABILITIES, PROTOCOL, RPCServers


@contextmanager
def answering(data: bytes | None):
    """Something at a port that answers whoever connects; None: never."""
    with socket.create_server(("127.0.0.1", 0)) as listening, ExitStack() as taken:

        def serve() -> None:
            with socket.socket() if data is None else taken.enter_context(listening.accept()[0]) as one:
                if data is not None:
                    one.recv(64)
                    one.sendall(data)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        thread.join()


@pytest.fixture
def built(monkeypatch):
    monkeypatch.setattr(lib, "llama_supports_rpc", lambda: True)
    monkeypatch.setattr(rpc, "PATIENCE", 0.2)


def test_a_build_without_rpc_says_how_to_get_one(models, monkeypatch):
    monkeypatch.setattr(lib, "llama_supports_rpc", lambda: False)
    with pytest.raises(UnsupportedBackendError, match="built with GGML_RPC=ON"):
        Llama(str(models("Q4_0")), rpc_servers=["127.0.0.1:1"], **ONE)


@pytest.mark.parametrize(
    ("servers", "message"),
    [
        ("127.0.0.1:50052", "is not a list of 'host:port'"),
        ([], "is not a list of 'host:port'"),
        ([5], "is not a list of 'host:port'"),
        (["host"], "'host' is not 'host:port'"),
        (["host:0"], "'host:0' is not 'host:port'"),
        (["host:99999"], "'host:99999' is not 'host:port'"),
        (["127.0.0.1:1"], r"cannot reach 127.0.0.1:1: .*; is an rpc-server running there\?"),
    ],
)
@pytest.mark.usefixtures("built")
def test_what_is_no_address_is_refused(servers, message):
    with pytest.raises(ConfigError, match=message):
        RPCServers(servers)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "is no rpc-server of llama.cpp"),
        (b"", "is no rpc-server of llama.cpp"),
        (ANSWER.pack(4 + CAPABILITIES, PROTOCOL + 1, 0, 0, 0), f"speaks version {PROTOCOL + 1} of llama.cpp's RPC"),
        (None, "does not answer in 0.2 s"),
    ],
)
@pytest.mark.usefixtures("built")
def test_what_is_no_rpc_server_is_refused(answer, message):
    with answering(answer) as place, pytest.raises(ConfigError, match=message):
        RPCServers([place])


@pytest.mark.usefixtures("built")
def test_a_server_that_goes_is_noticed_before_the_next_forward(monkeypatch):
    monkeypatch.setattr(rpc, "_greet", lambda *_: None)
    monkeypatch.setattr(rpc, "_devices", lambda _: [1])
    listening = socket.create_server(("127.0.0.1", 0))
    place = f"127.0.0.1:{listening.getsockname()[1]}"
    servers = RPCServers([place])
    servers.watch()
    servers.check()
    listening.close()
    for _ in range(2):
        with pytest.raises(DecodeError, match=f"the RPC server {place} is gone"):
            servers.check()
    servers.close()


@pytest.mark.usefixtures("built")
def test_a_server_that_goes_before_it_is_watched_is_our_error(monkeypatch):
    monkeypatch.setattr(rpc, "_greet", lambda *_: None)
    monkeypatch.setattr(rpc, "_devices", lambda _: [1])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        place = f"127.0.0.1:{listening.getsockname()[1]}"
        servers = RPCServers([place])
    with pytest.raises(ConfigError, match=f"cannot reach {place}"):
        servers.watch()
    assert servers.gone()  # so that nothing there is given back


ABORT = """
import ctypes, sys
from llama_cpp import llama_cpp as lib
from hd_edge import _native
address = ctypes.cast(lib._lib.ggml_set_abort_callback, ctypes.c_void_p).value
for _ in range(2):
    _native.end_where_lost(address, "the server is lost\\n")
lib._lib.ggml_abort(sys.argv[1].encode(), 5, b"a reason")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="other exit codes")
@pytest.mark.parametrize(
    ("file", "status", "said"),
    [("ggml-rpc.cpp", 1, "the server is lost\n"), ("ggml.c", -signal.SIGABRT, "ggml.c:5: a reason\n")],
)
def test_an_abort_of_the_rpc_backend_ends_the_process_with_a_line(file, status, said):
    done = python("-c", ABORT, file)
    assert (done.returncode, done.stderr) == (status, said)


# -- real servers ----------------------------------------------------------------------------------------------------


@pytest.fixture
def remotes():
    both = Remote(), Remote()
    yield both
    for one in both:
        one.end()


@pytest.mark.rpc
def test_text_over_two_servers_is_the_same_drafted_or_not(models, remotes):
    path, names = str(models("Q4_0")), [one.name for one in remotes]
    answers = []
    for draft in ("off", "auto"):
        with Llama(path, n_ctx=512, rpc_servers=names, draft=draft, **ONE) as llm:
            answers.append(llm.create_completion([1, 300] * 20, max_tokens=60, temperature=0.0)["choices"])
            assert llm.verifier.check_integrity() == ""
    assert sum(llm.total_stats.drafted.values()) > 0
    assert answers[0] == answers[1]


@pytest.mark.rpc
def test_a_lost_server_is_a_clear_error(models, remotes):
    llm = Llama(str(models("Q4_0")), n_ctx=512, rpc_servers=[one.name for one in remotes], **ONE)
    generation = llm.generate([1, 300] * 20, temp=0.0)
    next(generation)
    remotes[1].end()
    with pytest.raises(DecodeError, match=f"the RPC server {remotes[1].name} is gone"):
        list(generation)
    with pytest.raises(DecodeError, match="is gone"):
        llm.create_completion([1, 300])
    llm.close()
