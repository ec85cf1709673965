"""Desk: what a served monitor is told to read, and how; alone, or in a house."""

from __future__ import annotations

from collections.abc import Mapping as Of
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from apps.finance_monitor.feeds import named
from apps.finance_monitor.feeds.source import Source
from apps.finance_monitor.mapping import Mapping
from apps.finance_monitor.sinks import Sink


@dataclass(frozen=True)
class Desk:
    """
    Attributes:
        feeds: followed beside what is pushed; web feeds are looked at every `poll` seconds.
        mapping: how items of another shape are read: a file, or ninjs; None: they have Keel's own.
        cascade: titles that the cheap model is sure of are left to it.
        sinks: are told each change of an alert.
        monitor: further options, as `run.monitor` takes them.
    """

    feeds: tuple[str, ...] = ()
    poll: float = 60.0
    mapping: str | None = None
    cascade: bool = False
    sinks: tuple[Sink, ...] = ()
    monitor: Of[str, Any] = field(default_factory=dict)

    def sources(self) -> list[Source]:
        """The feeds, to be followed.

        Raises:
            InputError: one is none, or the mapping is none.
        """
        return [named(one, follow=True, poll=self.poll, mapping=self._shape) for one in self.feeds]

    @property
    def pushed(self) -> Mapping | None:
        """How what is pushed is read. One of CSV is for files alone."""
        return self._shape if self._shape and self._shape.format == "jsonl" else None

    @cached_property
    def _shape(self) -> Mapping | None:
        return Mapping.load(self.mapping) if self.mapping else None
