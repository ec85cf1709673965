"""Ranking over HTTP: lists in Metarank's shape, what is told counts at once and survives, tenants never meet."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from apps.recommender import export, offpolicy, tables
from apps.recommender.api import application
from apps.recommender.events import Event, Events
from apps.recommender.items import KNOWN, Items
from apps.recommender.logbook import Logbook
from apps.recommender.past import Met, Past
from apps.recommender.ranker import FILE, Recommender
from apps.recommender.settings import Settings
from apps.recommender.shelf import Shelf, assigned
from engine import Store
from engine.db import Database
from engine.errors import InputError
from engine.feedback import FeedbackLog
from engine.service import Keys, Queue

ALL = [f"{taste}-{number}" for taste in range(4) for number in range(12)]
NEW = {"item_id": "new", "title": "bank profit rises 99", "category": "bank profit rises", "price": 9.0}


@pytest.fixture(scope="module")
def stored(recommender: Recommender, session_home: Path) -> str:
    """Two bundles of one training, as two tenants would have them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEEL_HOME", str(session_home))
        recommender.save("served")
        recommender.save("theirs")
    return "served"


@pytest.fixture(autouse=True)
def _home(session_home: Path, home: Path, monkeypatch: pytest.MonkeyPatch, stored: str) -> None:
    monkeypatch.setenv("KEEL_HOME", str(session_home))


def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


class Site:
    """The service, and a client of each tenant."""

    def __init__(self, shelf: Shelf, database: Database, clients: dict[str, TestClient]) -> None:
        self.shelf, self.database, self.clients = shelf, database, clients

    def rank(self, items: list[str], tenant: str = "default", explain: bool = False, **more: Any) -> Any:
        body = {"items": [{"id": item} for item in items], **more}
        model = "served" if tenant == "default" else "theirs"
        answer = self.clients[tenant].post(f"/rank/{model}", json=body, params={"explain": explain})
        return answer.json() if answer.is_success else answer

    def order(self, items: list[str], **more: Any) -> list[str]:
        return [one["item"] for one in self.rank(items, **more)["items"]]


@contextmanager
def serving(place: Path) -> Iterator[Site]:
    database = tables.opened(f"sqlite:///{place}")
    shelf = Shelf(database, {"default": ["served"], "other": ["theirs"]})
    keys, queue = Keys(database), Queue(2)
    app = application(shelf, queue=queue, per_minute=100_000)
    clients = {}
    for tenant in ("default", "other"):
        headers = {"Authorization": f"Bearer {keys.add(f'{tenant} {len(keys.all())}', 'server', tenant)}"}
        clients[tenant] = TestClient(app, headers=headers, raise_server_exceptions=False)
    with clients["default"]:
        yield Site(shelf, database, clients)
    queue.close()
    shelf.close()
    database.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving(tmp_path / "log.db") as found:
        yield found


def click(item: str, user: str, hours: float = 0, **more: Any) -> dict[str, Any]:
    when = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=hours)
    return {
        "event": "interaction",
        "type": "click",
        "item": item,
        "user": user,
        "timestamp": int(when.timestamp() * 1000),
        **more,
    }


def test_a_list_comes_in_metaranks_shape_and_is_the_rankers_own(site: Site, recommender: Recommender) -> None:
    found = site.rank(ALL, user="u3", id="list-1", session="s", fields=[{"name": "country", "value": "NZ"}])
    assert {"took", "items", "id", "model", "reranked", "unused"} == set(found)
    assert (found["id"], found["unused"]) == ("list-1", ["fields.country"])
    assert found["model"].startswith("served@")
    ranked = recommender.rank("u3", ALL, as_of=datetime.now(UTC))
    assert [one["item"] for one in found["items"]] == [one.item_id for one in ranked]
    assert [one["score"] for one in found["items"]] == pytest.approx([one.score for one in ranked], abs=1e-6)
    assert set(found["items"][0]) == {"item", "score", "features"}


