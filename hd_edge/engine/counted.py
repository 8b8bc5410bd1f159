"""What generations cost, counted so that a signal's handler may raise anywhere and nothing is miscounted."""

from __future__ import annotations

from hd_edge.stats import GenerationStats


class Counted:
    """A base of ``hd_edge.Llama``.

    The sum is made when it is asked for: of the generations before the last one, and of that one as far as it has
    come. So nothing is to be added when a generation ends, and the two change hands in one assignment.
    """

    _counts: tuple[GenerationStats, GenerationStats, bool]  # before the last one, of that one, and whether it is summed

    def _begin_counting(self) -> None:
        self._counts = GenerationStats(), GenerationStats(), True

    def _count_anew(self, kernels: str) -> GenerationStats:
        """A generation begins, whose counts these are."""
        stats = GenerationStats(kernels=kernels)
        self._counts = self.total_stats, stats, True
        return stats

    @property
    def stats(self) -> GenerationStats:
        """Counts of the last generation, also while it runs."""
        return self._counts[1]

    @stats.setter
    def stats(self, stats: GenerationStats) -> None:
        self._counts = self._counts[0], stats, True

    @property
    def total_stats(self) -> GenerationStats:
        """Counts of all generations, up to now."""
        before, last, summed = self._counts
        total = GenerationStats()
        for one in (before, last) if summed else (before,):
            total.add(one)
        return total

    @total_stats.setter
    def total_stats(self, stats: GenerationStats) -> None:
        self._counts = stats, self._counts[1], False
