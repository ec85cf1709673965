"""The watch list: aliases, tickers and context in any script; a file's faults are told with line and remedy."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.finance_monitor import tickers, watchfile
from apps.finance_monitor.watchlist import Company, Span, WatchList, longest
from engine.errors import InputError

LIST = WatchList(
    [
        Company("Apple", ("Apple Inc", "苹果公司"), ("NASDAQ:AAPL",), must_not=("pie", "orchard")),
        Company("Facebook", (), ("FB",), must_not=("share to", "post on", "分享到")),
        Company("Berkshire Hathaway", ("Berkshire",), ("BRK.B", "BRK-A")),
        Company("Carnival", (), ("NYSE: CCL",), must=("cruise", "cruises", "ships")),
        Company("贵州茅台", ("茅台",), ("600519.SH",)),
        Company("Шахта", (), ()),
    ]
)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Apple beats; APPLE INC’s outlook", ["Apple", "Apple"]),
        ("Pineapple growers and Applebee's", []),
        ("An apple pie a day", []),
        ("They share to Facebook", []),
        ("Facebook shares fall", ["Facebook"]),
        ("分享到Facebook的文章", []),
        ("茅台股价大涨，苹果公司发布新品", ["贵州茅台", "Apple"]),
        ("贵州茅台600519.SH大涨", ["贵州茅台", "贵州茅台"]),
        ("Buffett sells $BRK.B and BRK.A, not ABC.D", ["Berkshire Hathaway", "Berkshire Hathaway"]),
        ("Berkshire Hathaway (NYSE: BRK-B) up", ["Berkshire Hathaway", "Berkshire Hathaway"]),
        ("Carnival draws crowds in Rio", []),
        ("Carnival adds two ships", ["Carnival"]),
        ("Line slides (NYSE:CCL)", ["Carnival"]),
        ("Buy $TSLA, NASDAQ：NVDA; spend A$45m", ["$TSLA", "$NVDA"]),
        ("Шахта закрыта", ["Шахта"]),
        ("Шахтами", []),
        ("", []),
    ],
)
def test_companies_are_found_where_a_reader_would_see_them(text: str, names: list[str]) -> None:
    assert [span.name for span in LIST.find(text) if span.name] == names


def test_what_context_rules_out_is_told_apart_from_what_is_not_there() -> None:
    assert LIST.find("An apple pie") == [Span(3, 8, "")]


@pytest.mark.parametrize("ticker", ["$brk-b", "NYSE:BRK/B", "BRK.B"])
def test_a_ticker_is_one_however_it_is_written(ticker: str) -> None:
    assert tickers.canonical(ticker) == "BRK.B"
    assert LIST.ticker(ticker) == "Berkshire Hathaway"


@given(st.text(alphabet="aApPlLeE 茅台b.$:ßİ,", max_size=40))
def test_spans_lie_in_order_inside_the_text_and_never_overlap(text: str) -> None:
    at = 0
    for span in LIST.find(text):
        assert at <= span.start < span.end <= len(text)
        at = span.end


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 9)), max_size=12))
def test_a_span_is_left_out_only_for_one_at_least_as_long(places: list[tuple[int, int]]) -> None:
    spans = [Span(start, start + width, "x") for start, width in places]
    kept = longest(spans)
    for span in spans:
        width = span.end - span.start
        assert span in kept or any(
            one.start < span.end and span.start < one.end and one.end - one.start >= width for one in kept
        )


def test_a_list_is_kept_with_the_state_and_finds_on() -> None:
    LIST.find("Apple")
    again = pickle.loads(pickle.dumps(LIST))
    assert again.find("Apple") == LIST.find("Apple")


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


FORMS = {
    "list.yaml": "- name: Apple\n  aliases: [苹果公司]\n  tickers: [NASDAQ:AAPL]\n  must_not: [pie]\n- Halden\n",
    "list.jsonl": json.dumps({"name": "Apple", "aliases": ["苹果公司"], "tickers": ["AAPL"], "must_not": ["pie"]})
    + '\n\n{"name": "Halden"}\n',
    "list.json": '[{"name": "Apple", "aliases": ["苹果公司"], "tickers": ["AAPL"], "must_not": ["pie"]}, "Halden"]',
    "list.csv": "name,aliases,tickers,must_not\nApple,苹果公司;Apple Inc,AAPL,pie\nHalden,,,\n",
}


@pytest.mark.parametrize("name", FORMS)
def test_a_file_in_any_form_makes_the_same_list(tmp_path: Path, name: str) -> None:
    made = watchfile.read(written(tmp_path, name, FORMS[name]))
    assert [span.name for span in made.find("苹果公司 and Halden, $AAPL, and then apple pie")] == [
        "Apple",
        "Halden",
        "Apple",
        "",
    ]


def test_names_a_line_are_a_list_too(tmp_path: Path) -> None:
    made = watchfile.read(written(tmp_path, "names.txt", "\ufeff海岳银行\n\nHalden: the firm\nHalden: the firm\n"))
    assert [span.name for span in made.find("海岳银行被下调评级, halden: the firm")] == ["海岳银行", "Halden: the firm"]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.yaml", "- name: A1\n- nmae: B1\n", ["line 2: unknown key 'nmae'; did you mean 'name'?", "line 2: no name"]),
        (
            "a.yaml",
            "- name: Yes\n  aliases: Y1\n- name: no\n",
            ["line 1: 'aliases' is no list", "line 3: no name; add"],
        ),
        ("a.yaml", "- name: A1\n  tickers: [600519]\n", ["line 1: 'tickers' holds '600519'; write texts"]),
        ("a.yaml", "- name: A1\n- name: B1\n  aliases: [a1]\n", ["line 2: alias 'a1' is A1's too, line 1"]),
        ("a.yaml", "- {name: A1, tickers: [$X]}\n- {name: B1, tickers: ['NYSE:X']}\n", ["line 2: ticker 'X' is A1's"]),
        ("a.yaml", "- name: A1\n  must: [a: b: c]\n", ["line 2: not YAML"]),
        ("a.yaml", "name: A1\n", ["line 1: no list; begin each company with '- name:'"]),
        ("a.jsonl", '{"name": "A1"}\n{"name"\n[1]\n', ["line 2: not JSON", "line 3: a list where a company"]),
        ("a.csv", "title\nA1\n", ["line 1: no column 'name'"]),
        ("a.csv", "name,aliases\nA1,b,c\n", ["line 2: more cells than columns"]),
        ("a.txt", "\n \n", ["names no company"]),
    ],
)
def test_all_faults_are_told_with_their_line_and_remedy(tmp_path: Path, name: str, text: str, told: list[str]) -> None:
    with pytest.raises(InputError) as fault:
        watchfile.read(written(tmp_path, name, text))
    for each in told:
        assert each in str(fault.value)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not readable as UTF-8"):
        watchfile.read(tmp_path / "a.txt")
