"""Noise copies: train rows with typing errors, beside the clean ones."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence

from engine.data.augment.noise import noisy
from engine.data.rows import Row
from engine.recipe import Noise


def noise_copies(rows: Sequence[Row], noise: Noise, *, places: Collection[str], seed: int) -> list[Row]:
    """`noise.copies` mistyped copies of every row, with its labels; made of train rows only: nothing new leaks.

    Args:
        places: heads whose labels are places in the text: a copy says nothing of them.
    """
    draw = random.Random(seed)
    copies = [
        row.reworded(
            noisy(row.text, noise.share, draw),
            None if row.pair is None else noisy(row.pair, noise.share, draw),
            places,
        )
        for _ in range(noise.copies)
        for row in rows
    ]
    return [copy for copy in copies if not copy.says_nothing]
