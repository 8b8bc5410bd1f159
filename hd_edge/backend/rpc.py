"""Other machines that compute parts of a model, through llama.cpp's RPC backend.

llama.cpp aborts where a server cannot be reached, is none, or is lost. So each is greeted before llama.cpp connects,
and watched: by a connection that the server never accepts, because it serves one client at a time, and that its system
closes when it dies. Whatever uses the context looks at it first (``Turn.check``). A server that dies in the middle of a
forward leaves no way back: llama.cpp notices in a thread of its own, and whoever computes waits for that thread. Then
the process ends, with a line that says so and status 1 (``_native.end_where_lost``).
"""

from __future__ import annotations

import ctypes
import logging
import select
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llama_cpp import llama_cpp as lib

from hd_edge import _native
from hd_edge.errors import ConfigError, DecodeError, UnsupportedBackendError

PROTOCOL = 7  # RPC_PROTO_MAJOR_VERSION
HELLO, CAPABILITIES = 14, 24  # RPC_CMD_HELLO, RPC_CONN_CAPS_SIZE
ANSWER = struct.Struct("<Q4B")  # bytes that follow; major, minor, patch, padding
PATIENCE = 5.0  # seconds
LOST = "the RPC server {} is gone, and with it a part of the model: start it and load again"

log = logging.getLogger("hd_edge")


class RPCServers:
    """Servers that a model is spread over.

    Args:
        servers: ``"host:port"`` each (IPv4).

    Attributes:
        devices: As ``llama_model_params.devices``.

    Raises:
        UnsupportedBackendError: This llama-cpp-python was built without RPC.
        ConfigError: An address is none, or nobody answers there as an ``rpc-server`` of this version does.
    """

    def __init__(self, servers: Sequence[str]) -> None:
        fits = isinstance(servers, (list, tuple)) and servers and all(isinstance(one, str) for one in servers)
        if not fits:
            msg = f"rpc_servers={servers!r} is not a list of 'host:port'"
            raise ConfigError(msg)
        if not lib.llama_supports_rpc():
            msg = "rpc_servers need a llama-cpp-python built with GGML_RPC=ON, this one was not: see docs/machines.md"
            raise UnsupportedBackendError(msg)
        self._places = [(one, *_parse(one)) for one in servers]
        for place in self._places:
            _greet(*place)
        _native.end_where_lost(
            ctypes.cast(lib._lib.ggml_set_abort_callback, ctypes.c_void_p).value or 0,
            "hd_edge: " + LOST.format(" or ".join(servers)) + "\n",
        )
        found = [device for one in servers for device in _devices(one)]
        self.devices = (ctypes.c_void_p * (len(found) + 1))(*found, None)
        self._watches: dict[str, socket.socket] = {}
        self._lost = ""  # what happened to one of them

    def watch(self) -> None:
        """The model is loaded, so that llama.cpp's own connections stand.

        Raises:
            ConfigError: One of them cannot be reached any more.
        """
        for name, host, port in self._places:
            self._lost = LOST.format(name)  # until it is reached
            with _reaching(name):
                self._watches[name] = socket.create_connection((host, port), PATIENCE)
        self._lost = ""

    def check(self) -> None:
        """Called before each use of the context.

        Raises:
            DecodeError: A server was lost; nothing can be computed any more.
        """
        if self.gone():
            raise DecodeError(self._lost)

    def gone(self) -> bool:
        """Whether a server was lost: then not even memory there can be given back."""
        watches = self._watches
        if not self._lost and (ended := _ended(list(watches.values()))):
            self._lost = LOST.format(", ".join(name for name, one in watches.items() if one.fileno() in ended))
            log.warning(self._lost)
        return bool(self._lost)

    def close(self) -> None:
        """Before the model is freed: else a server would take the watching connection for its next client."""
        watches, self._watches = self._watches, {}
        for watch in watches.values():
            watch.close()


def _parse(server: str) -> tuple[str, int]:
    host, _, port = server.partition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 2**16:
        msg = f"rpc_servers: {server!r} is not 'host:port' with a port from 1 to 65535"
        raise ConfigError(msg)
    return host, int(port)


def _greet(name: str, host: str, port: int) -> None:
    """Says hello as llama.cpp does; it would abort where the answer is none."""
    with _reaching(name), socket.create_connection((host, port), PATIENCE) as connection:
        connection.sendall(struct.pack("<BQ", HELLO, CAPABILITIES) + bytes(CAPABILITIES))
        answer = b""
        while len(answer) < ANSWER.size and (more := connection.recv(ANSWER.size - len(answer))):
            answer += more
    if len(answer) < ANSWER.size or ANSWER.unpack(answer)[0] != 4 + CAPABILITIES:
        msg = f"rpc_servers: what answers at {name} is no rpc-server of llama.cpp ({answer[:12]!r})"
        raise ConfigError(msg)
    if (major := ANSWER.unpack(answer)[1]) != PROTOCOL:
        msg = f"rpc_servers: {name} speaks version {major} of llama.cpp's RPC, {PROTOCOL} is needed"
        raise ConfigError(msg)


@contextmanager
def _reaching(name: str) -> Iterator[None]:
    """Around what is said to a server: errors of the network become ours."""
    try:
        yield
    except TimeoutError:
        msg = f"rpc_servers: {name} does not answer in {PATIENCE:g} s: it serves another client, or is no rpc-server"
        raise ConfigError(msg) from None
    except OSError as error:
        msg = f"rpc_servers: cannot reach {name}: {error.strerror or error}; is an rpc-server running there?"
        raise ConfigError(msg) from error


def _ended(watches: Sequence[socket.socket]) -> set[int]:
    """File numbers of connections whose other side is gone, or says something."""
    if not hasattr(select, "poll"):
        return {one.fileno() for one in select.select(watches, (), (), 0)[0]}
    poll = select.poll()  # select() takes file numbers below 1,024 only
    for one in watches:
        poll.register(one, select.POLLIN)
    return {number for number, _ in poll.poll(0)}


def _devices(server: str) -> list[int]:
    """The devices of a server, as llama.cpp's ``--rpc`` adds them; once per process."""
    function = _ggml("ggml_backend_reg_by_name", ctypes.c_char_p)(b"RPC")
    address = _ggml("ggml_backend_reg_get_proc_address", ctypes.c_void_p, ctypes.c_char_p)(
        function, b"ggml_backend_rpc_add_server"
    )
    add = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_char_p)(address)
    registered = add(server.encode())
    if not registered:
        msg = f"rpc_servers: {server} offers no device"
        raise ConfigError(msg)
    count = _ggml("ggml_backend_reg_dev_count", ctypes.c_void_p, result=ctypes.c_size_t)(registered)
    get = _ggml("ggml_backend_reg_dev_get", ctypes.c_void_p, ctypes.c_size_t)
    return [get(registered, index) for index in range(count)]


def _ggml(name: str, *arguments: Any, result: Any = ctypes.c_void_p) -> Any:
    function = getattr(lib._lib, name)
    return ctypes.CFUNCTYPE(result, *arguments)(ctypes.cast(function, ctypes.c_void_p).value or 0)
