"""What a conversion may cost: whatever a schema asks for, its steps are counted before they are made."""

from __future__ import annotations

from collections import Counter
from typing import NoReturn

from hd_edge.errors import ClosedError, ConfigError, refuse
from hd_edge.model.wanted import unwanted

MOST_STEPS = 1_000_000  # of a microsecond, more or less, that leave at most some 100 bytes each
LOOK = 10_000  # steps between two looks whether somebody waits


class Work:
    """The steps of one conversion: it has one of these, passed to all that does a part of it.

    Attributes:
        spent: Steps so far.
    """

    def __init__(self) -> None:
        self.spent = 0
        self._by_kind = Counter[str]()
        self._unwanted, self._looked = unwanted.get(), 0

    def spend(self, steps: int, kind: str) -> None:
        """Counts steps that follow.

        Args:
            steps: How many.
            kind: What they are for, for people whose schema is too large.

        Raises:
            ConfigError: There are no more left, now or before.
            ClosedError: Nobody waits for it any more.
        """
        self.spent += steps
        self._by_kind[kind] += steps
        if self.spent > MOST_STEPS:
            self._end()
        if self.spent > self._looked:
            self._looked = self.spent + LOOK
            if self._unwanted is not None and self._unwanted():
                refuse(ClosedError, "nobody waits for the answer any more")

    def _end(self) -> NoReturn:
        kind, most = self._by_kind.most_common(1)[0]
        refuse(
            ConfigError,
            f"the JSON schema has {self.spent} steps of work or more, {most} of them for {kind}, "
            f"at most {MOST_STEPS} are taken: make it smaller",
        )
