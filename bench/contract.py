"""The contract of a benchmark: what it computes and how that is told."""

from __future__ import annotations

import json
import os
import platform
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.errors import InputError

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Figures:
    """Keys as in the design's table; shares, scores and differences are fractions."""

    figures: dict[str, float]
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


def public_data(name: str) -> Path:
    """A public data set's folder or file under `KEEL_BENCH_DATA`.

    Raises:
        InputError: the variable is not set or the data are not there.
    """
    root = os.environ.get("KEEL_BENCH_DATA")
    if not root:
        raise InputError(f"{name}: set KEEL_BENCH_DATA to the folder of public data sets (see CONTRIBUTING.md)")
    path = Path(root) / name
    if not path.exists():
        raise InputError(f"{name}: not in KEEL_BENCH_DATA; fetch it from its publisher (see CONTRIBUTING.md)")
    return path


def document(name: str, found: Figures, seconds: float) -> dict[str, Any]:
    """The one JSON document of a run."""
    return {
        "bench": name,
        "figures": {key: round(value, 5) for key, value in found.figures.items()},
        "intervals": {key: [round(low, 5), round(high, 5)] for key, (low, high) in found.intervals.items()},
        "settings": found.settings,
        "seconds": round(seconds, 1),
    }


def keep(result: dict[str, Any]) -> None:
    """Keep a result as the last of its benchmark, with date and kind of machine."""
    machine = {"cpu": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}
    RESULTS.mkdir(exist_ok=True)
    kept = {**result, "date": time.strftime("%Y-%m-%d"), "machine": machine}
    (RESULTS / f"{result['bench']}.json").write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
