"""The commands over one small shop, as a person gives them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from apps.recommender.cli import app
from apps.recommender.exposures import Exposures
from apps.recommender.held_out import HeldOut, Plan
from apps.recommender.ranker import Recommender
from engine import Store
from engine.errors import DataError, InputError
from tests.recommender.conftest import shop_events, shop_items

Call = Callable[..., str]


def call(*words: object) -> str:
    """What a command prints; its faults are raised."""
    done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, toy_base: Path) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    shop_items().frame.reset_index().to_json(folder / "items.jsonl", orient="records", lines=True, date_format="iso")
    events = shop_events().frame
    events.to_parquet(folder / "events.parquet")
    people = sorted(set(events["user_id"]))
    country = ["no" if at % 2 else "it" for at in range(len(people))]
    pd.DataFrame({"user_id": people, "country": country}).to_csv(folder / "users.csv", index=False)
    (folder / "settings.yaml").write_text(
        "values: {click: 1, purchase: 10}\nstep_share: 0.3\nsegment: country\n"
        f"text: {{base: {toy_base}, pairs: 0, epochs: 1, width: 16}}\n"
        "sequence: {epochs: 1, width: 16}\nbooster: {rounds: 20, threads: 1}\n",
        encoding="utf-8",
    )
    return folder


@pytest.fixture(scope="module")
def trained(files: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A home with the shop's recommender, and what its training said."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEEL_HOME", str(home))
        patch.chdir(files)
        given = ("--events", "events.parquet", "--users", "users.csv", "--settings", "settings.yaml")
        said = call("train", *given, "--hold-out", 2, "--json")
    return home, json.loads(said)


def test_segments_of_users_are_learnt_and_kept() -> None:
    segments = Recommender.load().segments
    assert segments is not None
    assert segments.names == ("it", "no")


@pytest.fixture(autouse=True)
def _at_home(trained: tuple[Path, dict[str, Any]], files: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEL_HOME", str(trained[0]))


def test_training_stores_a_version_with_figures_on_days_that_it_has_not_seen(trained, tmp_path):
    said = trained[1]
    assert said["version"] == "recommender@1"
    assert said["events"] == len(shop_events()), "what was held out is in its histories afterwards"
    assert "global by time" in said["evaluation"]["protocol"]["split"]
    assert list(said["evaluation"]["figures"]) == ["popularity", "text", "sequence", "behaviour", "fused"]
    figures = Store().get("recommender").manifest()["figures"]
    assert figures["fused"]["value"] == pytest.approx(said["evaluation"]["figures"]["fused"]["ndcg"]["value"], abs=1e-6)
    assert json.loads(call("evaluate", "--json")) == said["evaluation"]
    shown = call("evaluate", "--html", tmp_path / "page.html")
    for title in ("Protocol", "Ablation", "age of the item", "events of the user learnt from"):
        assert title in shown
    assert "<svg" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_stored_version_is_measured_on_what_came_after(tmp_path):
    frame = shop_events().frame
    frame.to_parquet(tmp_path / "old.parquet")
    with pytest.raises(InputError, match="no event is later than 2026-02"):
        call("evaluate", "--events", tmp_path / "old.parquet")
    later = frame.assign(datetime=frame["datetime"] + pd.Timedelta(days=30), item_id=frame["item_id"].to_numpy()[::-1])
    later.to_parquet(tmp_path / "new.parquet")
    done = json.loads(call("evaluate", "--events", tmp_path / "new.parquet", "--others", 5, "--json"))
    assert list(done["figures"]) == ["popularity", "text", "sequence", "fused"]
    assert "5 drawn evenly" in done["protocol"]["candidates"]
    assert done["protocol"]["seeds"] == "13"


def test_a_list_says_what_the_user_took_and_why_it_is_so(tmp_path):
    (tmp_path / "rules.yaml").write_text("- pin: {item: 0-3, place: 2}\n", encoding="utf-8")
    words = (
        "rank",
        "--user",
        "u2",
        "--items",
        "2-1, 2-2,0-3,1-4",
        "--value",
        "purchase=1",
        "--explain",
        "--diversity",
        0.3,
    )
    done = json.loads(call(*words, "--rules", tmp_path / "rules.yaml", "--json"))
    assert [one["rank"] for one in done["list"]] == [1, 2, 3, 4]
    assert done["list"][1]["item_id"] == "0-3"
    assert done["list"][1]["title"] == "market shares fall 3"
    assert len(done["history"]) == 6
    assert all(one["reasons"] for one in done["list"])
    shown = call(*words, "--rules", tmp_path / "rules.yaml")
    assert "pin 0-3 at 2" in shown
    assert "u2: the last of 6 events" in shown


def test_without_candidates_what_the_user_has_not_taken_is_ranked():
    done = json.loads(call("rank", "--user", "u2", "--k", 100, "--json"))
    taken = {event["item_id"] for event in done["history"]}
    assert {one["item_id"] for one in done["list"]} == {*shop_items().ids} - taken
    assert "u-new has no history" in call("rank", "--user", "u-new")


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_rows_come_back_with_scores_and_bad_ones_apart(suffix, tmp_path):
    rows = [("u1", "1-2"), ("stranger", "2-2"), ("u1", "gone"), ("u3", "3-1")]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id"])
    source, target = tmp_path / f"in.{suffix}", tmp_path / "out.csv"
    match suffix:
        case "parquet":
            frame.to_parquet(source)
        case "csv":
            frame.to_csv(source, index=False)
        case _:
            frame.to_json(source, orient="records", lines=True)
    done = json.loads(call("score", source, "-o", target, "--json"))
    assert (done["scored"], done["users_without_history"], done["rejected"]["rows"]) == (3, 1, 1)
    scores = pd.read_csv(target).set_index(["user_id", "item_id"])["score"]
    assert list(scores.index) == [rows[0], rows[1], rows[3]]
    alone = json.loads(call("rank", "--user", "u1", "--items", "1-2", "--json"))["list"][0]["score"]
    assert scores["u1", "1-2"] == pytest.approx(alone, abs=1e-6)
    letter = json.loads(Path(done["rejected"]["file"]).read_text(encoding="utf-8"))
    assert "not in the catalogue" in letter["reason"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("train", "--items", "items.jsonl"), "give --events too"),
        (("train", "--events", "gone.parquet"), "gone.parquet: no such file"),
        (("train", "--events", "events.parquet", "--hold-out", "900"), "no events to learn from"),
        (("rank", "--user", "u1", "--model", "other"), "other: no such model"),
        (("rank", "--user", "u1", "--items", "gone"), "'gone' is not in the catalogue"),
        (("rank", "--user", "u1", "--value", "purchase"), "write BEHAVIOUR=NUMBER"),
        (("rank", "--user", "u1", "--value", "share=2"), "share: no such behaviour was learnt"),
        (("rank", "--user", "u1", "--rules", "rules.yaml"), "rules.yaml: rule 1, cap"),
        (("rank", "--user", "u1", "--as-of", "yesterday"), "write 2026-03-02T08:15:00Z"),
        (("rank", "--user", "u1", "--as-of", "2026-02-01T00:00:00Z"), "the history holds"),
        (("rank", "--user", "u1", "--items", "0-1", "--candidates", "f"), "give one of them"),
        (("score", "items.jsonl", "-o", "none/out.csv"), "the folder none does not exist"),
        (("score", "items.jsonl", "-o", "out.csv"), "no column 'user_id'"),
        (("evaluate", "--html", "none/page.html"), "the folder none does not exist"),
    ],
)
def test_what_cannot_be_done_is_told_with_the_way_out(words, told, files, tmp_path, monkeypatch):
    monkeypatch.chdir(files)
    (files / "rules.yaml").write_text("- cap: {field: category, most: none}\n", encoding="utf-8")
    with pytest.raises((InputError, DataError)) as fault:
        call(*words)
    assert told in str(fault.value)
    assert not [path for path in files.iterdir() if path.name.startswith((".", "out"))]


def test_lists_hold_what_was_for_sale_and_new_to_the_user():
    items, events = shop_items(), shop_events()
    held = HeldOut.of(items, events, Plan(days=2, behaviours=("purchase",), lists=30))
    assert len(held.lists) <= 30
    assert held.learnt.frame["datetime"].max() < held.later.frame["datetime"].min()
    for number, user in enumerate(held.lists.user_ids):
        rows = held.lists.rows(number)
        bought = {event.item_id for event in held.learnt.history(user) if event.event == "purchase"}
        later = {event.item_id for event in held.later.history(user) if event.event == "purchase"}
        assert set(held.lists.item_ids[rows]) == {*items.ids} - bought
        assert set(held.lists.item_ids[rows][held.lists.gains[rows] > 0]) == later - bought


def test_lists_as_they_were_shown_are_ranked_anew():
    events = shop_events()
    later = events.frame[events.frame["datetime"] > events.frame["datetime"].max() - pd.Timedelta(days=3)]
    rows = [
        (f"l{number}", user, item, place, when - pd.Timedelta(minutes=1))
        for number, (user, taken, when) in enumerate(
            zip(later["user_id"], later["item_id"], later["datetime"], strict=True)
        )
        for place, item in enumerate(dict.fromkeys(["0-0", "1-1", taken]), 1)
    ]
    shown = Exposures.of(pd.DataFrame(rows, columns=["list_id", "user_id", "item_id", "position", "datetime"]))
    held = HeldOut.of(shop_items(), events, Plan(days=2, lists=20), shown)
    assert len(held.lists) == 20
    assert "lists as they were shown" in held.protocol.candidates
    moments = pd.Series(held.lists.as_of).dt.tz_localize("UTC")
    assert moments.min() > held.learnt.frame["datetime"].max()
    for number, user in enumerate(held.lists.user_ids):
        rows_of = held.lists.rows(number)
        items = held.lists.item_ids[rows_of]
        assert items.tolist() == sorted(items)
        soon = [event for event in events.history(user) if 0 <= (event.time - moments[number]).total_seconds() <= 86400]
        assert set(items[held.lists.gains[rows_of] > 0]) == {event.item_id for event in soon} & {*items}


def test_without_times_each_users_last_is_left_out():
    held = HeldOut.of(shop_items(), shop_events(timed=False), Plan())
    assert "leave-last-out" in held.protocol.split
    assert len(held.learnt) + len(held.later) == len(shop_events())
    assert held.lists.as_of is None
