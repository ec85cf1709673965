"""Claimed: entries of a Redis group that were given to a consumer who did not come back for them."""

from __future__ import annotations

import logging
import math
import time
from typing import Any

IDLE = 600.0
"""Seconds after which an entry that nobody acknowledged is taken from its consumer."""
LOOK = 60.0
"""Seconds between two looks."""
BATCH = 64
_LOG = logging.getLogger(__name__)

Row = tuple[bytes, "dict[bytes, bytes] | None"]
"""An entry's id, and its fields; None: the stream was trimmed."""


class Claimed:
    """What a second consumer of ours takes over from others, each entry once.

    These come in no order of their ids, so no one cursor tells which of them were committed: the cursor names all that
    were read and not acknowledged yet, the last one read at its end.

    Args:
        consumer: ours, whose own entries are left to it.
        kept: the cursor as it was committed.
    """

    def __init__(self, client: Any, stream: str, group: str, consumer: str, kept: str | None) -> None:
        import redis

        self._client = client
        self._place = stream, group
        self._ours = consumer, f"{consumer}.claimed"
        self._refused = redis.ResponseError
        self._read = dict.fromkeys((kept or "").split())
        """Ids of entries that are not acknowledged yet, in the order that they were read in."""
        self._committed = set(self._read)
        self._history: str | None = "0-0"
        """Up to where entries that were taken over before have been looked at; None: all have."""
        self._due = 0.0

    def rows(self, *, ahead: bool) -> list[Row]:
        """What is to be read now.

        Args:
            ahead: also while what was given before is not committed yet; else the cursor stays short.
        """
        try:
            self._acknowledge()
            if self._read and not ahead:
                return []
            found = self._taken_before()
            if not found and time.monotonic() >= self._due and not (found := self._taken_over()):
                self._due = time.monotonic() + LOOK
            return found
        except self._refused as fault:
            if not str(fault).startswith("NOGROUP"):
                _LOG.warning("entries of consumers that are gone are left to them: %s", fault)
                self._history, self._due = None, math.inf
            return []

    def lost(self) -> None:
        """The connection broke: what was taken over last may be among what we have."""
        self._history = "0-0"

    def cursor(self, identity: str) -> str:
        """The cursor behind an entry that is read."""
        self._read[identity] = None
        return " ".join(self._read)

    def committed(self, cursors: list[str]) -> None:
        """Entries with these cursors are kept."""
        self._committed |= {cursor.split()[-1] for cursor in cursors}
        self._acknowledge()

    def _acknowledge(self) -> None:
        """Until an answer comes they are named by the cursor."""
        if done := [identity for identity in list(self._read) if identity in self._committed]:
            self._client.xack(*self._place, *done)
            for identity in done:
                self._read.pop(identity, None)
            self._committed -= set(done)

    def _taken_before(self) -> list[Row]:
        stream, group = self._place
        while self._history is not None:
            answer = self._client.xreadgroup(group, self._ours[1], {stream: self._history}, count=BATCH)
            rows: list[Row] = answer[0][1] if answer else []
            self._history = rows[-1][0].decode() if rows else None
            if new := [row for row in rows if row[0].decode() not in self._read]:
                return new
        return []

    def _taken_over(self) -> list[Row]:
        stream, group = self._place
        for consumer in self._client.xinfo_consumers(stream, group):
            name = consumer["name"].decode()
            if name in self._ours or not consumer["pending"]:
                continue
            idle = round(1000 * IDLE)
            pending = self._client.xpending_range(stream, group, "-", "+", BATCH, consumername=name, idle=idle)
            ids = [row["message_id"] for row in pending]
            if not ids:
                continue
            claimed: list[Row] = self._client.xclaim(stream, group, self._ours[1], idle, ids)
            there = {identity for identity, _ in claimed}
            trimmed = [one for one in ids if one not in there and not self._client.xrange(stream, one, one)]
            rows = [row for row in claimed if row[0]] + [(identity, None) for identity in trimmed]
            if rows:
                _LOG.warning("%d entries that consumer %s never acknowledged are read here", len(rows), name)
                return rows
        return []
