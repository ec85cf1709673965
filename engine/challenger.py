"""Challenger: what a retrain will make of a champion and the feedback on it, written down before it begins.

$KEEL_HOME/decisions/<name>/.unfinished/plan.json      what, of which feedback, by which recipe; written last
                                        train.jsonl    new rows, and old ones learnt again
                                        held.jsonl     the rows that stop and calibrate it, as they did its champion
                                        new.jsonl      rows of new labels that judge it

A killed retrain finds the plan and goes on by it. The rows are not kept once it is decided: feedback can be erased, and
what was learnt is told by ids.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine import golden, lineage, resources
from engine.data.files import write_json, write_lines
from engine.data.rows import Row
from engine.data.split import Parts
from engine.decision import PLAN, Aside, Taught, decisions, reasons
from engine.errors import InputError
from engine.evaluate.own_rows import own_rows
from engine.feedback import neighbours
from engine.lessons import Lessons, lessons, without_leaks
from engine.recipe import Recipe
from engine.tasks.heads import specs
from engine.text.normalise import normalised

if TYPE_CHECKING:
    from engine.feedback import FeedbackLog
    from engine.store import Version

MOST_KNOWN = 5000
"""Rows of the champion beside which feedback is vetted: each is read by the encoder, and set against every text."""


class NothingNew(InputError):
    """There is no feedback that the champion has not learnt."""


@dataclass(frozen=True)
class Plan:
    id: str
    champion: str
    root: str
    """The version that the recipe made, before any feedback."""
    recipe: dict[str, Any]
    """The challenger's."""
    feedback: Taught
    aside: tuple[Aside, ...]
    golden: dict[str, Any]

    def write(self, folder: Path) -> None:
        write_json(folder / PLAN, asdict(self))

    @classmethod
    def read_from(cls, folder: Path) -> Plan | None:
        """The plan in a folder; None where none was written to its end."""
        if not (folder / PLAN).exists():
            return None
        values = json.loads((folder / PLAN).read_text(encoding="utf-8"))
        aside = tuple(Aside(**one) for one in values["aside"])
        return cls(**{**values, "aside": aside, "feedback": Taught.of(values["feedback"])})


def plan(champion: Version, log: FeedbackLog, settings: Sequence[str], folder: Path, *, dry: bool = False) -> Plan:
    """What a retrain of the champion will do, its files written into the folder and the plan last.

    Args:
        settings: changes of the model's recipe, as "gates.margin=0.01".
        dry: nothing is written elsewhere.

    Raises:
        NothingNew: there is no feedback to learn from.
        InputError: the model is none that feedback teaches, or its data have changed.
    """
    root, recipe = _taught_by_feedback(champion, settings)
    mine = specs(Recipe.load(champion.folder / "recipe.yaml").task)
    parts = own_rows(champion)
    before = [found for _, found in lineage.retrains(champion)]
    feedback = log.read(model=champion.name)
    found = lessons(
        feedback,
        mine,
        recipe.retrain,
        known=_some(parts.train, recipe.seeds[0]),
        embed=_embed(recipe),
        learnt=frozenset(id for one in before for id in one["learnt"]),
        judged=frozenset(id for one in before for id in one["held"]),
    )
    frozen = golden.read(golden.frozen(champion, recipe, parts, aside=folder if dry else None), recipe, found.heads)
    _check_apart(champion, parts, frozen)
    judges = [lesson.row for lesson in found.judges]
    without_leaks(found, replace(parts, train=[], test=[*frozen.rows, *judges]))
    if not found.new:
        raise NothingNew(_nothing(champion, len(feedback), found))
    new = [lesson.row for lesson in found.new]
    told = {normalised(row.text) for row in new}
    pool = [row for row in parts.train if row.augmented_from is None] + [lesson.row for lesson in found.known]
    replayed = replay(
        [row for row in pool if normalised(row.text) not in told], recipe.retrain.replay, seed=recipe.seeds[0]
    )
    files = {"train": [*replayed, *new], "held": [*parts.dev, *parts.calibration], "new": judges}
    for name, rows in files.items():
        write_lines(folder / f"{name}.jsonl", (row.record() for row in rows))
    made = Plan(
        uuid.uuid4().hex,
        str(champion),
        str(root),
        _recipe(recipe, champion, found, folder, frozen.path, files["train"]).model_dump(exclude_unset=True),
        Taught(
            len(feedback),
            tuple(sorted({id for lesson in found.new for id in lesson.ids})),
            tuple(sorted({id for lesson in found.judges for id in lesson.ids})),
            len(new),
            len(replayed),
            found.new_labels,
            resources.sha256(folder / "train.jsonl"),
        ),
        tuple(found.aside),
        {"rows": len(frozen.rows), "sha256": frozen.sha256},
    )
    made.write(folder)
    return made


def replay(rows: Sequence[Row], count: int, *, seed: int) -> list[Row]:
    """Of each label of each head `count` rows or more, drawn by the seed: a row is taken for any of its labels."""
    left: Counter[tuple[str, Any]] = Counter()
    chosen = []
    for number in np.random.default_rng(seed).permutation(len(rows)).tolist():
        labels = [
            (head, one)
            for head, label in rows[number].labels.items()
            if label is not None
            for one in (label if isinstance(label, tuple) else (label if isinstance(label, str) else "a number",))
        ]
        if any(left[label] < count for label in labels):
            chosen.append(number)
            left.update(labels)
    return [rows[number] for number in sorted(chosen)]


