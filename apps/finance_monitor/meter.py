"""Meter: the monitor's figures, as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from apps.finance_monitor import changelog, undelivered
from apps.finance_monitor.cascade import CHEAP, OVERLOAD
from apps.finance_monitor.queues import queues, waiting
from apps.finance_monitor.sinks import Sink

if TYPE_CHECKING:
    from apps.finance_monitor.pulse import Pulse
    from engine.db import Database

ROUTES = ("model", CHEAP, OVERLOAD)
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Meter:
    """What the monitor last told, and what its database says when it is asked.

    Args:
        sinks: that the monitor sends changes to; few, and set at the start.
    """

    def __init__(self, registry: CollectorRegistry, database: Database, sinks: Sequence[Sink]) -> None:
        self.pulse: Pulse | None = None
        self._database = database
        self._queues = queues(sinks)
        self._delay = 0.0
        self._seconds = Histogram(
            "keel_news_inference_seconds", "Time to label a chunk of news.", buckets=SECONDS, registry=registry
        )
        registry.register(self)

    def take(self, pulse: Pulse) -> None:
        self.pulse = pulse
        if pulse.labelled:
            self._seconds.observe(pulse.seconds)
        if pulse.received:
            self._delay = (datetime.now(UTC) - pulse.received).total_seconds()

    def undelivered(self) -> dict[str, int]:
        """Sink -> changes that it has not been told yet."""
        return waiting(self._database, self._queues, self.pulse.event if self.pulse else None)

    def given_up(self) -> dict[str, int]:
        """Sink -> changes that it refused too often."""
        with self._database.read() as connection:
            return undelivered.counts(connection)

    def describe(self) -> list[Metric]:
        return []  # or the registry would ask the database for their names

    def collect(self) -> Iterator[Metric]:
        pulse = self.pulse
        counts = {
            "items": ("News items that counted.", pulse.items if pulse else 0),
            "late": ("Items that came too late to count.", pulse.late if pulse else 0),
            "duplicates": ("Items whose id was known.", pulse.duplicates if pulse else 0),
            "dead_letters": ("Lines that were no news items.", pulse.dead if pulse else 0),
        }
        for name, (text, count) in counts.items():
            yield CounterMetricFamily(f"keel_news_{name}", text, value=count)
        routes = CounterMetricFamily("keel_news_labelled", "News items by who labelled them.", labels=["route"])
        for route in ROUTES:
            routes.add_metric([route], pulse.routes.get(route, 0) if pulse else 0)
        yield routes
        text = "Titles answered from memory, since the models were loaded."
        yield CounterMetricFamily("keel_news_repeats", text, value=pulse.repeats if pulse else 0)
        text = "Topics and companies that may be about to surge."
        yield GaugeMetricFamily("keel_news_pending_keys", text, value=len(pulse.pending) if pulse else 0)
        if pulse and pulse.event:
            behind = (datetime.now(UTC) - pulse.event).total_seconds()
            yield GaugeMetricFamily("keel_news_event_lag_seconds", "Clock less newest event time.", value=behind)
        text = "From receipt of the newest item to its commit."
        yield GaugeMetricFamily("keel_news_feed_lag_seconds", text, value=self._delay)
        with self._database.read() as connection:
            firing = sum(1 for _ in changelog.latest(connection, "firing"))
        yield GaugeMetricFamily("keel_news_alerts_firing", "Alerts that fire.", value=firing)
        left = GaugeMetricFamily("keel_news_undelivered_changes", "Changes that a sink waits for.", labels=["sink"])
        for sink, count in self.undelivered().items():
            left.add_metric([sink], count)
        yield left
        lost = GaugeMetricFamily(
            "keel_news_given_up_changes", "Changes that a sink refused too often.", labels=["sink"]
        )
        for sink, count in self.given_up().items():
            lost.add_metric([sink], count)
        yield lost
