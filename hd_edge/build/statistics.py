"""Builds a statistics tier from a corpus of any size, in bounded memory, so that an interrupted build goes on.

An external merge sort: texts are tokenized (llama.cpp's tokenizer, several threads) and collected until the memory
budget is used up, then written as a sorted run of n-grams; at the end all runs are merged into records, which arrive
in the order of the file's keys. After each run a manifest says how far the corpus has been read.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hd_edge import _native
from hd_edge.errors import CorpusError, StoreCorruptError, StoreError
from hd_edge.model.folder import make_folder
from hd_edge.model.identity import Identity
from hd_edge.model.vocabulary import Vocabulary, identify
from hd_edge.model.vocabulary_file import vocabulary_of
from hd_edge.store.aside import move_aside, standing
from hd_edge.store.ownership import place, real_path
from hd_edge.store.store import Store
from hd_edge.tiers.statistics import FREQUENT, PRELOADED_MEMORY

from .corpus import Corpus, pieces
from .manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Callable

MEMORY = 512 << 20
MIN_MEMORY = 64 << 20
BATCH = 2 << 20  # bytes of text per call of the tokenizer
SPILL_SECONDS = 30.0  # most work that Ctrl-C or a kill can cost
MAX_RUNS = 64  # merged into one run when there are more: each is an open file
TOGETHER = 20_000  # records per transaction
DECODED, DECODED_BYTE = 220, 4  # bytes of a decoded record, and for each byte of the record (measured)
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
        real = real_path(out)
        self.folder = real.with_name(real.name + ".building")
        self.memory = memory
        self.threads = threads
        self.min_count = min_count
        self._progress = progress
        self._started = time.perf_counter()
        self._told = 0.0

    def run(self, *, restart: bool = False) -> dict[str, int]:
        """Builds the store; returns ``tokens``, ``texts``, ``skipped``, ``records`` and ``file_bytes``.

        Args:
            restart: Throw away what an interrupted build has done.

        Raises:
            CorpusError: The corpus cannot be read or holds no text; an interrupted build had other settings.
            StoreError: A file cannot be written.
        """
        with vocabulary_of(self.model_path) as model:
            vocabulary = Vocabulary(model)
            identity = identify(model)
            settings = {
                "tokenizer": identity.tokenizer,
                "sources": self.corpus.describe(),
                "field": self.corpus.field,
                "version": 1,
            }
            self._is_sound(identity)
            try:
                manifest = Manifest.open(self.folder, settings, restart=restart)
                self._read(vocabulary, manifest)
                result = self._write(identity, manifest)
                manifest.remove(self.folder)
            except (OSError, RuntimeError) as error:  # the native side reports files as RuntimeError
                msg = f"building {self.out} failed: {error}; run the same command again to go on"
                raise StoreError(msg) from error
        return result

    def _is_sound(self, identity: Identity) -> bool:
        """True if a sound build of this tokenizer stands where this one shall go; False: nothing, or a damaged one.

        Raises:
            StoreError: Something else stands there, which is not ours to replace.
        """
        try:
            if os.path.lexists(real_path(self.out)):
                Store(self.out, identity, kind="statistics", read_only=True).close()
                return True
        except StoreCorruptError:
            pass
        return False

    # ------------------------------------------------------------------ reading

    def _read(self, vocabulary: Vocabulary, manifest: Manifest) -> None:
        buffer = _native.CorpusBuffer(vocabulary.n_tokens)
        room = int(self.memory * TOKEN_SHARE) // _native.CorpusBuffer.bytes_per_token
        batch: list[bytes] = []
        waiting = 0
        read = Manifest(**asdict(manifest))  # ahead of the manifest until the next run is written

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
            batch.extend(pieces(vocabulary.tokenizable(unit.text)))
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
            manifest.remove(self.folder)  # there is nothing to go on with
            raise CorpusError(msg)

    def _spill(self, buffer: _native.CorpusBuffer, vocabulary: Vocabulary, manifest: Manifest, read: Manifest) -> None:
        """Writes a run, then the manifest that counts it: a kill in between costs this run only."""
        runs = manifest.runs
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

    def _write(self, identity: Identity, manifest: Manifest) -> dict[str, int]:
        path = self.folder / "store.sqlite3"
        for leftover in self.folder.glob("store.sqlite3*"):
            leftover.unlink()
        runs = [str(self.folder / name) for name in manifest.runs]
        n_records = 0
        with Store(path, identity, kind="statistics") as store:
            memory: Counter[int] = Counter()  # of decoded records, by total
            records = _native.CorpusRecords(runs, identity.n_vocab, self.min_count, self.memory // 4)
            while some := records.next(TOGETHER):
                store.write(some)
                n_records += len(some)
                for _, total, record in some:
                    memory[total] += DECODED + DECODED_BYTE * len(record)
                self._tell("writing", records.occurrences, manifest.tokens, manifest)
            about = {"corpus.tokens": manifest.tokens, "corpus.texts": manifest.units, "corpus.rows": n_records}
            store.set_meta({**about, FREQUENT: _frequent(memory)})
        self._publish(path, identity)
        return {
            "tokens": manifest.tokens,
            "texts": manifest.units,
            "skipped": manifest.skipped,
            "records": n_records,
            "file_bytes": self.out.stat().st_size,
        }

    def _publish(self, path: Path, identity: Identity) -> None:
        """Gives the finished store its name. Reading took long: what stands there now?"""
        target = real_path(self.out)
        make_folder(target.parent)
        found = standing(target)
        if self._is_sound(identity):
            path.replace(target)
            return
        if found[0] is not None:
            move_aside(target, found)
        place(path, target)

    def _tell(self, phase: str, done: int, total: int | None, manifest: Manifest) -> None:
        now = time.perf_counter()
        if now - self._told >= 0.2:
            self._told = now
            self._progress(Progress(phase, done, total, manifest.tokens, now - self._started, manifest.skipped))


def _frequent(memory: Counter[int]) -> int:
    """The least total whose records, with those of all higher totals, fit in what the statistics tier preloads."""
    taken, least = 0, max(memory, default=0) + 1
    for total in sorted(memory, reverse=True):
        taken += memory[total]
        if taken > PRELOADED_MEMORY:
            return least
        least = total
    return 1
