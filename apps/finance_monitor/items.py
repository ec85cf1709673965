"""Items: what a feed brings, read and checked; what is no news item becomes a dead letter with its reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

MAX_LINE = 1_000_000
"""Bytes of the longest line read; of a longer one only the start is kept, for the dead letter."""
IDS = ("id", "corrects", "retracts")
"""Fields that may be whole numbers."""
YEARS = (1900, 2200)
"""Of times; others are a stand-in for none."""
CLOCK_SKEW = timedelta(minutes=5)
"""A publisher's clock may run this far ahead of ours; beyond it the time of receipt counts."""


@dataclass(frozen=True)
class NewsItem:
    id: str
    published: datetime
    received: datetime
    title: str
    source: str
    lang: str | None = None
    tickers: tuple[str, ...] = ()
    body: str | None = None
    url: str | None = None
    corrects: str | None = None
    """Id of the item that this one replaces."""
    retracts: str | None = None
    """Id of the item that this one takes back."""

    @property
    def revises(self) -> bool:
        """Whether it corrects an earlier item or takes it back."""
        return self.corrects is not None or self.retracts is not None

    @property
    def time(self) -> datetime:
        """Event time: when it was published, or received where the publisher's clock runs ahead."""
        return self.received if self.published > self.received + CLOCK_SKEW else self.published

    def as_dict(self) -> dict[str, Any]:
        """Its fields as `item` reads them."""
        times = {"published": self.published.isoformat(), "received": self.received.isoformat()}
        return {**asdict(self), **times}


@dataclass(frozen=True)
class DeadLetter:
    file: str
    """The file, or the feed's URL."""
    line: int | None
    """None where a feed has no lines but entries."""
    reason: str
    text: str
    entry: str | None = None
    """The entry's id."""


class Bad(ValueError):
    """Why something is no news item, naming the field and the remedy.

    Attributes:
        field: the field at fault; None: there are no fields yet.
    """

    def __init__(self, reason: str, field: str | None = None) -> None:
        super().__init__(reason)
        self.field = field


def parse(raw: bytes, make: Callable[[dict[str, Any]], NewsItem] | None = None) -> NewsItem:
    """The news item on a line.

    Args:
        make: makes it of the object's fields; None: `item`.

    Raises:
        Bad: why there is none.
    """
    if len(raw) > MAX_LINE:
        raise Bad(f"the line has over {MAX_LINE:,} bytes; send the text's start only")
    try:
        values = json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as fault:
        raise Bad(f"not UTF-8 at byte {fault.start + 1}; send UTF-8") from None
    except (ValueError, RecursionError) as fault:
        cut = (
            "; the line is cut off, send it whole"
            if not raw.rstrip().endswith(b"}")
            else "; send one JSON object a line"
        )
        raise Bad(f"not JSON: {fault}{cut}") from None
    if not isinstance(values, dict):
        raise Bad(f"a {type(values).__name__} where an object should stand; send one JSON object a line")
    return (make or item)(values)


def item(values: dict[str, Any]) -> NewsItem:
    """The news item of an object's fields; those that Keel does not know are passed over.

    Raises:
        Bad: a field is missing or of another type.
    """
    published = _time(values, "published")
    tickers = values.get("tickers") or []
    if not isinstance(tickers, list) or not all(isinstance(ticker, str) for ticker in tickers):
        raise Bad("field 'tickers' is not a list of texts; send a list of symbols", "tickers")
    return NewsItem(
        id=_text(values, "id"),
        published=published,
        received=_time(values, "received") if values.get("received") else published,
        title=_text(values, "title"),
        source=_optional(values, "source") or "unknown",
        lang=_optional(values, "lang"),
        tickers=tuple(_clean(ticker, "tickers") for ticker in tickers),
        body=_optional(values, "body"),
        url=_optional(values, "url"),
        corrects=_optional(values, "corrects"),
        retracts=_optional(values, "retracts"),
    )


def letter(file: str, line: int | None, reason: object, raw: bytes | str, entry: str | None = None) -> DeadLetter:
    """A dead letter with its text, whole up to `MAX_LINE`: of what was pushed or queued there is no other copy."""
    text = raw if isinstance(raw, str) else raw[:MAX_LINE].decode("utf-8", "replace")
    return DeadLetter(file, line, str(reason), text[:MAX_LINE], entry)


def _text(values: dict[str, Any], field: str) -> str:
    value = values.get(field)
    if type(value) is int and field in IDS:
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise Bad(f"field '{field}' is missing or no text; every item needs id, published, title", field)
    return _clean(value, field)


def _clean(value: str, field: str) -> str:
    if "\x00" in value:
        raise Bad(f"field '{field}' holds NUL bytes; clean the feed", field)
    return value.encode("utf-8", "replace").decode("utf-8")


def _optional(values: dict[str, Any], field: str) -> str | None:
    value = values.get(field)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if not isinstance(value, str) and (field not in IDS or type(value) is not int):
        kind = "an id" if field in IDS else "a text"
        raise Bad(f"field '{field}' is a {type(value).__name__}; send {kind}, or leave it out", field)
    return _text(values, field)


def _time(values: dict[str, Any], field: str) -> datetime:
    value = values.get(field)
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        told = "is missing" if value is None else f"is {str(value)[:40]!r}, no time"
        raise Bad(f"field '{field}' {told}; write RFC 3339, as 2026-03-02T08:15:00Z", field) from None
    if found.tzinfo is None:
        raise Bad(f"field '{field}' has no zone; write 2026-03-02T08:15:00Z or +01:00 at its end", field)
    if not YEARS[0] <= found.year <= YEARS[1]:
        raise Bad(f"field '{field}' lies in the year {found.year}; send the item's own time", field)
    return found.astimezone(UTC)
