"""Answers: a request's list, as JSON that Metarank's clients read."""

from __future__ import annotations

import json
import time
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from apps.recommender import rules
from apps.recommender.events import Event, History
from apps.recommender.explanation import reasons
from apps.recommender.listing import Listing, Wish
from apps.recommender.live import Live
from apps.recommender.logbook import Shown
from apps.recommender.standing import Ranked
from apps.recommender.told import AHEAD, Request, fields, who

OWN = ("k", "values", "diversity", "method", "most_loss", "explore", "budget_ms")
"""Fields of a request that are fields of a wish."""
DIGITS = 9


@dataclass(frozen=True)
class Answer:
    """A list that was made.

    Attributes:
        id: of the list.
        unknown: candidates that the catalogue lacks; they are not ranked.
        unused: fields that the model does not read.
        shown: as the logbook writes it.
    """

    id: str
    listing: Listing
    unknown: tuple[str, ...]
    unused: tuple[str, ...]
    shown: Shown
    took_ms: float

    def json(self, *, explain: bool) -> bytes:
        """`took`: milliseconds; `items`: best first."""
        value: dict[str, Any] = {
            "took": round(self.took_ms, 1),
            "items": [_item(one, explain) for one in self.listing.rows],
            "id": self.id,
            "model": self.shown.model,
            "reranked": self.listing.reranked,
        }
        if self.listing.seed is not None:
            value["seed"] = self.listing.seed
        if self.unknown:
            value["unknown"] = self.unknown
        if self.unused:
            value["unused"] = self.unused
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def answered(live: Live, request: Request, *, explain: bool, came: float) -> Answer:
    """The list for a request.

    Args:
        came: when it did, by `time.perf_counter`; what it has waited since counts against its budget.

    Raises:
        InputError: the history lies in the future of the request, or a wish cannot be met.
    """
    lister = live.caught_up(wait=False)
    items = lister.recommender.items
    candidates = tuple(dict.fromkeys(one.id for one in request.items))
    numbers = items.numbers(candidates)
    unknown = tuple(one for one, number in zip(candidates, numbers, strict=True) if number < 0)
    known = tuple(one for one, number in zip(candidates, numbers, strict=True) if number >= 0)
    user, id = who(request.user, request.session), request.id or uuid.uuid4().hex
    history = _history(live, request, user)
    now = datetime.now(UTC)
    # Clocks of callers differ: an event that is told a moment ahead of ours is no fault of a request of now.
    as_of = request.timestamp or max((one.time for one in history if one.time), default=now)
    as_of = as_of if request.timestamp else max(as_of, now)
    wish = _wish(Wish.of(lister.recommender.settings), request, explain, as_of, id, came)
    wish = replace(wish, segment=live.segment(user, fields(request.fields)))
    listing = lister.ranked(history, known, wish)
    shown = Shown(
        id,
        user or id,
        request.timestamp or now,
        lister.recommender.version,
        tuple(one.item_id for one in listing.rows),
        tuple(round(one.score, DIGITS) for one in listing.rows),
        tuple(one.propensity for one in listing.rows),
        known,
        request.session or "",
    )
    return Answer(id, listing, unknown, _unused(request, live), shown, 1000 * (time.perf_counter() - came))


def _history(live: Live, request: Request, user: str | None) -> History:
    """What the request gives, else what is known of the user; of that, what another clock puts a little after the
    request's moment is left out."""
    if request.history is not None:
        return tuple(Event(one.item, one.type, 1.0, one.timestamp) for one in request.history)
    known, moment = live.history(user) if user else (), request.timestamp
    return tuple(one for one in known if not (moment and one.time and moment < one.time <= moment + AHEAD))


def _wish(own: Wish, request: Request, explain: bool, as_of: datetime, id: str, came: float) -> Wish:
    given: dict[str, Any] = {name: value for name in OWN if (value := getattr(request, name)) is not None}
    if request.rules is not None:
        given["rules"] = rules.parse(request.rules)
    seed = zlib.crc32(id.encode()) if request.seed is None else request.seed
    wish = replace(own, **given, explain=explain, as_of=as_of, seed=seed)
    if wish.budget_ms is not None:
        left = wish.budget_ms - 1000 * (time.perf_counter() - came)
        wish = replace(wish, budget_ms=max(left, 0.001))
    return wish


def _unused(request: Request, live: Live) -> tuple[str, ...]:
    named = {f"fields.{one.name}" for one in request.fields if one.name != live.segment_field}
    named |= {f"items.fields.{field.name}" for item in request.items for field in item.fields}
    return tuple(sorted(named))


def _item(one: Ranked, explain: bool) -> dict[str, Any]:
    value: dict[str, Any] = {"item": one.item_id, "score": round(one.score, DIGITS), "features": []}
    if explain:
        value["features"] = [{"name": name, "value": _number(found)} for name, found in one.features.items()]
        value |= {
            "probabilities": _numbers(one.probabilities),
            "margins": _numbers(one.margins),
            "contributions": {name: _numbers(parts) for name, parts in one.contributions.items()},
            "evidence": [asdict(piece) for piece in one.evidence],
            "moves": [asdict(move) for move in one.moves],
            "reasons": reasons(one),
            "propensity": one.propensity,
        }
    return value


def _numbers(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: _number(value) for name, value in values.items()}


def _number(value: float) -> float | None:
    """JSON knows no NaN: a feature that an item lacks is null."""
    return None if value != value else value
