"""A thousand stores that chance has damaged: each is loaded in a process with limits, and harms nothing."""

from __future__ import annotations

import random
import sqlite3
from contextlib import suppress

import pytest
from children import outcomes
from hostile_stores import HOSTILE

VALUES = ("NULL", "-1", "9223372036854775807", "'text'", "x'00ff'", "1e300", "zeroblob(70000)", "char(0)", "1 << 40")
COLUMNS = [("ngrams", name) for name in ("key", "total", "seen", "record")]
COLUMNS += [("meta", "name"), ("meta", "value"), ("cost", "seconds"), ("calibration", "state"), ("built", "prompt")]


def mutate_bytes(content: bytes, choose: random.Random) -> bytes:
    """A few of the things that disks, transfers and people do to bytes."""
    data = bytearray(content)
    for _ in range(choose.choice([1, 1, 2, 5, 30])):
        at = choose.randrange(len(data))
        size = choose.choice([1, 1, 2, 4, 100, 4096])
        match choose.randrange(7):
            case 0:
                data[at] ^= 1 << choose.randrange(8)
            case 1:
                data[at : at + size] = choose.randbytes(size)
            case 2:
                data[at : at + size] = bytes([choose.choice([0, 255])]) * size
            case 3:
                data = data[: max(at, 100)]
            case 4:
                data[at:at] = choose.randbytes(size)
            case 5:
                del data[at : at + size]
            case 6:  # a page in the place of another
                pages = max(len(data) // 4096, 1)
                one, other = (4096 * choose.randrange(pages) for _ in range(2))
                data[one : one + 4096] = data[other : other + 4096]
        data = data or bytearray(b"x")
    return bytes(data)


def mutate_rows(path, choose: random.Random) -> None:
    """Values that no store has, in rows that are there."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        for _ in range(choose.choice([1, 2, 4])):
            table, column = choose.choice(COLUMNS)
            value = choose.choice(VALUES)
            where = choose.choice(["", " WHERE rowid % 3 = 0"]) if table == "ngrams" else ""
            with suppress(sqlite3.Error):
                connection.execute(f"UPDATE OR IGNORE {table} SET {column} = {value}{where}")
            with suppress(sqlite3.Error):
                connection.execute("UPDATE ngrams SET record = substr(record, 1, length(record) / 2) WHERE total < 3")
    finally:
        connection.close()


def damaged_folders(folder, content: bytes, count: int, seed: int) -> None:
    choose = random.Random(seed)
    for number in range(count):
        path = folder / f"{number:04}" / "file"
        path.parent.mkdir(parents=True)
        path.write_bytes(content if number % 4 == 0 else mutate_bytes(content, choose))
        if number % 4 == 0:
            mutate_rows(path, choose)


def all_are_harmless(folder, survival) -> None:
    for name, said in outcomes("store", folder).items():
        with survival.case():
            assert said == "sound" or said.startswith("error: "), (name, said)


def test_stores_that_chance_has_damaged(filled_store, tmp_path, survival):
    survival.what = "mutations of stores"
    damaged_folders(tmp_path / "many", filled_store.read_bytes(), 40, seed=1)
    all_are_harmless(tmp_path / "many", survival)


@pytest.mark.slow
def test_a_thousand_stores_that_chance_has_damaged(filled_store, tmp_path, survival):
    survival.what = "mutations of stores"
    damaged_folders(tmp_path / "many", filled_store.read_bytes(), 1000, seed=2)
    all_are_harmless(tmp_path / "many", survival)


@pytest.mark.slow
def test_handcrafted_stores_in_a_process_with_limits(filled_store, tmp_path, survival):
    survival.what = "handcrafted stores"
    for number, make in enumerate(HOSTILE.values()):
        path = tmp_path / "many" / f"{number:02}" / "file"
        path.parent.mkdir(parents=True)
        path.write_bytes(filled_store.read_bytes())
        with suppress(sqlite3.OperationalError):  # this SQLite cannot make the file: it stays sound
            make(path)
    all_are_harmless(tmp_path / "many", survival)
