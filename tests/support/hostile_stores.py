"""Forty stores made by somebody who means ill, or by a failing disk; and what a reader does with one."""

from __future__ import annotations

import sqlite3
import struct

from store_helpers import IDENTITY, N_VOCAB, run_sql

from hd_edge import _native
from hd_edge.store.schema import TABLES
from hd_edge.store.store import Store
from hd_edge.store.upkeep import verify


def patch(offset, content):
    """Bytes written over the file."""

    def change(path):
        data = bytearray(path.read_bytes())
        at = offset if offset >= 0 else len(data) + offset
        data[at : at + len(content)] = content
        path.write_bytes(data)

    return change


def page(number, offset, content):
    """Bytes written over one page (the first has number 1)."""
    return patch((number - 1) * 4096 + offset, content)


def sql(*statements):
    return lambda path: run_sql(path, *statements)


def schema(*statements):
    """Statements that edit the schema table itself."""

    def change(path):
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA writable_schema=ON")
        for statement in statements:
            connection.execute(statement)
        connection.close()

    return change


def root_of(table, root):
    return schema(f"UPDATE sqlite_master SET rootpage = {root} WHERE name = '{table}'")


def definition(table, old, new):
    return schema(f"UPDATE sqlite_master SET sql = replace(sql, '{old}', '{new}') WHERE name = '{table}'")


def cycle(path):
    """Every token is followed by itself, in a key of every length."""
    with Store(path, IDENTITY) as store:
        lists = [((7,) * n, 4_000_000_000, [(7, 4_000_000_000)]) for n in (2, 3, 4, 6, 8)]
        store.write([(8 << 32 | 7, 1, _native.encode_record(8 << 32 | 7, lists, N_VOCAB))])


def utf16(path):
    path.unlink()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA encoding='UTF-16'")
    for ddl in TABLES.values():
        connection.execute(ddl)
    connection.execute("PRAGMA application_id=0x68644544")
    connection.execute("PRAGMA user_version=1")
    connection.close()


def many_meta(path):
    connection = sqlite3.connect(path)
    connection.executemany("INSERT INTO meta VALUES (?, ?)", ((f"a{i}", "x" * 100) for i in range(50_000)))
    connection.commit()
    connection.close()


HOSTILE = {
    # the header
    "page size 0": patch(16, b"\0\0"),
    "page size 1": patch(16, b"\0\x01"),
    "page size 3": patch(16, b"\0\x03"),
    "write version 9": patch(18, b"\x09"),
    "read version 9": patch(19, b"\x09"),
    "reserved space 255": patch(20, b"\xff"),
    "fractions": patch(21, b"\xff\xff\xff"),
    "more pages than bytes": patch(28, b"\x7f\xff\xff\xff"),
    "no page": patch(28, b"\0\0\0\0"),
    "free list beyond the end": patch(32, struct.pack(">II", 0x7FFFFFFF, 5)),
    "schema format 99": patch(44, struct.pack(">I", 99)),
    "negative version": patch(60, b"\xff\xff\xff\xff"),
    "auto-vacuum without a map": patch(52, struct.pack(">I", 3)),
    # the tree
    "first page of an unknown type": page(1, 100, b"\x77"),
    "cells beyond the page": page(1, 103, b"\xff\xff"),
    "content area of 0": page(1, 105, b"\0\0"),
    "leaf of an unknown type": page(3, 0, b"\x00"),
    "page of zeros": page(4, 0, bytes(4096)),
    "page of noise": page(5, 0, bytes(range(256)) * 16),
    "last page of noise": patch(-4096, bytes(range(255, -1, -1)) * 16),
    "bytes behind the end": lambda p: p.write_bytes(p.read_bytes() + b"x" * 5000),
    "cut inside a page": lambda p: p.write_bytes(p.read_bytes()[:-100]),
    "cut behind the header": lambda p: p.write_bytes(p.read_bytes()[:100]),
    "root beyond the end": root_of("ngrams", 999_999),
    "root is the schema": root_of("ngrams", 1),
    "two tables of one root": schema("UPDATE sqlite_master SET rootpage = 2"),
    # the schema
    "default that calls": definition("ngrams", "seen INTEGER NOT NULL", "seen INTEGER NOT NULL DEFAULT (random())"),
    "check that calls": definition("meta", "value NOT NULL", "value NOT NULL CHECK (length(value) < 1e9)"),
    "generated column": definition("ngrams", "total INTEGER NOT NULL", "total INTEGER AS (abs(key))"),
    "definition that is no text": schema("UPDATE sqlite_master SET sql = x'ff00ff' WHERE name = 'meta'"),
    "name that commands a terminal": sql('CREATE TABLE "\x1b]0;owned\x07" (x)'),
    "statistics of the query planner": sql("ANALYZE"),
    "utf-16": utf16,
    # the values
    "cycle": cycle,
    "50,000 names": many_meta,
    "vocabulary of 2^62": sql("UPDATE meta SET value = 1 << 62 WHERE name = 'n_vocab'"),
    "vocabulary of another size": sql("UPDATE meta SET value = 301 WHERE name = 'n_vocab'"),
    "costs that no clock measures": sql(
        "INSERT INTO cost VALUES ('cpu', 1, 0, 1e-320, 9), ('cpu', 2, 0, 9e999, 9), ('cpu', 1 << 62, 0, 1.0, 1 << 62)"
    ),
    "counts of 2^63 - 1": sql("UPDATE ngrams SET total = 9223372036854775807, seen = 9223372036854775807"),
    "keys of no token": sql("UPDATE OR IGNORE ngrams SET key = key | (1 << 31)"),
}


def looked_at(path):
    """Everything a reader does."""
    with Store(path, IDENTITY, read_only=True) as store:
        records = dict(store.scan())
        store.fetch(list(records)[:4])
        store.numbers()
        assert all(seconds < 1e5 for _, _, seconds, _ in store.load_cost("cpu"))
        store.load_calibration()
        verify(store)
