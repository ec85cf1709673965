"""Retrain: feedback makes a challenger of the champion, and the gates decide which of them is champion from then on.

lock > plan > train > gates > decision written > promote > decision in its place

Each step leaves what the next one needs on disk, so that a killed retrain goes on, and nothing is done twice.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from engine import challenger as challengers
from engine import decision as decisions
from engine import gates, golden, lineage, training
from engine.challenger import Plan
from engine.data import sources
from engine.decision import JSON, PLAN, UNFINISHED, Decision
from engine.errors import InputError, KeelError, StoreError
from engine.gates.trial import Trial
from engine.opening import load
from engine.recipe import Recipe
from engine.store import Store, Version
from engine.tasks.heads import specs
from engine.tasks.task import Watcher

if TYPE_CHECKING:
    from engine.feedback import FeedbackLog

ROWS = ("train.jsonl", "held.jsonl", "new.jsonl")


def retrain(
    name: str,
    log: FeedbackLog,
    *,
    settings: Sequence[str] = (),
    fresh: bool = False,
    watcher: Watcher | None = None,
) -> Decision:
    """Train a challenger of the champion on the feedback that is new to it, and promote it if every gate holds.

    The champion and what answers stay as they are until then, and for good when a gate does not hold. A killed retrain
    goes on where it was, unless `fresh`.

    Args:
        settings: changes of the model's recipe, as "gates.margin=0.01"; only of a retrain that begins anew.

    Raises:
        InputError: there is no such model, feedback cannot teach it, or none is new.
        KeelError: another process retrains it.
        ExportError, StoreError: the challenger cannot be made; the champion stays.
    """
    watch = watcher or training.Quiet()
    store = Store()
    if "@" in name:
        raise InputError(f"{name}: a retrain goes on from the champion; give the name alone: {name.partition('@')[0]}")
    store.get(name)
    with locked(name) as folder:
        champion = store.get(name)
        work = folder / UNFINISHED
        if fresh or _overtaken(work, champion, store):
            shutil.rmtree(work, ignore_errors=True)
        work.mkdir(exist_ok=True)
        if not (work / JSON).exists():
            plan = Plan.read_from(work)
            if plan is None:
                watch.stage(f"reading the feedback on {champion.name}")
                try:
                    plan = challengers.plan(champion, log, settings, work)
                except BaseException:
                    shutil.rmtree(work)
                    raise
            try:
                made = _made(plan, store, watch)
            except KeelError:  # it cannot be made of these rows: the next call begins with those that are there then
                shutil.rmtree(work)
                raise
            watch.stage(f"judging {made} against {champion}")
            _decided(plan, champion, made).write(work)
        return _carried_out(work, store)


@contextlib.contextmanager
def locked(name: str) -> Iterator[Path]:
    """The folder of decisions on a model, held by this process alone; a killed one holds nothing.

    Raises:
        KeelError: another process holds it.
    """
    folder = decisions.folder(name)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise KeelError(f"{name}: is being retrained by {lock.read() or 'another process'}; wait for it") from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()} since {datetime.now(UTC).isoformat(timespec='seconds')}")
        lock.flush()
        yield folder


def _overtaken(work: Path, champion: Version, store: Store) -> bool:
    """Whether what a killed retrain left is about a champion that another version has replaced since."""
    if (work / JSON).exists():
        left = decisions.read(work)
        return left.promoted and left.champion != str(champion) and not _was_champion(left.challenger, store)
    plan = Plan.read_from(work)
    return plan is not None and plan.champion != str(champion)


def _was_champion(reference: str, store: Store) -> bool:
    version = store.get(reference)
    return version.number in {change.number for change in store.changes(version.name)}


def _made(plan: Plan, store: Store, watch: Watcher) -> Version:
    """The challenger: trained now, or found when a killed process had stored it."""
    name = Recipe.parse(plan.recipe).name
    for version in reversed(store.versions(name)):
        if version.manifest().get(lineage.SECTION, {}).get("id") == plan.id:
            return version
    section = {"id": plan.id, "champion": plan.champion, "root": plan.root, **asdict(plan.feedback)}
    return training.train(Recipe.parse(plan.recipe), watcher=watch, retrain=section).version


def _decided(plan: Plan, champion: Version, made: Version) -> Decision:
    """Every gate asked."""
    recipe = Recipe.parse(plan.recipe)
    heads = specs(recipe.task)
    judging = golden.read(champion.folder.parent, recipe, heads)
    new = [row for file in (recipe.data.test or [])[1:] for row in sources.load([file], recipe.data, heads).rows]
    columns = {name: [*values, *[None] * len(new)] for name, values in judging.columns.items()}
    found = gates.judge(Trial.of(recipe.gates, load(str(champion)), load(str(made)), judging.rows, new, columns))
    now = datetime.now(UTC)
    return Decision(
        f"{now:%Y%m%d-%H%M%S}-{plan.id[:8]}",
        champion.name,
        now.isoformat(timespec="seconds"),
        str(champion),
        str(made),
        all(gate.held for gate in found),
        found,
        plan.feedback,
        plan.aside,
        plan.golden,
    )


def _carried_out(work: Path, store: Store) -> Decision:
    """Do what was decided: promote, then put the decision in its place without the rows."""
    found = decisions.read(work)
    if found.promoted:
        version = store.get(found.challenger)
        if faults := store.verify(version):
            raise StoreError(f"{version} is not whole, the champion stays: {'; '.join(faults)}")
        # Once only: it may have been promoted before a kill, and rolled back by a person since.
        if not _was_champion(found.challenger, store):
            store.promote(version)
    for name in (*ROWS, PLAN):
        (work / name).unlink(missing_ok=True)
    work.rename(work.with_name(found.id))
    return found
