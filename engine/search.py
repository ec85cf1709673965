"""Search: the settings of a recipe that score best on dev, found trial by trial with Optuna; test rows stay unread.

A search is a study in SQLite under `$KEEL_HOME/searches`. The same recipe, data and space find it again, so one that
was killed goes on, and gives what it would have given.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import hashlib
import json
import math
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.trial import FrozenTrial, TrialState

from engine import resources, runs, space, training
from engine.data.split import Parts
from engine.errors import InputError, KeelError, RecipeError
from engine.recipe import Recipe
from engine.space import Space
from engine.tasks.task import Watcher

ATTEMPTS = 3
"""How often a trial is begun that ends its process, one too large for the memory, say, before it is left out."""
PRUNED_FROM = 4
"""Trials that run to their end before others are measured against their median."""
DONE = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True)
class Trial:
    number: int
    """From 1, in the order in which they were begun."""
    state: Literal["finished", "pruned"]
    score: float | None
    """On dev, the mean over the recipe's seeds; of a pruned trial that of its last epoch."""
    seconds: float
    settings: dict[str, Any]
    """Path in the recipe -> value."""
    note: str = ""
    """Why it was pruned without a score."""


@dataclass(frozen=True)
class Found:
    recipe: Recipe
    """The recipe with the best trial's settings."""
    best: Trial
    trials: list[Trial]
    study: Path
    """SQLite file of the study, which Optuna's own tools read."""

    def yaml(self) -> str:
        """The best recipe as a file, its origin on top."""
        import yaml

        values = yaml.safe_dump(self.recipe.model_dump(exclude_unset=True), sort_keys=False, allow_unicode=True)
        first = next((trial.score for trial in self.trials if trial.number == 1 and trial.state == "finished"), None)
        before = f"; as it was {first:.4f}" if first is not None else ""
        origin = f"trial {self.best.number} of {len(self.trials)}: dev score {self.best.score:.4f}{before}"
        caution = "Dev chose it, so dev flatters it: the figure that counts is what engine train finds on test."
        return f"# By engine tune, {origin}.\n# {caution}\n{values}"


def search(
    recipe: Recipe,
    *,
    trials: int = 20,
    timeout: float | None = None,
    within: Space | None = None,
    watcher: Watcher | None = None,
) -> Found:
    """Try settings of the recipe until `trials` of them are finished or pruned, those of an earlier call counted in.

    The first trial is the recipe as it is. A trial whose dev score from its second epoch on is under the median of the
    others at that epoch is pruned. With several seeds a trial's score is the mean over them, and the first seed alone
    can prune it.

    Args:
        timeout: seconds after which no further trial is begun.
        within: what may vary; by default what suits the recipe's method.

    Raises:
        RecipeError, DataError, LeakError: as `engine.train`.
        InputError: another process is at the same search.
        KeelError: no trial came to its end.
    """
    watch = watcher or training.Quiet()
    start = time.monotonic()
    within = space.default(recipe) if within is None else within
    watch.stage(f"reading {', '.join(recipe.data.train)}")
    parts, hashes = _parts(recipe)
    if not parts.dev:
        raise RecipeError(f"data.split.dev: {recipe.data.split.dev:g} leaves no rows to score a trial on; give more")
    watch.stage(f"train {len(parts.train):,}  dev {len(parts.dev):,}  (test rows are put away)")
    with _study(recipe, within, hashes) as (study, path):
        _give_back(study)
        while (done := len(_trials(study, *DONE))) < trials:
            if done and timeout is not None and time.monotonic() - start > timeout:
                watch.stage(f"{timeout:g} seconds are over, {done} of {trials} trials are done")
                break
            _queue_as_is(study, recipe, within)
            # A sampler of its own for each trial, by number, so that a killed search draws what it would have drawn.
            lost = sum(_attempt(trial) >= ATTEMPTS for trial in _trials(study, TrialState.FAIL))
            study.sampler = optuna.samplers.TPESampler(seed=recipe.seeds[0] + done + lost)
            try:
                _try(study, recipe, within, parts, path.with_suffix(""), _Watch(study, done, trials, watch))
            except BaseException as fault:
                _give_back(study, counts=not isinstance(fault, KeyboardInterrupt))
                raise
        return _found(study, recipe, path)


class _Watch:
    """A trial's own watcher: tells the search's how far it is, and prunes the trial."""

    def __init__(self, study: optuna.Study, done: int, trials: int, outer: Watcher) -> None:
        self.trial: optuna.Trial | None = None
        self._done, self._trials, self._outer = done, trials, outer
        finished = [one.value or 0.0 for one in _trials(study, TrialState.COMPLETE)]
        self._best = f", best so far {max(finished):.3f}" if finished else ""
        self._last_epoch = 0

    def stage(self, text: str) -> None: ...

    def step(self, done: int, total: int, note: str) -> None:
        told = note or "training"
        self._outer.step(self._done, self._trials, f"trial {self._done + 1}, {told}{self._best}")

    def scored(self, epoch: int, score: float) -> None:
        if self.trial is None or epoch <= self._last_epoch:
            self.trial = None  # a further seed
            return
        self._last_epoch = epoch
        self.trial.report(score, epoch)
        if self.trial.should_prune():
            raise optuna.TrialPruned