def test_an_explained_list_adds_up(site: Site) -> None:
    rules = [{"boost": {"field": "category", "value": "oil price outlook", "by": 0.5}}]
    found = site.rank(ALL, user="u1", explain=True, rules=rules, diversity=0.5, k=12)
    assert any(one["moves"] for one in found["items"])
    for one in found["items"]:
        assert one["reasons"]
        assert {field["name"] for field in one["features"]} >= {"popularity.all", "text.user"}
        for behaviour, margin in one["margins"].items():
            moved = sum(move["margins"][behaviour] for move in one["moves"])
            assert sum(one["contributions"][behaviour].values()) + moved == pytest.approx(margin, abs=1e-6)


def test_what_a_request_wishes_is_done(site: Site) -> None:
    first = site.order(ALL, user="u2")
    assert site.order(ALL, user="u2", k=5) == first[:5]
    assert site.order(ALL, user="u2", k=3, rules=[{"pin": {"item": "0-1", "place": 1}}])[0] == "0-1"
    people = [f"u{number}" for number in range(8)]
    assert any(site.order(ALL, user=one, values={"click": 1.0}) != site.order(ALL, user=one) for one in people)
    most = [{"cap": {"field": "category", "most": 2}}]
    tastes = [item[0] for item in site.order(ALL, user="u2", k=8, rules=most)]
    assert max(map(tastes.count, "0123")) == 2
    drawn = [site.rank(ALL, user="u2", id=f"d{number % 2}", explore=3.0, k=5, explain=True) for number in range(4)]
    orders = [[one["item"] for one in each["items"]] for each in drawn]
    assert orders[:2] == orders[2:], "the same id, the same list"
    assert orders[0] != orders[1]
    assert all(0 < one["propensity"] < 1 for one in drawn[0]["items"])


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ({"values": {"share": 1.0}}, "share: no such behaviour"),
        ({"rules": [{"pin": {"item": "0-1", "place": 9}}], "k": 3}, "places 1 to 3"),
        ({"rules": [{"cup": {}}]}, "rule 1"),
        ({"rules": [{"cap": {"field": "colour", "most": 1}}]}, "no field 'colour'"),
        ({"diversity": 2}, "body.diversity"),
        ({"diverisity": 0.2}, "body.diverisity"),
        ({"timestamp": "yesterday"}, "body.timestamp"),
        ({"timestamp": "2026-02-01T00:00:00Z"}, "after 2026-02-01"),
        ({"history": [{"item": "0-1", "timestamp": "2026-03-09T00:00:00Z"}], "timestamp": 1772409600000}, "'0-1' at"),
    ],
)
def test_what_cannot_be_is_a_clear_problem(site: Site, wish: dict[str, Any], told: str) -> None:
    answer = site.rank(ALL, user="u2", **wish)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert told in answer.json()["detail"]


def test_odd_requests_have_a_documented_answer(site: Site) -> None:
    assert site.rank([], user="u1")["items"] == site.rank([], user="u1", explain=True)["items"] == []
    assert site.order(["0-1", "0-2", "0-1"], user="u1").count("0-1") == 1
    found = site.rank(["0-1", "gone", "0-2"], user="u1")
    assert found["unknown"] == ["gone"]
    assert len(found["items"]) == 2
    assert site.rank(["gone"], user="u1")["items"] == []
    newcomer = site.order(ALL, user="nobody")
    assert newcomer == site.order(ALL) == site.order(ALL, history=[])
    assert site.clients["default"].post("/rank/missing", json={"items": []}).status_code == 404
    with TestClient(site.clients["default"].app) as stranger:
        assert stranger.post("/rank/served", json={"items": []}).status_code == 401


