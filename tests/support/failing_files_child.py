"""Child of the fault tests: runs a scenario again and again, and its n-th change of a file fails, for every n.

Usage: failing_files_child.py FOLDER SCENARIO ERRNO STICKY STRIDE, with failing_files.cpp preloaded. Prints how many
cases there were. STICKY: all later changes fail as well, until the process begins anew.
"""

from __future__ import annotations

import ctypes
import errno
import json
import shutil
import sys
import warnings
from pathlib import Path

from fake_state import PROMPT, Conversation, again
from store_helpers import IDENTITY, contents, expected_counts, numbered_answer, rows_of

from hd_edge.errors import HDEdgeError, StoreWarning
from hd_edge.prefix.upkeep import verify as verify_prefixes
from hd_edge.store.merge import merge
from hd_edge.store.safety import SafeStore
from hd_edge.store.store import Store
from hd_edge.store.transfer import export_file
from hd_edge.store.upkeep import prune, verify
from hd_edge.tiers.model import ModelTier

faults = ctypes.CDLL(None)
BEFORE, AFTER = 3, 6  # answers learned before and after


def filled(path: Path) -> None:
    with Store(path, IDENTITY) as store:
        for number in range(BEFORE):
            store.add(rows_of(numbered_answer(number)))


def sound_counts(path: Path, least: int) -> None:
    """The first k answers are there, each once, and none of those from before is lost."""
    with Store(path, IDENTITY) as store:
        assert verify(store) == []
        k = store.counters()["answers"]
        assert least <= k <= AFTER, k
        assert contents(store) == expected_counts(range(k))[0], k


class Learning:
    """Answers are learned into a store that holds some.

    Attributes:
        deletes: A file that is to be removed can be.
    """

    deletes = True

    def before(self, folder: Path) -> None:
        filled(folder / "model.sqlite3")

    def run(self, folder: Path) -> None:
        tier = ModelTier(SafeStore(folder / "model.sqlite3", IDENTITY))
        for number in range(BEFORE, AFTER):
            tier.learn(numbered_answer(number), 0)
            tier.flush()
        tier.close()

    def after(self, folder: Path) -> None:
        sound_counts(folder / "model.sqlite3", BEFORE)
        assert not list(folder.glob("*.corrupt-*"))  # it was never damaged


class Creating(Learning):
    """The same into a file that is not there yet."""

    def before(self, folder: Path) -> None:
        pass

    def after(self, folder: Path) -> None:
        path = folder / "model.sqlite3"
        if path.exists():
            with Store(path, IDENTITY) as store:
                assert verify(store) == []
        assert not (self.deletes and list(folder.glob(".hd_edge-*")))


class Pruning:
    """A store that is larger than its cap; what is left is a part of what was there."""

    def before(self, folder: Path) -> None:
        filled(folder / "model.sqlite3")

    def run(self, folder: Path) -> None:
        with Store(folder / "model.sqlite3", IDENTITY) as store:
            prune(store, store.file.size() - 1)

    def after(self, folder: Path) -> None:
        whole = expected_counts(range(BEFORE))[1]
        with Store(folder / "model.sqlite3", IDENTITY) as store:
            assert verify(store) == []
            left = dict(store.scan())
            assert left
            assert left.items() <= whole.items()


class Migrating:
    """Counts go into another store, and out as text; the source stays as it is."""

    deletes = True

    def before(self, folder: Path) -> None:
        filled(folder / "source.sqlite3")
        self.source = (folder / "source.sqlite3").read_bytes()
        with export_file(folder / "out.jsonl") as out:
            self.text = header()
            out.write(self.text)

    def run(self, folder: Path) -> None:
        with (
            Store(folder / "source.sqlite3", IDENTITY, read_only=True) as source,
            Store(folder / "into.sqlite3", IDENTITY) as into,
        ):
            merge(into, [source])
        with export_file(folder / "out.jsonl") as out:
            out.write(self.text)
            out.write("x" * 100_000)

    def after(self, folder: Path) -> None:
        assert (folder / "source.sqlite3").read_bytes() == self.source
        if (folder / "into.sqlite3").exists():
            with Store(folder / "into.sqlite3", IDENTITY) as store:
                assert verify(store) == []
                assert contents(store) in ({}, expected_counts(range(BEFORE))[0])
        assert (folder / "out.jsonl").read_text() in (self.text, self.text + "x" * 100_000)
        assert not (self.deletes and list(folder.glob(".hd_edge-*")))


