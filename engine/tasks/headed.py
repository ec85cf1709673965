"""Headed: the road of every task that is an encoder with heads (classify, tag, extract, rank)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.base_models import BaseModel
from engine.data.rows import Row
from engine.data.split import Parts
from engine.errors import DataError
from engine.evaluate.report import Figures, main_score, measure
from engine.recipe import Classify, Recipe
from engine.tasks import encoder, kinds
from engine.tasks.encoding import Rows, encoded
from engine.tasks.heads import EMBEDDING, ModelSpec, specs
from engine.tasks.task import LEAST_CALIBRATION, Learned, Watcher
from engine.tuning import (
    adapt,
    adapters,
    adversarial,
    contrastive,
    distill,
    extend,
    lower,
    objective,
    onward,
    probe,
    r_drop,
    vectors,
    weights,
    zero_shot,
)
from engine.tuning.keeper import Epoch
from engine.tuning.trainer import fit


class Headed:
    def learn(
        self, recipe: Recipe, base: BaseModel, parts: Parts, seed: int, folder: Path, watcher: Watcher
    ) -> Learned:
        import torch
        import transformers

        transformers.set_seed(seed)
        spec, tokenizer = model_spec(recipe, base), tokenizer_of(base.folder)
        if recipe.tuning.extend:
            known = extend.before(recipe, base.folder)
            parts = replace(parts, train=extend.replayed(known, parts.train, recipe.tuning.extend.replay, seed=seed))
        rows = {name: encoded(getattr(parts, name), tokenizer, spec) for name in parts.counts()}
        model = encoder.build(recipe, base, rows["train"])
        wanted = vectors.aims(recipe, parts.train, spec)
        if wanted is not None:
            vectors.fit(model, rows["train"], wanted)
            rows["train"].taught[EMBEDDING] = torch.from_numpy(wanted)

        def score() -> float:
            return main_score(spec.heads, parts.dev, encoder.outputs(model, rows["dev"]))

        if recipe.tuning.adapt:
            adapt.adapt(recipe, model, base.folder, tokenizer, seed=seed, folder=folder, watcher=watcher)
        if recipe.tuning.method == "zero_shot":
            zero_shot.set_head(recipe, model, tokenizer)
            history: list[Epoch] = []
            trainable = 0
        else:
            judge = score if parts.dev and recipe.tuning.early_stopping else None
            history, trainable = _tune(recipe, base, model, rows["train"], judge, seed, folder, watcher)
        if wanted is not None:
            vectors.fit(model, rows["train"], wanted)
        learned = Learned(seed, model, score() if parts.dev else 0.0, history, trainable, weights.counts(model)[1])
        learned.temperatures = temperatures(spec, parts.calibration, encoder.outputs(model, rows["calibration"]))
        learned.model = model.cpu()
        return learned

    def measure(self, recipe: Recipe, base: BaseModel, learned: Sequence[Learned], rows: Sequence[Row]) -> Figures:
        spec = model_spec(recipe, base)
        given = encoded(rows, tokenizer_of(base.folder), spec)
        outputs = [encoder.outputs(one.model, given) for one in learned]
        return measure(spec.heads, rows, outputs, [one.temperatures for one in learned])

    def write(self, recipe: Recipe, base: BaseModel, learned: Learned, folder: Path) -> None:
        (folder / "model").mkdir()
        encoder.save(learned.model, tokenizer_of(base.folder), model_spec(recipe, base), folder / "model")
        text = json.dumps({"temperatures": learned.temperatures}, indent=2)
        (folder / "calibration.json").write_text(text + "\n", encoding="utf-8")

    def export(
        self, recipe: Recipe, base: BaseModel, learned: Learned, parts: Parts, folder: Path
    ) -> list[dict[str, Any]]:
        from engine.export import mixed, onnx

        spec, tokenizer = model_spec(recipe, base), tokenizer_of(base.folder)
        sample = encoded(parts.train[: onnx.SMOOTHED_ON], tokenizer, spec)
        losses = mixed.export(learned.model, folder, sample, parts.dev + parts.calibration, recipe.export)
        return [vars(loss) for loss in losses]


def model_spec(recipe: Recipe, base: BaseModel) -> ModelSpec:
    """What the stored model will say of itself."""
    return ModelSpec(
        recipe.task.kind,
        specs(recipe.task),
        base.prefix,
        recipe.tuning.max_length,
        tuple(recipe.languages),
        base.pair_prefix,
        recipe.task.kind in ("extract", "rank") or (recipe.task.kind == "classify" and "pair" in recipe.data.columns),
        recipe.task.vectors.of if isinstance(recipe.task, Classify) and recipe.task.vectors else "",
    )


def tokenizer_of(folder: Path) -> Any:
    import transformers

    return transformers.AutoTokenizer.from_pretrained(folder)


def _tune(
    recipe: Recipe,
    base: BaseModel,
    model: encoder.EncoderModel,
    train: Rows,
    score: Callable[[], float] | None,
    seed: int,
    folder: Path,
    watcher: Watcher,
) -> tuple[list[Epoch], int]:
    """Train the model in place by the recipe's method; history and number of parameters that learnt."""
    tuning = recipe.tuning
    loss: objective.Objective = objective.plain
    if tuning.adversarial:
        loss = adversarial.objective(tuning.adversarial)
    elif tuning.r_drop:
        loss = r_drop.objective(tuning.r_drop)
    elif tuning.distill:
        taught = distill.teacher(recipe, base)
        watcher.stage(f"asking the teacher {tuning.distill.teacher} about {len(train):,} rows")
        train.taught = {**distill.lessons(taught, train), **train.taught}
        distill.student(recipe, taught, model)
        loss = distill.objective(tuning.distill)
    elif tuning.extend:
        known = extend.before(recipe, base.folder)
        extend.begin(known, model, train)
        loss = extend.objective(tuning.extend, known)
    if tuning.method == "contrastive":
        return _contrast(recipe, model, train, score, seed, folder, watcher)
    trained_already = tuning.extend or (tuning.distill and tuning.distill.layers)
    if tuning.head_start == "probe" and not trained_already:
        probe.fit_heads(model, train)
    elif tuning.head_start == "stored" and not trained_already:
        onward.take_heads(base, model)
    if tuning.method in adapters.PEFT or tuning.method == "adapter":
        model.encoder = adapters.wrap(model.encoder, tuning)
    weights.freeze(model, tuning)
    trainable = weights.counts(model)[0]
    if (below := weights.fixed(model, tuning)) and not tuning.adversarial:  # which changes the words below them
        lower.remember(model, train, below, tuning.cache_mb)
    history = fit(
        model,
        train,
        tuning,
        seed=seed,
        folder=folder,
        objective=loss,
        score=score,
        trackers=tuple(recipe.track),
        progress=watcher.step,
        scored=watcher.scored,
    )
    model.above = None
    model.encoder = adapters.merged(model.encoder)
    return history, trainable


