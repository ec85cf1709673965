"""Who a headline is about, and how each of them fares."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.finance_monitor import journal, learn
from apps.finance_monitor.alarms import Alarms
from apps.finance_monitor.companies import Companies
from apps.finance_monitor.labels import Label, Labelled
from apps.finance_monitor.learn import Headline
from apps.finance_monitor.monitor import Monitor
from apps.finance_monitor.stories import Stories
from apps.finance_monitor.towards import OTHER, THIS, Reader, Towards, _is_name, asked
from apps.finance_monitor.watchlist import Company, Span, WatchList
from apps.finance_monitor.windows import Key
from engine import Predictor, Progress, Recipe, load, packaged, train
from tests.finance_monitor.test_alarms import item

HALDEN, OSTARA = Towards("Halden", "positive"), Towards("Ostara Media", "negative")


def headline(title: str, *names: str) -> Headline:
    return Headline(title, "s", tuple((name, "neutral") for name in names))


def test_the_model_reads_the_clause_of_the_company_asked_about() -> None:
    one = headline("Halden beats, while Ostara warns; Halden Bank waits", "Halden", "Ostara", "Halden Bank")
    whole = f"{THIS} beats, while {OTHER} warns; {OTHER} waits"
    assert asked(one.title, "Halden", one.spans) == (whole, f"{THIS} beats,")
    assert asked(one.title, "Ostara", one.spans)[1] == f"while {THIS} warns;"
    assert asked(one.title, "Halden Bank", one.spans) == (
        f"{OTHER} beats, while {OTHER} warns; {THIS} waits",
        f"{THIS} waits",
    )
    side = headline("At last Halden overtakes Ostara in vans", "Halden", "Ostara")
    assert asked(side.title, "Halden", side.spans)[1] == f"At last {THIS} overtakes"
    assert asked(side.title, "Ostara", side.spans)[1] == f"overtakes {THIS} in vans"


@given(st.lists(st.sampled_from(["A", "B", " beats", "; ", ", while ", ". ", " as ", "-"]), max_size=12))
def test_of_names_nothing_is_left_in_what_the_model_reads(parts: list[str]) -> None:
    one = headline("".join(["A", *parts, " B"]), "A", "B")
    for name in ("A", "B"):
        for text in asked(one.title, name, one.spans):
            assert THIS in text
            assert "A" not in text
            assert "B" not in text


def test_training_rows_ask_of_each_company_and_keep_stories_together() -> None:
    rows = list(learn.company_rows([Headline("Wren up, Tern down", "c", (("Wren", "positive"), ("Tern", "negative")))]))
    assert [(row["company"], row["sentiment"], row["story"]) for row in rows] == [
        (f"{THIS} up,", "positive", "c"),
        (f"{THIS} down", "negative", "c"),
    ]


def test_fewer_headlines_can_teach(tmp_path: Path) -> None:
    counts = {}
    for most in (None, 100):
        files = [Path(one.partition("=")[2]) for one in learn.rows(learn.COMPANY, tmp_path, most)]
        rows = [list(map(json.loads, file.read_text(encoding="utf-8").splitlines())) for file in files]
        counts[most] = [len({row["story"] for row in each}) for each in rows]
    assert counts[100][0] == 100 < counts[None][0]
    assert counts[100][1] == counts[None][1] >= 150  # others test, whose headlines the news model has not seen
    (given,) = learn.rows(learn.NEWS, tmp_path, 100)
    kept = Recipe.load(learn.RECIPES[learn.NEWS], [given]).data.train[1]
    taught = {json.loads(line)["title"] for line in Path(kept).read_text(encoding="utf-8").splitlines()}
    assert len(taught) == 100 < len(learn.headlines([learn.CONTRASTS]))


def test_keels_own_headlines_make_rows_for_every_name() -> None:
    found = {one.title: one.spans for one in learn.headlines()}
    for file in learn.FILES:
        for row in map(json.loads, (packaged() / "data" / "finance" / file).read_text(encoding="utf-8").splitlines()):
            spans = [Span(start, end, row["title"][start:end]) for start, end, _ in row.get("spans", [])]
            assert ("spans" in row) == all(one["name"] in row["title"] for one in row["companies"])
            if row["title"] in found:
                assert spans == found[row["title"]]
    tested = learn.headlines([learn.OPPOSITES])
    assert len(tested) >= 150
    taught = {name for one in learn.headlines() for name, _ in one.companies}
    assert not taught & {name for one in tested for name, _ in one.companies}
    assert {one.title for one in learn.headlines()}.isdisjoint(one.title for one in tested)


@pytest.fixture(scope="module")
def towards(tmp_path_factory: pytest.TempPathFactory, toy_base: Path) -> Predictor:
    """A model of sentiment towards companies, by the real recipe on a few rows and the toy base."""
    folder = tmp_path_factory.mktemp("toys")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEEL_HOME", str(folder / "home"))
        files = learn.rows(learn.COMPANY, folder, most=120)
        settings = [f"base={toy_base}", "tuning.epochs=1", "export.format=none", "data.split.calibration=0.2"]
        train(Recipe.load(learn.RECIPES[learn.COMPANY], [*files, *settings]))
        return load(learn.COMPANY)


def test_the_reader_names_what_stands_in_the_text_and_one_sentiment_each(
    towards: Predictor,
) -> None:
    listed = WatchList(
        [Company("Halden", ("Halden Motors",), ("HLDN",)), Company("Ostara"), Company("Apple", must_not=("pie",))]
    )
    reader = Reader(listed, towards)
    titles = [
        "Halden beats while Ostara warns",
        "Ostara warns",
        "Off topic Halden",
        "Ostara 警告，Halden Motors 上涨",
        "Apple pie",
    ]
    items = [item(number, title, "negative").item for number, title in enumerate(titles)]
    items[1] = replace(items[1], tickers=("HLDN", "XYZ"))
    label = Label("negative", ("earnings",), "m")
    labels = [label, label, Label("neutral", (), "m"), label, label]
    languages = ["en", "en", "en", "zh", "en"]
    named = [[Span(0, 6, "Halden"), Span(19, 25, "Ostara")], [Span(0, 6, "Ostara")], [], None, [Span(0, 5, "Apple")]]
    found = reader.read(items, languages, labels, named)
    names = [[one.name for one in each] for each in found]
    assert [name for name in names[0] if name in listed] == ["Halden", "Ostara"]
    assert names[1][-2:] == ["Halden", "$XYZ"]
    assert found[2] == ()
    assert found[3] == (Towards("Ostara", "negative"), Towards("Halden", "negative"))  # no model reads Chinese here
    assert "Apple" not in names[4]
    for each, title in zip(found, titles, strict=True):
        assert all(one.sentiment in {"negative", "neutral", "positive"} for one in each)
        assert all(one.name in title or one.name in listed or one.name.startswith("$") for one in each)
    for place in range(len(items)):  # nothing hangs on the neighbours
        assert reader.read([items[place]], [languages[place]], [labels[place]], [named[place]]) == [found[place]]


def test_without_a_tagger_capitals_name_and_one_company_has_the_headlines_sentiment() -> None:
    reader = Reader(WatchList(), None)
    one = item(0, "Profit fell at Halden Motors last year", "negative")
    assert reader.read([one.item], ["en"], [one.label], [None]) == [(Towards("Halden Motors", "negative"),)]
    assert reader.spans("Veldt Motors Recalls Hatchbacks", None) == []
    assert reader.spans("Profit fell at Halden", None) == [Span(15, 21, "Halden")]
    assert reader.spans("Profit fell at Halden", []) == []


def told(*companies: Towards, title: str = "Halden beats", sentiment: str = "positive", **more: object) -> Labelled:
    return replace(item(0, title, sentiment), companies=companies, **more)  # type: ignore[arg-type]


def test_news_is_bad_for_those_it_is_bad_for() -> None:
    companies = Companies()
    assert companies.about(told(HALDEN, OSTARA)) == {"Halden": False, "Ostara Media": True}
    assert companies.about(told(Towards("Ostara", "negative"))) == {"Ostara Media": True}  # its short form
    recap = Label("negative", ("markets",), "m")
    assert companies.about(told(OSTARA, label=recap)) == {"Ostara Media": False}


def test_a_name_that_the_tagger_misses_is_known_from_before() -> None:
    companies = Companies()
    title = "App of Ostara Media fails; Halden idle"
    assert companies.about(told(title=title, sentiment="negative")) == {}
    companies.about(told(OSTARA))
    assert companies.about(told(HALDEN, title=title, sentiment="negative")) == {"Halden": False, "Ostara Media": True}
    within = Towards("Ostara Media Holdings", "neutral")
    assert companies.about(told(within, title="Ostara Media Holdings waits")) == {"Ostara Media Holdings": False}
    off = Label("negative", (), "m")
    assert companies.about(told(title=title, label=off)) == {}


@pytest.mark.parametrize(
    ("found", "title", "name"),
    [
        ("payslips", "Forged payslips at Halden", False),
        ("Halden", "Forged payslips at Halden", True),
        ("eBay", "Sellers leave eBay", True),
        ("halden", "forged payslips at halden", True),
        ("中国银行", "Profit falls at 中国银行", True),
    ],
)
def test_words_without_a_capital_are_no_name_where_there_are_capitals(found: str, title: str, name: bool) -> None:
    assert _is_name(found, title) == name
    watched = Companies(["Ostara"])
    watched.about(told(OSTARA))
    assert watched.about(told(Towards("Ostara", "negative"))) == {"Ostara": True}  # as the user calls it


def test_a_story_counts_against_a_company_and_not_its_rival() -> None:
    monitor = Monitor(Stories(), Companies(), Alarms({"name": "m"}))
    for _ in monitor.take([told(HALDEN, OSTARA)]):
        pass
    assert monitor._window.negative().keys() == {Key("company", "Ostara Media")}


def test_an_item_is_read_back_with_its_companies() -> None:
    for one in (told(HALDEN, OSTARA), told(), replace(told(), companies=None)):
        row = journal._row(one)
        assert journal._labelled(row["data"], row["vector"]).companies == one.companies
    row = journal._row(told(HALDEN))
    older = json.loads(row["data"])
    del older["companies"]  # as it was written before companies were read
    assert journal._labelled(json.dumps(older), row["vector"]).companies is None


def test_training_skips_what_is_there(toy_recipe: Callable[..., Recipe]) -> None:
    for name in learn.RECIPES:
        train(toy_recipe(name=name))
    with Progress(quiet=True) as progress:
        assert learn.learn(progress) == {}