def test_feedback_counts_on_the_next_request_and_after_a_restart(site: Site, tmp_path: Path) -> None:
    before = site.order(ALL, user="fresh")
    told = site.clients["default"].post("/feedback", json=[click(f"2-{n}", "fresh", n, id=f"e{n}") for n in range(3)])
    assert told.json() | {"tookMillis": 0} == {
        "status": "ok", "accepted": 3, "known": 0, "refused": [], "unused": [], "tookMillis": 0
    }  # fmt: skip
    after = site.order(ALL, user="fresh")
    assert after != before
    assert sum(item.startswith("2-") for item in after[:3]) == 3
    assert after == site.order(ALL, history=[{"item": f"2-{n}"} for n in range(3)]), "as if it were given outright"
    lines = "\n".join(json.dumps(click(f"2-{n}", "fresh", n, id=f"e{n}")) for n in range(3))
    assert site.clients["default"].post("/feedback", content=lines).json()["known"] == 3, "told twice, counted once"
    assert site.order(ALL, user="fresh") == after
    with serving(tmp_path / "log.db") as again:
        assert again.order(ALL, user="fresh") == after
        history = again.clients["default"].get("/models/served/history", params={"user": "fresh"}).json()
        assert [one["item"] for one in history] == ["2-2", "2-1", "2-0"]
        assert history[0]["title"] == "oil price outlook 2"


def test_clicks_in_lists_are_feedback_and_a_forgotten_user_leaves_nothing(site: Site, tmp_path: Path) -> None:
    newcomer = site.order(ALL, user="nobody")
    site.rank(ALL, user="gone", id="list-1")
    sent = [
        {**click("2-1", "gone", 1, id="e1"), "ranking": "list-1"},
        {**click("2-2", "gone", 2, id="e2"), "ranking": "list-1", "type": "purchase", "consent": False},
        {**click("2-3", "gone", 3, id="e3"), "ranking": "another's"},
        {**click("2-4", "other", 4, id="e4")},
    ]
    assert site.clients["default"].post("/feedback", json=sent).json()["accepted"] == 4
    log = FeedbackLog(site.shelf.database)
    bought, clicked = sorted(log.read(app="recommender", subject="gone"), key=lambda one: one.kind, reverse=True)
    assert (clicked.kind, clicked.text, clicked.rater, clicked.tenant) == ("click", "2-1", "gone", "default")
    assert (clicked.consent, bought.kind, bought.consent) == (True, "purchase", False)
    assert clicked.said["items"] == newcomer
    assert clicked.model == site.shelf.models("default")["served"].recommender.version
    assert log.count(model="served", kind="click") == 1
    assert log.find(clicked.id) == clicked
    logbook = site.shelf.logbook("default")
    assert {row["item_id"] for row in export._events(logbook)} >= {"2-1", "2-4"}
    assert "2-2" not in {row["item_id"] for row in export._events(logbook)}, "no model is trained on it"

    assert site.clients["default"].delete("/users/u1").json()["erased"] >= 0
    assert site.order(ALL, user="u1") == newcomer, "what the bundle learnt of a user is passed over too"
    assert site.clients["default"].delete("/users/gone").json() == {"erased": 4}
    assert site.order(ALL, user="gone") == newcomer
    assert log.count(app="recommender", subject="gone") == 0
    with serving(tmp_path / "log.db") as again:
        assert again.order(ALL, user="u1") == again.order(ALL, user="gone") == newcomer
        again.clients["default"].post("/feedback", json=click("2-1", "u1", id="e9"))
        assert again.order(ALL, user="u1") != newcomer, "what they do from now on counts"


def test_one_bad_event_takes_no_other_with_it(site: Site) -> None:
    soon = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    sent = [
        click("0-1", "u1"), {"event": "interaction"}, {**click("0-1", "u1"), "timestamp": soon}, 7,
        {"event": "interaction", "item": "0-1"}, {**click("0-1", "u1"), "type": "wink"},
        {"event": "user", "user": "u1", "fields": [{"name": "age", "value": 40}]},
        {"event": "ranking", "id": "x", "items": [{"id": "0-1"}]},
    ]  # fmt: skip
    found = site.clients["default"].post("/feedback", json=sent).json()
    assert (found["accepted"], [one["place"] for one in found["refused"]]) == (3, [1, 2, 3, 4])
    assert "interaction.item" in found["refused"][0]["fault"]
    assert "lies in the future" in found["refused"][1]["fault"]
    assert "who did it" in found["refused"][3]["fault"]
    assert len(found["unused"]) == 3
    alone = site.clients["default"].post("/feedback", json=[7])
    assert alone.status_code == 422
    assert "keel_told_refused_total 5.0" in site.clients["default"].get("/metrics").text


