"""Split: rows -> train, dev, calibration, test, cut by group and with near-duplicates on one side."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.data.rows import Row
from engine.recipe import Split
from engine.text.near_duplicates import near_pairs


@dataclass(frozen=True)
class Parts:
    """Train teaches, dev stops training, calibration sets temperatures, test is only for the figures."""

    train: list[Row]
    dev: list[Row]
    calibration: list[Row]
    test: list[Row]

    def counts(self) -> dict[str, int]:
        return {name: len(rows) for name, rows in vars(self).items()}


def cut(
    rows: Sequence[Row],
    split: Split,
    *,
    stratify: str | None,
    test: Sequence[Row] | None = None,
    dev: Sequence[Row] | None = None,
) -> Parts:
    """Cut `rows` by the recipe's shares.

    Rows of one group, and rows that are near-duplicates of each other, form a cluster that stays whole, so a cut of
    our own never leaks. Clusters are dealt out per label of the head `stratify`, each to the part furthest below its
    share: every part gets its share of every label. Rows made by augmentation go to train and leave the cut of the
    others as it is without them.

    Args:
        test: rows of a given test file; then no row of `rows` becomes test.
        dev: rows of a given validation file; they become dev and calibration, and none of `rows` does.
    """
    if dev is not None:
        held = split.dev + split.calibration
        halves = split.model_copy(update={"test": 0.0, "dev": split.dev / held, "calibration": 0.0})
        rest = split.model_copy(update={"dev": 0.0, "calibration": 0.0})
        checked, taught = cut(dev, halves, stratify=stratify), cut(rows, rest, stratify=stratify, test=test)
        return Parts(taught.train, checked.dev, checked.train, taught.test)
    made = [row for row in rows if row.augmented_from is not None]
    rows = [row for row in rows if row.augmented_from is None]
    shares = {"test": 0.0 if test is not None else split.test, "dev": split.dev, "calibration": split.calibration}
    shares["train"] = 1.0 - sum(shares.values())
    dealt: dict[str, list[int]] = {name: [] for name in shares}
    strata: dict[object, list[list[int]]] = defaultdict(list)
    for cluster in clusters(rows):
        labels = Counter(rows[number].labels.get(stratify) for number in cluster) if stratify else Counter([None])
        strata[labels.most_common(1)[0][0]].append(cluster)
    random = np.random.default_rng(split.seed)
    for stratum in sorted(strata, key=str):
        total = 0
        counts = dict.fromkeys(shares, 0)
        for index in random.permutation(len(strata[stratum])):
            cluster = strata[stratum][index]
            total += len(cluster)
            name = max(shares, key=lambda part: shares[part] * total - counts[part] if shares[part] else -np.inf)
            counts[name] += len(cluster)
            dealt[name] += cluster
    parts = {name: [rows[number] for number in sorted(numbers)] for name, numbers in dealt.items()}
    parts["train"] += made
    if test is not None:
        parts["test"] = list(test)
    return Parts(**parts)


def clusters(rows: Sequence[Row]) -> list[list[int]]:
    """Row numbers that belong together, by equal group or as near-duplicates (transitively), in order of first row."""
    parent = list(range(len(rows)))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = number = parent[parent[number]]
        return number

    first_of: dict[str, int] = {}
    for number, row in enumerate(rows):
        if row.group is not None:
            parent[root(number)] = root(first_of.setdefault(row.group, number))
    for left, right in near_pairs([row.whole for row in rows]):
        parent[root(right)] = root(left)
    found: dict[int, list[int]] = defaultdict(list)
    for number in range(len(rows)):
        found[root(number)].append(number)
    return list(found.values())
