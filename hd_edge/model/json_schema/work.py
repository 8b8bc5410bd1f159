"""What a conversion may cost: whatever a schema asks for, its steps are counted before they are made."""

from __future__ import annotations

from collections import Counter
from typing import NoReturn

from hd_edge.errors import ConfigError, refuse

MOST_STEPS = 1_000_000  # of a microsecond, more or less, that leave at most some 100 bytes each


class Work:
    """The steps of one conversion: it has one of these, passed to all that does a part of it.

    Attributes:
        spent: Steps so far.
    """

    def __init__(self) -> None:
        self.spent = 0
        self._by_kind = Counter[str]()

    def spend(self, steps: int, kind: str) -> None:
        """Counts steps that follow.

        Args:
            steps: How many.
            kind: What they are for, for people whose schema is too large.

        Raises:
            ConfigError: There are no more left, now or before.
        """
        self.spent += steps
        self._by_kind[kind] += steps
        if self.spent > MOST_STEPS:
            self._end()

    def _end(self) -> NoReturn:
        kind, most = self._by_kind.most_common(1)[0]
        refuse(
            ConfigError,
            f"the JSON schema has {self.spent} steps of work or more, {most} of them for {kind}, "
            f"at most {MOST_STEPS} are taken: make it smaller",
        )
