"""Series: how many stories each key had in each step, and how many negative ones were to be expected; for charts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select, tuple_

from apps.finance_monitor import tables
from apps.finance_monitor.windows import Key

KEPT = timedelta(days=60)
DAY = timedelta(days=1)
COMPANIES = 50
"""Companies with points in one step, the busiest of late."""
FADES = 0.986
"""What a step leaves of how busy a key was: half in twelve hours."""
QUIET = 0.3
"""A key less busy than this has no points: one story is forgotten after a day."""
EVERYTHING = Key("all", "all")


@dataclass(frozen=True)
class Point:
    """One key in one step."""

    time: datetime
    """End of the step."""
    key: Key
    stories: int
    negative: int
    expected: float
    """Negative stories that were usual among as many stories as the wire had."""


class Steps:
    """Counts the stories of the step that goes by.

    Keys that were busy of late get a point in each step, a zero where nothing came, so that charts have no holes.
    """

    def __init__(self) -> None:
        self._stories: dict[Key, set[str]] = defaultdict(set)
        self._negative: dict[Key, set[str]] = defaultdict(set)
        self._busy: dict[Key, float] = {}

    def add(self, keys: Sequence[Key], story: str, *, negative: bool) -> None:
        for key in (EVERYTHING, *keys):
            self._stories[key].add(story)
            if negative:
                self._negative[key].add(story)

    def close(self, time: datetime, expected: Callable[[Key, int], float]) -> list[Point]:
        """The points of the step that ends now.

        Args:
            expected: negative stories of a key that are usual among so many stories.
        """
        faded = {key: busy * FADES for key, busy in self._busy.items()}
        for key, stories in self._stories.items():
            faded[key] = faded.get(key, 0.0) + len(stories)
        self._busy = {key: busy for key, busy in faded.items() if busy >= QUIET}
        companies = sorted(
            (key for key in self._busy if key.type == "company"), key=lambda key: (-self._busy[key], key)
        )
        shown = [key for key in self._busy if key.type != "company"] + companies[:COMPANIES]
        count = len(self._stories.get(EVERYTHING, ()))
        points = [
            Point(time, key, len(self._stories.get(key, ())), len(self._negative.get(key, ())), expected(key, count))
            for key in shown
        ]
        self._stories.clear()
        self._negative.clear()
        return points


def write(connection: Connection, points: Sequence[Point]) -> None:
    """Keep points, and forget those that have grown old."""
    if not points:
        return
    table = tables.series
    connection.execute(table.insert(), [_row(point) for point in points])
    if len({point.time.date() for point in points}) > 1:  # once a day is enough
        connection.execute(table.delete().where(table.c.time < rfc3339(points[-1].time - KEPT)))


def read(
    connection: Connection, keys: Sequence[Key], since: datetime, spans: int, every: timedelta
) -> dict[Key, dict[str, list[float]]]:
    """Key -> stories, negative and expected of so many spans of `every` from `since` on; zeros where none is kept."""
    table = tables.series
    query = select(table).where(
        tuple_(table.c.key_type, table.c.key_value).in_([(key.type, key.value) for key in keys]),
        table.c.time > rfc3339(since),
        table.c.time <= rfc3339(since + spans * every),
    )
    found = {key: {name: [0.0] * spans for name in ("stories", "negative", "expected")} for key in keys}
    for row in connection.execute(query):
        span = -((since - datetime.fromisoformat(row.time)) // every) - 1  # a point at its end belongs to it
        sums = found[Key(row.key_type, row.key_value)]
        sums["stories"][span] += row.stories
        sums["negative"][span] += row.negative
        sums["expected"][span] += row.expected
    return found


def busiest(connection: Connection, since: datetime, limit: int) -> list[dict[str, Any]]:
    """Keys with their counts since then, those with most negative stories first."""
    table = tables.series
    stories, negative = func.sum(table.c.stories), func.sum(table.c.negative)
    query = (
        select(
            table.c.key_type.label("type"),
            table.c.key_value.label("value"),
            stories.label("stories"),
            negative.label("negative"),
            func.sum(table.c.expected).label("expected"),
        )
        .where(table.c.time > rfc3339(since))
        .group_by(table.c.key_type, table.c.key_value)
        .order_by(negative.desc(), stories.desc(), table.c.key_value)
        .limit(limit)
    )
    return [
        {
            "key": {"type": row.type, "value": row.value},
            "stories": int(row.stories),
            "negative": int(row.negative),
            "expected": round(row.expected, 4),
        }
        for row in connection.execute(query)
    ]


def newest(connection: Connection) -> datetime | None:
    """End of the last step."""
    time = connection.execute(select(func.max(tables.series.c.time))).scalar_one()
    return datetime.fromisoformat(time) if time else None


def now(connection: Connection) -> datetime:
    """What time it is for the feed: the clock's, or for news of the past its last step's."""
    clock, step = datetime.now(UTC), newest(connection)
    return step if step and clock - step > DAY else clock


def rfc3339(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _row(point: Point) -> dict[str, Any]:
    return {
        "time": rfc3339(point.time),
        "key_type": point.key.type,
        "key_value": point.key.value,
        "stories": point.stories,
        "negative": point.negative,
        "expected": point.expected,
    }
