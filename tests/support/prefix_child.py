"""Child of the kill and sharing tests: answers numbered prompts with a prefix cache over a fake KV cache.

Usage: prefix_child.py FOLDER FIRST COUNT [whole]; prints each number once its state is saved.
"""

import os
import sys
import warnings
from pathlib import Path

from fake_checkpoints import StateConversation
from fake_state import Conversation

from hd_edge.errors import StoreWarning


def ended_by(message, *_, **__):
    """What is told while something is learned raises nothing."""
    print(message, file=sys.stderr, flush=True)
    os._exit(3)


warnings.simplefilter("error", StoreWarning)
warnings.showwarning = ended_by
folder, first, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
talk = (StateConversation if "whole" in sys.argv else Conversation)(folder)
print("ready", flush=True)
for number in range(first, first + count):
    talk.answer([*range(100), number, *range(1000)])
    talk.cache.saver.flush()
    print(number, flush=True)
talk.close()
