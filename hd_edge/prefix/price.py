"""Price: what computing a prefix costs here, what reading it costs, and which of the two is cheaper.

All rates are measured while work is done anyway. Reading counts from the file to the KV cache, checksum included.
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST_DISK = 500e6  # bytes per second, until the first read is measured
FIRST_COPY = 3e9
PER_PIECE = 1e-3  # seconds beside the bytes: look-up, opening, book-keeping
SEEN = 0.3  # weight of the newest measurement


@dataclass
class Price:
    """Rates; each is a moving mean.

    Attributes:
        compute: Tokens per second of prefill; None: not measured yet.
        disk: Bytes per second from a file into the KV cache.
        copy: Bytes per second between memory and KV cache.
        least_seconds: A prefix that is computed faster than this is not worth a file.
        gain: How many times cheaper than computing reading must be before anything is written.
    """

    compute: float | None = None
    disk: float = FIRST_DISK
    copy: float = FIRST_COPY
    least_seconds: float = 0.05
    gain: float = 2.0

    def computed(self, tokens: int, seconds: float) -> None:
        """Takes note of a prefill."""
        if tokens > 0 and seconds > 0:
            self.compute = _mean(self.compute, tokens / seconds)

    def read(self, size: int, seconds: float) -> None:
        """Takes note of a piece that went from the disk into the KV cache."""
        if seconds > 0:
            self.disk = _mean(self.disk, size / seconds)

    def copied(self, size: int, seconds: float) -> None:
        """Takes note of a piece that was copied to or from the KV cache."""
        if seconds > 0:
            self.copy = _mean(self.copy, size / seconds)

    def worth_writing(self, tokens: int, size: int) -> bool:
        """True if a prefix of so many tokens and bytes is better read than computed next time."""
        if self.compute is None:
            return False
        seconds = tokens / self.compute
        return seconds >= self.least_seconds and seconds >= self.gain * (size / self.disk + PER_PIECE)

    def worth_restoring(self, tokens: int, from_disk: int, from_memory: int) -> bool:
        """True if so many tokens are better taken from so many bytes on disk and in memory than computed."""
        if self.compute is None:
            return tokens > 0
        return tokens / self.compute > from_disk / self.disk + from_memory / self.copy + PER_PIECE

    def worth_taking(self, tokens: int, size: int) -> bool:
        """True if copying a piece out before it is lost costs less than a tenth of computing it again."""
        return self.compute is not None and size / self.copy + PER_PIECE < 0.1 * tokens / self.compute


def _mean(before: float | None, now: float) -> float:
    return now if before is None else (1 - SEEN) * before + SEEN * now
