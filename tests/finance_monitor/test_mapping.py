"""Mappings: ninjs, CSV and other shapes become items; every fault of a mapping is told with its path."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.finance_monitor.feeds.file import File
from apps.finance_monitor.feeds.source import Entry
from apps.finance_monitor.items import Bad, DeadLetter, NewsItem
from apps.finance_monitor.mapping import PACKAGED, Mapping
from engine.errors import InputError

Write = Callable[[str, str | bytes], Path]
TABLE = '''id,published,title,body,tickers
1,2026-03-02 08:00,"Profit, again","Line one
line ""two""",HLDN;BRK.B
2,2026-03-02T09:00:00+01:00,Plain,,
3,2026-03-02 10:00,5" pipe,,

4,yesterday,No time,,
5,2026-03-02 11:00
6,2026-03-02 12:00,Last,,
'''


def read(path: Path, mapping: Mapping, position: str | None = None, *, kept: bool = False) -> list[Entry]:
    start = (lambda feed: position) if kept else None
    return [entry for entry in File(str(path), mapping=mapping).entries(start) if entry]


def found(entries: list[Entry]) -> list[Any]:
    return [entry.found for entry in entries if entry.found]


def test_ninjs_of_both_generations_is_read(write: Write) -> None:
    first = {
        "uri": "urn:1", "versioncreated": "2026-03-02T09:05:00+01:00", "headline": "Holden warns",
        "body_text": "It did.", "language": "en", "evolvedfrom": "urn:0", "provider": "Wire",
    }  # fmt: skip
    second = {
        "uri": "urn:2", "firstcreated": "2026-03-02T08:00:00Z", "versioncreated": "2026-03-02T08:05:00Z",
        "headlines": [{"role": "main", "value": "Holden beats"}], "bodies": [{"value": "So."}],
        "infosources": [{"name": "Agency"}],
        "organisations": [{"symbols": [{"ticker": "HLDN"}, {"ticker": "HLD"}]}, {"name": "none"}],
    }  # fmt: skip
    path = write("n.jsonl", "".join(json.dumps(one) + "\n" for one in (first, second, {"uri": "urn:3"})))
    one, two, bad = found(read(path, Mapping.load("ninjs")))
    assert one == NewsItem(
        "urn:1",
        datetime(2026, 3, 2, 8, 5, tzinfo=UTC),
        datetime(2026, 3, 2, 8, 5, tzinfo=UTC),
        "Holden warns",
        "Wire",
        "en",
        body="It did.",
        corrects="urn:0",
    )
    assert (two.title, two.body, two.source, two.tickers) == ("Holden beats", "So.", "Agency", ("HLDN", "HLD"))
    assert two.published == two.received == datetime(2026, 3, 2, 8, 5, tzinfo=UTC)
    assert (bad.line, bad.reason[:17]) == (3, "field 'published'")
    assert "takes it from versioncreated or firstcreated" in bad.reason


def test_a_later_version_corrects_its_uri_and_a_canceled_one_takes_it_back() -> None:
    made = {"uri": "urn:1", "firstcreated": "2026-03-02T08:00:00Z", "headline": "Holden warns", "evolvedfrom": "urn:0"}

    def told(hour: int, **more: Any) -> tuple[Any, ...]:
        found = ninjs.item({**made, "versioncreated": f"2026-03-02T{hour:02}:00:00Z", **more})
        assert found.time.hour == hour
        return found.id, found.corrects, found.retracts

    ninjs = Mapping.load("ninjs")
    for first in ({}, {"version": "1"}, {"version": 1, "pubstatus": "usable"}):
        assert told(8, **first) == ("urn:1", "urn:0", None)
    assert told(9, version="2") == ("urn:1#2", "urn:1", None)
    assert told(10, version=3, evolvedfrom=None) == ("urn:1#3", "urn:1", None)
    for gone in ({"pubstatus": "canceled", "version": 3}, {"pubstatus": "withheld", "headline": ""}):
        assert told(11, **gone) == ("urn:1#retracted", None, "urn:1")
    with pytest.raises(Bad, match="field 'id' is missing"):
        told(9, version="2", uri=None)


def test_versions_are_read_from_a_table_too(write: Write) -> None:
    text = "format: csv\nfields: {id: nr, published: at, title: t}\nversion: {at: [v], values: [0]}\n"
    mapping = Mapping.load(str(write("m.yaml", text)))
    time = "2026-03-02T08:00:00Z"
    rows = found(read(write("t.csv", f"nr,at,t,v\n1,{time},Title,0\n1,{time},Better title,1\n"), mapping))
    assert [(one.id, one.corrects) for one in rows] == [("1", None), ("1#1", "1")]
    (letter, *_) = found(read(write("t.csv", f"nr,at,t\n1,{time},Title\n"), mapping))
    assert "the header has no column v" in letter.reason


def test_a_table_is_read_with_its_line_breaks_and_bad_rows_are_dead_letters(write: Write) -> None:
    mapping = Mapping.load(str(write("m.yaml", "format: csv\ntime: {zone: UTC}\nfields: {id: id, published: published, "
                                     "title: title, body: body, tickers: tickers, source: =Desk}")))  # fmt: skip
    path = write("t.csv", b"\xef\xbb\xbf" + TABLE.encode())
    rows = found(read(path, mapping))
    items = [one for one in rows if isinstance(one, NewsItem)]
    assert [item.id for item in items] == ["1", "2", "3", "6"]
    assert (items[0].title, items[0].body) == ("Profit, again", 'Line one\nline "two"')
    assert (items[0].tickers, items[0].source) == (("HLDN", "BRK.B"), "Desk")
    assert (items[1].published.hour, items[1].body, items[2].title) == (8, None, '5" pipe')
    time, cells = [one for one in rows if isinstance(one, DeadLetter)]
    assert (time.line, cells.line) == (7, 8)
    assert "field 'published' is 'yesterday', no time as RFC 3339; see time.format" in time.reason
    assert "2 cells where the header has 5" in cells.reason


def test_reading_a_table_goes_on_behind_any_row(write: Write) -> None:
    path, mapping = write("t.csv", TABLE), Mapping.load("csv")
    whole = read(path, mapping, kept=True)
    for at, entry in enumerate(whole):
        assert read(path, mapping, entry.after, kept=True) == whole[at + 1 :]
    path.write_text(TABLE[:60])  # inside the quotes
    (header,) = read(path, mapping, kept=True)
    assert header.found is None or isinstance(header.found, DeadLetter)
    torn = found(read(path, mapping))[-1]
    assert (torn.line, torn.reason[:30]) == (2, "a quoted cell is never closed;")


def test_columns_that_are_not_there_are_told_once(write: Write) -> None:
    mapping = Mapping.load(str(write("m.yaml", "format: csv\ndelimiter: ;\nfields: {id: nr, published: at, title: t}")))
    letters = found(read(write("t.csv", "nr;when;t\n1;2026-03-02T08:00:00Z;Title\n"), mapping))
    assert "the header has no column at; it has nr, when, t" in letters[0].reason
    assert "takes it from at" in letters[1].reason


@given(st.lists(st.text('ab,"\n\r é', max_size=12), min_size=1, max_size=6), st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_a_table_holds_comes_out_as_it_was_written(tmp_path: Path, titles: list[str], crlf: bool) -> None:
    import csv

    path = tmp_path / "t.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream, lineterminator="\r\n" if crlf else "\n", quoting=csv.QUOTE_ALL)
        rows.writerow(["id", "published", "title"])
        rows.writerows([str(at), "2026-03-02T08:00:00Z", f"x{title}x"] for at, title in enumerate(titles))
    fields: dict[str, tuple[str, ...]] = {name: (name,) for name in ("id", "published", "title")}
    items = found(read(path, Mapping("m", fields, "csv")))
    assert [item.title for item in items] == [f"x{title}x" for title in titles]


def test_times_are_read_in_their_shape_and_zone(write: Write) -> None:
    text = "time: {format: '%d.%m.%Y %H:%M', zone: Europe/Berlin}\nfields: {id: i, published: p.0.at, title: =News}"
    mapping = Mapping.load(str(write("m.yaml", text)))
    item = mapping.item({"i": 7, "p": [{"at": "02.07.2026 10:00"}]})
    assert (item.id, item.title, item.published) == ("7", "News", datetime(2026, 7, 2, 8, tzinfo=UTC))


def test_an_empty_cell_is_no_time_of_receipt(write: Write) -> None:
    names = ("id", "published", "received", "title")
    mapping = Mapping("m", {name: (name,) for name in names}, "csv")
    table = write("t.csv", "id,published,received,title\n1,2026-03-02T08:00:00Z,,Title\n2,,,Title\n")
    item, letter = found(read(table, mapping))
    assert item.received == item.published
    assert "field 'published'" in letter.reason


def test_every_fault_of_a_mapping_is_told_with_its_path(write: Write) -> None:
    text = """
format: xml
delimiter: ";;"
times: {}
time: {zone: Europe/Berlim, format: "%Q"}
fields: {id: 3, titel: headline, body: a..b}
version: {at: v, first: 1}
retracted: {at: 4, values: [x]}
"""
    with pytest.raises(InputError) as fault:
        Mapping.load(str(write("m.yaml", text)))
    told = str(fault.value)
    for part in (
        "format: 'xml'; choose jsonl or csv",
        "delimiter: ';;' is not one character",
        "times: no such key; did you mean 'time'?",
        "time.zone: 'Europe/Berlim' is no zone",
        "time.format: '%Q' is none",
        "fields.id: 3 is no place",
        "fields.titel: no such key; did you mean 'title'?",
        "fields.body: 'a..b' is no place",
        "fields.published: missing",
        "fields.title: missing",
        "version.first: no such key",
        "version.values: [None]; write the values that count",
        "retracted.at: 4 is no place",
    ):
        assert part in told
    assert len(told.splitlines()) == 14
    for name in ("gone.yaml", str(write("a.yaml", "a: [b")), str(write("b.yaml", "- a"))):
        with pytest.raises(InputError, match="--mapping"):
            Mapping.load(name)


@pytest.mark.parametrize("path", sorted(PACKAGED.glob("*.yaml")), ids=lambda path: path.stem)
def test_packaged_mappings_have_no_fault(path: Path) -> None:
    assert Mapping.load(path.stem).fields.keys() >= {"id", "published", "title"}
