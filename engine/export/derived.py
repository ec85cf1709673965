"""Derived versions: a stored version with its model made smaller, measured beside it on the rows it was trained by.

The recipe's data are read again and cut as they were, so importance is judged on train rows, temperatures and the
export on dev and calibration rows, and quality on the test rows, as at training. The new version is stored with its
parent's name in its manifest, and is not made champion.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import numpy as np

from engine import speed, training
from engine.base_models import BaseModel
from engine.data.split import Parts
from engine.errors import DataError, InputError
from engine.evaluate.report import Figures
from engine.export.forms import Form
from engine.predictor import Predictor, Text
from engine.recipe import Recipe
from engine.store import Store, Version
from engine.tasks import encoder, kinds
from engine.tasks import task as tasks
from engine.tasks.encoding import encoded
from engine.tasks.headed import model_spec, temperatures, tokenizer_of
from engine.tasks.heads import ModelSpec
from engine.tasks.task import Learned
from engine.tuning import vectors
from engine.tuning.weights import counts


@dataclass(frozen=True)
class Source:
    """A stored version, opened to be changed."""

    version: Version
    recipe: Recipe
    parts: Parts
    base: BaseModel
    learned: Learned


@dataclass(frozen=True)
class Change:
    """What a version becomes."""

    base: BaseModel
    """Where its tokenizer lies."""
    model: Any
    told: dict[str, Any]
    """What the manifest says of it."""


@dataclass(frozen=True)
class Side:
    """One of the two versions, in figures."""

    model: str
    parameters: int
    disk_mb: float
    """Of what answers: the ONNX export, or the torch weights where there is none."""
    texts_per_s: float
    p50_ms: float
    quality: dict[str, float]
    """Head -> its main figure on the test rows."""


@dataclass(frozen=True)
class Derived:
    before: Side
    after: Side
    version: Version | None
    """The new version; None where it was only measured."""

    @property
    def faster(self) -> float:
        return self.after.texts_per_s / self.before.texts_per_s

    @property
    def smaller(self) -> float:
        """Share of the bytes saved."""
        return 1.0 - self.after.disk_mb / self.before.disk_mb

    @property
    def lost(self) -> dict[str, float]:
        return {head: self.before.quality[head] - value for head, value in self.after.quality.items()}


def derive(
    version: Version,
    change: Callable[[Source, Path], Change],
    *,
    store: Store | None = None,
    keep: bool = True,
    stage: Callable[[str], None] = lambda _: None,
) -> Derived:
    """Change a version's model, measure both, and store what came of it.

    Args:
        change: given the opened version and an empty folder, what it becomes.
        keep: store the new version; else it is only measured.

    Raises:
        InputError: the version cannot be changed so, or its data are not what they were.
        ExportError: the new version's export loses more than its recipe allows; nothing is stored.
    """
    store = store or Store()
    stage(f"reading the data of {version}")
    source = opened(version)
    recipe, parts, task = source.recipe, source.parts, tasks.of(source.recipe.task.kind)
    with store.staging(version.name) as staged, tempfile.TemporaryDirectory() as place:
        stage("changing the model")
        made = change(source, Path(place))
        spec, tokenizer = model_spec(recipe, made.base), tokenizer_of(made.base.folder)
        wanted = vectors.aims(recipe, parts.train, spec)
        if wanted is not None:
            vectors.fit(made.model, encoded(parts.train, tokenizer, spec), wanted)
        given = encoded(parts.calibration, tokenizer, spec)
        learned = replace(source.learned, model=made.model, parameters=counts(made.model)[1])
        learned.temperatures = temperatures(spec, parts.calibration, encoder.outputs(made.model, given))
        stage("measuring both on the test rows")
        before = task.measure(recipe, source.base, [source.learned], parts.test)
        after = task.measure(recipe, made.base, [learned], parts.test)
        task.write(recipe, made.base, learned, staged)
        shutil.copyfile(version.folder / "recipe.yaml", staged / "recipe.yaml")
        losses: list[dict[str, Any]] = []
        if recipe.export.format != "none":
            stage(f"exporting to ONNX {recipe.export.precision} and asking it in a fresh process")
            losses = task.export(recipe, made.base, learned, parts, staged)
        stage("timing both")
        sides = _sides(source, learned, staged, before, after)
        stored = None
        if keep:
            manifest = _manifest(source, learned, after, losses, made.told)
            stored = store.commit(version.name, staged, manifest)
    one, other = sides
    return Derived(one, replace(other, model=str(stored or f"{version}, changed")), stored)


def opened(version: Version) -> Source:
    """The version with its rows.

    Raises:
        InputError: it is not an encoder with heads, carries an adapter, or its data are gone or changed.
    """
    manifest, place = version.manifest(), version.folder / "model"
    if manifest["task"] not in ("classify", "tag", "extract", "rank"):
        raise InputError(f"{version}: only models of classify, tag, extract and rank can be changed so")
    spec = ModelSpec.read(place)
    recipe = Recipe.load(version.folder / "recipe.yaml")
    with tempfile.TemporaryDirectory() as run:
        parts, loaded, _ = training.prepare(recipe, Path(run))
    if loaded.hashes != manifest["data_sha256"]:
        raise DataError(
            f"{version}: its data have changed since it was trained, and the cut into train and test with them; "
            "put the files back as they were, or train anew and change that version"
        )
    told = json.loads((version.folder / "calibration.json").read_text(encoding="utf-8"))
    model = encoder.load(place)
    learned = Learned(manifest["seed"], model, 0.0, parameters=counts(model)[1], temperatures=told["temperatures"])
    base = BaseModel(str(version), place, "encoder", prefix=spec.prefix, pair_prefix=spec.pair_prefix)
    return Source(version, recipe, parts, base, learned)


def _sides(source: Source, learned: Learned, staged: Path, before: Figures, after: Figures) -> tuple[Side, Side]:
    folders = {"before": source.version.folder, "after": staged}
    there = all((folder / "onnx" / "model.onnx").is_file() for folder in folders.values())
    backend: Form = "onnx" if there else "torch"
    predictors = {name: Predictor.open(folder, backend=backend) for name, folder in folders.items()}
    texts: list[Text] = [row.text if row.pair is None else (row.text, row.pair) for row in source.parts.test]
    rates, singles = speed.timed(predictors, texts[: speed.TIMED])
    found = []
    for name, figures, parameters in (
        ("before", before, source.learned.parameters),
        ("after", after, learned.parameters),
    ):
        weights = "onnx/model.onnx" if there else "model/model.safetensors"
        size = (folders[name] / weights).stat().st_size / 1e6
        quality = {
            head.name: figures.heads[head.name][kinds.of(head.kind).main].value
            for head in predictors[name].spec.heads
            if head.name in figures.heads
        }
        rate, p50 = float(np.median(rates[name])), float(np.median(singles[name]))
        found.append(Side(str(source.version), parameters, size, rate, p50, quality))
    return found[0], found[1]


def _manifest(
    source: Source, learned: Learned, figures: Figures, losses: Sequence[dict[str, Any]], told: dict[str, Any]
) -> dict[str, Any]:
    parent = {
        name: value for name, value in source.version.manifest().items() if name not in ("made", "files", "seconds")
    }
    return {
        **parent,
        "parents": [str(source.version)],
        "derived": {**told, "parent_sha256": source.version.sha256()},
        "parameters": {"trainable": 0, "all": learned.parameters},
        "metrics": figures.as_dict(),
        "history": [],
        "export": {**source.recipe.export.model_dump(), "losses": list(losses)},
        "libraries": {name: installed(name) for name in training.LIBRARIES},
        "git_commit": None,
    }
