"""What an answer is sent as: as the library makes it, or in the words of another API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]


class Shape:
    """As it was made; APIs say what they have otherwise."""

    def whole(self, completion: Json) -> Json:
        """The answer in one document."""
        return completion

    def events(self, chunk: Json) -> Iterator[Json]:
        """The events of one chunk of a stream."""
        yield chunk

    def end(self, usage: Json) -> Iterator[Json]:  # noqa: ARG002
        """The last events."""
        yield from ()

    def told(self, error: Json) -> Json:
        """An error object with this API's names of fields."""
        return error

    def failed(self, error: Json) -> Json:
        """The event of an error."""
        return {"error": error}
