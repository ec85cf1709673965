"""Mapping: how a news item is read from another shape, told by a YAML file.

format: csv                          # or jsonl, which is the default
delimiter: ";"                       # csv only; the default is ","
time: {format: "%d.%m.%Y %H:%M", zone: Europe/Berlin}
fields:
  id: uri
  title: [headline, headlines.0.value]    # the first of them that holds something
  tickers: organisations.*.symbols.*.ticker
  source: =Example Wire                   # the same for all
version: {at: version, values: [1]}       # another version than these corrects the item of the same id
retracted: {at: pubstatus, values: [canceled]}      # one of these takes it back
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field, fields
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from apps.finance_monitor.items import Bad, NewsItem, item
from engine.errors import InputError

PACKAGED = Path(__file__).parent / "mappings"
FORMATS = ("jsonl", "csv")
FIELDS = tuple(each.name for each in fields(NewsItem))
REQUIRED = ("id", "published", "title")
TIMES = ("published", "received")
_TOP = ("format", "delimiter", "time", "fields", "version", "retracted")
_BETWEEN_TICKERS = re.compile(r"[\s,;|]+")


@dataclass(frozen=True)
class Mark:
    """Something that tells what an item does to an earlier one of its id.

    Attributes:
        at: places that may hold it.
        values: that it may have, as texts.
    """

    at: tuple[str, ...] = ()
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mapping:
    """Fields of another shape by the names of ours."""

    name: str
    fields: dict[str, tuple[str, ...]]
    """Our field -> the places that may hold it; a constant starts with "="."""
    format: str = "jsonl"
    delimiter: str = ","
    time_format: str | None = None
    """As `strptime` reads it; None: RFC 3339."""
    zone: tzinfo | None = None
    """Of times that name none."""
    version: Mark = Mark()
    """Number of an item's version, and that of the first; a later one corrects what there was of its id before."""
    retracted: Mark = Mark()
    """State of an item, and those that take back what there was of its id before."""

    @property
    def places(self) -> list[str]:
        """All that an item is read from, without constants."""
        found = (*self.fields.values(), self.version.at, self.retracted.at)
        return [place for places in found for place in places if not place.startswith("=")]

    @classmethod
    def load(cls, name: str) -> Mapping:
        """The mapping of a file, or a packaged one by its name: ninjs, csv.

        Raises:
            InputError: it is not there, or has faults; all are listed, each with its path.
        """
        import yaml

        path = next((one for one in (Path(name), PACKAGED / f"{name}.yaml") if one.is_file()), None)
        if path is None:
            known = ", ".join(sorted(one.stem for one in PACKAGED.glob("*.yaml")))
            raise InputError(f"--mapping {name}: no such file; write one, or name a packaged one: {known}")
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as fault:
            raise InputError(f"--mapping {name}: not readable as YAML ({fault})") from None
        read = _Read()
        made = read.mapping(name, values)
        if read.faults:
            raise InputError(f"--mapping {name}:\n" + "\n".join(f"  {fault}" for fault in read.faults))
        return made

    def item(self, values: dict[str, Any]) -> NewsItem:
        """The news item of their fields.

        Raises:
            Bad: a field is missing or of another type; with the place that the mapping takes it from.
        """
        try:
            found = {ours: self._value(ours, places, values) for ours, places in self.fields.items()}
            return item(self._revised(found, values))
        except Bad as fault:
            places = self.fields.get(fault.field or "", ())
            raise Bad(f"{fault}; {self.name} takes it from {' or '.join(places)}" if places else str(fault)) from None

    def _revised(self, found: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
        """The fields, where they revise what there was of the id before, under an id of their own."""
        first = found["id"]
        if first in (None, "") or type(first) not in (str, int):
            return found  # it has no id, as is told later
        if self._told(self.retracted, values) in self.retracted.values:
            title = found["title"] or f"{first} is taken back"
            return {**found, "id": f"{first}#retracted", "title": title, "corrects": None, "retracts": first}
        version = self._told(self.version, values)
        if not version or version in self.version.values:
            return found
        return {**found, "id": f"{first}#{version}", "corrects": first}

    def _told(self, mark: Mark, values: dict[str, Any]) -> str:
        value = self._first(mark.at, values)
        return "" if value is None else str(value).strip()

    def _first(self, places: tuple[str, ...], values: dict[str, Any]) -> Any:
        value = None
        for place in places:
            value = self._at(place, values)
            if value not in (None, "", []):
                break
        return value

    def _value(self, ours: str, places: tuple[str, ...], values: dict[str, Any]) -> Any:
        value = self._first(places, values)
        if ours == "tickers":
            return _tickers(value)
        if ours in TIMES and isinstance(value, str) and value.strip():
            return self._time(ours, value)
        return value.strip() if isinstance(value, str) else value

    def _at(self, place: str, values: dict[str, Any]) -> Any:
        if place.startswith("="):
            return place[1:]
        return values.get(place) if self.format == "csv" else _find(values, place.split("."))

    def _time(self, ours: str, value: str) -> str:
        try:
            time = datetime.strptime(value, self.time_format) if self.time_format else datetime.fromisoformat(value)
        except ValueError:
            shape = self.time_format or "RFC 3339"
            raise Bad(f"field '{ours}' is {value[:40]!r}, no time as {shape}; see time.format", ours) from None
        return (time if time.tzinfo else time.replace(tzinfo=self.zone)).isoformat()


@dataclass
class _Read:
    """A document on its way to a mapping."""

    faults: list[str] = field(default_factory=list)

    def mapping(self, name: str, values: Any) -> Mapping:
        values = self._keys("", values, _TOP)
        form = self._choice("format", values.get("format", FORMATS[0]))
        delimiter = values.get("delimiter", ",")
        if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n':
            self.faults.append(f"delimiter: {delimiter!r} is not one character; write ';' or '\\t'")
        elif "delimiter" in values and form != "csv":
            self.faults.append("delimiter: only CSV has one; write format: csv, or leave it out")
        times = self._keys("time", values.get("time") or {}, ("format", "zone"))
        given = self._keys("fields", values.get("fields") or {}, FIELDS)
        places = {ours: self._places(f"fields.{ours}", value) for ours, value in given.items() if ours in FIELDS}
        for missing in (each for each in REQUIRED if each not in given):
            self.faults.append(f"fields.{missing}: missing; every item needs {', '.join(REQUIRED)}")
        shape = self._format(times.get("format")), self._zone(times.get("zone"))
        marks = [self._mark(key, values[key]) if key in values else Mark() for key in ("version", "retracted")]
        return Mapping(name, places, form, delimiter, *shape, *marks)

    def _keys(self, path: str, value: Any, known: tuple[str, ...]) -> dict[str, Any]:
        if not isinstance(value, dict):
            self.faults.append(f"{path or 'the file'}: a {type(value).__name__} where keys should stand")
            return {}
        for key in value:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, 1)
                tip = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}"
                self.faults.append(f"{path}.{key}".lstrip(".") + f": no such key; {tip}")
        return value

    def _choice(self, path: str, value: Any) -> str:
        if value not in FORMATS:
            self.faults.append(f"{path}: {value!r}; choose {' or '.join(FORMATS)}")
        return str(value)

    def _places(self, path: str, value: Any) -> tuple[str, ...]:
        places = value if isinstance(value, list) else [value]
        for place in places:
            if not isinstance(place, str) or not place or (place[0] != "=" and "" in place.split(".")):
                self.faults.append(
                    f"{path}: {place!r} is no place; write body_text, headlines.0.value, or =text for a constant"
                )
        return tuple(str(place) for place in places)

    def _mark(self, path: str, value: Any) -> Mark:
        given = self._keys(path, value, ("at", "values"))
        known = given.get("values")
        known = known if isinstance(known, list) else [known]
        if not known or any(type(one) not in (str, int) for one in known):
            self.faults.append(f"{path}.values: {known!r}; write the values that count, as [1] or [canceled]")
        return Mark(self._places(f"{path}.at", given.get("at")), tuple(str(one) for one in known))

    def _format(self, value: Any) -> str | None:
        if value is None:
            return None
        try:
            datetime.strptime(datetime(2026, 3, 2).strftime(value), value)
        except (ValueError, TypeError, re.error) as fault:
            self.faults.append(f"time.format: {value!r} is none ({fault}); write it as '%Y-%m-%d %H:%M'")
        return str(value)

    def _zone(self, value: Any) -> tzinfo | None:
        try:
            return None if value is None else ZoneInfo(value)
        except (KeyError, ValueError, TypeError, OSError):
            self.faults.append(f"time.zone: {value!r} is no zone; write UTC or Europe/Berlin")
            return None


def _find(value: Any, steps: list[str]) -> Any:
    """What stands at a path; "*" gathers that of each element of a list."""
    for at, step in enumerate(steps):
        if step == "*":
            rest = steps[at + 1 :]
            return [_find(one, rest) for one in value] if isinstance(value, list) else None
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _tickers(value: Any) -> Any:
    """A list of them, be they one text or lists in lists."""
    if isinstance(value, str):
        return [one for one in _BETWEEN_TICKERS.split(value) if one]
    if isinstance(value, list):
        nested = [_tickers(one) if isinstance(one, (str, list)) else [one] for one in value if one is not None]
        return list(dict.fromkeys(one for each in nested for one in each))
    return value
