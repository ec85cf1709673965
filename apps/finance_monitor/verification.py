"""Verification: an alert as it was told, against what the same news and the same model make of it today."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.finance_monitor.replay import Replay
from engine import Store
from engine.errors import InputError, StoreError

EXACT = 1e-9
"""Relative difference up to which numbers are equal: another build of SciPy may round the last digits otherwise."""
NEEDED = ("id", "key", "status", "opened", "evidence", "model")


@dataclass(frozen=True)
class Difference:
    field: str
    told: Any
    recomputed: Any


@dataclass(frozen=True)
class Verdict:
    """What became of one alert.

    Attributes:
        told: the alert as it was told.
        compared: fields that were held against the recomputed alert.
    """

    told: Mapping[str, Any]
    compared: tuple[str, ...]
    differences: tuple[Difference, ...]

    @property
    def holds(self) -> bool:
        return not self.differences


def read(path: Path, *, only: str | None = None) -> list[dict[str, Any]]:
    """Alerts of a file, each in its last state, in order of their first lines.

    Args:
        path: one alert as a JSON object, or a log of alerts, one JSON object a line.
        only: the id of one of them.

    Raises:
        InputError: the file holds no alerts, or not this one.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise InputError(
            f"{path}: not readable as UTF-8 text ({fault}); give an alert's JSON, or a log of alerts"
        ) from None
    found: dict[str, dict[str, Any]] = {}
    for number, values in _documents(path, text):
        missing = [name for name in NEEDED if not isinstance(values, dict) or name not in values]
        if missing:
            raise InputError(
                f"{path}, line {number}: no alert, it lacks {', '.join(missing)}; give what --alerts wrote"
            )
        found[values["id"]] = values
    if not found:
        raise InputError(f"{path}: holds no alert; give what --alerts wrote")
    if only is not None and only not in found:
        raise InputError(f"{path}: holds no alert {only}; it has: {', '.join(found)}")
    return [found[only]] if only is not None else list(found.values())


def _documents(path: Path, text: str) -> Iterable[tuple[int, Any]]:
    try:
        return [(1, json.loads(text))]
    except ValueError:
        pass
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            found += [(number, json.loads(line))] if line.strip() else []
        except ValueError as fault:
            raise InputError(f"{path}, line {number}: not JSON ({fault}); give what --alerts wrote") from None
    return found


def check_model(model: Mapping[str, Any], store: Store) -> str:
    """The reference of the model that an alert names, which the store holds unchanged.

    Raises:
        InputError: the store does not have it.
        StoreError: what the store has under that name differs.
    """
    if not model.get("name") or not model.get("version") or not model.get("sha256"):
        raise InputError(
            "the alert names no stored model (name, version, sha256), so nothing can read the news as it did"
        )
    reference = f"{model['name']}@{model['version']}"
    if not store.has(reference):
        raise InputError(
            f"{reference}, the alert's model, is not in {store.root}; copy its folder there from the machine that "
            "raised the alert, or set KEEL_HOME to a store that has it"
        )
    version = store.get(reference)
    if version.sha256() != model["sha256"]:
        raise StoreError(
            f"{reference} in {store.root} is another model than the alert's: its manifest has SHA-256 "
            f"{version.sha256()[:16]}..., the alert's {model['sha256'][:16]}...; set KEEL_HOME to the store of the "
            "machine that raised the alert, or take back what was changed in the alert"
        )
    if faults := store.verify(version):
        raise StoreError(f"{'; '.join(faults[:3])}; bring the version back as it was stored")
    return reference


def verify(told: Mapping[str, Any], replay: Replay) -> Verdict:
    """The alert against the replay's alert of the same id in the same state.

    Where the replay has none, the alert of the same key that opened nearest is shown instead.
    """
    states = replay.told.get(told["id"]) or _nearest(told, replay)
    if not states:
        given = _short(told["key"])
        return Verdict(told, ("id",), (Difference("id", told["id"], f"no alert of {given} in this news"),))
    same = [one for one in states if _state(one) == _state(told)]
    return min((_compared(told, one) for one in same or states[-1:]), key=lambda verdict: len(verdict.differences))


def _state(alert: Mapping[str, Any]) -> tuple[Any, ...]:
    return alert.get("revision"), alert["status"]


def _nearest(told: Mapping[str, Any], replay: Replay) -> list[dict[str, Any]]:
    alike = [states for states in replay.told.values() if states[0]["key"] == told["key"]]
    before = [states for states in alike if states[0]["opened"] <= told["opened"]]
    return before[-1] if before else (alike[0] if alike else [])


def _compared(told: Mapping[str, Any], found: Mapping[str, Any]) -> Verdict:
    here, there = _flat(told), _flat(found)
    names = list(dict.fromkeys([*here, *there]))
    differences = tuple(
        Difference(name, here.get(name), there.get(name))
        for name in names
        if not _equal(here.get(name), there.get(name)) or (name in here) != (name in there)
    )
    return Verdict(told, tuple(dict.fromkeys([*told, *found])), differences)


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """Field -> value, down to the values that hold no others; of what has an id, by its id."""
    if isinstance(value, Mapping):
        parts = [(f"{name}.{key}" if name else str(key), part) for key, part in value.items()]
    elif isinstance(value, list):
        ids = [part["id"] if isinstance(part, Mapping) and "id" in part else place for place, part in enumerate(value)]
        parts = [(f"{name}[{key}]", part) for key, part in zip(ids, value, strict=True)]
    else:
        return {name: value}
    return {field: one for key, part in parts for field, one in _flat(part, key).items()}


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, float) or isinstance(other, float):
        numbers = isinstance(one, int | float) and isinstance(other, int | float)
        return numbers and math.isclose(one, other, rel_tol=EXACT)
    return bool(one == other)


def _short(key: Mapping[str, Any]) -> str:
    return f"{key.get('type')} {key.get('value')}"
