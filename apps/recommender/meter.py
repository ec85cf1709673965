"""Meter: what the service tells Prometheus beside its requests: lists, candidates that were read again, entries."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Sequence
from typing import TYPE_CHECKING

from apps.recommender.answers import Answer
from apps.recommender.logbook import Entry

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

READ = (0, 1, 2, 4, 8, 16, 32, 64, 128)


class Meter:
    def __init__(self, registry: CollectorRegistry) -> None:
        from prometheus_client import Counter, Histogram

        self._took = Histogram("keel_rank_seconds", "Time to rank, with waiting.", ["model"], registry=registry)
        self._reranked = Histogram(
            "keel_rank_reranked", "Candidates that the cross-encoder read.", ["model"], registry=registry, buckets=READ
        )
        self._unknown = Counter(
            "keel_rank_unknown", "Candidates that the catalogue lacks.", ["model"], registry=registry
        )
        self._told = Counter("keel_told", "Entries of feedback and items.", ["kind"], registry=registry)
        self._refused = Counter("keel_told_refused", "What was no event.", registry=registry)

    def answered(self, model: str, answer: Answer) -> None:
        self._took.labels(model).observe(answer.took_ms / 1000)
        self._reranked.labels(model).observe(answer.listing.reranked)
        if answer.unknown:
            self._unknown.labels(model).inc(len(answer.unknown))

    def told(self, entries: Sequence[Entry]) -> None:
        for kind, count in Tally(one.kind for one in entries).items():
            self._told.labels(kind).inc(count)

    def refused(self, count: int) -> None:
        if count:
            self._refused.inc(count)
