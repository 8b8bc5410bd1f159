"""How many threads a memory-bound forward should use, one per physical core of this process, and how many run now."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path


def physical_cores(topology: Path = Path("/sys/devices/system/cpu")) -> int:
    """Physical cores for this process; half the logical ones where the system does not tell.

    Decoding reads every weight once per forward: a core's second hardware thread adds no memory bandwidth.
    """
    if platform.system() == "Darwin":
        answer = subprocess.run(
            ["sysctl", "-n", "hw.perflevel0.physicalcpu"], capture_output=True, text=True, check=False
        ).stdout.strip()
        if answer.isdigit():
            return max(int(answer), 1)
    if hasattr(os, "sched_getaffinity"):
        cores = {
            (topology / f"cpu{cpu}" / "topology" / "thread_siblings_list").read_text().strip()
            for cpu in os.sched_getaffinity(0)
            if (topology / f"cpu{cpu}" / "topology" / "thread_siblings_list").exists()
        }
        if cores:
            return len(cores)
    return max((os.cpu_count() or 2) // 2, 1)


def running_threads(loads: Path = Path("/proc/loadavg")) -> int | None:
    """Threads of the whole machine that run or want to at this moment; None where the system does not say."""
    try:
        return int(loads.read_text().split()[3].split("/")[0])
    except (OSError, ValueError, IndexError):
        return None
