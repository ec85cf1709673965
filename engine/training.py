"""The one road from a recipe to a model version.

load rows > cut > leakage gate > tune > calibrate > test > export > round trip > store

Test rows are read once, for the figures: they touch neither training, early stopping nor calibration.
"""

from __future__ import annotations

import platform
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version as installed
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from engine import base_models, card, lineage, memory, resources, runs
from engine.data import few, leakage, sources
from engine.data.noise_copies import noise_copies
from engine.data.rows import Row
from engine.data.split import Parts, cut
from engine.errors import DataError, InputError, RecipeError
from engine.evaluate import details
from engine.evaluate.report import Figures
from engine.recipe import Recipe
from engine.store import CHAMPION, Store, Version
from engine.tasks import task as tasks
from engine.tasks.heads import places, specs
from engine.tasks.task import LEAST_CALIBRATION, UNCALIBRATED, Learned, Watcher

LIBRARIES = ("torch", "transformers", "tokenizers", "peft", "onnx", "onnxruntime", "numpy", "scikit-learn")


class Quiet:
    """A watcher that says nothing."""

    def stage(self, text: str) -> None: ...

    def step(self, done: int, total: int, note: str) -> None: ...

    def scored(self, epoch: int, score: float) -> None: ...


@dataclass(frozen=True)
class Trained:
    """What a run made."""

    version: Version
    figures: Figures
    rows: dict[str, int]
    rejected: int
    dropped: int
    run: Path
    promoted: bool


@dataclass(frozen=True)
class Tuned:
    """What the first half of the road leaves to the second."""

    learned: Sequence[Learned]
    base: base_models.BaseModel
    parts: Parts
    """Test is what it is judged by; on the others the export is made and checked."""
    loaded: sources.Loaded
    dropped: int
    parents: Sequence[str]
    seconds: float | None


def train(
    recipe: Recipe,
    *,
    store: Store | None = None,
    promote: bool = False,
    fresh: bool = False,
    watcher: Watcher | None = None,
    retrain: Mapping[str, Any] | None = None,
) -> Trained:
    """Make the recipe's model and store it as a new version.

    The version becomes champion when the name has none yet, or with `promote`. With several seeds the figures are
    means over the seeds, and the seed best on dev is stored. A killed run goes on where it was, unless `fresh`.

    Args:
        retrain: for the manifest, of a version that feedback makes (see `engine.lineage`).

    Raises:
        RecipeError, DataError, LeakError, ExportError: what is wrong and what to do; nothing is stored then.
    """
    watch = watcher or Quiet()
    store = store or Store()
    with runs.run_folder(recipe, fresh=fresh) as run:
        watch.stage(f"reading {', '.join(recipe.data.train)}")
        parts, loaded, dropped = prepare(recipe, run)
        watch.stage("  ".join(f"{name} {count:,}" for name, count in parts.counts().items()) + _aside(loaded, dropped))
        parents = runs.parents(recipe)
        tasks.of(recipe.task.kind)  # loads the libraries, which is no tuning
        whole, start = not any(run.glob("seed-*/**/checkpoint-*")), time.monotonic()
        learned, base = learn(recipe, parts, run, watch)
        seconds = round(time.monotonic() - start, 1) if whole else None
        made = Tuned(learned, base, parts, loaded, dropped, parents, seconds)
        more = {} if retrain is None else {lineage.SECTION: dict(retrain)}
        return keep(recipe, made, run, store=store, promote=promote, watch=watch, more=lambda staged: more)


