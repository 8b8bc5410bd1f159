"""Connections and the limit of open files."""

from __future__ import annotations

import pytest

from hd_edge.server import room

pytest.importorskip("resource")


@pytest.mark.parametrize(
    ("limits", "wanted"),
    [
        ((1024, 1_048_576), (4352, 1_048_576)),
        ((1024, -1), (4352, -1)),
        ((1024, 2048), (2048, 2048)),
        ((100_000, 100_000), None),
        ((-1, -1), None),
    ],
)
def test_the_limit_is_raised_as_far_as_it_may(monkeypatch, limits, wanted):
    asked = []
    monkeypatch.setattr(room, "RLIM_INFINITY", -1)
    monkeypatch.setattr(room, "getrlimit", lambda _: limits)
    monkeypatch.setattr(room, "setrlimit", lambda _, limits: asked.append(limits))
    room.make_room()
    assert asked == ([] if wanted is None else [wanted])


@pytest.mark.parametrize(("soft", "most"), [(80, 40), (1024, 768), (4352, 4096), (100_000, 4096), (-1, 4096)])
def test_files_are_left_for_stores(monkeypatch, soft, most):
    monkeypatch.setattr(room, "RLIM_INFINITY", -1)
    monkeypatch.setattr(room, "getrlimit", lambda _: (soft, soft))
    assert room.most_connections() == most
