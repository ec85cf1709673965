"""Claims: what feedback says of a text's labels, head by head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from engine.feedback.log import Feedback
from engine.feedback.voice import Voice

Label = str | tuple[str, ...]
"""A label; of a multi-label head all its labels, sorted."""
Form = Literal["names", "confirms", "denies"]


@dataclass(frozen=True)
class Claim:
    """`names`: this is the label; `confirms`, `denies`: what the model said is, or is not."""

    feedback: Feedback
    head: str
    label: Label
    form: Form

    @property
    def voice(self) -> Voice:
        return Voice(self.feedback.rater, self.feedback.kind == "label")


def claims(one: Feedback) -> list[Claim]:
    """A correction or a label names; a vote confirms or denies the labels that the model said. All else claims none."""
    if one.kind in ("correction", "label"):
        named = {head: label_of(value) for head, value in (one.correction or {}).items()}
        return [Claim(one, head, label, "names") for head, label in named.items() if label is not None]
    if one.kind != "vote" or one.verdict is None or one.verdict == 0.5:
        return []
    form: Form = "confirms" if one.verdict > 0.5 else "denies"
    return [Claim(one, head, label, form) for head in one.said if (label := said_label(one, head)) is not None]


def said_label(one: Feedback, head: str) -> Label | None:
    """What the model said; None: nothing of this head."""
    said = one.said.get(head)
    if not isinstance(said, Mapping):
        return None
    return label_of(said["labels"] if "labels" in said else said.get("label"))


def label_of(value: Any) -> Label | None:
    """The label that a JSON value is; None: it is none."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
        return tuple(sorted(set(value)))
    return None