def header() -> str:
    return json.dumps({"format": "hd_edge n-grams", "version": 1, "kind": "model", **IDENTITY.to_dict()}) + "\n"


class Prefixes:
    """State of prompts is saved; what is found of it later is right."""

    def before(self, folder: Path) -> None:
        talk = Conversation(folder / "prefix")
        talk.answer(PROMPT)
        talk.close()

    def run(self, folder: Path) -> None:
        talk = Conversation(folder / "prefix")
        for number in range(3):
            talk.answer([*PROMPT[:300], number, *range(600)])
            talk.cache.saver.flush()
        talk.close()

    def after(self, folder: Path) -> None:
        found = verify_prefixes(folder / "prefix")
        assert found["damaged"] == 0, found
        assert again(folder / "prefix") == len(PROMPT) - 1 or list((folder / "prefix").glob("*.corrupt-*")), "lost"
        for number in range(3):
            again(folder / "prefix", [*PROMPT[:300], number, *range(600)])  # checks the state that it finds


class Statistics:
    """A statistics tier is built; an interrupted build goes on and counts nothing twice."""

    def before(self, folder: Path) -> None:
        from vocabularies import write_vocabulary

        from hd_edge.build import statistics

        statistics.TOKEN_SHARE, statistics.BATCH, statistics.MAX_RUNS = 1e-6, 40, 4
        self.model = folder.parent / "tiny.gguf"
        if not self.model.exists():
            write_vocabulary(self.model)
            self.corpus = folder.parent / "corpus.jsonl"
            self.corpus.write_text("".join(json.dumps({"text": "ab a ab a b"[: n % 12]}) + "\n" for n in range(60)))
            self.build(folder.parent / "want.sqlite3")
            self.want = self.counts(folder.parent / "want.sqlite3")

    def build(self, out: Path) -> None:
        from hd_edge.build.corpus import Corpus
        from hd_edge.build.statistics import StatisticsBuild

        StatisticsBuild(self.model, Corpus([self.corpus]), out).run()

    def counts(self, path: Path) -> dict:
        with Store(path, kind="statistics", read_only=True) as store:
            assert verify(store) == []
            return contents(store)

    def run(self, folder: Path) -> None:
        self.build(folder / "statistics.sqlite3")

    def after(self, folder: Path) -> None:
        self.build(folder / "statistics.sqlite3")
        assert self.counts(folder / "statistics.sqlite3") == self.want


SCENARIOS = {one.__name__.lower(): one for one in (Learning, Creating, Pruning, Migrating, Prefixes, Statistics)}


def main(root: Path, name: str, code: int, *, sticky: bool, stride: int) -> int:
    scenario = SCENARIOS[name]()
    scenario.deletes = code != errno.EIO
    n, cases = 1, 0
    while True:
        folder = root / f"{n}"
        folder.mkdir()
        scenario.before(folder)
        faults.fault_folder(str(folder).encode())
        faults.fault_arm(n, code, int(sticky))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", StoreWarning)
            try:
                scenario.run(folder)
            except HDEdgeError as error:
                assert str(folder) in str(error), error
            reached = faults.fault_reached()
            faults.fault_arm(0, 0, 0)
            try:
                scenario.after(folder)
            except BaseException:
                print(f"{name}: change {n} with {errno.errorcode[code]}, sticky={sticky}", file=sys.stderr)
                raise
        shutil.rmtree(folder)
        if not reached:
            return cases
        cases += 1
        n += stride


if __name__ == "__main__":
    print(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sticky=sys.argv[4] == "1", stride=int(sys.argv[5])))
