"""Schedule: when a model is due to be retrained, in words: "500 new rows or drift", "7 days and 50 new rows".

when = all { "or" all }        all = term { "and" term }        term = N "new rows" | N "days" | "drift"
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from engine.errors import InputError

if TYPE_CHECKING:
    from engine.feedback import FeedbackLog
    from engine.store import Version

TERM = re.compile(r"(\d+) new rows?|(\d+) days?|(drift)")


@dataclass(frozen=True)
class Term:
    """One condition: so many new rows, so many days since the last decision, or drift."""

    rows: int | None = None
    days: int | None = None

    def __str__(self) -> str:
        if self.rows is not None:
            return f"{self.rows} new rows"
        return "drift" if self.days is None else f"{self.days} days"


@dataclass(frozen=True)
class Found:
    """How a model stands to a condition."""

    held: bool
    told: str


When = tuple[tuple[Term, ...], ...]
"""Any of the groups whose terms all hold."""


def parse(words: str) -> When:
    """The conditions that the words name.

    Raises:
        InputError: a word is none of these; naming those that are.
    """
    given = " ".join(words.lower().split())
    groups = []
    for part in given.split(" or "):
        terms = []
        for one in part.split(" and "):
            found = TERM.fullmatch(one.strip())
            if not found:
                raise InputError(
                    f"--when {words!r}: {one.strip()!r} is no condition; write N new rows, N days or drift, joined by "
                    "or / and, for example: 500 new rows or drift"
                )
            rows, days, _ = found.groups()
            terms.append(Term(int(rows) if rows else None, int(days) if days else None))
        groups.append(tuple(terms))
    return tuple(groups)


def due(when: When, champion: Version, log: FeedbackLog) -> Found:
    """Whether the champion is due, and how it stands to each condition."""
    known: dict[Term, Found] = {}
    for term in dict.fromkeys(term for group in when for term in group):
        known[term] = _found(term, champion, log)
    held = any(all(known[term].held for term in group) for group in when)
    return Found(held, "; ".join(found.told for found in known.values()))


def _found(term: Term, champion: Version, log: FeedbackLog) -> Found:
    from engine.challenger import fresh

    if term.rows is not None:
        rows = fresh(champion, log)
        return Found(rows >= term.rows, f"{rows} of {term.rows} new rows")
    if term.days is not None:
        days = (datetime.now(UTC) - _last(champion)).total_seconds() / 86400
        return Found(days >= term.days, f"{days:.1f} of {term.days} days")
    from engine.drift import drifted

    found = drifted(champion.name, log.database)
    # Drift lasts for days: what has been refused once would be trained again at every look.
    if found.drifted and not fresh(champion, log):
        return Found(False, f"{found.told}, but nothing new to learn from")
    return Found(found.drifted, found.told)


def _last(champion: Version) -> datetime:
    """When the model was last decided on, or made."""
    from engine.decision import decisions

    made = decisions(champion.name)
    return datetime.fromisoformat(made[-1].time if made else champion.manifest()["made"])
