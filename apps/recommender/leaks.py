"""Leaks: what a figure must not have seen; a run whose past holds any of its future is refused.

Six kinds are looked for. Where a rule can be read off the data it is checked on every row; whether something computed
has read the future is found by taking the future away: what was computed `as_of` a moment must come out the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from apps.recommender.candidates import Candidates, Floats
from apps.recommender.events import Events, History
from apps.recommender.items import Items
from apps.recommender.metrics import Ranking
from engine.errors import InputError, LeakError

FUTURE_POPULARITY = "future popularity"
FUTURE_HISTORY = "future history"
TARGET_IN_HISTORY = "target in the history"
FUTURE_ITEM = "item from the future"
LABEL = "label among the features"
TEST_USERS = "statistics of test users"
KINDS = (FUTURE_POPULARITY, FUTURE_HISTORY, TARGET_IN_HISTORY, FUTURE_ITEM, LABEL, TEST_USERS)

SEPARATES = 0.999
"""Grouped AUC, ties counted half, from which a feature is no evidence but the answer."""
FEWEST, MOST = 30, 2000
"""Lists from which that can be told, and lists that are looked at: an honest feature has the first in 30 of 30 too
rarely (at .76 of the time: 3 in 10,000)."""
EQUAL = 1e-6
"""Relative difference up to which a value computed twice is the same."""


@dataclass(frozen=True)
class Leak:
    kind: str
    told: str
    """Where, how often, and the first case."""


def refuse(leaks: Iterable[Leak]) -> None:
    """Raises:
    LeakError: there are any; all are named.
    """
    if found := list(leaks):
        lines = "\n".join(f"  {leak.kind}: {leak.told}" for leak in found)
        raise LeakError(f"the run has seen what it is asked about, so its figures mean nothing:\n{lines}")


def in_histories(candidates: Candidates, histories: Sequence[History], known: Events) -> list[Leak]:
    """Events in a list's history that are not before it, and targets that stand there without having been taken before.

    Args:
        histories: what the model is given, a history a list.
        known: with times, all events: of them, those before a list's `as_of` may be in its history. Without, the events
            that may be learnt from.
    """
    timed = known.timed
    if timed and candidates.as_of is None:
        raise InputError("the events have times but the lists have none; give each list the moment it is shown at")
    taken = _Taken(known)
    future: list[str] = []
    target: list[str] = []
    for number, (user, history) in enumerate(zip(candidates.user_ids, histories, strict=True)):
        as_of = candidates.as_of[number] if timed and candidates.as_of is not None else None
        rows = candidates.rows(number)
        wanted = set(candidates.item_ids[rows][candidates.gains[rows] > 0])
        allowed = taken.before(user, as_of)
        counts = Counter(event.item_id for event in history)
        when = f" shown at {as_of}Z" if as_of is not None else ""
        target += [f"user {user}, list {number}{when}: {item}" for item in wanted if counts[item] > allowed[item]]
        moment = None if as_of is None else as_of.astype("datetime64[us]").item().replace(tzinfo=UTC)
        late = [event.item_id for event in history if moment and event.time and event.time >= moment]
        late = late or [item for item in counts if counts[item] > allowed[item] and item not in wanted]
        future += [f"user {user}, list {number}{when}: {late[0]}"] if late else []
    told = ((FUTURE_HISTORY, future, "hold what came later"), (TARGET_IN_HISTORY, target, "hold what is to be found"))
    return [Leak(kind, f"{len(cases):,} histories {what}; {cases[0]}") for kind, cases, what in told if cases]


def in_candidates(candidates: Candidates, items: Items) -> list[Leak]:
    """Candidates that were published after their list was shown; nothing is found where there are no such times."""
    if candidates.as_of is None or "published" not in items.frame:
        return []
    published = items.frame["published"].reindex(candidates.item_ids).dt.tz_convert(None).to_numpy("datetime64[us]")
    late = np.flatnonzero(published > candidates.as_of[candidates.lists])
    if not len(late):
        return []
    row = int(late[0])
    number = int(candidates.lists[row])
    shown = f"{candidates.item_ids[row]} of {published[row]}Z in list {number} shown at {candidates.as_of[number]}Z"
    return [Leak(FUTURE_ITEM, f"{len(late):,} candidates were published after their list was shown; {shown}")]


def in_features(matrix: pd.DataFrame, candidates: Candidates) -> list[Leak]:
    """Features that tell what was wanted from what was not in every list: the label, or a function of it.

    Where a feature is missing tells as much as its values, so that is looked at too.

    Args:
        matrix: a row a candidate, a column a feature.

    Raises:
        InputError: there are too few lists to tell.
    """
    both = np.flatnonzero((candidates.wanted > 0) & (candidates.wanted < np.diff(candidates.offsets)))
    if len(both) < FEWEST:
        raise InputError(
            f"{len(both)} lists hold both what was wanted and what was not; to tell a label among the features takes "
            f"{FEWEST}"
        )
    chosen = both[np.linspace(0, len(both) - 1, min(len(both), MOST)).astype(np.int64)]
    part = candidates.subset(chosen)
    in_part = np.zeros(len(candidates), dtype=bool)
    in_part[chosen] = True
    rows = matrix[in_part[candidates.lists]]
    found = []
    for name in matrix.columns:
        values = rows[name].to_numpy(np.float64)
        missing = np.isnan(values)
        ways = {"": np.where(missing, -np.inf, values), "where it is missing, ": missing.astype(np.float64)}
        for way, column in ways.items():
            share = _separation(part, column)
            if max(share, 1 - share) >= SEPARATES:
                found.append(
                    Leak(LABEL, f"'{name}' ({way}grouped AUC {share:.4f} over {len(part):,} lists) tells them apart")
                )
                break
    return found


def stamped(as_of: Mapping[str, datetime], moment: datetime, out: str = "compute it before them") -> list[Leak]:
    """Features whose values stand as they stood at a later moment.

    Args:
        as_of: feature -> the moment up to which events are in it.
        out: the way out; {name} stands for the feature.
    """
    return [
        Leak(
            FUTURE_POPULARITY,
            f"'{name}' counts events up to {stamp}, the lists are shown from {moment} on; {out.format(name=name)}",
        )
        for name, stamp in as_of.items()
        if stamp > moment
    ]


def in_popularity(compute: Callable[[Events], pd.DataFrame], events: Events, as_of: datetime) -> list[Leak]:
    """Features that change when the events from `as_of` on are taken away.

    Args:
        compute: the features of some candidates as of that moment, from events; its columns are named in the leak.

    Raises:
        InputError: there is no event from `as_of` on, so nothing can be told.
    """
    return _moved(FUTURE_POPULARITY, compute, events, events.before(as_of), f"without the events from {as_of} on")


def in_statistics(fit: Callable[[Events], Mapping[str, Floats]], events: Events, learnt: Events) -> list[Leak]:
    """Fitted numbers (means, scales, encodings, popularity by segment) that change when what is asked is taken away.

    Args:
        fit: what is learnt of events; name -> numbers.
        events: all events, those to be asked about among them, as `fit` might be given them.
        learnt: those that may be learnt from.

    Raises:
        InputError: `learnt` is all of them, so nothing can be told.
    """
    return _moved(TEST_USERS, fit, events, learnt, "without the events of the test")


def _moved(
    kind: str,
    compute: Callable[[Events], pd.DataFrame] | Callable[[Events], Mapping[str, Floats]],
    whole: Events,
    kept: Events,
    how: str,
) -> list[Leak]:
    if len(kept) == len(whole):
        raise InputError(
            f"{kind} is looked for by taking events away, and there is none to take; give those of the test"
        )
    with_, without = compute(whole), compute(kept)
    moved = {}
    for name in map(str, with_):
        # A number less or more is a difference too: an item that only the future knows.
        one, other = (np.asarray(table[name], dtype=np.float64) for table in (with_, without))
        same = one.shape == other.shape and np.allclose(one, other, rtol=EQUAL, atol=EQUAL, equal_nan=True)
        if not same:
            moved[name] = int((~np.isclose(one, other, equal_nan=True)).sum()) if one.shape == other.shape else len(one)
    return [Leak(kind, f"'{name}' is another {how} ({count:,} values)") for name, count in moved.items()]


def _separation(candidates: Candidates, values: Floats) -> float:
    """Grouped AUC of a feature, ties counted half."""
    right = Ranking.of(candidates, values).auc().mean()
    wrong = Ranking.of(candidates, -values).auc().mean()
    return float((right + 1 - wrong) / 2)


class _Taken:
    """How often each user had taken an item before a moment."""

    def __init__(self, known: Events) -> None:
        frame = known.frame
        self._items = frame["item_id"].to_numpy(dtype=object)
        self._times = frame["datetime"].dt.tz_convert(None).to_numpy("datetime64[us]")
        users = frame["user_id"].to_numpy(dtype=object)
        starts = np.flatnonzero(np.r_[True, users[1:] != users[:-1]]) if len(users) else np.zeros(0, np.int64)
        ends = np.r_[starts[1:], len(users)]
        self._spans = {users[start]: (int(start), int(end)) for start, end in zip(starts, ends, strict=True)}

    def before(self, user: str, as_of: np.datetime64 | None) -> Counter[str]:
        start, end = self._spans.get(user, (0, 0))
        if as_of is not None:
            end = start + int(np.searchsorted(self._times[start:end], as_of))
        return Counter(self._items[start:end])
