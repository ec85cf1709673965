"""Watch file: `--companies FILE` as names a line, JSON lines, YAML or CSV -> a watch list; all its faults at once.

    - name: Apple
      aliases: [Apple Inc, 苹果公司]
      tickers: [NASDAQ:AAPL]
      must_not: [pie, orchard]

In CSV the columns have the same names, and several values in a cell stand apart by semicolons.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from apps.finance_monitor import tickers
from apps.finance_monitor.watchlist import Company, WatchList, aliases
from engine.errors import InputError

LISTS = ("aliases", "tickers", "must", "must_not")
KEYS = ("name", *LISTS)
SHOWN = 20
"""Faults told at a time."""
Entry = tuple[int, Any]
"""The line it stands on, and its values."""


def read(path: Path) -> WatchList:
    """The watch list in a file.

    Raises:
        InputError: it cannot be read, or has faults; each is told with its line and remedy.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as fault:
        raise InputError(f"--companies {path}: not readable as UTF-8 text ({fault})") from None
    found: list[tuple[int, Company]] = []
    faults: list[str] = []
    for line, values in _FORMS.get(path.suffix.lower(), _plain)(text):
        wrong = [values] if isinstance(values, str) else list(_wrong(values))
        faults += [f"line {line}: {fault}" for fault in wrong]
        if not wrong:
            lists = {key: tuple(map(str, values.get(key) or ())) for key in LISTS}
            found.append((line, Company(values["name"].strip(), **lists)))
    faults += _shared(found)
    if not found and not faults:
        faults = ["names no company; write one a line"]
    if faults:
        more = f"\n  and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise InputError("".join([f"--companies {path}:", *(f"\n  {fault}" for fault in faults[:SHOWN]), more]))
    return WatchList(company for _, company in found)


def _wrong(values: Any) -> Iterator[str]:
    if not isinstance(values, dict):
        yield f"a {type(values).__name__} where a company should stand; write name: and what it is called"
        return
    for key in values:
        if key not in KEYS:
            near = difflib.get_close_matches(str(key), KEYS, n=1)
            yield f"unknown key '{key}'; " + (f"did you mean '{near[0]}'?" if near else f"known: {', '.join(KEYS)}")
    name = values.get("name")
    if not isinstance(name, str) or not name.strip():
        yield "no name; add 'name' with the company's name as text (in quotes, where it reads as a number or yes)"
    for key in LISTS:
        each = values.get(key) or []
        if not isinstance(each, list):
            yield f"'{key}' is no list; write [{str(each)[:40]}]"
        elif bad := [one for one in each if not isinstance(one, str) or not one.strip()]:
            yield f"'{key}' holds {str(bad[0])[:40]!r}; write texts, in quotes where one reads as a number or yes"


def _shared(found: list[tuple[int, Company]]) -> Iterator[str]:
    """Aliases and tickers that two companies claim."""
    for kind, of in (("alias", aliases), ("ticker", _symbols)):
        claims: dict[str, tuple[int, str]] = {}
        for line, company in found:
            for key in of(company):
                first, name = claims.setdefault(key, (line, company.name))
                if first != line:
                    yield f"line {line}: {kind} '{key}' is {name}'s too, line {first}; leave it with one of them"


def _symbols(company: Company) -> list[str]:
    return [tickers.canonical(ticker) for ticker in company.tickers]


def _plain(text: str) -> Iterator[Entry]:
    seen: set[str] = set()
    for line, name in enumerate(text.splitlines(), 1):
        if name.strip() and name.strip() not in seen:
            seen.add(name.strip())
            yield line, {"name": name.strip()}


def _json_lines(text: str) -> Iterator[Entry]:
    for line, raw in enumerate(text.splitlines(), 1):
        if raw.strip():
            try:
                yield line, json.loads(raw)
            except (json.JSONDecodeError, RecursionError) as fault:
                yield line, f"not JSON: {fault}; write one object a line"


def _csv(text: str) -> Iterator[Entry]:
    reader = csv.DictReader(io.StringIO(text))
    if "name" not in (reader.fieldnames or ()):
        yield 1, f"no column 'name'; the first line names the columns: {', '.join(KEYS)}"
        return
    for row in reader:
        if None in row:
            yield reader.line_num, "more cells than columns; put a cell with a comma in quotes"
            continue
        lists = {
            key: [one.strip() for one in (value or "").split(";") if one.strip()]
            for key, value in row.items()
            if key != "name"
        }
        yield reader.line_num, {"name": row["name"], **lists}


def _yaml(text: str) -> Iterator[Entry]:
    import yaml

    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        problem = getattr(fault, "problem", fault)
        yield (mark.line + 1 if mark else 1), f"not YAML: {problem}; put texts with a colon or a hash in quotes"
        return
    if tree is None:
        return
    if not isinstance(values, list):
        yield 1, "no list; begin each company with '- name:'"
        return
    for node, entry in zip(tree.value, values, strict=True):
        yield node.start_mark.line + 1, {"name": entry} if isinstance(entry, str) else entry


_FORMS: dict[str, Callable[[str], Iterator[Entry]]] = {
    ".jsonl": _json_lines,
    ".csv": _csv,
    ".yaml": _yaml,
    ".yml": _yaml,
    ".json": _yaml,  # JSON is YAML
}
