"""Charts: the points of all steps, kept, and read back in spans of time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select, tuple_

from apps.finance_monitor import tables
from apps.finance_monitor.series import Point, rfc3339
from apps.finance_monitor.windows import Key

KEPT = timedelta(days=60)
DAY = timedelta(days=1)


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


def _row(point: Point) -> dict[str, Any]:
    return {
        "time": rfc3339(point.time),
        "key_type": point.key.type,
        "key_value": point.key.value,
        "stories": point.stories,
        "negative": point.negative,
        "expected": point.expected,
    }
