"""Choose: the road of a causal chat model that answers with one of the labels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from engine.base_models import BaseModel
from engine.data.rows import Row
from engine.data.split import Parts
from engine.errors import ExportError
from engine.evaluate.report import Figures, main_score, measure
from engine.recipe import Choose, Recipe
from engine.tasks import causal, encoder, verbalizer
from engine.tasks.headed import temperatures
from engine.tasks.heads import ModelSpec, specs
from engine.tasks.task import Learned, Watcher
from engine.tasks.verbalizer import Prompt, VerbalizedModel
from engine.tuning import adapt, adapters, weights
from engine.tuning.keeper import Epoch
from engine.tuning.trainer import fit


class Choosing:
    def learn(
        self, recipe: Recipe, base: BaseModel, parts: Parts, seed: int, folder: Path, watcher: Watcher
    ) -> Learned:
        import transformers

        transformers.set_seed(seed)
        (head,), prompt, tuning = specs(recipe.task), _prompt(recipe, base), recipe.tuning
        rows = {
            name: verbalizer.encoded(getattr(parts, name), prompt, head, tuning.max_length)
            for name in ("train", "dev", "calibration")
        }
        model = VerbalizedModel(causal.load(base.folder), head, prompt.tokens())
        if tuning.adapt:
            given = prompt.chat.tokenizer
            adapt.adapt(recipe, model, base.folder, given, seed=seed, folder=folder, watcher=watcher)

        def score() -> float:
            return main_score([head], parts.dev, encoder.outputs(model, rows["dev"]))

        history: list[Epoch] = []
        trainable = 0
        if tuning.method == "zero_shot":
            model.lean(prompt, tuning.max_length)
        else:
            if tuning.method in adapters.PEFT:
                model.encoder = adapters.wrap(model.encoder, tuning, "CAUSAL_LM")
            weights.freeze(model, tuning)
            trainable = weights.counts(model)[0]
            history = fit(
                model, rows["train"], tuning, seed=seed, folder=folder,
                score=score if parts.dev and tuning.early_stopping else None, trackers=tuple(recipe.track),
                progress=watcher.step, scored=watcher.scored,
            )  # fmt: skip
            model.encoder = adapters.merged(model.encoder)
        learned = Learned(seed, model, score() if parts.dev else 0.0, history, trainable, weights.counts(model)[1])
        spec = _spec(recipe)
        learned.temperatures = temperatures(spec, parts.calibration, encoder.outputs(model, rows["calibration"]))
        learned.model = model.cpu()
        return learned

    def measure(self, recipe: Recipe, base: BaseModel, learned: Sequence[Learned], rows: Sequence[Row]) -> Figures:
        (head,) = heads = specs(recipe.task)
        given = verbalizer.encoded(rows, _prompt(recipe, base), head, recipe.tuning.max_length)
        outputs = [encoder.outputs(one.model, given) for one in learned]
        return measure(heads, rows, outputs, [one.temperatures for one in learned])

    def write(self, recipe: Recipe, base: BaseModel, learned: Learned, folder: Path) -> None:
        """`model/` is what AutoModelForCausalLM reads; `verbalizer.json` has the question and its words."""
        place = folder / "model"
        place.mkdir()
        prompt = _prompt(recipe, base)
        adapters.save_encoder(learned.model.encoder, place)
        prompt.chat.tokenizer.save_pretrained(place)
        prompt.write(place, learned.model.leaning.tolist())
        _spec(recipe).write(place)
        text = json.dumps({"temperatures": learned.temperatures}, indent=2)
        (folder / "calibration.json").write_text(text + "\n", encoding="utf-8")

    def export(self, recipe: Recipe, base: BaseModel, learned: Learned, parts: Parts, folder: Path) -> NoReturn:
        raise ExportError("task choose is not exported; set export.format: none")


def _prompt(recipe: Recipe, base: BaseModel) -> Prompt:
    task: Any = recipe.task
    assert isinstance(task, Choose)
    return Prompt.of(task, base.folder)


def _spec(recipe: Recipe) -> ModelSpec:
    return ModelSpec(recipe.task.kind, specs(recipe.task), "", recipe.tuning.max_length, tuple(recipe.languages))
