"""What a person sees of the prefix store and does with it, and what goes by itself."""

import os
import shutil

from fake_state import PIECES, PROMPT, ROOT, Conversation, again

from hd_edge.prefix import files
from hd_edge.prefix.disk import Disk, open_index, sweep
from hd_edge.prefix.upkeep import clear, report, verify


def test_report_verify_and_clear(filled):
    found = report(filled)
    assert [(model["model"], model["pieces"], model["tokens"]) for model in found["models"]] == [("fake", PIECES, 900)]
    assert verify(filled) == {"sound": PIECES, "damaged": 0, "without_file": 0, "without_row": 0}
    paths = sorted(filled.glob("*/*.kv"))
    paths[0].write_bytes(paths[0].read_bytes()[:-3])
    paths[1].unlink()
    assert verify(filled) == {"sound": PIECES - 2, "damaged": 1, "without_file": 1, "without_row": 0}
    assert not paths[0].exists()
    (filled / "notes.txt").write_text("mine")
    assert clear(filled)[0] == PIECES - 2
    assert [path.name for path in filled.rglob("*") if path.is_file()] == ["index.sqlite3", "notes.txt"]
    assert report(filled)["models"] == []


def test_clearing_leaves_nothing_of_the_text(filled):
    needle = next(iter(PROMPT)).to_bytes(4, "big") + PROMPT[1].to_bytes(4, "big")
    assert needle in (filled / "index.sqlite3").read_bytes()
    clear(filled)
    assert needle not in (filled / "index.sqlite3").read_bytes()


def test_orphans_go_once_they_are_old(filled):
    orphan = filled / "aa" / ("aa" * 32 + ".kv")
    orphan.parent.mkdir(exist_ok=True)
    shutil.copy(next(filled.glob("*/*.kv")), orphan)
    half = orphan.with_name("." + "ab" * 32 + ".01234567.new")
    half.write_bytes(files.MAGIC + b"half a piece")
    index = open_index(filled)
    assert sweep(filled, index) == 0  # they may be another process's newest
    for path in (orphan, half):
        os.utime(path, (1, 1))
    assert sweep(filled, index) == 2
    index.close()
    assert again(filled) == len(PROMPT) - 1


def test_the_first_write_sweeps(filled):
    half = filled / "aa" / ("." + "ab" * 32 + ".01234567.new")
    half.parent.mkdir(exist_ok=True)
    half.write_bytes(files.MAGIC + b"half a piece")
    os.utime(half, (1, 1))
    talk = Conversation(filled)
    talk.answer([1] * 300)
    talk.close()
    assert not half.exists()


def test_rates_are_remembered(filled):
    disk = Disk(filled, ROOT)
    assert disk.rates() == (10.0, 500e6)
    disk.close()
