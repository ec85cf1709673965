"""Golden lists: a log that was taken over as a whole speaks for its challenger; lists kept apart do not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from apps.recommender import tables
from apps.recommender.cli import app
from apps.recommender.events import Events
from apps.recommender.golden import FEWEST, Golden
from apps.recommender.held_out import Plan
from apps.recommender.items import Items
from apps.recommender.logbook import Entry, Logbook
from apps.recommender.ranker import Recommender
from apps.recommender.retrain import retrain
from apps.recommender.settings import Settings
from engine import Store
from engine.errors import DataError, InputError

AFTER = datetime(2026, 6, 1, tzinfo=UTC)
PANEL = 200
"""Users from here on tell the shop what they want, and are not in its log."""


@pytest.fixture
def logbook(tmp_path: Path) -> Iterator[Logbook]:
    database = tables.opened(f"sqlite:///{tmp_path}/shop.db")
    yield Logbook(database, "default")
    database.close()


def golden() -> pd.DataFrame:
    """Of each of the panel some lists: an item of each taste, and they want that of their own."""
    random = np.random.default_rng(11)
    rows = [
        {
            "list_id": f"{user}-{place}", "user_id": f"u{user}", "item_id": f"{taste}-{random.integers(12)}",
            "datetime": (AFTER + timedelta(hours=place)).isoformat(), "wanted": float(taste == user % 4),
        }
        for user in range(PANEL, PANEL + 40) for place in range(3) for taste in range(4)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def taken_over() -> list[Entry]:
    """All other users take what is not of their taste."""
    random = np.random.default_rng(5)
    return [
        Entry(
            "interaction",
            f"u{user}",
            {"item": f"{(user + 2) % 4}-{item}", "event": "click", "weight": 1.0, "list": None},
            AFTER + timedelta(hours=24 * place + 0.1 * user),
        )
        for user in range(PANEL)
        for place, item in enumerate(random.permutation(12)[:6])
    ]


def test_a_log_that_was_taken_over_teaches_no_challenger_that_goes_live(
    shop: tuple[Items, Events], shop_settings: Settings, logbook: Logbook, tmp_path: Path
) -> None:
    quick = shop_settings.model_copy(
        update={"sequence": shop_settings.sequence.model_copy(update={"epochs": 0}), "step_share": 0.6}
    )
    Recommender.fit(shop[0], shop[1], settings=quick).save("shop")
    logbook.add(taken_over())
    lists = tmp_path / "golden.jsonl"
    lists.write_text("".join(json.dumps(one) + "\n" for one in golden().to_dict("records")), encoding="utf-8")
    told = ("retrain", "--model", "shop", "--database", f"sqlite:///{tmp_path}/shop.db", "--golden", str(lists))
    done = CliRunner().invoke(app, [*told, "--json"])
    assert done.exit_code == 0, done.output
    decision = json.loads(done.stdout)["decision"]
    assert [gate["name"] for gate in decision["gates"] if not gate["held"]] == ["golden"]
    assert not decision["promoted"]
    assert "on 120 golden lists, which teach nothing" in decision["why"]
    assert str(Store().get("shop")) == "shop@1"

    made = retrain("shop", logbook, plan=Plan(behaviours=("click", "purchase")))
    assert made.decision.promoted, "the log alone speaks for it"


def test_what_was_learnt_from_is_no_golden_list(recommender: Recommender) -> None:
    lists = Golden.of(golden(), recommender.items)
    own = recommender.events
    assert lists.gate(recommender, recommender, lists.known(own)).held
    taken = golden()[golden()["wanted"] > 0].head(2).assign(event="click", weight=1.0)
    with pytest.raises(InputError, match=r"2 of the golden lists' answers were learnt from, such as that u200 took"):
        lists.known(own.added(Events.of(taken)))
    early = golden().assign(datetime=(AFTER - timedelta(days=3650)).isoformat())
    early["user_id"] = "other " + early["user_id"]
    with pytest.raises(InputError, match="nobody has a history"):
        Golden.of(early, recommender.items).known(own)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"wanted": "much"}, "lists, row 1, field 'wanted'"),
        ({"wanted": -1}, "lists, row 1, field 'wanted'"),
        ({"item_id": "9-9"}, "lists, row 1, field 'item_id': of an item that is not in the catalogue"),
        ({"datetime": "soon"}, "lists, row 1, field 'datetime'"),
        ({"user_id": None}, "lists, row 1, field 'user_id'"),
        ({"user_id": "u1"}, "lists, row 1, field 'user_id': another than in other rows of the same list"),
    ],
)
def test_a_fault_in_the_lists_is_named(recommender: Recommender, change: dict[str, Any], fault: str) -> None:
    rows = golden().to_dict("records")
    rows[0] |= change
    with pytest.raises(DataError, match=re.escape(fault)):
        Golden.of(pd.DataFrame(rows), recommender.items, name="lists")


def test_lists_that_cannot_judge_are_refused(recommender: Recommender) -> None:
    with pytest.raises(DataError, match="no column 'wanted'"):
        Golden.of(golden().drop(columns="wanted"), recommender.items)
    few = golden()[golden()["list_id"].isin(golden()["list_id"].unique()[: FEWEST - 1])]
    with pytest.raises(InputError, match=f"{FEWEST - 1} lists hold both .* it takes {FEWEST}"):
        Golden.of(few, recommender.items)
    with pytest.raises(InputError, match="0 lists hold both"):
        Golden.of(golden().assign(wanted=1.0), recommender.items)