def _taught_by_feedback(champion: Version, settings: Sequence[str] = ()) -> tuple[Version, Recipe]:
    """The version before any feedback, and its recipe.

    Raises:
        InputError: it is none that feedback teaches; naming what to do instead.
    """
    root = lineage.root(champion)
    if not (root.folder / "recipe.yaml").exists():
        parts = ", ".join(champion.manifest().get("components", [])) or "other models"
        raise InputError(
            f"{champion}: a bundle of {parts}. Feedback teaches its classifiers, each by its name, such as: engine "
            "retrain support-intents. A recommender learns from behaviour, by: recommender retrain. The whole is made "
            "anew by: support-bot train, recommender train"
        )
    recipe = Recipe.load(root.folder / "recipe.yaml", list(settings))
    if recipe.task.kind != "classify":
        raise InputError(
            f"{champion}: task {recipe.task.kind} does not learn from votes and corrections; `engine retrain` is for "
            "classifiers. A recommender learns from behaviour, by: recommender retrain; others are trained anew by "
            "their own command, such as: support-bot train, engine train"
        )
    if "pair" in recipe.data.columns:
        raise InputError(
            f"{champion}: reads pairs, and feedback speaks of single texts; train it anew by its own command, such as: "
            "finance-monitor train"
        )
    return root, recipe


def _check_apart(champion: Version, parts: Parts, frozen: golden.Golden) -> None:
    """Refuse golden rows that a model trained anew since they were frozen has learnt.

    Raises:
        InputError: it has.
    """
    taught = {normalised(row.whole) for row in (*parts.train, *parts.dev, *parts.calibration)}
    if both := sum(normalised(row.whole) in taught for row in frozen.rows):
        facts = frozen.path.with_name(golden.FACTS)
        raise InputError(
            f"{champion}: {both} of its {len(frozen.rows)} golden rows were taught to it; leave them out by "
            f"data.test: {frozen.path} in its recipe, or remove {facts} to begin a new set"
        )


def _recipe(
    recipe: Recipe, champion: Version, found: Lessons, folder: Path, golden_rows: Path, rows: Sequence[Row]
) -> Recipe:
    """The recipe of the challenger: on from the champion, on the files of the folder."""
    tuning, onward = recipe.tuning, recipe.retrain
    judged = [str(golden_rows), *([str(folder / "new.jsonl")] if found.judges else [])]
    data = {
        "train": [str(folder / "train.jsonl")],
        "dev": [str(folder / "held.jsonl")],
        "test": judged,
        "split": {**recipe.data.split.model_dump(), "group": "group" if any(row.group for row in rows) else None},
        "noise": recipe.data.noise and recipe.data.noise.model_dump(),
        "on_leak": "drop",
    }
    changes: dict[str, Any] = {
        "base": f"store:{champion}",
        "data": data,
        "tuning.epochs": onward.epochs,
        "tuning.learning_rate": tuning.learning_rate * onward.learning_rate,
        "tuning.head_learning_rate": tuning.head_learning_rate * onward.learning_rate,
        "tuning.head_start": "stored",
        "tuning.method": "full" if tuning.method in ("contrastive", "zero_shot") else tuning.method,
        "tuning.distill": None,
        "tuning.adapt": None,
    }
    for head in found.heads:
        if head.labels:
            changes[f"task.heads.{head.name}.labels"] = list(head.labels)
    if found.new_labels:
        changes |= {"tuning.adversarial": None, "tuning.r_drop": 0.0, "tuning.extend": {"replay": len(rows)}}
    return recipe.changed(changes)


def _nothing(champion: Version, read: int, found: Lessons) -> str:
    told = [f"{len(found.known)} rows are learnt already"] if found.known else []
    told += [f"{count} {reason}" for reason, count in reasons(found.aside)[:5]]
    return f"{champion.name}: no feedback to learn from; of {read} pieces: {'; '.join(told) or 'none'}"


def fresh(champion: Version, log: FeedbackLog) -> int:
    """Rows that vetted feedback comes to and no decision on the model has been about."""
    _, recipe = _taught_by_feedback(champion)
    past = decisions(champion.name)
    used = frozenset(id for one in past for id in (*one.feedback.learnt, *one.feedback.held))
    aside = {found.id for one in past for found in one.aside}
    mine = specs(Recipe.load(champion.folder / "recipe.yaml").task)
    found = lessons(log.read(model=champion.name), mine, recipe.retrain, learnt=used, embed=_embed(recipe))
    return sum(not aside.issuperset(lesson.ids) for lesson in (*found.new, *found.judges))


def _embed(recipe: Recipe) -> neighbours.Embed:
    if recipe.retrain.neighbours == "letters":
        return neighbours.by_letters
    from engine.embedder import Embedder

    return Embedder(recipe.base).embed


def _some(rows: Sequence[Row], seed: int) -> list[Row]:
    """At most MOST_KNOWN of them, drawn by the seed, in their order."""
    drawn = np.sort(np.random.default_rng(seed).permutation(len(rows))[:MOST_KNOWN])
    return [rows[number] for number in drawn.tolist()]
