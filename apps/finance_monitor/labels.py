"""Labels: sentiment and topics of a title, by the model that knows its language; never guessed for another.

Titles on a topic get their sentence vector here too: the labeller's own, or else the encoder's.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from apps.finance_monitor.cascade import CHEAP, OVERLOAD, Cascade
from apps.finance_monitor.items import NewsItem
from apps.finance_monitor.repeats import Vectors
from apps.finance_monitor.stories import Vector
from apps.finance_monitor.towards import Reader, Towards
from apps.finance_monitor.watchlist import Span
from engine import Embedder, Prediction, Predictor, Watch
from engine.text import languages

COMPANIES = "companies"
"""Head of a labeller that finds companies in the title, in the same pass."""
ENCODER = "minilm"
"""Whose sentence vectors group stories; a labeller may repeat them in its pass (`task.vectors` of its recipe)."""
PRICE_RECAP = "markets"
"""Topic of price recaps: moves that already happened are no news and are not counted."""


@dataclass(frozen=True)
class Label:
    sentiment: str
    topics: tuple[str, ...]
    model: str
    route: str = "model"
    """"model", or "cheap" and "overload" where the champion was not asked (see `Cascade`)."""

    @property
    def is_news(self) -> bool:
        """News on a topic of the risk desk: no price recap, nothing without a topic."""
        return bool(self.topics) and PRICE_RECAP not in self.topics

    @property
    def counts_as_negative(self) -> bool:
        return self.sentiment == "negative" and self.is_news


@dataclass(frozen=True)
class Labelled:
    item: NewsItem
    language: str | None
    label: Label | None
    """None: no model knows the language."""
    vector: Vector | None
    """Unit sentence vector, shape (width,), of a title on a topic; none under overload."""
    companies: tuple[Towards, ...] | None = None
    """None: no model reads companies; they are known by capitals, and the label is that of each."""
    placed: datetime | None = None
    """Event time that it was given instead of its own."""

    @property
    def time(self) -> datetime:
        """Event time at which it counts."""
        return self.placed or self.item.time


def label(
    items: Sequence[NewsItem],
    models: Sequence[Predictor | Cascade],
    embedder: Embedder | Vectors,
    reader: Reader | None = None,
    watch: Watch | None = None,
) -> list[Labelled]:
    """Items with their labels and vectors, in order.

    What is labelled under overload gets no vector and no companies by a model: nothing but the cheap model is asked.

    Args:
        models: the first that names the item's language answers.
        reader: says who fares how, where a model finds companies or knows the sentiment towards one.
        watch: counts what the models are asked and answer, for `engine drift`.
    """
    known = [languages.detect(item.title) or item.lang for item in items]
    said: dict[int, Prediction] = {}
    vectors: dict[int, Vector] = {}
    for number, model in enumerate(models):
        mine = [
            place
            for place, language in enumerate(known)
            if language in model.spec.languages
            and not any(language in earlier.spec.languages for earlier in models[:number])
        ]
        titles = [items[place].title for place in mine]
        predictions = model.predict(titles)
        if watch:
            _count(watch, model.model, predictions, titles)
        said |= zip(mine, predictions, strict=True)
        if model.spec.vectors == ENCODER:
            own = zip(mine, predictions, strict=True)
            vectors |= {place: found.vector for place, found in own if found.vector is not None}
    answers = {place: _label(found) for place, found in said.items()}
    whole = {place: found for place, found in answers.items() if found.route != OVERLOAD}
    on_topic = {place for place, found in whole.items() if found.topics}
    left = sorted(on_topic - vectors.keys())
    companies: dict[int, tuple[Towards, ...]] = {}
    with ThreadPoolExecutor(1) as beside:  # so that no core waits for the last text of either
        embedded = beside.submit(lambda: list(embedder.stream([items[place].title for place in left])))
        if reader:
            places = range(len(items))
            named = [companies_named(said[place]) if place in said else None for place in places]
            read = reader.read(items, known, [whole.get(place) for place in places], named)
            companies = {place: read[place] for place in places if place in whole or place not in answers}
        vectors |= zip(left, embedded.result(), strict=True)
    return [
        Labelled(
            item,
            known[place],
            answers.get(place),
            vectors[place] if place in on_topic else None,
            companies.get(place),
        )
        for place, item in enumerate(items)
    ]


def encoder() -> Embedder:
    """Gives the vectors that group stories, where the labeller does not.

    int8: of the feed's pairs of retellings it joins .82, as fp32 does, and of other pairs .0003, 2.4 times as fast.
    """
    return Embedder(ENCODER, precision="int8")


def _count(watch: Watch, model: str, predictions: Sequence[Prediction], titles: Sequence[str]) -> None:
    """Leaves out what a cheap model answered in the model's place: its probabilities are others without any drift."""
    own = [(found, title) for found, title in zip(predictions, titles, strict=True) if _route(found) == "model"]
    if own:
        watch.seen(model, [found for found, _ in own], [title for _, title in own])


def _label(found: Prediction) -> Label:
    return Label(found["sentiment"].label, found["topics"].labels, found.model, _route(found))


def companies_named(found: Prediction) -> tuple[Span, ...] | None:
    """Where the model found companies; None: it does not look for them."""
    answer = found.heads.get(COMPANIES)
    return None if answer is None else tuple(Span(one.start, one.end, one.text) for one in answer.entities)


def _route(found: Prediction) -> str:
    return found.backend if found.backend in (CHEAP, OVERLOAD) else "model"
