"""llama.cpp's own ``llama-server`` as an arm of the benchmark: plain, with a draftless mode, or with a draft model.

A server is a process of its own; it is asked over HTTP with the token ids that the other arms get, keeps no prompt
between questions, and reports its own times, so HTTP is not in them. What its n-gram modes learned stays in the
process as it would in use. ``build_llama_server.py`` makes the binary.
"""

from __future__ import annotations

import ctypes
import http.client
import json
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from hd_edge.bench.arm import WARM_UP, Answer, Settings, check_room, text_of
from hd_edge.errors import HDEdgeError
from hd_edge.stats import GenerationStats

PREFIX = "llama-server-"
DRAFT_MODEL = "draft-simple"  # a draft model of the target's vocabulary; the others need none
KINDS = ("plain", "ngram-simple", "ngram-map-k4v", "ngram-mod", "ngram-cache", DRAFT_MODEL)
NAMES = tuple(PREFIX + kind for kind in KINDS)
START_SECONDS = 180.0
ANSWER_SECONDS = 600.0
LAST_LINES = 12
# The chain of llama_cpp with its defaults, so that the same seed may draw the same tokens.
SAMPLERS = {"samplers": ["top_k", "typ_p", "top_p", "min_p", "temperature"], "top_k": 40, "top_p": 0.95, "min_p": 0.05}


class LlamaServerError(HDEdgeError):
    """The server is missing, did not start, died or refused a request; the message ends with its last lines."""


def command(
    binary: Path, model: Path, port: int, kind: str, settings: Settings, draft_model: Path | None = None
) -> list[str]:
    """The command line of a server; every setting that the other arms name is named here, too."""
    flags: dict[str, Any] = {
        "--model": model,
        "--host": "127.0.0.1",
        "--port": port,
        "--ctx-size": settings.n_ctx,
        "--batch-size": settings.n_batch,
        "--ubatch-size": settings.n_batch,
        "--threads": settings.n_threads,
        "--threads-batch": settings.n_threads,
        "--flash-attn": "on" if settings.flash_attn else "off",
        "--cache-type-k": settings.type_kv,
        "--cache-type-v": settings.type_kv,
        "--parallel": 1,
        "--gpu-layers": settings.n_gpu_layers,
        "--fit": "off",
        "--cache-ram": 0,
        "--spec-type": "none" if kind == "plain" else kind,
    }
    if draft_model is not None:  # how many tokens it drafts is llama.cpp's default
        flags |= {
            "--model-draft": draft_model,
            "--threads-draft": settings.n_threads,
            "--threads-batch-draft": settings.n_threads,
            "--gpu-layers-draft": settings.n_gpu_layers,
        }
    words = [str(word) for pair in flags.items() for word in pair]
    return [str(binary), *words, "--no-cache-prompt", "--no-ui", "--offline"]


