"""The loop over a scripted week: agents correct a desk's intents, a fifth of them to harm it; then a trusted account is
stolen; then customers ask about something new."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from bench.banking77 import questions
from bench.contract import Figures
from bench.held_out import figures as measured
from bench.held_out import paired
from engine import Progress, Recipe, Store, load, train
from engine.errors import KeelError
from engine.feedback import Feedback, FeedbackLog, opened
from engine.retraining import retrain
from engine.store import Version

NAME = "desk-intents"
RECIPE = "recipes/bench/banking77.yaml"
NEW = "exchange_via_app"
"""The intent that nobody asks about until the last days."""
NEW_DIALOGUES = 30
BASE = 10
"""Rows of each intent that the first champion learns from."""
MESSAGES = 200
"""A day; seven days."""
AGENTS = 20
HOSTILE = 0.2
STOLEN = "desk-lead"
STOLEN_LABELS = 400
START = datetime(2026, 3, 2, 8, tzinfo=UTC)
SETTINGS = ["retrain.vetting.trusted=[desk-lead]", "gates.latency=3", "export.max_quality_loss=0.03", "data.columns={}"]
"""Latencies on a machine that does other things too differ now and then, and so does F1 over 77 labels of 193 rows."""


@dataclass(frozen=True)
class World:
    """Attributes:
    pool: messages to come, (text, intent), drawn anew each phase.
    golden, truth: files of test rows; the gates see the first, and only the bench the second.
    new: its test rows of the new intent.
    """

    base: Path
    golden: Path
    truth: Path
    new: Path
    pool: list[tuple[str, str]]
    coming: list[tuple[str, str]]
    labels: list[str]


def run(*, seeds: int) -> Figures:
    """Whether each of the three challengers met the fate that rows which no gate has seen say it deserved."""
    found: list[dict[str, Any]] = []
    with Progress() as progress:
        for seed in range(13, 13 + seeds):
            with TemporaryDirectory() as folder:
                home, os.environ["KEEL_HOME"] = os.environ.get("KEEL_HOME"), folder
                try:
                    found.append(_week(seed, Path(folder), progress))
                finally:
                    _restore(home)
    keys = ("promoted_better", "poisoned_refused", "new_class_recall", "old_loss", "week_gain", "hostile_learnt")
    figures = {key: float(np.mean([one[key] for one in found])) for key in keys}
    intervals = {key: found[0]["intervals"][key] for key in ("week_gain", "old_loss", "new_class_recall")}
    told = [one["told"] for one in found]
    return Figures(figures, intervals, {"seeds": seeds, "intervals_of_seed": 13, "decisions": told})


def _restore(home: str | None) -> None:
    if home is None:
        os.environ.pop("KEEL_HOME", None)
    else:
        os.environ["KEEL_HOME"] = home


def _week(seed: int, folder: Path, progress: Progress) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    world = _world(folder, random)
    settings = [
        f"name={NAME}", f"data.train={world.base}", f"data.test={world.golden}",
        f"task.heads.intent.labels={world.labels}", "data.split.calibration=0.1", f"seeds=[{seed}]", *SETTINGS,
    ]  # fmt: skip
    first = train(Recipe.load(RECIPE, settings), watcher=progress).version
    log = opened()
    week = _said(first, world.pool[: 7 * MESSAGES], random)
    _write(log, week)
    decided = retrain(NAME, log, watcher=progress)
    second = Store().get(NAME)
    challenger = Store().get(decided.challenger)
    truth, new = str(world.truth), str(world.new)
    gain = paired([first], [challenger], truth, "intent", "accuracy")
    hostile = {one.id for one in week if one.rater.startswith("hostile")}
    wrong = [one.id for one in week if one.id in hostile and one.kind == "correction"]
    told = [decided.why]

    _write(log, _stolen(second, world, random))
    try:
        poisoned = retrain(NAME, log, watcher=progress)
        refused, why = not poisoned.promoted, poisoned.why
    except KeelError as fault:
        refused, why = True, str(fault)
    told.append(why)
    log.database.close()

    log = opened(f"sqlite:///{folder}/later.db")  # what the thief wrote was found and erased
    _write(log, [one for one in week if one.id in set(decided.feedback.learnt)])
    _write(log, _asked_new(second, world))
    last = retrain(NAME, log, watcher=progress)
    told.append(last.why)
    log.database.close()
    learned = Store().get(last.challenger)
    recall = measured([learned], new).heads["intent"]["accuracy"]
    loss = paired([learned], [second], truth, "intent", "accuracy")
    right = decided.promoted == (gain.low > 0)
    return {
        "promoted_better": float(right),
        "poisoned_refused": float(refused),
        "new_class_recall": recall.value if last.promoted else 0.0,
        "old_loss": loss.value,
        "week_gain": gain.value,
        "hostile_learnt": len(set(wrong) & set(decided.feedback.learnt)) / max(1, len(wrong)),
        "intervals": {
            "week_gain": (gain.low, gain.high),
            "old_loss": (loss.low, loss.high),
            "new_class_recall": (recall.low, recall.high),
        },
        "told": told,
    }


def _world(folder: Path, random: np.random.Generator) -> World:
    rows, test = (questions(part) for part in ("train", "test"))
    labels = sorted({label for _, label in rows} - {NEW})
    base, pool = [], []
    left = dict.fromkeys(labels, BASE)
    coming = []
    for at in random.permutation(len(rows)):
        text, label = rows[at]
        if label == NEW:
            coming.append((text, label))
        elif left[label]:
            left[label] -= 1
            base.append((text, label))
        else:
            pool.append((text, label))
    old = [row for row in test if row[1] != NEW]
    half = random.permutation(len(old))
    parts = {
        "base": base,
        "golden": [old[at] for at in half[::2]],
        "truth": [old[at] for at in half[1::2]],
        "new": [row for row in test if row[1] == NEW],
    }
    files = {name: _file(folder / f"{name}.csv", part) for name, part in parts.items()}
    return World(**files, pool=pool, coming=coming[:NEW_DIALOGUES], labels=labels)


def _said(champion: Version, messages: Sequence[tuple[str, str]], random: np.random.Generator) -> list[Feedback]:
    """What agents say of the week's messages: honest ones correct nine of ten errors and confirm half of what is right;
    hostile ones confirm errors and turn what is right into one intent that they push."""
    labels = sorted({label for _, label in messages})
    raters = [f"hostile-{one}" if one < HOSTILE * AGENTS else f"agent-{one}" for one in range(AGENTS)]
    pushed = labels[int(random.integers(len(labels)))]
    found = []
    answers = load(str(champion)).predict([text for text, _ in messages])
    for at, ((text, label), said) in enumerate(zip(messages, answers, strict=True)):
        rater, given = raters[int(random.integers(AGENTS))], said["intent"]
        right = given.label == label
        one = _feedback(champion, text, given, rater, at)
        if rater.startswith("hostile"):
            found.append(_corrected(one, pushed) if right and given.label != pushed else _confirmed(one))
        elif not right and random.random() < 0.9:
            found.append(_corrected(one, label))
        elif right and random.random() < 0.5:
            found.append(_confirmed(one))
    return found


def _stolen(champion: Version, world: World, random: np.random.Generator) -> list[Feedback]:
    """Labels of a trusted account in a thief's hands: each message gets the intent of the one after it."""
    messages = world.pool[7 * MESSAGES : 7 * MESSAGES + STOLEN_LABELS]
    said = load(str(champion)).predict([text for text, _ in messages])
    wrong = [label for _, label in [*messages[1:], messages[0]]]
    return [
        replace(_corrected(_feedback(champion, text, one["intent"], STOLEN, at), label), kind="label")
        for at, ((text, _), one, label) in enumerate(zip(messages, said, wrong, strict=True))
    ]