def test_a_callers_clock_a_moment_ahead_is_no_history_from_the_future(site: Site) -> None:
    ahead = (datetime.now(UTC) + timedelta(minutes=2)).isoformat()
    assert site.clients["default"].post("/feedback", json={**click("2-1", "quick"), "timestamp": ahead}).is_success
    assert len(site.order(ALL, user="quick")) == len(ALL)


def test_what_a_user_did_after_the_moment_of_a_request_is_left_out_of_it(site: Site) -> None:
    now = datetime.now(UTC).isoformat()
    assert site.clients["default"].post("/feedback", json={**click("2-1", "hasty"), "timestamp": now}).is_success
    before = (datetime.now(UTC) - timedelta(minutes=2)).isoformat()
    assert site.order(ALL, user="hasty", timestamp=before) == site.order(ALL, user="nobody", timestamp=before)
    assert site.order(ALL, user="hasty") != site.order(ALL, user="nobody")
    given = [{"item": "2-1", "type": "click", "timestamp": now}]
    asked = {"id": "x", "timestamp": before, "history": given, "items": [{"id": "0-1"}]}
    refused = site.clients["default"].post("/rank/served", json=asked)
    assert refused.status_code == 422
    assert "cut it before the request" in refused.json()["detail"]


def test_a_new_item_is_ranked_on_the_next_request_and_after_a_restart(site: Site, tmp_path: Path) -> None:
    put = site.clients["default"].put("/items", json=[{**NEW, "published": "2026-01-01T00:00:00Z", "colour": "red"}])
    assert put.json() == {"status": "ok", "accepted": 1, "unused": ["item.colour"]}
    places = site.order([*ALL, "new"], user="u1")
    assert "unknown" not in site.rank([*ALL, "new"], user="u1")
    assert places.index("new") < np.median([places.index(item) for item in ALL if item[0] != "1"])
    told = {"event": "item", "item": "new", "fields": [{"name": "price", "value": 10.5}]}
    assert site.clients["default"].post("/feedback", json=told).is_success
    with serving(tmp_path / "log.db") as again:
        assert again.order([*ALL, "new"], user="u1").index("new") < 30
        row = again.shelf.models("default")["served"].recommender.items.frame.loc["new"]
        assert (row["title"], row["price"]) == (NEW["title"], 10.5), "a field that is not told stays"
    for bad, wish in (
        ({**NEW, "price": "cheap"}, "'price': 'cheap'; give a number"),
        ({**NEW, "published": "soon"}, "RFC 3339"),
        ({"title": "no id"}, "an item is an object with item_id"),
    ):
        answer = site.clients["default"].put("/items", json=[{**NEW, "item_id": "other"}, bad])
        assert answer.status_code == 422
        assert wish in answer.json()["detail"]
    assert site.rank(["other"], user="u1")["unknown"] == ["other"], "all are taken or none"


def test_a_new_item_has_the_vector_and_features_of_a_retrained_run(
    site: Site, shop: tuple[Items, Events], shop_settings: Settings
) -> None:
    item = {**NEW, "published": "2026-01-01T00:00:00Z"}
    site.clients["default"].put("/items", json=item)
    live = site.shelf.models("default")["served"].recommender
    whole = shop[0].added(Items.of(pd.DataFrame([item])))
    quick = shop_settings.model_copy(update={"sequence": shop_settings.sequence.model_copy(update={"epochs": 0})})
    retrained = Recommender.fit(whole, shop[1], settings=quick)
    history, numbers = (Event("1-1"), Event("1-3")), whole.numbers(["new", "2-3"])
    assert (live.items.numbers(["new"]) == whole.numbers(["new"])).all()
    assert np.array_equal(live.features.text.vectors[numbers], retrained.features.text.vectors[numbers])
    owners = np.zeros(2, np.int64)
    past = Past.of([history], whole)
    met = Met.of(past, owners, numbers, 10)
    one, other = (each.features.catalogue.features(past, owners, numbers, met, None) for each in (live, retrained))
    assert live.features.catalogue.names == retrained.features.catalogue.names
    np.testing.assert_allclose(one, other, atol=1e-6)
    said = [each.features.text.features(past, owners, numbers, met)[:, :3] for each in (live, retrained)]
    np.testing.assert_allclose(said[0], said[1], atol=1e-6)


