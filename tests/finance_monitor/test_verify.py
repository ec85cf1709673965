"""Explain and verify: the stories that decide an alert are the fewest, and what was changed afterwards is found."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace as changed
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.finance_monitor import journal, labels, replay, run, tables, verification
from apps.finance_monitor.cli import app
from apps.finance_monitor.explanation import Moment, decisive, moment
from apps.finance_monitor.feeds import named
from apps.finance_monitor.labels import Labelled
from apps.finance_monitor.replay import Settings
from apps.finance_monitor.windows import Mention
from engine import Recipe, Store, load, train
from engine.errors import InputError, KeelError, StoreError
from tests.finance_monitor.test_alarms import START, item, one_hot, usual
from tests.finance_monitor.test_serve import HERE, asked

MODEL = {"name": "m", "version": 1, "sha256": "0" * 64}


def mention(number: int) -> Mention:
    return Mention(START + timedelta(minutes=number), f"s{number}", f"i{number}", f"title {number}")


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 6), st.integers(0, 5)), min_size=1, max_size=5))
@settings(max_examples=80, deadline=None)
def test_no_smaller_choice_of_stories_would_do(drawn: list[tuple[int, int, int]]) -> None:
    """Against all choices, over windows that move on as those of a monitor do."""
    starts, ends = sorted(start for start, _, _ in drawn), sorted(start + size for start, size, _ in drawn)
    moments = [
        Moment(tuple(mention(number) for number in range(start, max(end, start + 1))), min(spare, max(end - start, 1)))
        for start, end, (_, _, spare) in zip(starts, ends, drawn, strict=True)
    ]
    found = {one.story for one in decisive(moments)}

    def enough(gone: set[str]) -> bool:
        return all(sum(one.story not in gone for one in step.mentions) <= step.spare for step in moments)

    assert enough(found)
    stories = sorted({one.story for step in moments for one in step.mentions})
    assert not any(enough(set(fewer)) for fewer in itertools.combinations(stories, max(0, len(found) - 1)) if found)


def test_a_moment_spares_what_its_test_lets_pass() -> None:
    mentions = [mention(number) for number in range(12)]
    assert moment(mentions, lambda count: 10.0**-count, alpha=1e-6, least=5).spare == 6
    assert moment(mentions, lambda count: 0.0, alpha=1e-6, least=5).spare == 4
    assert moment(mentions, lambda count: 1.0 if count < 12 else 0.0, alpha=1e-6, least=5).spare == 11


def news() -> list[Labelled]:
    """Five days of usual news, and a surge of three hours in the last one."""
    surge = [item(4 * 1440 + 600 + 6 * n, f"attack{n} on a firm", "negative", ("cyber",)) for n in range(30)]
    retold = [item(4 * 1440 + 603 + 6 * n, f"attack{n} told again", "negative", ("cyber",)) for n in range(0, 30, 3)]
    return sorted(usual(5) + surge + retold, key=lambda one: one.item.time)


def test_replayed_without_its_decisive_stories_an_alert_does_not_fire_and_with_any_one_it_does() -> None:
    items = news()
    seen = replay.replay(items, Settings(), MODEL)
    ((name, alert),) = seen.alerts.items()
    found = seen.decisive[name]
    assert 4 < len(found.stories) < len(alert.evidence)
    assert len(found.items) > len(found.stories)  # retellings are taken out with their stories
    other = replay.without(alert, items, seen, Settings())
    assert (other.fires, other.instead) == (False, ())
    for back in found.stories[::3]:
        kept = found.items - {one.item.id for one in items if one.item.title.split()[0] == back.title.split()[0]}
        fewer = replay.replay([one for one in items if one.item.id not in kept], Settings(), MODEL)
        assert fewer.alerts


@pytest.mark.parametrize("lateness", [None, timedelta(minutes=5)])
def test_a_replay_tells_what_a_run_told(lateness: timedelta | None) -> None:
    seen = replay.replay(news(), Settings(lateness=lateness), MODEL)
    (states,) = seen.told.values()
    for state in states:
        verdict = verification.verify(json.loads(json.dumps(state)), seen)
        assert verdict.holds
        assert set(verdict.compared) == set(state)


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        (lambda alert: alert.update(p_value=alert["p_value"] * 1.001), ["p_value"]),
        (lambda alert: alert.update(observed=alert["observed"] + 1), ["observed"]),
        (
            lambda alert: alert["evidence"][3].update(title="nothing happened"),
            ["evidence[attack3 on a firm-6378].title"],
        ),
        (
            lambda alert: alert["evidence"].pop(2),
            [f"evidence[attack2 on a firm-6372].{name}" for name in ("id", "title", "source", "outlets")],
        ),
        (lambda alert: alert["model"].update(sha256="1" * 64), ["model.sha256"]),
        (lambda alert: alert.update(comment="trust me"), ["comment"]),
        (lambda alert: alert.update(opened="2026-03-06T08:00:00Z", id="0" * 16), ["id", "opened"]),
        (lambda alert: alert.update(key={"type": "topic", "value": "credit"}, id="0" * 16), ["id"]),
    ],
)
def test_what_was_changed_in_an_alert_is_found(change: Callable[[dict[str, Any]], Any], fields: list[str]) -> None:
    seen = replay.replay(news(), Settings(), MODEL)
    (states,) = seen.told.values()
    told = json.loads(json.dumps(states[-1]))
    change(told)
    assert [one.field for one in verification.verify(told, seen).differences] == fields


def test_a_file_of_alerts_is_one_alert_or_a_log_of_which_the_last_state_counts(tmp_path: Path) -> None:
    seen = replay.replay(news(), Settings(), MODEL)
    (states,) = seen.told.values()
    path = tmp_path / "alerts.jsonl"
    path.write_text("".join(json.dumps(state) + "\n" for state in states))
    assert verification.read(path) == [states[-1]]
    path.write_text(json.dumps(states[0], indent=2))
    assert verification.read(path, only=states[0]["id"]) == [states[0]]
    with pytest.raises(InputError, match=f"holds no alert nope; it has: {states[0]['id']}"):
        verification.read(path, only="nope")
    for text, told in (
        ('{"id": 1}', "line 1: no alert, it lacks key, status"),
        ("{}\n{", "line 2: not JSON"),
        ("", ""),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=told or "holds no alert"):
            verification.read(path)


class OneHot:
    """The toy models' encoder: titles of the same first word tell the same story."""

    def stream(self, titles: Sequence[str]) -> Iterator[np.ndarray]:
        return map(one_hot, titles)


