"""Command lines of the servers that are compared over HTTP, with the same threads, context and attention."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Serving:
    """What all servers have in common.

    Attributes:
        model: GGUF file.
        threads: Of prompts and answers.
        context: Tokens of one conversation.
    """

    model: str
    threads: int
    context: int

    def ours(self, port: int, *more: str) -> list[str]:
        """``hd-edge serve``; all that is not named here is its default."""
        command = [sys.executable, "-m", "hd_edge", "serve", *self._at(port)]
        return [*command, "-t", str(self.threads), "-c", str(self.context), *more]

    def llama_server(self, binary: str, port: int, *more: str, slots: int = 1) -> list[str]:
        """llama.cpp's server; each of its slots has the whole context, its prompt cache is on as by default."""
        threads = str(self.threads)
        command = [binary, *self._at(port), "-t", threads, "-tb", threads, "-fa", "on", "--no-ui", "--offline"]
        return [*command, "-c", str(self.context * slots), "-np", str(slots), *more]

    def llama_cpp_server(self, port: int) -> list[str]:
        """``python -m llama_cpp.server``; needs the extra ``server`` of llama-cpp-python."""
        flags = {"n_threads": self.threads, "n_threads_batch": self.threads, "n_ctx": self.context, "flash_attn": True}
        words = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
        at = ["--model", self.model, "--host", "127.0.0.1", "--port", str(port)]
        return [sys.executable, "-m", "llama_cpp.server", *at, *words]

    def _at(self, port: int) -> list[str]:
        return ["-m", self.model, "--port", str(port)]


def own_home(folder: str) -> dict[str, str]:
    """The environment that keeps what a server learns and caches in a folder of its own."""
    return {"HD_EDGE_HOME": folder, "XDG_CACHE_HOME": str(Path(folder) / "cache")}