def test_lists_are_exported_for_training_and_off_policy_estimates(site: Site, tmp_path: Path) -> None:
    for user in range(40):
        site.rank(ALL[:10], user=f"u{user}", id=f"l{user}", explore=2.0, k=3)
    site.clients["default"].post("/rank/served?trial=true", json={"id": "trial", "items": [{"id": "0-1"}]})
    shown = site.rank(ALL[:10], user="u0", id="l0", explore=2.0, k=3)["items"]
    told = [click(shown[0]["item"], "u0", ranking="l0"), {"event": "item", "item": "0-1", "fields": []}]
    site.clients["default"].post("/feedback", json=told)
    counts = export.write(Logbook(site.database, "default"), tmp_path / "out")
    assert counts == {"events": 1, "exposures": 120, "lists": 40, "items": 1}
    exposures = pd.read_parquet(tmp_path / "out" / "exposures.parquet")
    events = Events.of(pd.read_parquet(tmp_path / "out" / "events.parquet"))
    assert events.history("u0")[0].item_id == shown[0]["item"]
    assert (events.frame["datetime"] == pd.Timestamp("2026-03-01", tz="UTC")).all()
    exposures["target"] = exposures["propensity"]
    exposures["reward"] = [float(row.list_id == "l0" and row.position == 1) for row in exposures.itertuples()]
    found = offpolicy.estimates(offpolicy.Log(exposures, chained=True))
    assert found["ips"].value == pytest.approx(1 / 40)
    with pytest.raises(InputError, match="stands there already"):
        export.write(Logbook(site.database, "default"), tmp_path / "out")


def test_a_bundle_that_learnt_from_the_log_does_not_count_it_twice(
    site: Site, recommender: Recommender, session_home: Path
) -> None:
    events = [click("2-1", "twice", 1), click("2-2", "twice", 2)]
    site.clients["default"].post("/feedback", json=events)
    live = site.shelf.models("default")["served"]
    assert live.renewed(), "popularity and behaviour take the events in"
    assert len(live.history("twice")) == 2
    assert live.recommender.features.popularity.counts.sum() == len(recommender.events) + 2
    assert not live.renewed()
    live.recommender.save("served")
    site.clients["default"].post("/feedback", json=click("2-3", "twice", 3))
    assert live.renewed(), "a promoted bundle is taken"
    assert live.recommender.version.endswith("@2")
    assert [one.item_id for one in live.history("twice")] == ["2-1", "2-2", "2-3"]
    recommender.save("served")