def keep(
    recipe: Recipe,
    made: Tuned,
    run: Path,
    *,
    store: Store,
    promote: bool,
    watch: Watcher,
    more: Callable[[Path], Mapping[str, Any]] = lambda staged: {},
) -> Trained:
    """The rest of the road for what is tuned: test, export, round trip, store.

    Args:
        more: gives what else the manifest says, or says otherwise, once all else lies in the version's folder.
    """
    task, parts = tasks.of(recipe.task.kind), made.parts
    watch.stage("measuring on the test rows")
    figures = task.measure(recipe, made.base, made.learned, parts.test)
    best = max(made.learned, key=lambda one: one.dev_score)
    with store.staging(recipe.name) as staged:
        task.write(recipe, made.base, best, staged)
        (staged / "recipe.yaml").write_text(recipe.yaml(), encoding="utf-8")
        losses: list[dict[str, Any]] = []
        if recipe.export.format != "none":
            watch.stage(f"exporting to ONNX {recipe.export.precision} and asking it in a fresh process")
            losses = task.export(recipe, made.base, best, parts, staged)
        further = more(staged)
        watch.stage("storing")
        place = runs.finished(run)
        manifest = {**_manifest(recipe, best, figures, made, losses, place), **further}
        details.write(figures.details, staged)
        told = card.markdown(card.of(manifest, recipe, figures.details))
        (staged / card.FILE).write_text(told, encoding="utf-8")
        version = store.commit(recipe.name, staged, manifest)
    runs.finish(run, place)
    first = CHAMPION not in store.aliases(recipe.name)
    if promote or first:
        store.promote(version)
    rows = {name: manifest["rows"][name] for name in parts.counts()}
    return Trained(version, figures, rows, len(made.loaded.rejected), made.dropped, place, promote or first)


def learnt_from(version: Version, *, held: float) -> tuple[list[Row], list[Row]]:
    """Rows that a version learnt from, to teach another model, and rows to judge that one by.

    The second are the version's dev and calibration rows, and the share `held` of the rows it was tuned on: groups and
    near-duplicates stay on one side. Its test rows are in neither.

    Of a version that feedback made these are the rows of the recipe that it came from, before any feedback.

    Raises:
        InputError: its files are not there, or are no longer those it learnt from.
    """
    version = lineage.root(version)
    check_unchanged(version)
    recipe = Recipe.load(version.folder / "recipe.yaml")
    with TemporaryDirectory() as aside:
        parts, _, _ = prepare(recipe, Path(aside))
    shares = recipe.data.split.model_copy(update={"test": 0.0, "dev": 0.0, "calibration": held})
    stratify = next((head.name for head in specs(recipe.task) if head.kind == "single"), None)
    again = cut(parts.train, shares, stratify=stratify)
    return again.train, [*parts.dev, *parts.calibration, *again.calibration]


def check_unchanged(version: Version) -> None:
    """Refuse to go on from data other than the version's.

    Raises:
        InputError: its files are not there, or are no longer those it learnt from.
    """
    recipe = Recipe.load(version.folder / "recipe.yaml")
    hashes = {name: resources.sha256(resources.find(name)) for name in runs.files(recipe)}
    if changed := sorted(name for name, sha in version.manifest()["data_sha256"].items() if hashes.get(name) != sha):
        raise InputError(f"{version}: {', '.join(changed)} has changed since it was trained; train it anew")


def assist(recipe: Recipe) -> None:
    """The part of a process that is not the first of its run: tune along with it, and store nothing."""
    with runs.run_folder(recipe) as run, TemporaryDirectory() as aside:
        parts, _, _ = prepare(recipe, Path(aside))
        learn(recipe, parts, run, Quiet())


def learn(recipe: Recipe, parts: Parts, run: Path, watch: Watcher) -> tuple[list[Learned], base_models.BaseModel]:
    """Tune the base once a seed; test rows are not looked at."""
    base = base_models.resolve(recipe.base)
    tasks.check_base(recipe, base.kind)
    tasks.check_length(recipe, base)
    task = tasks.of(recipe.task.kind)
    learned = []
    for seed in recipe.seeds:
        shown = parts
        if recipe.data.noise:
            copies = noise_copies(parts.train, recipe.data.noise, places=places(recipe.task), seed=seed)
            shown = replace(parts, train=parts.train + copies)
        watch.stage(f"tuning {recipe.base} on {len(parts.train):,} rows, seed {seed}")
        learned.append(task.learn(recipe, base, shown, seed, run / f"seed-{seed}", watch))
    return learned, base