def _contrast(
    recipe: Recipe,
    model: encoder.EncoderModel,
    train: Rows,
    score: Callable[[], float] | None,
    seed: int,
    folder: Path,
    watcher: Watcher,
) -> tuple[list[Epoch], int]:
    """Draw the encoder's vectors together by label, then fit the head on them."""

    def probed() -> float:
        probe.fit_heads(model, train)
        return score() if score else 0.0

    history = fit(
        contrastive.Contrast(model),
        contrastive.in_pairs(train),
        recipe.tuning,
        seed=seed,
        folder=folder,
        score=probed if score else None,
        trackers=tuple(recipe.track),
        progress=watcher.step,
        scored=watcher.scored,
    )
    probe.fit_heads(model, train)
    return history, weights.counts(model)[0]


def temperatures(spec: ModelSpec, rows: Sequence[Row], outputs: dict[str, list[kinds.Output]]) -> dict[str, float]:
    """Head -> temperature, from what the model says of the calibration rows.

    Raises:
        DataError: a head has too few labels there.
    """
    found = {}
    for head in spec.heads:
        numbers = kinds.answered(head, rows)
        if len(numbers) < LEAST_CALIBRATION:
            raise DataError(
                f"head {head.name}: {len(numbers)} calibration rows, needs {LEAST_CALIBRATION}; give it more labels"
            )
        said = [outputs[head.name][number] for number in numbers]
        found[head.name] = kinds.of(head.kind).temperature(head, [rows[number] for number in numbers], said)
    return found
