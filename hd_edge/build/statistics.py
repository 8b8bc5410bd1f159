"""Builds a statistics tier from a corpus of any size, in bounded memory, so that an interrupted build goes on.

An external merge sort: texts are tokenized (llama.cpp's tokenizer, several threads) and collected until the memory
budget is used up, then written as a sorted run of n-grams; at the end all runs are merged into rows, which arrive in
the order of the file's keys. After each run a manifest says how far the corpus has been read.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hd_edge import _native
from hd_edge.errors import CorpusError, StoreError
from hd_edge.model.vocabulary import Vocabulary, vocabulary_of
from hd_edge.store.identity import Identity, identify
from hd_edge.store.store import Store
from hd_edge.tiers.statistics import FREQUENT, PRELOADED_MEMORY

from .corpus import Corpus, pieces

if TYPE_CHECKING:
    from collections.abc import Callable

MEMORY = 512 << 20
MIN_MEMORY = 64 << 20
BATCH = 2 << 20  # bytes of text per call of the tokenizer
SPILL_SECONDS = 30.0  # most work that Ctrl-C or a kill can cost
MAX_RUNS = 64  # merged into one run when there are more: each is an open file
ROWS = 20_000  # per transaction
ROW_MEMORY, RECORD_MEMORY = 220, 4  # bytes of a decoded row, and for each byte of its record (measured)
TOKEN_SHARE = 0.5  # of the budget, for the buffer of tokens; the rest is Python, the vocabulary and slack


@dataclass
class Progress:
    """How far a build is.

    Attributes:
        phase: ``"reading"`` or ``"writing"``.
        done: Bytes read, or positions written.
        total: Of how many; None if nobody knows.
        tokens: Tokens counted so far.
        seconds: Since this call began.
        skipped: Lines that were no JSON or lacked the field.
    """

    phase: str
    done: int
    total: int | None
    tokens: int
    seconds: float
    skipped: int


@dataclass
class _Manifest:
    """What a scratch folder holds: settings, how far the corpus was read, finished runs."""

    settings: dict[str, Any]
    units: int = 0
    bytes: int = 0
    tokens: int = 0
    skipped: int = 0
    next_run: int = 0
    runs: list[str] | None = None

    def save(self, folder: Path) -> None:
        temporary = folder / "manifest.json.new"
        with temporary.open("w") as file:
            json.dump(asdict(self), file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(folder / "manifest.json")


class StatisticsBuild:
    """One build; ``run()`` does it all, and goes on where an earlier one ended.

    Args:
        model_path: A GGUF file with the tokenizer.
        corpus: The texts.
        out: The store to write; it appears when it is complete.
        memory: Bytes to stay below.
        threads: Threads of the tokenizer.
        min_count: Keys of three tokens and more that were seen less often are left out.
        progress: Called a few times per second.

    Raises:
        ConfigError: ``memory`` is too small.
    """

    def __init__(
        self,
        model_path: str | Path,
        corpus: Corpus,
        out: Path,
        *,
        memory: int = MEMORY,
        threads: int = 2,
        min_count: int = 2,
        progress: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        if memory < MIN_MEMORY:
            msg = f"memory {memory} is less than the least possible {MIN_MEMORY} bytes"
            raise CorpusError(msg)
        self.model_path = model_path
        self.corpus = corpus
        self.out = out
        self.folder = out.with_name(out.name + ".building")
        self.memory = memory
        self.threads = threads
        self.min_count = min_count
        self._progress = progress
        self._started = time.perf_counter()
        self._told = 0.0

    def run(self, *, restart: bool = False) -> dict[str, int]:
        """Builds the store; returns ``tokens``, ``texts``, ``skipped``, ``rows`` and ``file_bytes``.

        Args:
            restart: Throw away what an interrupted build has done.

        Raises:
            CorpusError: The corpus cannot be read or holds no text; an interrupted build had other settings.
            StoreError: A file cannot be written.
        """
        if restart:
            shutil.rmtree(self.folder, ignore_errors=True)
        with vocabulary_of(self.model_path) as model:
            vocabulary = Vocabulary(model)
            identity = identify(model)
            try:
                manifest = self._resume(identity)
                self._read(vocabulary, manifest)
                result = self._write(identity, manifest)
            except (OSError, RuntimeError) as error:  # the native side reports files as RuntimeError
                msg = f"building {self.out} failed: {error}; run the same command again to go on"
                raise StoreError(msg) from error
        shutil.rmtree(self.folder)
        return result

    def _resume(self, identity: Identity) -> _Manifest:
        settings = {
            "tokenizer": identity.tokenizer,
            "sources": self.corpus.describe(),
            "field": self.corpus.field,
            "version": 1,
        }
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / "manifest.json"
        if not path.exists():
            return _Manifest(settings, runs=[])
        manifest = _Manifest(**json.loads(path.read_text()))
        if manifest.settings != settings:
            differ = [name for name in settings if manifest.settings.get(name) != settings[name]]
            msg = (
                f"{self.folder} holds an interrupted build with other settings ({', '.join(differ)}): repeat them, or"
                " throw it away with --restart"
            )
            raise CorpusError(msg)
        return manifest

    # ------------------------------------------------------------------ reading

    def _read(self, vocabulary: Vocabulary, manifest: _Manifest) -> None:
        buffer = _native.CorpusBuffer(vocabulary.n_tokens)
        room = int(self.memory * TOKEN_SHARE) // _native.CorpusBuffer.bytes_per_token
        batch: list[bytes] = []
        waiting = 0
        read = _Manifest(**asdict(manifest))  # ahead of the manifest until the next run is written

        def count() -> None:
            nonlocal waiting
            read.tokens += buffer.add_texts(vocabulary.native, batch, self.threads)
            batch.clear()
            waiting = 0
            self._tell("reading", read.bytes, self.corpus.total_bytes, read)

        spilled = time.monotonic()
        for unit in self.corpus.units(manifest.units):
            read.units += 1
            read.bytes += unit.size
            read.skipped += unit.skipped
            batch.extend(pieces(unit.text))
            waiting += len(unit.text)
            if waiting >= BATCH:
                count()
                if len(buffer) >= room or time.monotonic() - spilled > SPILL_SECONDS:
                    self._spill(buffer, vocabulary, manifest, read)
                    spilled = time.monotonic()
        count()
        self._spill(buffer, vocabulary, manifest, read)
        if manifest.tokens == 0:
            wanted = f"field {self.corpus.field!r}" if manifest.skipped else "text"
            msg = f"the corpus holds no {wanted} ({manifest.units} texts, {manifest.skipped} of them skipped)"
            raise CorpusError(msg)

    def _spill(
        self, buffer: _native.CorpusBuffer, vocabulary: Vocabulary, manifest: _Manifest, read: _Manifest
    ) -> None:
        """Writes a run, then the manifest that counts it: a kill in between costs this run only."""
        runs = manifest.runs or []
        if len(buffer) > 0:
            name = f"run-{manifest.next_run}"
            buffer.spill(str(self.folder / name))
            runs = [*runs, name]
            manifest.next_run += 1
        manifest.units, manifest.bytes, manifest.tokens = read.units, read.bytes, read.tokens
        manifest.skipped, manifest.runs = read.skipped, runs
        manifest.save(self.folder)
        if len(runs) >= MAX_RUNS:
            merged = f"run-{manifest.next_run}"
            paths = [str(self.folder / name) for name in runs]
            _native.merge_runs(paths, str(self.folder / merged), vocabulary.n_tokens, self.memory // 4)
            manifest.next_run += 1
            manifest.runs = [merged]
            manifest.save(self.folder)
            for path in paths:
                Path(path).unlink()

    # ------------------------------------------------------------------ writing

    def _write(self, identity: Identity, manifest: _Manifest) -> dict[str, int]:
        path = self.folder / "store.sqlite3"
        for leftover in self.folder.glob("store.sqlite3*"):
            leftover.unlink()
        runs = [str(self.folder / name) for name in manifest.runs or []]
        n_rows = 0
        with Store(path, identity, kind="statistics") as store:
            memory: Counter[int] = Counter()  # of decoded rows, by total
            rows = _native.CorpusRows(runs, identity.n_vocab, self.min_count, self.memory // 4)
            while some := rows.next(ROWS):
                store.write(some)
                n_rows += len(some)
                for _, total, record in some:
                    memory[total] += ROW_MEMORY + RECORD_MEMORY * len(record)
                self._tell("writing", rows.occurrences, manifest.tokens, manifest)
            about = {"corpus.tokens": manifest.tokens, "corpus.texts": manifest.units, "corpus.rows": n_rows}
            store.set_meta({**about, FREQUENT: _frequent(memory)})
        self.out.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.replace(self.out)
        return {
            "tokens": manifest.tokens,
            "texts": manifest.units,
            "skipped": manifest.skipped,
            "rows": n_rows,
            "file_bytes": self.out.stat().st_size,
        }

    def _tell(self, phase: str, done: int, total: int | None, manifest: _Manifest) -> None:
        now = time.perf_counter()
        if now - self._told >= 0.2:
            self._told = now
            self._progress(Progress(phase, done, total, manifest.tokens, now - self._started, manifest.skipped))


def _frequent(memory: Counter[int]) -> int:
    """The least total whose rows, with those of all higher totals, fit in what the statistics tier preloads."""
    taken, least = 0, max(memory, default=0) + 1
    for total in sorted(memory, reverse=True):
        taken += memory[total]
        if taken > PRELOADED_MEMORY:
            return least
        least = total
    return 1
