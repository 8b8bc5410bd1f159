"""An ``rpc-server`` of llama.cpp for tests, where ``HD_EDGE_RPC_SERVER`` names one."""

from __future__ import annotations

import os
import socket
import subprocess


class Remote:
    """An ``rpc-server`` on a free port."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        command = [os.environ["HD_EDGE_RPC_SERVER"], "--host", "127.0.0.1", "--port", str(self.port), "-t", "1"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.name = f"127.0.0.1:{self.port}"
        while self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                continue
            return

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
