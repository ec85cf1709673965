"""Forgetting: what each head loses on the labels that the champion knew (Lopez-Paz & Ranzato 2017, backward transfer).

Only golden rows are asked. Of a head that learnt a label, F1 is averaged over the labels of before: an old row that is
now given the new label is an error, and the new label no class of its own that nothing belongs to.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.decision import Gate
from engine.evaluate.intervals import Metric
from engine.evaluate.metrics import f1_per_label
from engine.gates.trial import Asked, Side, Trial


def ask(trial: Trial) -> list[Gate]:
    bound = trial.settings.forgetting
    found = []
    for one in trial.heads:
        old = np.flatnonzero(one.numbers < trial.golden)
        if not len(old):
            continue
        before, after = (_within(metric, old) for metric in _metrics(trial, one))
        difference = trial.difference(before, after, one.numbers[old])
        note = f"{one.head.name}: {one.main} on {len(old)} golden rows; may lose {bound:g}"
        found.append(
            Gate("forgetting", difference.value >= -bound, difference.value, -bound,
                 (difference.low, difference.high), note)
        )  # fmt: skip
    return found


def _metrics(trial: Trial, one: Asked) -> tuple[Metric, Metric]:
    """Figures of champion and challenger over the head's rows."""
    if one.known == len(one.head.labels):
        return one.champion[one.main], one.challenger[one.main]
    place = {label: number for number, label in enumerate(one.head.labels)}
    truth = np.array([place[row.labels[one.head.name]] for row in one.rows], dtype=np.int64)
    return _old_f1(trial.champion, one, truth), _old_f1(trial.challenger, one, truth)


def _old_f1(side: Side, one: Asked, truth: NDArray[np.int64]) -> Metric:
    labels = next(head.labels for head in side.predictor.spec.heads if head.name == one.head.name)
    given = [int(side.outputs[one.head.name][number].logits.argmax()) for number in one.numbers]
    answer = np.array([one.head.labels.index(labels[number]) for number in given], dtype=np.int64)
    width = len(one.head.labels)

    def f1(rows: NDArray[np.intp]) -> float:
        seen = np.bincount(truth[rows], minlength=width) + np.bincount(answer[rows], minlength=width) > 0
        return float(f1_per_label(truth[rows], answer[rows], width)[: one.known][seen[: one.known]].mean())

    return f1


def _within(metric: Metric, numbers: NDArray[np.intp]) -> Metric:
    return lambda over: metric(numbers[over])
