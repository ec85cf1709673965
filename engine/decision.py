"""Decision: what became of a challenger, with the figures that decided it; kept for good.

$KEEL_HOME/decisions/<name>/<id>/report.json     for machines, with the id of every piece of feedback
$KEEL_HOME/decisions/<name>/<id>/report.md       for people; neither holds a text of the feedback
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from engine import resources
from engine.data.files import whole, write_json
from engine.errors import InputError

JSON, MARKDOWN = "report.json", "report.md"
PLAN = "plan.json"
UNFINISHED = ".unfinished"
"""Folder of a retrain that is at work, or was killed."""


@dataclass(frozen=True)
class Gate:
    """One thing that a challenger had to hold."""

    name: str
    held: bool
    figure: float
    bound: float
    interval: tuple[float, float] | None
    """95%, where the figure is one of rows that might have been others."""
    note: str
    """What the figure is, and of what."""


@dataclass(frozen=True)
class Aside:
    """A piece of feedback that did not teach, and why."""

    id: str
    reason: str


@dataclass(frozen=True)
class Taught:
    """What the challenger was made of."""

    read: int
    """Pieces of feedback on the model, in all."""
    learnt: tuple[str, ...]
    """Ids of those that taught it."""
    held: tuple[str, ...]
    """Ids of those that judge it: rows of a new label."""
    rows: int
    """Rows that the learnt ones came to: several people may have spoken of one text."""
    replayed: int
    """Old rows learnt again."""
    new_labels: tuple[str, ...]
    sha256: str
    """Of the file of rows that it was trained on."""

    @classmethod
    def of(cls, values: dict[str, Any]) -> Taught:
        """From what JSON makes of it."""
        lists: dict[str, Any] = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return cls(**{**values, **lists})


@dataclass(frozen=True)
class Decision:
    id: str
    name: str
    time: str
    """RFC 3339."""
    champion: str
    """NAME@NUMBER that was to be beaten."""
    challenger: str
    promoted: bool
    gates: tuple[Gate, ...]
    feedback: Taught
    aside: tuple[Aside, ...]
    golden: dict[str, Any] = field(default_factory=dict)
    """Rows and hash of the golden set."""

    @property
    def report(self) -> Path:
        """The report that people read."""
        return folder(self.name) / self.id / MARKDOWN

    @property
    def why(self) -> str:
        """In a sentence."""
        failed = [f"{gate.name} ({gate.note})" for gate in self.gates if not gate.held]
        if failed:
            return f"{self.challenger} is refused and {self.champion} stays: " + "; ".join(failed)
        return f"{self.challenger} takes the place of {self.champion}: every gate held"

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "why": self.why, "report": str(self.report)}

    def write(self, place: Path) -> None:
        """Both reports, the one for machines last: where it lies, all is written."""
        with whole(place / MARKDOWN) as stream:
            stream.write(markdown(self))
        write_json(place / JSON, asdict(self))

    def keep(self) -> None:
        """Put it where the decisions on its model lie, whole or not at all."""
        aside = folder(self.name) / f".{self.id}"
        aside.mkdir(parents=True, exist_ok=True)
        self.write(aside)
        aside.rename(folder(self.name) / self.id)


def folder(name: str) -> Path:
    """Where the decisions on a model lie."""
    return resources.home() / "decisions" / name


def read(place: Path) -> Decision:
    """The decision in a folder."""
    values: dict[str, Any] = json.loads((place / JSON).read_text(encoding="utf-8"))
    gates = tuple(Gate(**{**one, "interval": one["interval"] and tuple(one["interval"])}) for one in values["gates"])
    aside = tuple(Aside(**one) for one in values["aside"])
    return Decision(**{**values, "gates": gates, "aside": aside, "feedback": Taught.of(values["feedback"])})


def decisions(name: str) -> list[Decision]:
    """Those on a model, the oldest first."""
    place = folder(name)
    found = sorted(one for one in place.iterdir() if one.name[0] != ".") if place.is_dir() else []
    return [read(one) for one in found]


def find(name: str, id: str) -> Decision:
    """The one of this id, or the "last".

    Raises:
        InputError: there is none.
    """
    found = {one.id: one for one in decisions(name)}
    if id == "last" and found:
        return list(found.values())[-1]
    if id not in found:
        raise InputError(f"{name}: no decision {id}; there are: {', '.join(found) or 'none yet'}")
    return found[id]


def unfinished(name: str) -> bool:
    """Whether a killed retrain left work that another goes on with."""
    return any((folder(name) / UNFINISHED / file).exists() for file in (PLAN, JSON))


def reasons(aside: Sequence[Aside]) -> list[tuple[str, int]]:
    """Why feedback was set aside and how often, the most frequent first; probabilities in it do not tell it apart."""
    counts = Counter(re.sub(r"\d+\.\d+", "so much", one.reason) for one in aside)
    return counts.most_common()


def markdown(one: Decision) -> str:
    """The decision for people."""
    lines = [f"# {one.name}: {'promoted' if one.promoted else 'refused'}", "", f"{one.why}.", ""]
    lines += [f"Decided {one.time} on {one.golden.get('rows', 0):,} golden rows", ""]
    lines += ["| gate | held | figure | bound | 95% interval | what it is |", "|---|---|---|---|---|---|"]
    for gate in one.gates:
        interval = f"{gate.interval[0]:+.4f} to {gate.interval[1]:+.4f}" if gate.interval else ""
        held = "yes" if gate.held else "**no**"
        lines.append(f"| {gate.name} | {held} | {gate.figure:.4f} | {gate.bound:.4f} | {interval} | {gate.note} |")
    taught = one.feedback
    lines += ["", "## What it learnt from", ""]
    lines += [
        f"- {taught.read:,} pieces of feedback were read; {len(taught.learnt):,} taught it, as {taught.rows:,} rows"
    ]
    lines += [f"- {taught.replayed:,} rows that {one.champion} knew were learnt again beside them"]
    if taught.new_labels:
        lines += [f"- new labels: {', '.join(taught.new_labels)}; {len(taught.held)} pieces of feedback judge them"]
    if one.aside:
        lines += ["", "## What was set aside", ""]
        lines += [f"- {count:,}: {reason}" for reason, count in reasons(one.aside)]
    if not one.promoted:
        lines += [
            "",
            f"The version is kept. To make it champion all the same: `engine models promote {one.challenger}`",
        ]
    else:
        lines += ["", f"To go back to {one.champion}: `engine models rollback {one.name}`"]
    return "\n".join(lines) + "\n"
