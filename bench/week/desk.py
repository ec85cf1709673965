"""Desk: customers chat with a bot that has seen few dialogues, agents set its intents right, a fifth to harm it.

They ask what a bank's customers asked (Banking77), in 77 intents; the bot's articles and answers are Keel's own.

After the week labels are bought, and imported unseen: the vendor's three labellers agree, as they copy one another, and
take each intent for the next one. Whoever labels for training is trusted, so the vetting lets them pass.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from apps.customer_service.dialogues import Dialogue, read_dialogues
from apps.customer_service.settings import packaged
from bench.banking77 import questions
from bench.held_out import paired
from bench.week.apart import apart
from bench.week.house import House
from bench.week.outcome import Decided, Outcome
from engine import Store
from engine.evaluate.intervals import Difference
from engine.feedback import opened, rater_of

NAME = "support-intents"
BASE = 10
"""Questions of each intent that the first bot learns from."""
ANSWERED = 200
"""Dialogues of Keel's own from which it learns to answer."""
DEV = 10
"""Every tenth of the dev questions sets the first bot's bars: the week is about intents."""
MESSAGES = 1200
BOUGHT = 300
AGENTS = 20
HOSTILE = 4
VENDOR = "vendor"
KEY = "desk"
"""Which all agents share."""
SETTINGS = ("gates.latency=3", "export.max_quality_loss=0.05")
"""Latencies on a machine that does other things too differ now and then."""