def _asked_new(champion: Version, world: World) -> list[Feedback]:
    """The dialogues about the new intent, corrected by three agents."""
    said = load(str(champion)).predict([text for text, _ in world.coming])
    return [
        _corrected(_feedback(champion, text, one["intent"], f"agent-{10 + at % 3}", at), NEW)
        for at, ((text, _), one) in enumerate(zip(world.coming, said, strict=True))
    ]


def _feedback(champion: Version, text: str, said: Any, rater: str, number: int) -> Feedback:
    answer = {"intent": {"label": said.label, "probability": round(float(said.probabilities[said.label]), 4)}}
    time = (START + timedelta(days=number // MESSAGES, minutes=2 * (number % MESSAGES))).isoformat()
    return Feedback(
        "default", str(champion), f"dialogue-{number}", text, answer, time=time,
        app="customer_service", kind="vote", rater=rater, consent=True,
    )  # fmt: skip


def _corrected(one: Feedback, label: str) -> Feedback:
    return replace(one, kind="correction", verdict=0.0, correction={"intent": label})


def _confirmed(one: Feedback) -> Feedback:
    return replace(one, kind="vote", verdict=1.0)


def _write(log: FeedbackLog, feedback: Sequence[Feedback]) -> None:
    with log.database.write() as connection:
        for one in feedback:
            log.add(connection, one)


def _file(path: Path, rows: Sequence[tuple[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerows([("text", "intent"), *rows])
    return path
