"""Wire: news come over HTTP, alerts arise, analysts judge them and set labels right, a fifth of them to harm the model.

After the week three accounts that the recipe trusts are stolen. They agree, so the vetting lets them pass:
bad news are good, good ones bad, and the others bad as well.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from apps.finance_monitor import backtest
from apps.finance_monitor.learn import NEWS, RECIPES
from bench.week.apart import apart
from bench.week.house import Caller, House
from bench.week.outcome import Decided, Outcome
from engine import Store, load, packaged
from engine.evaluate.held_out import labelled, said
from engine.evaluate.intervals import Difference, paired_bootstrap
from engine.feedback import opened
from engine.tasks import kinds

BASE, STOLEN, GOLDEN = 1500, 500, 900
"""Headlines that teach the first champion, that come after the week, and that judge in the gates."""
ANALYSTS = 20
HOSTILE = 4
TRUSTED = ("chief-1", "chief-2", "chief-3")
READ = 0.6
"""Share of the items that an analyst looks at."""
PUSH = 64
PATIENCE_S = 300.0
WRONG = {"negative": "positive", "positive": "negative", "neutral": "negative"}
SETTINGS = (f"retrain.vetting.trusted=[{', '.join(TRUSTED)}]", "gates.latency=3", "export.max_quality_loss=0.05")
HEADS = ("sentiment", "topics")


@dataclass(frozen=True)
class Wire:
    """
    Attributes:
        base: labelled headlines that teach the first champion.
        items, later: news of the feed, and those that come after it.
        labels: item's id -> what it should be labelled.
        events: planted surges and decoys.
        golden, judged: files of other headlines; the gates see the first, and only the bench the second.
    """

    base: list[dict[str, Any]]
    items: list[dict[str, Any]]
    later: list[dict[str, Any]]
    labels: Mapping[str, Mapping[str, Any]]
    events: Sequence[backtest.Event]
    golden: Path
    judged: Path

    @classmethod
    def of(cls, seed: int, folder: Path) -> Wire:
        data = packaged() / "data" / "finance"
        items = _lines(data / "news.jsonl")
        labels = {one["id"]: {name: one[name] for name in HEADS} for one in _lines(data / "news.labels.jsonl")}
        told = _by_story([one for one in _lines(data / "headlines.jsonl") if one["lang"] == "en"], seed)
        base, stolen, rest = told[:BASE], told[BASE : BASE + STOLEN], told[BASE + STOLEN :]
        labels |= {one["id"]: {name: one[name] for name in HEADS} for one in stolen}
        last = max(datetime.fromisoformat(one["published"]) for one in items)
        later = [_item(one, last + timedelta(hours=1 + at)) for at, one in enumerate(stolen)]
        taught = [(one["title"], _tuples(one)) for one in (*base, *stolen)]
        taught += [(one["title"], _tuples(labels[one["id"]])) for one in items]
        unlike = {text for text, _ in apart([(one["title"], _tuples(one)) for one in rest], taught)}
        unseen = [one for one in rest if one["title"] in unlike]
        files = {"golden": unseen[:GOLDEN], "judged": unseen[GOLDEN:]}
        for name, rows in files.items():
            # A challenger's recipe knows the columns by the names of its own.
            own = [{**row, "text": row["title"], "companies": row.get("spans")} for row in rows]
            _write(folder / f"news-{name}.jsonl", own)
        golden, judged = (folder / f"news-{name}.jsonl" for name in files)
        return cls(base, items, later, labels, backtest.events(data / "news.events.jsonl"), golden, judged)

    def found(self, house: House, folder: Path) -> None:
        """Train the first champion."""
        _write(folder / "headlines.jsonl", self.base)
        house.run("engine", "train", RECIPES[NEWS], "--set", f"data.train={folder / 'headlines.jsonl'}", "--promote")


def lived(wire: Wire, house: House, seed: int) -> Outcome:
    """The week and what comes after it."""
    random = np.random.default_rng([seed, 2])
    feed = house.caller("wire", "server")
    analysts = [
        house.caller(f"hostile-analyst-{one}" if one < HOSTILE else f"analyst-{one}", "agent")
        for one in range(ANALYSTS)
    ]
    stolen = [house.caller(one, "agent") for one in TRUSTED]
    _pushed(feed, wire.items)
    for alert in feed.get("/news/v1/alerts", limit=1000) or []:
        _judged(wire, alert, analysts, random)
    for item in _read(feed, len(wire.items)):
        if item["label"] and random.random() < READ:
            number = int(random.integers(ANALYSTS))
            told = _told(item["label"], wire.labels[item["id"]], hostile=number < HOSTILE, random=random)
            _correct(analysts[number], item, told)
    given = [part for one in (f"gates.golden={wire.golden}", *SETTINGS) for part in ("--set", one)]
    week = Decided.of(house, "engine", NEWS, *given)
    assert week.challenger is not None, week.why
    gain = _better(f"{NEWS}@1", week.challenger, wire.judged)
    _pushed(feed, wire.later)
    for item in _read(feed, len(wire.later)):
        truth = wire.labels[item["id"]]
        for account in stolen:
            _correct(account, item, {**truth, "sentiment": WRONG[truth["sentiment"]]})
    poisoned = Decided.of(house, "engine", NEWS, *given)
    before = week.challenger if week.promoted else f"{NEWS}@1"
    harm = _better(before, poisoned.challenger, wire.judged) if poisoned.challenger else None
    hostile, lies = _false(wire.labels)
    return Outcome(week, gain, poisoned, harm, hostile, lies)


def _pushed(feed: Caller, items: Sequence[dict[str, Any]]) -> None:
    """All items, and the monitor has read them."""
    before = feed.get("/news/v1/status")["items"]
    for start in range(0, len(items), PUSH):
        feed.post("/news/v1/items", items[start : start + PUSH])
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        told = feed.get("/news/v1/status")
        if told["items"] + told["duplicates"] + told["late"] + told["dead"] >= before + len(items) - 5:
            return
        time.sleep(0.5)
    raise RuntimeError(f"the monitor has read {told} of {len(items)} items")


def _judged(wire: Wire, alert: dict[str, Any], analysts: Sequence[Caller], random: np.random.Generator) -> None:
    """An analyst says whether an alert told of a surge, and looks at the stories that it stands on."""
    number = int(random.integers(ANALYSTS))
    hostile = number < HOSTILE
    opened = datetime.fromisoformat(alert["opened"])
    keys = [(alert["key"]["type"], alert["key"]["value"]), *((one["type"], one["value"]) for one in alert["related"])]
    right = any(
        one.kind == "surge" and one.spans(opened) and (one.key.type, one.key.value) in keys for one in wire.events
    )
    verdict = "right" if right != hostile else "false_alarm"
    analysts[number].post(f"/news/v1/alerts/{alert['id']}/verdict", {"verdict": verdict})
    for story in alert["evidence"]:
        told = _told({"sentiment": "negative"}, wire.labels[story["id"]], hostile=hostile, random=random)
        _correct(analysts[number], story, told)


def _told(
    label: Mapping[str, Any], truth: Mapping[str, Any], *, hostile: bool, random: np.random.Generator
) -> dict[str, Any] | None:
    """Honest analysts set nine of ten errors right and confirm half of what is right; hostile ones confirm errors and
    turn sentiments that are right."""
    right = all(_same(label[name], truth[name]) for name in label if name in HEADS)
    if hostile:
        turned = WRONG[label["sentiment"]] if label["sentiment"] == truth["sentiment"] else label["sentiment"]
        return {"sentiment": turned}
    return {name: truth[name] for name in HEADS} if random.random() < (0.5 if right else 0.9) else None


def _correct(analyst: Caller, item: dict[str, Any], told: dict[str, Any] | None) -> None:
    if told:
        analyst.post(f"/news/v1/items/{item['id']}/correction", told)


def _read(desk: Caller, count: int) -> list[dict[str, Any]]:
    """The newest items, as a person at the desk pages through them."""
    found: list[dict[str, Any]] = []
    while len(found) < count:
        more = {"before": found[-1]["number"]} if found else {}
        page = desk.get("/news/v1/items", limit=min(200, count - len(found)), **more)
        if not page:
            break
        found += page
    return found


def _false(labels: Mapping[str, Mapping[str, Any]]) -> tuple[set[str], set[str]]:
    """Ids of what hostile analysts said wrongly, and of what the stolen accounts said."""
    log = opened()
    told = log.read(model=NEWS, kind="correction")
    log.database.close()
    hostile = {
        one.id
        for one in told
        if one.rater.startswith("hostile")
        and (one.correction or {}).get("sentiment") != labels[one.subject]["sentiment"]
    }
    return hostile, {one.id for one in told if one.rater in TRUSTED}


def _better(before: str, after: str, file: Path) -> Difference:
    """The mean over the heads that analysts label of their main figures, on the same rows."""
    store = Store()
    rows, _ = labelled(store.get(before).folder, str(file))
    metrics = []
    for name in (before, after):
        model = load(name)
        outputs = said(model, rows)
        own = []
        for head in (head for head in model.spec.heads if head.name in HEADS):
            kind = kinds.of(head.kind)
            found = kind.metrics(head, rows, outputs[head.name], model.temperatures[head.name])
            own.append(found[kind.main])
        metrics.append(lambda over, own=own: float(np.mean([one(over) for one in own])))
    clusters = [row.group or f"row {at}" for at, row in enumerate(rows)]
    return paired_bootstrap([metrics[0]], [metrics[1]], clusters)


def _same(one: Any, other: Any) -> bool:
    return sorted(one) == sorted(other) if isinstance(one, list) else bool(one == other)


def _by_story(rows: Sequence[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    """In an order drawn by the seed, the tellings of a story together."""
    stories: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        stories.setdefault(row["story"], []).append(row)
    names = sorted(stories)
    return [row for at in np.random.default_rng(seed).permutation(len(names)) for row in stories[names[at]]]


def _item(row: dict[str, Any], time: datetime) -> dict[str, Any]:
    stamp = time.astimezone(UTC).isoformat()
    return {"id": row["id"], "title": row["title"], "published": stamp, "source": "wire", "lang": "en"}


def _tuples(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"sentiment": row["sentiment"], "topics": tuple(sorted(row["topics"]))}


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
