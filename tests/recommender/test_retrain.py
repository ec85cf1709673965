"""Retrain: what is learnt from the logbook and what is set aside; the better recommender goes live, and no other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from apps.recommender import tables
from apps.recommender.events import Events
from apps.recommender.held_out import Plan
from apps.recommender.items import Items
from apps.recommender.logbook import Entry, Logbook, Shown
from apps.recommender.ranker import Recommender
from apps.recommender.retrain import FEWEST, left_over, retrain
from apps.recommender.settings import Settings
from apps.recommender.vetted import FRANTIC, Vetted
from engine import Store, decisions
from engine.errors import InputError

AFTER = datetime(2026, 6, 1, tzinfo=UTC)
PLAN = Plan(behaviours=("click", "purchase"))


@pytest.fixture
def logbook(database_url: str) -> Iterator[Logbook]:
    database = tables.opened(database_url)
    yield Logbook(database, "default")
    database.close()


@pytest.fixture
def quick(shop_settings: Settings) -> Settings:
    fewer = {"sequence": shop_settings.sequence.model_copy(update={"epochs": 0})}
    return shop_settings.model_copy(update=fewer)


def done(user: str, item: str, hours: float, list_id: str | None = None, event: str = "click") -> Entry:
    data = {"item": item, "event": event, "weight": 1.0, "list": list_id}
    return Entry("interaction", user, data, AFTER + timedelta(hours=hours))


def by_taste(users: int, each: int, *, seed: int = 5) -> list[Entry]:
    """Users who take items of one taste each, no item twice."""
    random = np.random.default_rng(seed)
    return [
        done(f"n{user}", f"{user % 4}-{item}", 24 * place + 0.1 * user)
        for user in range(users)
        for place, item in enumerate(random.permutation(12)[:each])
    ]


def chance(users: int, each: int) -> Events:
    """What users without any taste did, before the logbook began."""
    random = np.random.default_rng(7)
    rows = [
        (f"u{user}", f"{random.integers(4)}-{random.integers(12)}", "click", AFTER - timedelta(hours=50 - place))
        for user in range(users)
        for place in range(each)
    ]
    return Events.of(pd.DataFrame(rows, columns=["user_id", "item_id", "event", "datetime"]))


def test_what_nobody_did_of_their_own_accord_is_set_aside_with_its_reason(
    recommender: Recommender, logbook: Logbook
) -> None:
    logbook.show(Shown("l1", "n1", AFTER, "shop@1", ("0-1", "0-2"), (1.0, 0.5), (1.0, 1.0), ("0-1", "0-2", "0-3")))
    wrong = {
        done("n1", "0-3", 1, "l1").id: "it names a list that did not show the item",
        done("n1", "0-1", 1, "never").id: "it names a list that did not show the item",
        done("n2", "0-1", 1, "l1").id: "it names another user's list",
        done("n1", "none", 1).id: "of an item that is not in the catalogue",
        done("n1", "0-1", 1, event="stare").id: "an event of the kind stare, which the recommender does not know",
    }
    entries = [
        done("n1", "0-3", 1, "l1"), done("n1", "0-1", 1, "never"), done("n2", "0-1", 1, "l1"), done("n1", "none", 1),
        done("n1", "0-1", 1, event="stare"),
    ]  # fmt: skip
    told = dict(zip([one.id for one in entries], wrong.values(), strict=True))
    honest = [*by_taste(30, 3), done("n1", "0-1", 1, "l1")]
    bot = [done("bot", f"{at % 4}-{at % 12}", at / 60) for at in range(200)]
    old = Entry("interaction", "u1", {"item": "0-1", "event": "click", "weight": 1.0, "list": None},
                AFTER - timedelta(days=3650))  # fmt: skip
    logbook.add([*entries, *honest, *bot, old])
    found = Vetted.of(logbook, recommender)
    assert found.aside == {**told, **dict.fromkeys((one.id for one in bot), FRANTIC)}
    assert set(found.learnt) == {one.id for one in honest}
    assert len(found.events) == len(honest)
    assert found.exposures is not None
    assert found.exposures.frame["item_id"].tolist() == ["0-1", "0-2"]


def test_what_is_told_of_an_item_before_it_was_published_is_set_aside(
    recommender: Recommender, logbook: Logbook
) -> None:
    """One such event would make the whole retrain a leak."""
    coming = Entry("item", "0-1", {"published": (AFTER + timedelta(hours=5)).isoformat()}, AFTER)
    logbook.show(Shown("l1", "n1", AFTER, "shop@1", ("0-1", "0-2"), (1.0, 0.5), (1.0, 1.0), ("0-1", "0-2")))
    early, late = done("n1", "0-1", 4), done("n1", "0-1", 6)
    logbook.add([coming, early, late, done("n1", "0-2", 1)])
    found = Vetted.of(logbook, recommender)
    assert found.aside == {early.id: "of an item that was published later"}
    assert late.id in found.learnt
    assert found.exposures is not None
    assert found.exposures.frame["item_id"].tolist() == ["0-2"]


def test_the_challenger_goes_live_when_it_ranks_better_and_the_report_says_so(
    shop: tuple[Items, Events], quick: Settings, logbook: Logbook
) -> None:
    Recommender.fit(shop[0], chance(60, 12), settings=quick).save("shop")
    logbook.add(by_taste(60, 8))
    made = retrain("shop", logbook, plan=PLAN)
    assert made.decision.promoted, made.decision.why
    assert made.evaluation.gains["champion"].low > 0
    assert str(Store().get("shop")) == "shop@2" == made.decision.challenger
    assert len(made.decision.feedback.learnt) == 60 * 8
    assert "shop@2 takes the place of shop@1" in made.decision.report.read_text(encoding="utf-8")
    with pytest.raises(InputError, match="0 events to learn from are newer than shop@2"):
        retrain("shop", logbook, plan=PLAN)

    # A process that decided and was killed before it promoted.
    store = Store()
    aliases = store.root / "shop" / "aliases.json"
    aliases.unlink()
    store.promote(store.get("shop@1"))
    assert left_over("shop") == made.decision
    assert str(store.get("shop")) == "shop@2"
    store.rollback("shop")
    assert left_over("shop") is None, "a person's rollback stays"


def test_the_champion_stays_when_what_is_new_is_noise(recommender: Recommender, logbook: Logbook) -> None:
    recommender.save("shop")
    noise = chance(40, 8).frame
    logbook.add(
        [
            done(str(row.user_id), str(row.item_id), place / 10)
            for place, row in enumerate(noise.sort_values("datetime").itertuples())
        ]
    )
    made = retrain("shop", logbook, plan=PLAN)
    assert not made.decision.promoted
    assert str(Store().get("shop")) == "shop@1"
    assert [str(one) for one in Store().versions("shop")] == ["shop@1", "shop@2"]
    assert decisions("shop") == [made.decision]
    assert "the interval of the difference must lie above 0" in made.decision.why


def test_bots_that_look_like_shoppers_teach_no_challenger_that_goes_live(
    shop: tuple[Items, Events], quick: Settings, logbook: Logbook
) -> None:
    """They are many and new; those whom the champion knew judge beside them."""
    Recommender.fit(shop[0], shop[1], settings=quick).save("shop")
    regulars = list(shop[1].frame["user_id"].unique()[:60])
    random = np.random.default_rng(3)
    visits = [(user, f"{random.integers(4)}-{random.integers(12)}") for user in regulars for _ in range(4)]
    visits += [(f"bot{number}", f"0-{place}") for number in range(120) for place in random.permutation(12)[:4]]
    days = random.permutation(len(visits)) / 40
    logbook.add([done(user, item, 24 * day) for (user, item), day in zip(visits, days, strict=True)])
    made = retrain("shop", logbook, plan=PLAN)
    assert [gate.name for gate in made.decision.gates if not gate.held] == ["regulars"]
    assert not made.decision.promoted
    assert "users whom shop@1 knew" in made.decision.why
    assert str(Store().get("shop")) == "shop@1"


def test_too_little_is_no_lesson(recommender: Recommender, logbook: Logbook) -> None:
    recommender.save("shop")
    logbook.add(by_taste(10, 3))
    with pytest.raises(InputError, match=f"30 events to learn from .* it takes {FEWEST}"):
        retrain("shop", logbook, plan=PLAN)
    assert Counter(map(str, Store().versions("shop"))) == {"shop@1": 1}
