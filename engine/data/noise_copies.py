"""Noise copies: train rows with typing errors, beside the clean ones."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from engine.data.augment.noise import noisy
from engine.data.rows import Row
from engine.recipe import Noise


def noise_copies(rows: Sequence[Row], noise: Noise, *, seed: int) -> list[Row]:
    """`noise.copies` mistyped copies of every row, with its labels; made of train rows only: nothing new leaks."""
    draw = random.Random(seed)
    return [
        replace(
            row,
            text=noisy(row.text, noise.share, draw),
            pair=None if row.pair is None else noisy(row.pair, noise.share, draw),
        )
        for _ in range(noise.copies)
        for row in rows
    ]