class Server:
    """One running server; between requests it takes no processor time.

    Args:
        words: Its command line, which names the port.
        port: Where it will listen, at the local address.
        environment: Of its process; None: this one's.
        ready: Answered with status 200 when the model is loaded.
    """

    def __init__(
        self, words: Sequence[str], port: int, environment: dict[str, str] | None = None, ready: str = "/health"
    ) -> None:
        self.port, self._name, self._ready = port, Path(words[0]).name, ready
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed in close)
        self._process = subprocess.Popen(
            words,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )
        try:
            self._wait()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, path: str, body: dict[str, Any] | None = None, timeout: float = ANSWER_SECONDS) -> dict[str, Any]:
        """The JSON answer to a request: POST where there is a body.

        Raises:
            LlamaServerError: The server died, timed out or answered with another status than 200.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            text = None if body is None else json.dumps(body)
            connection.request("GET" if text is None else "POST", path, text, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = response.read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise self._error(f"gave no answer to {path}, for which it has {timeout:g} s ({error!r})") from error
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise self._error(f"answered {path} with status {response.status} instead of 200 ({answer[:300]})")
        return dict(json.loads(answer))

    def close(self) -> None:
        """Ends the process; may be called again."""
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _wait(self) -> None:
        """Until the model is loaded."""
        end = monotonic() + START_SECONDS
        while monotonic() < end:
            if self._process.poll() is not None:
                raise self._error("did not start")
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                connection.request("GET", self._ready)
                if connection.getresponse().status == http.client.OK:  # 503 while it loads
                    return
            except (OSError, http.client.HTTPException):  # not listening yet
                pass
            finally:
                connection.close()
            sleep(0.05)
        raise self._error(f"was not ready after {START_SECONDS:g} s")

    def _error(self, what: str) -> LlamaServerError:
        try:
            status: int | None = self._process.wait(0.2)  # a broken connection comes before the end of the process
        except subprocess.TimeoutExpired:
            status = None
        state = "is running" if status is None else f"ended with status {status}"
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").splitlines()[-LAST_LINES:]
        return LlamaServerError("\n  ".join([f"{self._name} {what}; it {state}. Its last lines:", *lines]))


class LlamaServer:
    """An arm: one server, started when the arm is made.

    Args:
        name: One of ``NAMES``.
        binary: The ``llama-server`` to run.
        llm: A model of another arm: its tokenizer reads the answers.
        settings: Of the whole benchmark.
        draft_model: GGUF file of the arm with a draft model; the others take none.

    Raises:
        LlamaServerError: There is no such arm, binary or draft model, or the server does not start.
    """

    def __init__(self, name: str, binary: Path, llm: Any, settings: Settings, draft_model: Path | None = None) -> None:
        if name not in NAMES:
            msg = f"no arm {name!r}: {', '.join(NAMES)}"
            raise LlamaServerError(msg)
        self.name, self.kind, self.llm = name, name.removeprefix(PREFIX), llm
        if not binary.is_file():
            msg = f"{binary} is no llama-server: build it with scripts/benchmarks/build_llama_server.py and name it"
            raise LlamaServerError(msg)
        if self.kind != DRAFT_MODEL:
            draft_model = None
        elif draft_model is None or not draft_model.is_file():
            msg = f"arm {name!r} needs a GGUF file of a draft model, {draft_model} is none: name one by --draft-model"
            raise LlamaServerError(msg)
        port = free_port()
        words = command(binary, Path(llm.model_path), port, self.kind, settings, draft_model)
        self.server = Server(words, port)

    def warm_up(self, prompt: Sequence[int], settings: Settings) -> None:
        """As ``Arm.warm_up``, except that an n-gram mode learns what it says."""
        self.answer(prompt, replace(settings, max_tokens=WARM_UP))

    def answer(self, prompt: Sequence[int], settings: Settings) -> Answer:
        """As ``Arm.answer``. The server counts no forwards: they follow from what it drafted and accepted."""
        check_room(len(prompt), settings.max_tokens, settings.n_ctx)
        request = {
            "prompt": list(prompt),
            "n_predict": settings.max_tokens,
            "temperature": settings.temperature,
            "seed": settings.seed,
            "cache_prompt": False,
            "return_tokens": True,
            **({} if settings.temperature <= 0 else SAMPLERS),
        }
        done = self.server.ask("/completion", request)
        times, ids = done["timings"], [int(token) for token in done["tokens"]]
        tokens = int(times["predicted_n"])
        drafted, accepted = int(times.get("draft_n", 0)), int(times.get("draft_n_accepted", 0))
        forwards = max(tokens - 1 - accepted, 0)  # the first token is the prompt's
        seconds = times["predicted_ms"] / 1e3  # from the first token to the last
        stats = GenerationStats(
            prompt_tokens=len(prompt),
            tokens=tokens,
            prompt_seconds=times["prompt_ms"] / 1e3,
            seconds=seconds,
            forwards=forwards,
            rows=forwards + drafted,
            forward_seconds=seconds,  # drafting is not told apart
            accepted={self.kind: accepted} if drafted else {},
            drafted={self.kind: drafted} if drafted else {},
        )
        return Answer(text_of(self.llm, ids), ids, stats)

    def close(self) -> None:
        """Ends the server."""
        self.server.close()


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _die_with_parent() -> None:
    """Linux: the kernel ends the server with the benchmark, however that ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