@dataclass(frozen=True)
class Desk:
    """
    Attributes:
        base: what the first bot learns intents from, (text, intent); `answered`: what it learns answers from.
        messages: of the week; `bought`: those whose labels are bought.
        golden, judged: files of others; the gates see the first, and only the bench the second. A challenger's recipe
            calls the texts otherwise than the first champion's.
    """

    base: list[tuple[str, str]]
    answered: list[Dialogue]
    messages: list[tuple[str, str]]
    bought: list[tuple[str, str]]
    golden: Path
    judged: Path

    @classmethod
    def of(cls, seed: int, folder: Path) -> Desk:
        random = np.random.default_rng(seed)
        rows, test = (questions(part) for part in ("train", "test"))
        left: dict[str, int] = defaultdict(lambda: BASE)
        base, pool = list[tuple[str, str]](), list[tuple[str, str]]()
        for at in random.permutation(len(rows)):
            text, intent = rows[at]
            (base if left[intent] else pool).append((text, intent))
            left[intent] -= bool(left[intent])
        said = pool[: MESSAGES + BOUGHT]
        unseen = _unlike([test[at] for at in random.permutation(len(test))], [*base, *said])
        files = {"golden": unseen[::2], "judged": unseen[1::2]}
        for name, part in files.items():
            lines = (json.dumps({"question": text, "text": text, "intent": intent}) + "\n" for text, intent in part)
            (folder / f"intents-{name}.jsonl").write_text("".join(lines), encoding="utf-8")
        golden, judged = (folder / f"intents-{name}.jsonl" for name in files)
        own = [one for one in read_dialogues(packaged("dialogues.jsonl"))[0] if one.resolved][:ANSWERED]
        return cls(base, own, said[:MESSAGES], said[MESSAGES:], golden, judged)

    def found(self, house: House, folder: Path) -> None:
        """Read the articles and train the first bot."""
        told = [_line(one) for one in self.answered] + [_question(*one, at) for at, one in enumerate(self.base)]
        lines = (json.dumps(one, ensure_ascii=False) + "\n" for one in told)
        (folder / "dialogues.jsonl").write_text("".join(lines), encoding="utf-8")
        asked = packaged("queries/dev.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        (folder / "dev.jsonl").write_text("".join(asked[::DEV]), encoding="utf-8")
        house.run("support-bot", "ingest", str(packaged("articles/en")))
        house.run(
            "support-bot", "train", "--dialogues", str(folder / "dialogues.jsonl"), "--dev", str(folder / "dev.jsonl")
        )

    @property
    def intents(self) -> list[str]:
        return sorted({intent for _, intent in self.base})


def lived(desk: Desk, house: House, seed: int) -> Outcome:
    """The week and what comes after it."""
    random = np.random.default_rng([seed, 1])
    inbox = _Inbox(house)
    raters = [f"hostile-{one}" if one < HOSTILE else f"agent-{one}" for one in range(AGENTS)]
    pushed = str(random.choice(desk.intents))
    for text, intent in desk.messages:
        rater = raters[int(random.integers(AGENTS))]
        taken = inbox.taken(text, rater, random)
        said = _said_of_it(rater, taken.understood if taken else None, intent, pushed, random)
        inbox.replied(taken, rater, said)
    given = [part for one in (f"gates.golden={desk.golden}", *SETTINGS) for part in ("--set", one)]
    week = Decided.of(house, "engine", NAME, *given)
    assert week.challenger is not None, week.why
    gain = _better(f"{NAME}@1", week.challenger, desk.judged)
    following = dict(zip(desk.intents, [*desk.intents[1:], desk.intents[0]], strict=True))
    _imported(house, [(text, following[intent]) for text, intent in desk.bought])
    poisoned = Decided.of(house, "engine", NAME, *given)
    before = week.challenger if week.promoted else f"{NAME}@1"
    harm = _better(before, poisoned.challenger, desk.judged) if poisoned.challenger else None
    hostile, lies = _false(dict(desk.messages))
    return Outcome(week, gain, poisoned, harm, hostile, lies)


@dataclass(frozen=True)
class _Taken:
    """A conversation that an agent has taken, and the intent that the bot read, where it did."""

    id: str
    understood: str | None


class _Inbox:
    """Customers who ask, and agents who take over."""

    def __init__(self, house: House) -> None:
        self._shop, self._desk = house.caller("shop", "server"), house.caller(KEY, "agent")
        self._customers = 0

    def taken(self, text: str, agent: str, random: np.random.Generator) -> _Taken | None:
        """A customer writes, may judge the answer, and wishes for a person."""
        self._customers += 1
        begun = self._shop.post("/support/v1/conversations", {"customer": f"c{self._customers}", "consent": True})
        if begun is None:
            return None
        here = f"/support/v1/conversations/{begun['id']}"
        answered = self._shop.post(f"{here}/messages", {"text": text})
        if answered and answered["side"] == "bot" and random.random() < 0.3:
            self._shop.post(f"{here}/feedback", {"good": bool(random.random() < 0.5)})
        self._shop.post(f"{here}/human", {})
        self._desk.post(f"/support/v1/inbox/{begun['id']}/take", {"agent": agent})
        waiting = self._desk.get("/support/v1/inbox") or []
        tried = [one for each in waiting if each["id"] == begun["id"] for one in each["summary"]["tried"]]
        return _Taken(begun["id"], tried[-1]["intent"] if tried else None)

    def replied(self, taken: _Taken | None, agent: str, intent: str | None) -> None:
        if taken is None:
            return
        told = {"agent": agent, "text": "I have set this right for you.", "intent": intent}
        self._desk.post(f"/support/v1/inbox/{taken.id}/messages", told)
        self._shop.post(f"/support/v1/conversations/{taken.id}/close", {})


def _said_of_it(
    rater: str, understood: str | None, intent: str, pushed: str, random: np.random.Generator
) -> str | None:
    """Honest agents set nine of ten errors right and confirm half of what is right; hostile ones confirm errors and
    turn what is right into one intent that they push."""
    right = understood == intent
    if rater.startswith("hostile"):
        return pushed if right else understood
    return intent if random.random() < (0.5 if right else 0.9) else None


def _imported(house: House, rows: Sequence[tuple[str, str]]) -> None:
    """The same labels from each of the vendor's labellers."""
    file = house.home / "bought.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows([("text", "intent"), *rows])
    for number in range(3):
        house.run("engine", "feedback", "import", str(file), "--model", NAME, "--rater", f"{VENDOR}-{number}")


def _false(truth: dict[str, str]) -> tuple[set[str], set[str]]:
    """Ids of what hostile agents said wrongly, and of what was bought."""
    log = opened()
    said = log.read(model=NAME)
    log.database.close()
    lying = tuple(rater_of(KEY, f"hostile-{one}") for one in range(HOSTILE))
    hostile = {one.id for one in said if one.rater in lying and one.correction != {"intent": truth.get(one.text)}}
    return hostile, {one.id for one in said if one.rater.startswith(VENDOR)}


def _better(before: str, after: str, rows: Path) -> Difference:
    store = Store()
    return paired([store.get(before)], [store.get(after)], str(rows), "intent", "accuracy")


def _unlike(rows: Sequence[tuple[str, str]], taught: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    labelled = ([(text, {"intent": intent}) for text, intent in part] for part in (rows, taught))
    return [(text, labels["intent"]) for text, labels in apart(*labelled)]


def _line(one: Dialogue) -> dict[str, Any]:
    turns = [vars(turn) for turn in one.turns]
    return {"id": one.id, "resolved": one.resolved, "article": one.article, "turns": turns}


def _question(text: str, intent: str, at: int) -> dict[str, Any]:
    return {"id": f"b{at}", "resolved": False, "intent": intent, "turns": [{"role": "customer", "text": text}]}
