"""Trial: what champion and challenger, in the forms that answer here, say of the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data.rows import Row
from engine.evaluate.asked import Remembering
from engine.evaluate.held_out import said
from engine.evaluate.intervals import Difference, Metric, paired_bootstrap
from engine.predictor import Predictor, Text
from engine.recipe import Gates
from engine.tasks import kinds
from engine.tasks.heads import HeadSpec
from engine.tasks.kinds import Output


@dataclass(frozen=True)
class Side:
    """One of the two models, and what it says of the rows."""

    predictor: Predictor
    outputs: Mapping[str, Sequence[Output]]

    @cached_property
    def asking(self) -> Remembering:
        """The model, asked once for each text however many gates ask."""
        return Remembering(self.predictor)


@dataclass(frozen=True)
class Asked:
    """A head on the rows that have its label, and the figures of both models over them."""

    head: HeadSpec
    known: int
    """Labels, the first of the head's, that the champion has too."""
    numbers: NDArray[np.intp]
    """Of the rows among all of the trial's."""
    rows: list[Row]
    champion: dict[str, Metric]
    challenger: dict[str, Metric]

    @property
    def main(self) -> str:
        return kinds.of(self.head.kind).main


@dataclass(frozen=True)
class Trial:
    settings: Gates
    champion: Side
    challenger: Side
    rows: list[Row]
    """The golden rows, and after them rows of labels that these have none of."""
    golden: int
    """How many are golden."""
    columns: Mapping[str, Sequence[Any]]
    """Further columns of the rows that slices are cut by."""

    @cached_property
    def heads(self) -> list[Asked]:
        """The heads that rows answer, by the challenger's labels: a label that the champion lacks it never gives."""
        found = []
        ours = {head.name: head for head in self.champion.predictor.spec.heads}
        for head in self.challenger.predictor.spec.heads:
            numbers = kinds.answered(head, self.rows)
            if len(numbers):
                rows = [self.rows[number] for number in numbers]
                before, after = (
                    [side.outputs[head.name][number] for number in numbers] for side in (self.champion, self.challenger)
                )
                before = [_widened(output, ours[head.name], head) for output in before]
                of, kind = (self.champion, self.challenger), kinds.of(head.kind)
                scales = [side.predictor.temperatures[head.name] for side in of]
                found.append(
                    Asked(
                        head,
                        len(ours[head.name].labels),
                        numbers,
                        rows,
                        kind.metrics(head, rows, before, scales[0]),
                        kind.metrics(head, rows, after, scales[1]),
                    )
                )
        return found

    @property
    def texts(self) -> list[Text]:
        return [row.text if row.pair is None else (row.text, row.pair) for row in self.rows]

    @classmethod
    def of(
        cls,
        settings: Gates,
        champion: Predictor,
        challenger: Predictor,
        golden: Sequence[Row],
        more: Sequence[Row],
        columns: Mapping[str, Sequence[Any]],
    ) -> Trial:
        """Ask both models about the rows."""
        rows = [*golden, *more]
        before, after = (Side(one, said(one, rows)) for one in (champion, challenger))
        return cls(settings, before, after, rows, len(golden), columns)

    def clusters(self, numbers: NDArray[np.intp]) -> list[object]:
        """What each of the rows is drawn together with."""
        return [self.rows[number].group or f"row {number}" for number in numbers.tolist()]

    def difference(self, before: Metric, after: Metric, numbers: NDArray[np.intp]) -> Difference:
        """How much more the challenger has, and how far that could have come out otherwise.

        Args:
            before, after: figures of champion and challenger over places within `numbers`.
            numbers: of rows of the trial.
        """
        return paired_bootstrap([before], [after], self.clusters(numbers))


def _widened(output: Output, narrow: HeadSpec, wide: HeadSpec) -> Output:
    """The output as a head with more labels would give it: those are impossible."""
    if narrow.labels == wide.labels:
        return output
    logits = np.full(len(wide.labels), -np.inf)
    logits[[wide.labels.index(label) for label in narrow.labels]] = output.logits
    return replace(output, logits=logits)
