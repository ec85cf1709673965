"""Runs: the folder in which a recipe's training lies, found again after a kill so that the work goes on."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from importlib.metadata import version as installed
from pathlib import Path

from engine import __version__, base_models, processes, resources
from engine.errors import InputError
from engine.recipe import Recipe

UNFINISHED = "unfinished-"


@contextlib.contextmanager
def run_folder(recipe: Recipe, *, fresh: bool = False, settings: str = "") -> Iterator[Path]:
    """The run's folder under `$KEEL_HOME/runs/<name>`. It is `unfinished-<digest>` while the work goes on, so that the
    same recipe on the same data and libraries finds what a killed run left; `finish` names it for good
    once the version is stored. A process that helps another works in the folder which that one holds.

    Args:
        fresh: begin anew, whatever was left.
        settings: what else, beside the recipe, makes the run what it is.
    """
    if held := processes.given_folder():
        yield held
        return
    digest = hashlib.sha256((recipe.digest() + settings).encode())
    for name in files(recipe):
        digest.update(resources.sha256(resources.find(name, kind="data file")).encode())
    for model in parents(recipe):
        digest.update(model.encode())
    for library in ("torch", "transformers"):
        digest.update(installed(library).encode())
    digest.update(__version__.encode())
    runs = resources.home() / "runs" / recipe.name
    try:
        runs.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise InputError(f"{runs}: cannot be made ({fault.strerror}); point KEEL_HOME at a folder of yours") from None
    folder = runs / f"{UNFINISHED}{digest.hexdigest()[:12]}"
    with (runs / f".{folder.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another process is at the same run: work apart from it
            folder = runs / f"{UNFINISHED}{digest.hexdigest()[:12]}-{os.getpid()}"
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(exist_ok=True)
        yield folder


def parents(recipe: Recipe) -> list[str]:
    """The models that the recipe starts from and learns from, stored ones by version: an alias may have moved since."""
    from engine.store import Store

    base = recipe.base.removeprefix(base_models.STORED)
    found = [recipe.base if base == recipe.base else str(Store().get(base))]
    if recipe.tuning.distill:
        teacher = recipe.tuning.distill.teacher
        found.append(teacher if Path(teacher).is_dir() else str(Store().get(teacher)))
    return found


def files(recipe: Recipe) -> list[str]:
    """Every file that the recipe learns or is judged from, by the recipe's names."""
    unlabelled = recipe.tuning.adapt.texts if recipe.tuning.adapt else []
    return [*recipe.data.train, *(recipe.data.dev or []), *(recipe.data.test or []), *unlabelled]


def finished(folder: Path) -> Path:
    """Where a run's folder will lie for good, named by the time."""
    place = folder.with_name(f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}")
    number = 0
    while place.exists():
        number += 1
        place = place.with_name(f"{place.name.split('.')[0]}.{number}")
    return place


def finish(folder: Path, place: Path) -> None:
    """Move a run whose version is stored to its place and drop its checkpoints; the trackers' curves stay."""
    for left in folder.glob("**/checkpoint-*"):
        shutil.rmtree(left, ignore_errors=True)
    folder.rename(place)