def prepare(recipe: Recipe, run: Path) -> tuple[Parts, sources.Loaded, int]:
    """Rows, cut and past the leakage gate; bad rows lie in `run/rejected.jsonl`."""
    tasks.check_base(recipe, base_models.known_kind(recipe.base))
    data, heads = recipe.data, specs(recipe.task)
    split, least = data.split, LEAST_CALIBRATION
    if recipe.task.kind in UNCALIBRATED:
        split, least = split.model_copy(update={"calibration": 0.0}), 0
    elif split.calibration == 0:
        raise RecipeError("data.split.calibration: 0 leaves no rows to calibrate on; give a share, for example 0.1")
    patient = bool(recipe.tuning.early_stopping) and recipe.tuning.method != "zero_shot"
    if split.dev == 0 and (patient or (data.dev and not least)):
        raise RecipeError("data.split.dev: 0 leaves no rows to stop on; give a share, or set tuning.early_stopping: 0")
    known = {"text", "pair", "language", *(head.name for head in heads)}
    if unknown := sorted(data.columns.keys() - known):
        raise RecipeError(f"data.columns: no such name {unknown[0]!r}; known: {', '.join(sorted(known))}")
    loaded = sources.load(data.train, data, heads)
    if data.split.group and not loaded.grouped:
        raise DataError(
            f"data.split.group: no row of {', '.join(data.train)} has the column '{data.split.group}'; name one, or "
            "leave it out"
        )
    given = {"dev": data.dev, "test": data.test}
    held = {name: sources.load(files, data, heads) for name, files in given.items() if files}
    for part in (loaded, *held.values()):
        if part.rejected:
            sources.write_rejected(part.rejected, run / "rejected.jsonl")
            sources.check_rejected(part, data.max_rejected, run / "rejected.jsonl")
    for name in recipe.tuning.adapt.texts if recipe.tuning.adapt else []:
        loaded.hashes[name] = resources.sha256(resources.find(name, kind="text file"))
    for part in held.values():
        loaded.hashes |= part.hashes
        loaded.rejected += part.rejected
        sources.write_rejected(loaded.rejected, run / "rejected.jsonl")
    stratify = next((head.name for head in heads if head.kind == "single"), None)
    rows = {name: part.rows for name, part in held.items()}
    parts = cut(loaded.rows, split, stratify=stratify, test=rows.get("test"), dev=rows.get("dev"))
    parts, dropped = leakage.gate(parts, data.on_leak)
    stops = patient and split.dev > 0
    if not parts.train or len(parts.calibration) < least or not parts.test or (stops and not parts.dev):
        counts = ", ".join(f"{name} {count}" for name, count in parts.counts().items())
        needed = f"train{', dev' if stops else ''} and test need one{f', calibration {least}' if least else ''}"
        raise DataError(f"too few rows ({counts}): {needed}; give more rows")
    if data.per_label and stratify:
        parts = few.shots(parts, stratify, data.per_label, seed=recipe.seeds[0])
    return parts, loaded, dropped


def _manifest(
    recipe: Recipe, best: Learned, figures: Figures, made: Tuned, losses: Sequence[dict[str, Any]], run: Path
) -> dict[str, Any]:
    rows = {**made.parts.counts(), "rejected": len(made.loaded.rejected), "dropped_for_leaks": made.dropped}
    return {
        "name": recipe.name,
        "task": recipe.task.kind,
        "parents": made.parents,
        "recipe_sha256": recipe.digest(),
        "data_sha256": made.loaded.hashes,
        "rows": rows,
        "seeds": recipe.seeds,
        "seed": best.seed,
        "languages": recipe.languages,
        "parameters": {"trainable": best.trainable, "all": best.parameters},
        "seconds": made.seconds,  # of tuning; None where another process, now dead, did a part of it
        "peak_memory_mb": round(memory.peak_mb()),
        "metrics": figures.as_dict(),
        "history": best.history,
        "export": {**recipe.export.model_dump(), "losses": list(losses)},
        "tolerance": {"onnx": 0.0, "torch-cpu": 0.0},
        "libraries": {name: installed(name) for name in LIBRARIES},
        "python": platform.python_version(),
        "git_commit": _git_commit(),
        "run": run.name,
    }


def _git_commit() -> str | None:
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _aside(loaded: sources.Loaded, dropped: int) -> str:
    notes = [f"{len(loaded.rejected)} bad rows set aside"] if loaded.rejected else []
    notes += [f"{dropped} dropped for leaks"] if dropped else []
    return f"  ({', '.join(notes)})" if notes else ""
