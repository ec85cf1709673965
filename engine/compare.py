"""Compare: recipes trained with the same seeds and judged on the same test rows, each against the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from engine import resources, speed, training
from engine.data.rows import Row
from engine.errors import InputError, KeelError
from engine.evaluate.held_out import said
from engine.evaluate.intervals import Difference, Metric, bootstrap, paired_bootstrap
from engine.evaluate.report import Figure
from engine.export import forms
from engine.opening import opened
from engine.predictor import Predictor
from engine.progress import Progress
from engine.recipe import Recipe
from engine.repeats import FIRST_SEED, repeats
from engine.store import Store, Version
from engine.tasks import kinds
from engine.tasks.heads import HeadSpec, specs
from engine.tasks.task import Watcher

ANSWERS = 3
"""Answers in words that are timed: one may take many seconds."""


@dataclass(frozen=True)
class Quality:
    """A head's main figure, the mean over the seeds, and how it stands to the first recipe's."""

    head: str
    metric: str
    figure: Figure
    difference: Difference | None
    """None for the first recipe."""


@dataclass(frozen=True)
class Candidate:
    """What a recipe gives and what it costs. Of several seeds the costs are means."""

    name: str
    versions: list[str]
    quality: list[Quality]
    trainable: int
    parameters: int
    seconds: float
    """Of tuning."""
    peak_memory_mb: float
    """Most resident memory of a process that trains and exports one seed and does nothing else."""
    form: str
    """In which it answers: "onnx", "torch"."""
    disk_mb: float
    p50_ms: float
    """Median latency of a single text, or of an answer in words."""


@dataclass(frozen=True)
class Comparison:
    candidates: list[Candidate]
    rows: int
    """Test rows."""
    seeds: list[int]


def compare(
    recipes: Sequence[Recipe], *, names: Sequence[str] = (), seeds: int = 3, watcher: Watcher | None = None
) -> Comparison:
    """Train each recipe with each seed, ask the deployed forms about the test rows, and set each against the first.

    Versions are kept under `$KEEL_HOME/comparisons`, and used again where recipe, data and seed are the same.

    Args:
        names: what to call the recipes; by default their own names.

    Raises:
        InputError: fewer than two recipes; or they are asked different questions, or have different test rows.
        RecipeError, DataError, LeakError, ExportError: as `engine.train`.
    """
    watch = watcher or training.Quiet()
    names = list(names) or [recipe.name for recipe in recipes]
    numbers = list(range(FIRST_SEED, FIRST_SEED + seeds))
    rows = _shared_rows(recipes, names, watch)
    store = Store(resources.home() / "comparisons")
    trained = []
    for name, recipe in zip(names, recipes, strict=True):
        watch.stage(f"{name}: seeds {', '.join(map(str, numbers))}")
        trained.append(repeats(recipe, numbers, store, lambda one: _apart(one, store, quiet=watcher is None)))
    watch.stage(f"asking all of them about {len(rows):,} test rows")
    heads = specs(recipes[0].task)
    found: list[Candidate] = []
    firsts: dict[str, list[Metric]] = {}
    for name, versions in zip(names, trained, strict=True):
        predictors = [opened(version.folder, model=str(version)) for version in versions]
        outputs = [said(predictor, rows) for predictor in predictors]
        quality = []
        for head in heads:
            answering = kinds.answered(head, rows)
            if len(answering):
                chosen = [rows[number] for number in answering]
                metrics = [
                    kinds.of(head.kind).metrics(
                        head, chosen, [of[head.name][number] for number in answering], predictor.temperatures[head.name]
                    )[kinds.of(head.kind).main]
                    for predictor, of in zip(predictors, outputs, strict=True)
                ]
                quality.append(_judged(head, chosen, metrics, firsts))
        found.append(_candidate(name, versions, predictors[0], quality, rows))
    return Comparison(found, len(rows), numbers)


def _shared_rows(recipes: Sequence[Recipe], names: Sequence[str], watch: Watcher) -> list[Row]:
    """The test rows, which must be the same for all."""
    if len(recipes) < 2:
        raise InputError("compare: give two recipes or more")
    if recipes[0].task.kind == "generate" and len({recipe.base for recipe in recipes}) > 1:
        raise InputError("compare: answers are counted in tokens, and each base has its own; give recipes of one base")
    shared: list[Row] = []
    for name, recipe in zip(names, recipes, strict=True):
        if specs(recipe.task) != specs(recipes[0].task):
            raise InputError(f"compare: {name} is asked something else than {names[0]}; give recipes of one task")
        watch.stage(f"reading the rows of {name}")
        folder = resources.home() / "comparisons" / ".rows" / recipe.name
        folder.mkdir(parents=True, exist_ok=True)
        rows = training.prepare(recipe, folder)[0].test
        shared = shared or rows
        if [_content(row) for row in rows] != [_content(row) for row in shared]:
            theirs, ours = ({_content(row): row.origin for row in part} for part in (rows, shared))
            example = min((ours | theirs)[content] for content in ours.keys() ^ theirs.keys() or {next(iter(ours))})
            raise InputError(
                f"compare: the test rows of {name} ({len(rows)}) and {names[0]} ({len(shared)}) differ, for example in "
                f"{example}; give them the same data.test, or the same data and split"
            )
    return shared


def _content(row: Row) -> tuple[str, str | None, str]:
    return row.text, row.pair, repr(sorted(row.labels.items()))


def _apart(recipe: Recipe, store: Store, *, quiet: bool) -> Version:
    """Train in a process of its own, so that its peak memory is that of this training; it ends when this one does."""
    context = get_context("spawn")
    told, telling = context.Pipe(duplex=False)
    process = context.Process(target=_train, args=(recipe, store.root, quiet, telling), daemon=True)
    process.start()
    telling.close()
    try:
        found: Version | KeelError = told.recv()
    except EOFError:
        raise KeelError(f"{recipe.name}: its training broke off; if nothing is said above, memory ran out") from None
    except BaseException:
        process.terminate()
        raise
    finally:
        process.join()
    if isinstance(found, KeelError):
        raise found
    return found


def _train(recipe: Recipe, root: Path, quiet: bool, telling: Connection) -> None:
    try:
        with Progress(quiet=quiet) as progress:
            # Begun anew: a part that a killed process did would be missing from the seconds.
            found = training.train(recipe, store=Store(root), fresh=True, watcher=progress).version
    except KeyboardInterrupt:
        return
    except KeelError as fault:
        telling.send(fault)
    else:
        telling.send(found)


def _judged(head: HeadSpec, rows: Sequence[Row], metrics: list[Metric], firsts: dict[str, list[Metric]]) -> Quality:
    clusters = [row.group or f"row {number}" for number, row in enumerate(rows)]
    figure = Figure(*bootstrap(lambda over: float(np.mean([metric(over) for metric in metrics])), clusters))
    first = firsts.setdefault(head.name, metrics)
    difference = None if first is metrics else paired_bootstrap(first, metrics, clusters)
    return Quality(head.name, kinds.of(head.kind).main, figure, difference)


def _candidate(
    name: str, versions: Sequence[Version], predictor: Predictor, quality: list[Quality], rows: Sequence[Row]
) -> Candidate:
    manifests = [version.manifest() for version in versions]
    single, first = (ANSWERS, 1) if predictor.spec.task == "generate" else (speed.SINGLE, speed.WARM_UP)
    texts = [row.text if row.pair is None else (row.text, row.pair) for row in rows[:single]]
    speed.latencies(predictor, texts[:first])
    form = predictor.backend
    return Candidate(
        name,
        [str(version) for version in versions],
        quality,
        trainable=manifests[0]["parameters"]["trainable"],
        parameters=manifests[0]["parameters"]["all"],
        seconds=float(np.mean([manifest["seconds"] for manifest in manifests])),
        peak_memory_mb=float(np.mean([manifest["peak_memory_mb"] for manifest in manifests])),
        form=form,
        disk_mb=forms.size(versions[0].folder, form) / 1e6,  # type: ignore[arg-type]
        p50_ms=float(np.median(speed.latencies(predictor, texts))),
    )
