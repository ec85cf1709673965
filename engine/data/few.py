"""Few shots: a train part cut down to so many rows of each label, to see what little data can do."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np

from engine.data.rows import Row
from engine.data.split import Parts
from engine.errors import DataError


def shots(parts: Parts, head: str, per_label: int, *, seed: int) -> Parts:
    """The parts with `per_label` rows of each label of `head` in train, drawn by the seed; the rest of it is left out.
    Augmented rows do not count; those made of a chosen row stay.

    Raises:
        DataError: a label has fewer rows.
    """
    by_label: dict[str, list[Row]] = defaultdict(list)
    for row in parts.train:
        if row.labels.get(head) is not None and row.augmented_from is None:
            by_label[row.labels[head]].append(row)
    random = np.random.default_rng(seed)
    chosen: list[Row] = []
    for label in sorted(by_label):
        rows = by_label[label]
        if len(rows) < per_label:
            raise DataError(
                f"data.per_label: {per_label}, but label '{label}' has {len(rows)} rows in train; ask for fewer"
            )
        chosen += [rows[number] for number in sorted(random.permutation(len(rows))[:per_label])]
    origins = {row.origin for row in chosen}
    return replace(parts, train=chosen + [row for row in parts.train if row.augmented_from in origins])
