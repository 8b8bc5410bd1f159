"""Child of the kill tests: forks, lets the fork run a scenario of ``failing_files_child``, and kills it at some moment.

Usage: killed_child.py FOLDER SCENARIO KILLS SEED; prints how many kills came before the scenario had ended.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
import warnings
from pathlib import Path

from failing_files_child import SCENARIOS

from hd_edge.errors import StoreWarning


def forked(scenario, folder: Path) -> int:
    """The process that runs it."""
    if child := os.fork():
        return child
    try:
        scenario.run(folder)
    finally:
        os._exit(0)


def main(root: Path, name: str, kills: int, seed: int) -> int:
    scenario, choose = SCENARIOS[name](), random.Random(seed)
    scenario.deletes = False  # a killed process removes nothing
    shortest, within = 60.0, 0
    warnings.simplefilter("ignore", StoreWarning)
    for number in range(-3, kills):  # the first three tell how long it takes
        folder = root / f"{number}"
        folder.mkdir()
        scenario.before(folder)
        started = time.monotonic()
        child = forked(scenario, folder)
        if number < 0:
            os.waitpid(child, 0)
            shortest = min(shortest, time.monotonic() - started)
        else:
            time.sleep(choose.uniform(0.0, shortest))  # when it dies is the matter of chance here
            os.kill(child, signal.SIGKILL)
            within += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        scenario.after(folder)
        shutil.rmtree(folder)
    return within


if __name__ == "__main__":
    print(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
