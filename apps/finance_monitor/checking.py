"""Checking: the news of an alert read again, the alert held against what comes of it, and why it fired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from apps.finance_monitor import explanation, labels, run, verification
from apps.finance_monitor.feeds.source import Source, chunks
from apps.finance_monitor.items import NewsItem
from apps.finance_monitor.labels import Labelled
from apps.finance_monitor.replay import Replay, Settings, replay, without
from apps.finance_monitor.run import CHUNK, Models
from apps.finance_monitor.verification import Verdict
from apps.finance_monitor.watchlist import WatchList
from engine import Progress, Store, load
from engine.explain import Explainer, Explanation


@dataclass(frozen=True)
class Checked:
    """An alert that was verified, and why it fired.

    Attributes:
        items: of the news that was read.
        anew: those of them that the model labelled, the others' labels being the state's.
    """

    verdict: Verdict
    items: int
    anew: int
    decisive: dict[str, Any] | None
    words: list[Explanation]

    def document(self) -> dict[str, Any]:
        told = self.verdict.told
        return {
            "id": told["id"],
            "key": told["key"],
            "verified": self.verdict.holds,
            "model": told["model"],
            "items": self.items,
            "labelled_anew": self.anew,
            "compared": self.verdict.compared,
            "differences": [asdict(one) for one in self.verdict.differences],
            "decisive": self.decisive,
            "words": [asdict(one) for one in self.words],
        }


def checked(
    told: Sequence[Mapping[str, Any]],
    settings: Settings,
    sources: Sequence[Source],
    known: Sequence[Labelled],
    explained: bool,
    progress: Progress,
) -> list[Checked]:
    """Alerts of the same models and settings, verified.

    Args:
        sources: none: the news is what is known.
        known: news that keeps the labels that it has here.
        explained: whether to say why they fired.
    """
    reference = verification.check_model(told[0]["model"], Store())
    beside = told[0]["model"].get("beside")
    others = beside and [verification.check_model(one, Store()) for one in beside]
    items, anew, labeller = known, 0, None
    if sources:
        progress.stage(f"reading {', '.join(source.name for source in sources)} with {reference}")
        models = run.loaded(reference, others)
        items, anew = _labelled(sources, models, known, settings.companies)
        labeller = models.champions[0]
    seen = replay(items, settings, told[0]["model"], told[0].get("settings"))
    explainer = Explainer(labeller or load(reference)) if explained else None
    found = []
    for one in told:
        deciding, words = None, list[Explanation]()
        if explainer:
            progress.stage(f"explaining {one['id']}")
            deciding = decisive(one["id"], items, seen, settings)
            words = explanation.worst(titles(one), explainer)
        found.append(Checked(verification.verify(one, seen), len(items), anew, deciding, words))
    return found


def _labelled(
    sources: Sequence[Source], models: Models, known: Sequence[Labelled], companies: WatchList
) -> tuple[list[Labelled], int]:
    """The news of the sources with its labels, and how many of them were not known."""
    recorded = {one.item: one for one in known}
    found: list[Labelled] = []
    reader = models.reader(companies)
    anew = 0
    for chunk in chunks(sources, CHUNK):
        items = [entry.found for entry in chunk if isinstance(entry.found, NewsItem)]
        new = [item for item in items if item not in recorded]
        anew += len(new)
        made = dict(zip(new, labels.label(new, models.labellers, models.embedder, reader), strict=True))
        found += [recorded.get(item) or made[item] for item in items]
    return found, anew


def decisive(name: str, items: Sequence[Labelled], seen: Replay, settings: Settings) -> dict[str, Any] | None:
    """The fewest stories without which the alert of that id would not fire, and what a run without them raises."""
    if name not in seen.decisive:
        return None
    found, alert = seen.decisive[name], seen.alerts[name]
    other = without(alert, items, seen, settings)
    instead = [{field: one[field] for field in ("id", "key", "opened")} for one in other.instead]
    return {
        "stories": [{"id": one.item_id, "title": one.title} for one in found.stories],
        "items": sorted(found.items),
        "of": len(alert.evidence),
        "without_them": {"fires": other.fires, "instead": instead},
    }


def titles(told: Mapping[str, Any]) -> list[str]:
    """Of an alert's evidence."""
    return [one["title"] for one in told["evidence"]]
