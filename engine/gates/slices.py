"""Slices: no part of the golden rows may lose more than its bound, unless chance would explain it (Ribeiro & Lundberg
2022; sliced evaluation as in Chen et al. 2019, "Slice-based learning").

A part loses when the point lies below the bound and the 95% interval of the difference below zero. Among many small
parts some lose a row or two in every retraining; to refuse for these would refuse always.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.decision import Gate
from engine.evaluate.details import lengths
from engine.evaluate.intervals import Difference, Metric
from engine.gates.trial import Asked, Trial


@dataclass(frozen=True)
class Part:
    name: str
    rows: int
    difference: Difference


def ask(trial: Trial) -> list[Gate]:
    bound, found = trial.settings.slice_loss, []
    for one in trial.heads:
        parts = list(_parts(trial, one))
        if not parts:
            note = f"{one.head.name}: no part of the golden rows has {trial.settings.slice_rows} of them"
            found.append(Gate("slices", True, 0.0, -bound, None, note))
            continue
        lost = [part for part in parts if part.difference.value < -bound and part.difference.high < 0]
        worst = min(lost or parts, key=lambda part: part.difference.value)
        also = f", and {len(lost) - 1} more parts lose" if len(lost) > 1 else ""
        told = f"worst of {len(parts)} parts is {worst.name} ({worst.rows} rows){also}"
        note = f"{one.head.name}: {told}; may lose {bound:g}"
        difference = worst.difference
        found.append(Gate("slices", not lost, difference.value, -bound, (difference.low, difference.high), note))
    return found


def _parts(trial: Trial, one: Asked) -> Iterator[Part]:
    for by in trial.settings.slices:
        before, after = one.champion[one.main], one.challenger[one.main]
        if by == "label":
            if "accuracy" not in one.champion:
                continue
            before, after = one.champion["accuracy"], one.challenger["accuracy"]  # within a label: its recall
            values = [row.labels[one.head.name] for row in one.rows]
        elif by == "length":
            values = lengths(one.rows)
        elif by == "language":
            values = [row.language for row in one.rows]
        else:
            values = [trial.columns[by][number] for number in one.numbers]
        yield from _of(trial, one, by, values, before, after)


def _of(trial: Trial, one: Asked, by: str, values: list[object], before: Metric, after: Metric) -> Iterator[Part]:
    for value in sorted({str(value) for value in values if value not in (None, "")}):
        chosen = np.array([number for number, own in enumerate(values) if str(own) == value], dtype=np.intp)
        chosen = chosen[one.numbers[chosen] < trial.golden]
        if trial.settings.slice_rows <= len(chosen) < len(one.rows):
            difference = trial.difference(_within(before, chosen), _within(after, chosen), one.numbers[chosen])
            yield Part(f"{by} {value}", len(chosen), difference)


def _within(metric: Metric, chosen: NDArray[np.intp]) -> Metric:
    return lambda over: metric(chosen[over])
