"""Responses that were asked for with ``store``: kept in memory, so that the next request can go on from one."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from .errors import RefusedError, dumps

MOST_KEPT = 1000  # responses
MOST_BYTES = 32 * 1024 * 1024  # of all conversations as JSON

Json = dict[str, Any]


@dataclass(frozen=True)
class KeptResponse:
    """One response, as JSON: the objects take twenty times as much where a client sends many empty ones.

    Attributes:
        document: The response.
        conversation: The conversation up to and with it, as items of input.
    """

    document: bytes
    conversation: bytes

    @property
    def items(self) -> list[Json]:
        """The conversation."""
        items: list[Json] = json.loads(self.conversation)
        return items

    @property
    def size(self) -> int:
        """Bytes of both."""
        return len(self.document) + len(self.conversation)


class KeptResponses:
    """The latest responses; those that were used longest ago are dropped.

    Args:
        most: Responses.
        most_bytes: Of all of them.
    """

    def __init__(self, most: int = MOST_KEPT, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._kept: OrderedDict[str, KeptResponse] = OrderedDict()
        self._bytes = 0

    def keep(self, response: Json, items: list[Json]) -> None:
        """Keeps a response and the conversation that led to it.

        Args:
            response: The document, with its ``id`` and ``output``.
            items: The conversation before it.
        """
        kept = KeptResponse(dumps(response), dumps([*items, *response["output"]]))
        if kept.size > self._most_bytes:
            return
        self._kept[response["id"]] = kept
        self._bytes += kept.size
        while len(self._kept) > self._most or self._bytes > self._most_bytes:
            self._bytes -= self._kept.popitem(last=False)[1].size

    def find(self, name: str, param: str | None = None) -> KeptResponse:
        """The response of an id.

        Args:
            name: The id.
            param: The field of a request that has it.

        Raises:
            RefusedError: It is not kept (any more).
        """
        if name not in self._kept:
            msg = f"the response {name[:80]!r} is not kept here: it was never stored, or was deleted or dropped"
            raise RefusedError(404, msg, code="previous_response_not_found" if param else "not_found", param=param)
        self._kept.move_to_end(name)
        return self._kept[name]

    def delete(self, name: str) -> None:
        """Forgets a response.

        Raises:
            RefusedError: It is not kept.
        """
        self._bytes -= self.find(name).size
        del self._kept[name]
