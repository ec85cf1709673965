"""Drift of a stored version: what a server's window of counts, or the texts of a file, say against its reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from engine.drift.labelled import Labelled, labelled
from engine.drift.measure import Measure, measures
from engine.drift.reference import embedded, reference
from engine.drift.sketch import EMBEDDING, Sketch
from engine.drift.watch import seen
from engine.store import Store

if TYPE_CHECKING:
    from engine.db import Database

WINDOW = timedelta(days=7)
BY_THE_HOUR = timedelta(hours=48)
"""Windows up to this long have a trend by the hour, longer ones by the day."""


@dataclass(frozen=True)
class Drift:
    """What is known of one version in one window."""

    model: str
    since: datetime | None
    """None: the texts of a file were asked."""
    until: datetime | None
    texts: int
    parts: tuple[str, ...]
    """Days or hours of the measures' trends."""
    measures: tuple[Measure, ...]
    labelled: tuple[Labelled, ...]

    @property
    def drifted(self) -> bool:
        return any(one.drifted for one in self.measures) or any(one.drifted for one in self.labelled)

    @property
    def told(self) -> str:
        """What has drifted, in words."""
        moved = [f"{one.name} ({one.verdict}, {one.value:.2f})" for one in self.measures if one.drifted]
        moved += [f"{one.head}: right {one.accuracy:.0%} of the time" for one in self.labelled if one.drifted]
        if moved:
            return f"drift: {', '.join(moved)}"
        return "no drift" if self.texts or self.labelled else "nothing seen yet"

    def as_dict(self) -> dict[str, Any]:
        from dataclasses import asdict

        found = asdict(self)
        for name in ("since", "until"):
            found[name] = None if found[name] is None else found[name].isoformat(timespec="seconds")
        for told, one in zip(found["measures"], self.measures, strict=True):
            told["verdict"] = one.verdict
        for told, label in zip(found["labelled"], self.labelled, strict=True):
            told["drifted"] = label.drifted
        return {**found, "drifted": self.drifted, "told": self.told}


def drifted(
    name: str,
    database: Database,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    store: Store | None = None,
) -> Drift:
    """What servers counted of a model and people said of it, against the reference of the version.

    The first call for a version makes the reference, which takes as long as its test rows do to be answered.

    Args:
        name: NAME, for its champion, NAME@ALIAS or NAME@NUMBER. Versions are told apart: a new one starts anew.
        database: where `Watch` and the feedback write.
        since: a week before `until` by default; the hour it lies in counts as a whole.
        until: now by default.

    Raises:
        InputError: there is no such version, or its reference cannot be made.
    """
    from engine.feedback import FeedbackLog

    version = (store or Store()).get(name)
    until = until or datetime.now(UTC)
    since = since or until - WINDOW
    parts = seen(database, str(version), since, until, letters=13 if until - since <= BY_THE_HOUR else 10)
    feedback = FeedbackLog(database).read(model=str(version), since=since, until=until)
    window = sum(parts.values(), Sketch())
    if not window.texts and not feedback:
        return Drift(str(version), since, until, 0, (), (), ())
    against = reference(version, vectors=bool(window.bins(EMBEDDING)))
    return Drift(
        str(version),
        since,
        until,
        window.texts,
        tuple(parts),
        tuple(measures(against.sketch, window, list(parts.values()))) if window.texts else (),
        tuple(labelled(feedback, against.quality)),
    )


def of_texts(name: str, texts: Sequence[str], *, vectors: bool = False, store: Store | None = None) -> Drift:
    """The drift of some texts that no server has seen.

    Args:
        vectors: compare those by the model's own encoder too; the first time it is exported, which takes a minute.

    Raises:
        InputError: as `drifted`.
    """
    from engine.predictor import Predictor

    version = (store or Store()).get(name)
    predictor = Predictor.open(version.folder, model=str(version))
    apart = vectors and predictor.spec.task != "embed"
    window = Sketch.of(predictor.predict(texts), texts, embedded(version, texts) if apart else None)
    against = reference(version, vectors=vectors)
    return Drift(str(version), None, None, len(texts), (), tuple(measures(against.sketch, window)), ())
