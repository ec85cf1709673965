"""The one road from a recipe to a model version.

load rows > cut > leakage gate > tune > calibrate > test > export > round trip > store

Test rows are read once, for the figures: they touch neither training, early stopping nor calibration.
"""

from __future__ import annotations

import json
import platform
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from engine import base_models, resources
from engine.data import leakage, sources
from engine.data.split import Parts, cut
from engine.errors import DataError, RecipeError
from engine.evaluate.report import Figures, measure
from engine.recipe import Recipe
from engine.store import CHAMPION, Store, Version
from engine.tasks.heads import ModelSpec, specs

if TYPE_CHECKING:
    from engine.tasks.classify import Classifier

LIBRARIES = ("torch", "transformers", "tokenizers", "onnx", "onnxruntime", "numpy", "scikit-learn")
LEAST_CALIBRATION = 10


class Watcher(Protocol):
    """Is told how far the work is."""

    def stage(self, text: str) -> None: ...
    def step(self, done: int, total: int, note: str) -> None: ...


class Quiet:
    """A watcher that says nothing."""

    def stage(self, text: str) -> None: ...

    def step(self, done: int, total: int, note: str) -> None: ...


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


@dataclass
class _Tuned:
    """One seed's model and what it says of dev, calibration and test."""

    seed: int
    model: Classifier
    dev_score: float
    temperatures: dict[str, float]
    test_logits: dict[str, Any]
    history: list[dict[str, float]] = field(default_factory=list)


def train(
    recipe: Recipe, *, store: Store | None = None, promote: bool = False, watcher: Watcher | None = None
) -> Trained:
    """Make the recipe's model and store it as a new version.

    The version becomes champion when the name has none yet, or with `promote`. With several seeds the figures are
    means over the seeds, and the seed best on dev is stored.

    Raises:
        RecipeError, DataError, LeakError, ExportError: what is wrong and what to do; nothing is stored then.
    """
    watch = watcher or Quiet()
    store = store or Store()
    run = _run_folder(recipe.name)
    watch.stage(f"reading {', '.join(recipe.data.train)}")
    parts, loaded, dropped = prepare(recipe, run)
    watch.stage("  ".join(f"{name} {count:,}" for name, count in parts.counts().items()) + _aside(loaded, dropped))
    base = base_models.resolve(recipe.base)
    spec = ModelSpec(specs(recipe.task.heads), base.prefix, recipe.tuning.max_length, tuple(recipe.languages))
    tokenizer = _tokenizer(base.folder)
    seeds = [_tune(recipe, base, spec, tokenizer, parts, seed, run, watch) for seed in recipe.seeds]
    watch.stage("measuring on the test rows")
    figures = measure(
        spec.heads, parts.test, [seed.test_logits for seed in seeds], [seed.temperatures for seed in seeds]
    )
    best = max(seeds, key=lambda seed: seed.dev_score)
    with store.staging(recipe.name) as staged:
        losses = _write(recipe, best, spec, tokenizer, parts, staged, watch)
        watch.stage("storing")
        manifest = _manifest(recipe, best, figures, parts, loaded, dropped, losses, base.name, run)
        version = store.commit(recipe.name, staged, manifest)
    first = CHAMPION not in store.aliases(recipe.name)
    if promote or first:
        store.promote(version)
    return Trained(version, figures, parts.counts(), len(loaded.rejected), dropped, run, promote or first)


def prepare(recipe: Recipe, run: Path) -> tuple[Parts, sources.Loaded, int]:
    """Rows, cut and past the leakage gate; bad rows lie in `run/rejected.jsonl`."""
    heads = recipe.task.heads
    split = recipe.data.split
    if split.calibration == 0:
        raise RecipeError("data.split.calibration: 0 leaves no rows to calibrate on; give a share, for example 0.1")
    if recipe.tuning.early_stopping and split.dev == 0:
        raise RecipeError("data.split.dev: 0 leaves no rows to stop on; give a share, or set tuning.early_stopping: 0")
    loaded = sources.load(recipe.data.train, recipe.data, heads)
    test = sources.load(recipe.data.test, recipe.data, heads) if recipe.data.test else None
    for part in (loaded, test):
        if part and part.rejected:
            sources.write_rejected(part.rejected, run / "rejected.jsonl")
            sources.check_rejected(part, recipe.data.max_rejected, run / "rejected.jsonl")
    if test:
        loaded.hashes |= test.hashes
        loaded.rejected += test.rejected
        sources.write_rejected(loaded.rejected, run / "rejected.jsonl")
    stratify = next((name for name, head in heads.items() if not head.multi_label), None)
    parts = cut(loaded.rows, split, stratify=stratify, test=test.rows if test else None)
    parts, dropped = leakage.gate(parts, recipe.data.on_leak)
    if not parts.train or len(parts.calibration) < LEAST_CALIBRATION or not parts.test:
        counts = ", ".join(f"{name} {count}" for name, count in parts.counts().items())
        raise DataError(
            f"too few rows ({counts}): train and test need one, calibration {LEAST_CALIBRATION}; give more rows"
        )
    return parts, loaded, dropped