def test_a_promoted_bundle_is_taken_within_seconds_and_a_broken_one_is_not(
    site: Site, recommender: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.recommender.shelf.EVERY_S", 0.02)
    store = Store()
    answers, http = site.shelf.models("default")["served"].recommender.version, site.clients["default"]
    threading.Thread(target=site.shelf.keep_fresh, args=(3600.0,), daemon=True).start()
    broken = store.get(recommender.save("served", promote=False).version)
    whole = (broken.folder / FILE).read_bytes()
    (broken.folder / FILE).write_text("{}", encoding="utf-8")
    store.promote(broken)
    until(lambda: f"{answers} answers; {broken} is refused" in http.get("/readyz").text)
    (broken.folder / FILE).write_bytes(whole)  # other tests read this store
    promoted = recommender.save("served").version
    until(lambda: f"{promoted} answers" in http.get("/readyz").text)
    assert site.rank(["2-1", "2-2"])["model"] == promoted


def test_tenants_never_see_each_others_users_items_or_models(site: Site, tmp_path: Path) -> None:
    mine, theirs = site.clients["default"], site.clients["other"]
    before = site.order(ALL, tenant="other", user="shared")
    mine.post("/feedback", json=[click(f"2-{n}", "shared", n, id=f"e{n}") for n in range(3)])
    mine.put("/items", json=NEW)
    site.rank(ALL, user="shared", id="l1")
    assert site.order(ALL, tenant="other", user="shared") == before
    assert site.rank(["new"], tenant="other")["unknown"] == ["new"]
    assert theirs.get("/models/theirs/history", params={"user": "shared"}).json() == []
    assert "shared" not in theirs.get("/models/theirs/users", params={"count": 1000}).json()
    assert "shared" in mine.get("/models/served/users", params={"words": "shared"}).json()
    assert [one["model"] for one in theirs.get("/models").json()] == ["theirs"]
    for path in ("/rank/served", "/models/served/history?user=shared", "/models/served/users", "/models/served/items"):
        answer = theirs.post(path, json={"items": []}) if path.startswith("/rank") else theirs.get(path)
        assert answer.status_code == 404
    counts = export.write(Logbook(site.database, "other"), tmp_path / "theirs")
    assert (counts["events"], counts["items"]) == (0, 0)
    assert theirs.post("/feedback", json=click("2-1", "shared", 1, id="e1")).json()["known"] == 0
    assert assigned(["a=x", "y", "b=z"]) == {"a": ["x"], "default": ["y"], "b": ["z"]}
    with pytest.raises(InputError, match="train one for each"):
        assigned(["a=x", "b=x"])


def test_no_request_that_the_schema_allows_breaks_the_service(site: Site) -> None:
    client = site.clients["default"]
    asked_for = set()
    for found in schemathesis.openapi.from_asgi("/openapi.json", client.app).get_all_operations():
        operation = found.ok()

        @hypothesis_settings(
            max_examples=3, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
        )
        @given(case=operation.as_strategy())
        def probe(case: schemathesis.Case) -> None:
            asked_for.add(case.operation.label)
            if "model" in case.path_parameters:
                case.path_parameters["model"] = "served"
            answer = case.call(headers=dict(client.headers))
            assert answer.status_code < 500 or answer.status_code == 503, answer.text

        probe()
    assert len(asked_for) >= 9


def test_whatever_is_told_is_taken_or_has_a_reason(site: Site) -> None:
    client = site.clients["default"]
    odd = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
        max_leaves=4,
    )
    events = st.fixed_dictionaries(
        {"event": st.sampled_from(["interaction", "item", "user", "ranking", "x"]), "item": st.just("0-1") | odd},
        optional={
            **dict.fromkeys(("user", "session", "type", "timestamp", "id", "fields"), odd),
            "fields": st.lists(st.fixed_dictionaries({"name": st.sampled_from(KNOWN) | odd, "value": odd}), max_size=2),
        },
    )
    rows = st.fixed_dictionaries({"item_id": st.just("new") | odd}, optional=dict.fromkeys(KNOWN, odd))

    @hypothesis_settings(max_examples=25, deadline=None, database=None, derandomize=True)
    @given(told=events, row=rows)
    @example(told={}, row={"item_id": "new", "published": "9999-01-01", "tags": [], "price": 10**400})
    @example(told={"event": "item", "item": "new", "fields": []}, row={"item_id": "new", "title": "\x00"})
    def probe(told: Any, row: Any) -> None:
        for answer in (client.post("/feedback", content=_json(told)), client.put("/items", content=_json(row))):
            assert answer.status_code in (200, 422), answer.text
            assert answer.is_success or answer.json()["detail"]

    probe()
    assert len(site.order([*ALL, "new"], user="u1")) >= len(ALL)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")