def _parts(recipe: Recipe) -> tuple[Parts, dict[str, str]]:
    """Rows without those for test, and hashes of their files."""
    folder = resources.home() / "searches" / recipe.name
    folder.mkdir(parents=True, exist_ok=True)
    parts, loaded, _ = training.prepare(recipe, folder)
    return replace(parts, test=[]), loaded.hashes


def _try(study: optuna.Study, recipe: Recipe, within: Space, parts: Parts, folder: Path, watch: _Watch) -> None:
    """One trial, begun and told of."""
    import torch

    trial = watch.trial = study.ask()
    as_is = trial.user_attrs.get("as_is", False)
    drawn = {
        path: values.drawn(trial, path)
        for path, values in within.items()
        if not as_is or values.holds(space.at(recipe, path))  # Optuna refuses a value outside
    }
    settings = {path: space.at(recipe, path) for path in within} if as_is else drawn
    trial.set_user_attr("settings", settings)
    place = folder / f"trial-{trial.number + 1}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        tried = recipe if as_is else recipe.changed(settings)
        learned, _ = training.learn(tried.model_copy(update={"track": []}), parts, place, watch)
        score = sum(one.dev_score for one in learned) / len(learned)
        if math.isfinite(score):
            study.tell(trial, score)
        else:
            _prune(study, trial, "its score is no number")
    except optuna.TrialPruned:
        _prune(study, trial)
    except RecipeError as fault:
        if as_is:
            raise
        _prune(study, trial, str(fault))  # two settings that each may be, but not together
    except torch.OutOfMemoryError:
        _prune(study, trial, "it needs more memory than the accelerator has")
    finally:
        shutil.rmtree(place, ignore_errors=True)
        gc.collect()


def _prune(study: optuna.Study, trial: optuna.Trial, note: str = "") -> None:
    trial.set_user_attr("note", note)
    study.tell(trial, state=TrialState.PRUNED)


def _queue_as_is(study: optuna.Study, recipe: Recipe, within: Space) -> None:
    """The recipe as it is stands first, unless it is done, waits already, or ended its process time and again."""
    begun = [trial for trial in study.get_trials(deepcopy=False) if trial.user_attrs.get("as_is")]
    failed = [trial for trial in begun if trial.state == TrialState.FAIL]
    if len(begun) == len(failed) < ATTEMPTS:
        own = {path: space.at(recipe, path) for path in within}
        held = {path: value for path, value in own.items() if within[path].holds(value)}
        study.enqueue_trial(held, user_attrs={"as_is": True})


def _give_back(study: optuna.Study, *, counts: bool = True) -> None:
    """Trials that were cut off count as failed and are queued to be done again, unless that has `counts` too often."""
    waiting = [trial.system_attrs.get("fixed_params") for trial in _trials(study, TrialState.WAITING)]
    for cut in _trials(study, TrialState.RUNNING):
        kept = cut.user_attrs
        attempt = _attempt(cut) + counts
        again = "settings" in kept and not kept.get("as_is") and cut.params not in waiting
        if again and attempt <= ATTEMPTS:
            study.enqueue_trial(cut.params, user_attrs={"attempt": attempt})
        study.tell(cut.number, state=TrialState.FAIL)


def _trials(study: optuna.Study, *states: TrialState) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=states)


def _attempt(trial: FrozenTrial) -> int:
    found: int = trial.user_attrs.get("attempt", 1)
    return found


@contextlib.contextmanager
def _study(recipe: Recipe, within: Space, hashes: dict[str, str]) -> Iterator[tuple[optuna.Study, Path]]:
    from sqlalchemy.pool import NullPool

    shape = {path: repr(values) for path, values in sorted(within.items())}
    told = json.dumps([recipe.digest(), sorted(hashes.items()), runs.parents(recipe), shape])
    digest = hashlib.sha256(told.encode()).hexdigest()
    path = resources.home() / "searches" / f"{recipe.name}-{digest[:12]}.db"
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with path.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{path}: another process is at this search; wait for it, or change the recipe") from None
        storage = optuna.storages.RDBStorage(f"sqlite:///{path}", engine_kwargs={"poolclass": NullPool})
        try:
            pruner = optuna.pruners.MedianPruner(n_startup_trials=PRUNED_FROM, n_warmup_steps=2)
            study = optuna.create_study(
                storage=storage, study_name=recipe.name, direction="maximize", pruner=pruner, load_if_exists=True
            )
            yield study, path
        finally:
            storage.remove_session()
            storage.engine.dispose()


def _found(study: optuna.Study, recipe: Recipe, path: Path) -> Found:
    done = _trials(study, *DONE)
    told = [_told(number, trial) for number, trial in enumerate(done, 1)]
    finished = [trial for trial in told if trial.state == "finished"]
    if not finished:
        reasons = "; ".join(dict.fromkeys(trial.note for trial in told if trial.note)) or "no time"
        raise KeelError(f"no trial of {path} came to its end ({reasons}); give more trials, or another space")
    best = max(finished, key=lambda trial: trial.score or 0.0)
    as_is = done[best.number - 1].user_attrs.get("as_is", False)
    return Found(recipe if as_is else recipe.changed(best.settings), best, told, path)


def _told(number: int, trial: FrozenTrial) -> Trial:
    seconds = trial.duration.total_seconds() if trial.duration else 0.0
    kept = trial.user_attrs
    state: Literal["finished", "pruned"] = "finished" if trial.state == TrialState.COMPLETE else "pruned"
    return Trial(number, state, trial.value, seconds, kept.get("settings", {}), kept.get("note", ""))
