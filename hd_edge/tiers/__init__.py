"""The tiers below the context: what this model said before, and statistics of a large corpus."""

from __future__ import annotations

from .model import ModelTier
from .statistics import StatisticsTier

__all__ = ["ModelTier", "StatisticsTier"]
