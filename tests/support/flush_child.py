"""Child of the kill and sharing tests: flushes numbered answers into a store.

Usage: flush_child.py STORE FIRST COUNT; prints the number of each answer once it is committed.
"""

import os
import sys
import warnings
from pathlib import Path

from store_helpers import IDENTITY, numbered_answer

from hd_edge.store.safety import CLOSE_WAIT, SafeStore
from hd_edge.tiers.model import ModelTier


def ended_by(message, *_, **__):
    """What is told while something is learned raises nothing."""
    print(message, file=sys.stderr, flush=True)
    os._exit(3)


warnings.simplefilter("error")
warnings.showwarning = ended_by
path, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
tier = ModelTier(SafeStore(Path(path), IDENTITY))
for number in range(first, first + count):
    tier.learn(numbered_answer(number), 0)
    tier.flush(CLOSE_WAIT)
    print(number, flush=True)
tier.close()