def _tune(
    recipe: Recipe,
    base: base_models.BaseModel,
    spec: ModelSpec,
    tokenizer: Any,
    parts: Parts,
    seed: int,
    run: Path,
    watch: Watcher,
) -> _Tuned:
    import transformers

    from engine.evaluate import calibration, truth
    from engine.tasks import classify
    from engine.tuning import full

    watch.stage(f"tuning {recipe.base} on {len(parts.train):,} rows, seed {seed}")
    transformers.set_seed(seed)
    rows = {name: classify.tokenised(getattr(parts, name), tokenizer, spec) for name in parts.counts()}
    model = classify.build(recipe, base, rows["train"])
    dev = {head.name: truth.of_head(head, [row.labels.get(head.name) for row in parts.dev]) for head in spec.heads}

    def score() -> float:
        """Mean macro F1 over the heads that dev answers."""
        logits = full.logits(model, rows["dev"], pad_token_id=tokenizer.pad_token_id)
        found = []
        for head in spec.heads:
            numbers, labels = dev[head.name]
            if len(numbers):
                probs = calibration.probabilities(logits[head.name][numbers], 1.0, multi_label=head.multi_label)
                found.append(truth.metrics(head, labels, probs)["macro_f1"](np.arange(len(numbers))))
        return float(np.mean(found)) if found else 0.0

    folder = run / f"seed-{seed}"
    history = full.tune(
        model,
        rows["train"],
        recipe.tuning,
        score=score if recipe.tuning.early_stopping and len(rows["dev"]) else None,
        pad_token_id=tokenizer.pad_token_id,
        seed=seed,
        folder=folder,
        trackers=list(recipe.track),
        progress=watch.step,
    )
    found = {
        name: full.logits(model, rows[name], pad_token_id=tokenizer.pad_token_id)
        for name in ("calibration", "test")
        if len(rows[name])
    }
    temperatures = {}
    for head in spec.heads:
        numbers, labels = truth.of_head(head, [row.labels.get(head.name) for row in parts.calibration])
        if len(numbers) < LEAST_CALIBRATION:
            raise DataError(
                f"head {head.name}: {len(numbers)} calibration rows, needs {LEAST_CALIBRATION}; give it more labels"
            )
        logits = found["calibration"][head.name][numbers]
        temperatures[head.name] = calibration.fit_temperature(logits, labels, multi_label=head.multi_label)
    dev_score = score() if len(rows["dev"]) else 0.0
    return _Tuned(seed, model.cpu(), dev_score, temperatures, found["test"], history)


def _write(
    recipe: Recipe, best: _Tuned, spec: ModelSpec, tokenizer: Any, parts: Parts, staged: Path, watch: Watcher
) -> list[dict[str, Any]]:
    from engine.tasks import classify

    (staged / "model").mkdir()
    classify.save(best.model, tokenizer, spec, staged / "model")
    (staged / "recipe.yaml").write_text(_yaml(recipe), encoding="utf-8")
    (staged / "calibration.json").write_text(
        json.dumps({"temperatures": best.temperatures}, indent=2) + "\n", encoding="utf-8"
    )
    if recipe.export.format == "none":
        return []
    from engine.export import onnx, roundtrip

    watch.stage(f"exporting to ONNX {recipe.export.precision} and asking it in a fresh process")
    sample = classify.tokenised(parts.train[: onnx.SMOOTHED_ON], tokenizer, spec)
    onnx.export(best.model, staged / "onnx", sample, tokenizer.pad_token_id, precision=recipe.export.precision)
    probes = parts.dev + parts.calibration
    losses = roundtrip.verify(staged, probes, max_quality_loss=recipe.export.max_quality_loss)
    return [vars(loss) for loss in losses]


def _manifest(
    recipe: Recipe,
    best: _Tuned,
    figures: Figures,
    parts: Parts,
    loaded: sources.Loaded,
    dropped: int,
    losses: Sequence[dict[str, Any]],
    base: str,
    run: Path,
) -> dict[str, Any]:
    return {
        "name": recipe.name,
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "parents": [base],
        "recipe_sha256": recipe.digest(),
        "data_sha256": loaded.hashes,
        "rows": {**parts.counts(), "rejected": len(loaded.rejected), "dropped_for_leaks": dropped},
        "seeds": recipe.seeds,
        "seed": best.seed,
        "languages": recipe.languages,
        "metrics": figures.as_dict(),
        "history": best.history,
        "export": {**recipe.export.model_dump(), "losses": list(losses)},
        "tolerance": {"onnx": 0.0, "torch-cpu": 0.0},
        "libraries": {name: installed(name) for name in LIBRARIES},
        "python": platform.python_version(),
        "git_commit": _git_commit(),
        "run": run.name,
    }


def _run_folder(name: str) -> Path:
    import os

    folder = resources.home() / "runs" / name / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    number = 0
    while folder.exists():
        number += 1
        folder = folder.with_name(f"{folder.name}-{number}")
    folder.mkdir(parents=True)
    return folder


def _tokenizer(folder: Path) -> Any:
    import transformers

    return transformers.AutoTokenizer.from_pretrained(folder)


def _yaml(recipe: Recipe) -> str:
    import yaml

    return yaml.safe_dump(recipe.model_dump(exclude_none=True), sort_keys=False, allow_unicode=True)


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
