"""Child of the kill and sharing tests: flushes numbered answers into a store.

Usage: flush_child.py STORE FIRST COUNT; prints the number of each answer once it is committed.
"""

import sys
import warnings

from store_helpers import IDENTITY, N_VOCAB, numbered_answer

from hd_edge.store.store import Store
from hd_edge.tiers import ModelTier

warnings.simplefilter("error")
path, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
tier = ModelTier(Store(path, IDENTITY), N_VOCAB)
for number in range(first, first + count):
    tier.learn(numbered_answer(number), 0)
    tier.flush()
    print(number, flush=True)
tier.close()
