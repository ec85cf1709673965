"""Outbox: every change of an alert reaches every sink, in order, however often it takes.

The changes lie in the journal, committed with the items that made them. Each sink has been told up to one of them; the
next is tried until the sink takes it, with growing pauses, so that order holds, or is given up for the sink after many
tries, and kept until somebody has it sent again. A change may be sent twice if the process dies between the sink's
answer and its note of it: its id is the same, and the sink knows it by that.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from apps.finance_monitor import tables, undelivered
from apps.finance_monitor.queues import Due, queues, waiting
from apps.finance_monitor.sinks import Refused, Sink
from engine.db import Database

FIRST, LONGEST = 1.0, 300.0
"""Seconds after the first failed try, doubled each time, and at most."""
TRIES = 20
"""After so many, about an hour, a change is given up for that sink, and kept with the reason."""
POLL = 1.0
_LOG = logging.getLogger(__name__)


class Outbox:
    """Sends from a thread of its own.

    Attributes:
        clock: event time up to which all changes are in the journal; escalations wait for it.

    Args:
        first: seconds of the first pause.
    """

    def __init__(self, database: Database, sinks: Sequence[Sink], *, first: float = FIRST, poll: float = POLL) -> None:
        self._database = database
        self._sinks = sinks
        self._queues = queues(sinks)
        self.clock: datetime | None = None
        self._first = first
        self._poll = poll
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="outbox", daemon=True)

    def start(self) -> None:
        if self._sinks:
            self._thread.start()

    def end(self) -> dict[str, int]:
        """Send what can be sent. What a sink refuses stays for the next start: sink -> so many changes."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()
        return {name: count for name, count in waiting(self._database, self._queues, self.clock).items() if count}

    def deliver(self) -> bool:
        """Try what is due, once for each sink; whether anything was sent."""
        sent = [self._next(sink) for sink in self._sinks]
        return any(sent)

    def _work(self) -> None:
        while True:
            ending = self._ending.is_set()  # read first: what was committed before the end is still sent
            try:
                while self.deliver():
                    pass
            except Exception:  # the thread must outlive what nobody foresaw; the change is tried again
                _LOG.exception("outbox")
            if ending:
                return
            self._ending.wait(self._poll)

    def _next(self, sink: Sink) -> bool:
        deliveries = tables.deliveries
        clock = self.clock  # read first: the transaction sees all that came before it
        with self._database.read() as connection:
            state = connection.execute(select(deliveries).where(deliveries.c.sink == sink.name)).one_or_none()
            told, attempts, due = (state.number, state.attempts, state.due) if state else (0, 0, 0.0)
            again, queue = undelivered.first(connection, sink.name), self._queues[sink.name]
            if again is None:
                change = queue.next(connection, told, clock)
            else:
                change = queue.again(connection, told, again, clock)
        if change is None or time.time() < due:
            return False
        alert = json.loads(change.data) | ({"escalated": change.why} if change.why else {})
        try:
            sink.send(change.message, alert)
        except Refused as fault:
            attempts += 1
            _LOG.warning("%s: %s; try %d of %d", sink.name, fault, attempts, TRIES)
            if attempts < TRIES and not fault.final:
                pause = max(min(self._first * 2 ** (attempts - 1), LONGEST), fault.wait)
                self._note(sink, told, attempts, time.time() + pause)
                return False
            self._note(sink, change.told, 0, 0.0, settled=change, fault=fault)
            return fault.final
        self._note(sink, change.told, 0, 0.0, settled=change)
        return True

    def _note(
        self,
        sink: Sink,
        told: int,
        attempts: int,
        due: float,
        *,
        settled: Due | None = None,
        fault: Refused | None = None,
    ) -> None:
        with self._database.write() as connection:
            connection.execute(tables.deliveries.delete().where(tables.deliveries.c.sink == sink.name))
            row = {"sink": sink.name, "number": told, "attempts": attempts, "due": due}
            connection.execute(tables.deliveries.insert().values(**row))
            if settled:
                undelivered.settle(connection, sink.name, settled.number, str(fault) if fault else None)
