"""Memory: the most that this process has held."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def peak_mb() -> float:
    """Most resident memory of this process since it began, in megabytes (10^6 bytes); that of accelerators not counted.

    On Linux from /proc: there getrusage counts what the process that started this one held at that moment.
    """
    status = Path("/proc/self/status")
    if status.exists():
        found = next((line for line in status.read_text().splitlines() if line.startswith("VmHWM:")), None)
        if found:
            return int(found.split()[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
