"""Row: one labelled text, or pair of texts, as it goes through the engine."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

Label = Any
"""A label as its head reads it: a string, a tuple of labels, a number, spans. None: the row does not say."""


@dataclass(frozen=True)
class Row:
    text: str
    labels: Mapping[str, Label]
    """Head -> its label, None where the row does not say."""
    group: str | None
    origin: str
    """File and line."""
    pair: str | None = None
    """The second text of a pair: a passage for a question, a company for a headline."""
    augmented_from: str | None = None
    """Origin of the row that augmentation made this one from."""
    language: str | None = None
    """What the column `data.columns.language` says, or else `lang`; figures are told apart by it."""

    @property
    def whole(self) -> str:
        """All the row's text: what must not stand on both sides of a split."""
        return self.text if self.pair is None else f"{self.text}\n{self.pair}"

    def reworded(self, text: str, pair: str | None, places: Collection[str]) -> Row:
        """The row in other words.

        Args:
            places: heads whose labels are places in the text, of which the new row says nothing.
        """
        labels = {name: None if name in places else label for name, label in self.labels.items()}
        return replace(self, text=text, pair=pair, labels=labels)

    @property
    def says_nothing(self) -> bool:
        """It has heads, and no label of any."""
        return bool(self.labels) and all(label is None for label in self.labels.values())

    def record(self) -> dict[str, Any]:
        """The row as a line of a file that a recipe without columns of its own reads back."""
        said = {"pair": self.pair, "group": self.group, "lang": self.language, "augmented_from": self.augmented_from}
        return {"text": self.text} | {
            name: value for name, value in {**said, **self.labels}.items() if value is not None
        }


class BadRow(ValueError):
    """Why a row cannot be used; the message names the field and the remedy.

    Args:
        raw: the row as it stands in its file, where no fields could be read from it.
    """

    def __init__(self, reason: str, raw: str = "") -> None:
        super().__init__(reason)
        self.raw = raw
