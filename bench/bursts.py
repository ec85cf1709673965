"""Counts of our own making, with anomalies planted: what the volume detector's constants were chosen on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

STEP = timedelta(minutes=5)
STEPS = 15_850
WINDOWS = 0.1
"""Share of a series that lies in anomaly windows, as NAB has it."""
START = datetime(2015, 2, 26, 21, 40)


@dataclass(frozen=True)
class Series:
    name: str
    times: list[datetime]
    counts: list[int]
    windows: list[tuple[int, int]]
    """First and last step of each anomaly's window, in order."""


def simulate(seed: int) -> Series:
    """55 days of a count every five minutes: busy and quiet hours, slow swings, noise beyond Poisson's, harmless bursts
    that are usual there, and two to five anomalies: a spike as large as any, or busy hours."""
    draw = np.random.default_rng(seed)
    times = [START + number * STEP for number in range(STEPS)]
    mean = math.exp(draw.uniform(math.log(0.4), math.log(60)))
    rate = mean * np.exp(_season(times, draw) + _swings(draw))
    noise = draw.uniform(0.5, 5)
    counts = draw.poisson(rate * draw.gamma(noise, 1 / noise, STEPS)).astype(float)
    heavy = draw.uniform(1.2, 3)
    for start in draw.integers(0, STEPS - 50, draw.poisson(55 * draw.uniform(0.3, 2))):
        _spike(counts, start, 3 * mean * (1 + draw.pareto(heavy)), 0.6, draw)
    number = int(draw.integers(2, 6))
    half = int(STEPS * WINDOWS / number / 2)
    centres: list[int] = []
    while len(centres) < number:
        centre = int(draw.integers(800 + half, STEPS - half - 150))
        if all(abs(centre - other) > 2 * half for other in centres):
            centres.append(centre)
    rare, busy = np.quantile(counts, [0.9995, 0.99])
    for centre in centres:
        if draw.random() < 0.6:
            _spike(counts, centre, max(rare, 4 * mean) * draw.uniform(0.7, 3), 0.7, draw)
        else:
            hours = slice(centre, centre + int(draw.integers(18, 120)))
            counts[hours] += draw.poisson(rate[hours] * draw.uniform(2, 5) + busy * draw.uniform(0.5, 1))
    windows = sorted((centre - half, centre + half) for centre in centres)
    return Series(f"simulated-{seed}", times, [int(count) for count in counts], windows)


def _season(times: list[datetime], draw: np.random.Generator) -> npt.NDArray[np.float64]:
    """Logarithms of the hours' and weekends' factors."""
    hours = np.array([time.hour + time.minute / 60 for time in times])
    weekend = np.array([time.weekday() >= 5 for time in times])
    wave = np.cos((hours - draw.uniform(0, 24)) / 24 * 2 * np.pi)
    return draw.uniform(0.1, 0.9) * wave - draw.uniform(0, 0.5) * weekend


def _swings(draw: np.random.Generator, stay: float = 0.98) -> npt.NDArray[np.float64]:
    size = draw.uniform(0.1, 0.5)
    swings = draw.normal(0, size * math.sqrt(1 - stay**2), STEPS)
    for step in range(1, STEPS):
        swings[step] += stay * swings[step - 1]
    return swings


def _spike(counts: npt.NDArray[np.float64], start: int, size: float, decay: float, draw: np.random.Generator) -> None:
    steps = int(draw.geometric(0.45))
    counts[start : start + steps] += draw.poisson(size * decay ** np.arange(steps))