@pytest.fixture
def wire(toy_recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A feed, and a stored model that has learnt which word makes a headline negative news of a topic."""
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    for number, row in enumerate(rows):
        parts, bad = row["title"].split(), number % 2
        row["title"] = " ".join([*parts[:3], "cyber" if bad else "profit", *parts[3:]])
        row["sentiment"], row["topics"] = ("negative", ["cyber"]) if bad else ("positive", ["earnings"])
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    train(toy_recipe(tuning={"epochs": 8, "learning_rate": 5e-3, "batch_tokens": 512, "max_length": 48}))
    monkeypatch.setattr(labels, "encoder", OneHot)
    items = [one.item for one in news()]
    lines = []
    for one in items:
        word = "cyber" if "attack" in one.title else "profit"
        title = f"{one.title.split()[0]} the {word} of the bank in the quarter"
        lines.append(
            {"id": one.id, "published": one.published.isoformat(), "title": title, "source": "wire", "lang": "en"}
        )
    path = tmp_path / "news.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = app([*arguments, "--json"], standalone_mode=False)
    return code or 0, json.loads(capsys.readouterr().out)


def test_a_real_run_is_verified_and_what_changed_since_is_found(
    wire: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = run.Models([load("toy")], OneHot())  # type: ignore[arg-type]
    log, state = tmp_path / "alerts.jsonl", str(tmp_path / "monitor.db")
    result = run.monitor([named(str(wire))], models, log=log, state=state)
    (alert,) = result.alerts.values()

    verify = ("verify", str(log), "--feed", str(wire))
    for more, anew in (
        (("--feed", str(wire)), len(news())),
        (("--feed", str(wire), "--state", state), 0),
        (("--state", state), 0),
    ):
        code, told = command(capsys, "verify", str(log), *more)
        (one,) = told["alerts"]
        assert (code, told["verified"], one["id"], one["differences"]) == (0, True, alert["id"], [])
        assert one["labelled_anew"] == anew
        assert {"p_value", "p_count", "p_share", "alpha", "evidence", "model"} <= set(one["compared"])
        assert one["decisive"]["without_them"] == {"fires": False, "instead": []}
        assert 0 < len(one["decisive"]["stories"]) < one["decisive"]["of"]
        assert len(one["words"]) == 3
        for words in one["words"]:
            assert max(words["words"], key=lambda word: word["attribution"])["text"] == "cyber"

    code, told = command(capsys, "explain", alert["id"], "--state", state)
    assert (code, told["decisive"], told["words"]) == (0, one["decisive"], one["words"])
    with asked(tables.opened(state), **HERE) as client:
        assert client.get(f"/v1/alerts/{alert['id']}/explanation").json() == told
        assert client.get(f"/v1/alerts/{'0' * 16}/explanation").status_code == 404
    code, told = command(capsys, "explain", str(log))
    assert (code, told["decisive"], told["words"]) == (0, None, one["words"])

    table = tmp_path / "news.csv"
    rows = [json.loads(line) for line in wire.read_text().splitlines()]
    table.write_text("\n".join([",".join(rows[0]), *(",".join(row.values()) for row in rows)]))
    code, told = command(capsys, "verify", str(log), "--feed", str(table), "--mapping", "csv", "--no-explain")
    assert (code, told["alerts"][0]["labelled_anew"]) == (0, len(rows))
    with pytest.raises(InputError, match="give its --feed, or the --state"):
        app(["verify", str(log)], standalone_mode=False)

    quick = (*verify, "--lateness", "5", "--no-explain")
    given = wire.read_text()
    wire.write_text(given.replace("attack9 the cyber of", "attack9 the profit of"))
    code, told = command(capsys, *quick)
    assert (code, told["verified"]) == (1, False)
    assert any("attack9" in one["field"] for one in told["alerts"][0]["differences"])
    wire.write_text(given)

    lines = log.read_text().splitlines()
    last = json.loads(lines[-1])
    log.write_text("\n".join([*lines[:-1], json.dumps({**last, "p_value": last["p_value"] / 10})]) + "\n")
    code, told = command(capsys, *quick)
    assert code == 1
    assert [one["field"] for one in told["alerts"][0]["differences"]] == ["p_value"]
    assert app([*quick], standalone_mode=False) == 1
    shown = capsys.readouterr().out
    assert "differs" in shown
    assert "0 of 1 alerts verified" in shown

    for model, fault, message in (
        ({"version": 7}, InputError, "toy@7, the alert's model, is not in .*set KEEL_HOME"),
        ({"sha256": "0" * 64}, StoreError, "toy@1 in .* is another model than the alert's"),
        ({"version": None}, InputError, "names no stored model"),
    ):
        log.write_text(json.dumps({**last, "model": {**last["model"], **model}}))
        with pytest.raises(fault, match=message):
            app([*quick], standalone_mode=False)
    log.write_text(json.dumps(last))
    weights = Store().get("toy").folder / "calibration.json"
    weights.write_text(weights.read_text() + " ")
    with pytest.raises(KeelError, match=r"calibration.json has changed since it was stored; bring the version back"):
        app([*quick], standalone_mode=False)
    with asked(tables.opened(state), **HERE) as client:
        refused = client.get(f"/v1/alerts/{alert['id']}/explanation")
        assert (refused.status_code, refused.headers["content-type"]) == (409, "application/problem+json")
        assert "calibration.json has changed" in refused.json()["detail"]


def test_a_state_that_no_longer_holds_its_first_news_says_what_to_do(tmp_path: Path) -> None:
    place = str(tmp_path / "monitor.db")
    with pytest.raises(InputError, match="no such file; name the one"):
        journal.recorded_in(place)
    record = journal.Journal(place)
    items = [changed(one, vector=None) for one in news()[:4]]
    state = journal.State(journal.Arrivals(None), None)  # type: ignore[arg-type]
    record.write({"f": "4"}, items, [], [], state)
    assert journal.recorded_in(place) == items  # beside the monitor that holds the state
    with record.database.write() as connection:
        connection.execute(journal.tables.items.delete().where(journal.tables.items.c.number == 1))
    with pytest.raises(InputError, match=r"no longer holds the first news.*verify ALERT --feed FILE"):
        journal.recorded_in(place)
    with pytest.raises(InputError, match="holds no alert x; it has: none yet"):
        journal.alert_in(place, "x")
    record.close()
