"""FairQueue: users take turns, and nobody waits behind a crowd."""

from __future__ import annotations

import pytest

from hd_edge import BusyError
from hd_edge.batching.fair_queue import FairQueue


def test_users_take_turns():
    queue: FairQueue[str] = FairQueue(10)
    for item in ("a1", "a2", "a3", "b1", "c1", "c2"):
        queue.push(item, item[0])
    assert [queue.pop() for _ in range(3)] == ["a1", "b1", "c1"]
    queue.push("b2", "b")
    assert [queue.pop() for _ in range(len(queue))] == ["a2", "c2", "b2", "a3"]


def test_what_is_removed_does_not_come():
    queue: FairQueue[str] = FairQueue(10)
    for item in ("a1", "a2", "b1"):
        queue.push(item, item[0])
    assert queue.remove("b1")
    assert not queue.remove("b1")
    assert queue.remove("a1")
    assert (len(queue), queue.pop(), len(queue)) == (1, "a2", 0)


def test_a_full_queue_refuses():
    queue: FairQueue[str] = FairQueue(1)
    queue.push("a")
    with pytest.raises(BusyError, match="1 requests wait, at most 1 may"):
        queue.push("b", "b")
    queue.pop()
    queue.push("b", "b")


def test_the_first_goes_on_waiting():
    queue: FairQueue[str] = FairQueue(10)
    assert queue.first() is None
    for item in ("a1", "a2", "b1"):
        queue.push(item, item[0])
    assert (queue.first(), queue.first(), len(queue)) == ("a1", "a1", 3)
    assert [queue.pop(), queue.first(), queue.pop(), queue.pop(), queue.first()] == ["a1", "b1", "b1", "a2", None]
