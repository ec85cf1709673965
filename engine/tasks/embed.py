"""Embed: the road of a bi-encoder, which gives near vectors to texts that belong together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.base_models import BaseModel
from engine.data.rows import Row
from engine.data.split import Parts
from engine.errors import RecipeError
from engine.evaluate.intervals import bootstrap
from engine.evaluate.report import Figure, Figures, main_score, measure
from engine.recipe import Embed, Recipe
from engine.tasks.bi_encoder import BiEncoder, PairTexts, outputs, paired, tokens, vectors
from engine.tasks.encoder import load_encoder
from engine.tasks.encoding import Rows
from engine.tasks.headed import model_spec, tokenizer_of
from engine.tasks.heads import ModelSpec
from engine.tasks.retrieval import Vector
from engine.tasks.task import Learned, Watcher
from engine.tuning import adapt, adapters, negatives, weights
from engine.tuning.trainer import fit


class Embedding:
    def learn(
        self, recipe: Recipe, base: BaseModel, parts: Parts, seed: int, folder: Path, watcher: Watcher
    ) -> Learned:
        import transformers

        transformers.set_seed(seed)
        task, tuning = recipe.task, recipe.tuning
        assert isinstance(task, Embed)
        spec, tokenizer = model_spec(recipe, base), tokenizer_of(base.folder)
        model = BiEncoder(
            load_encoder(base.folder),
            spec.heads,
            scale=task.scale,
            chunk_tokens=tuning.batch_tokens,
            recompute=tuning.accumulate > 1,
        )
        if max(task.matryoshka, default=0) >= model.width:
            raise RecipeError(
                f"task.matryoshka: {max(task.matryoshka)} is no shorter width; {base.name} gives {model.width} numbers"
            )

        def score() -> float:
            return main_score(spec.heads, parts.dev, outputs(model, parts.dev, tokenizer, spec))

        if tuning.adapt:
            adapt.adapt(recipe, model, base.folder, tokenizer, seed=seed, folder=folder, watcher=watcher)
        train = paired(parts.train, tokenizer, spec)
        if task.hard_negatives:
            mined = _mined(task, model, train)
            train.negatives = mined.negatives
            watcher.stage(f"mined {mined}")
        if tuning.method == "lora":
            model.encoder = adapters.wrap(model.encoder, tuning)
        weights.freeze(model, tuning)
        trainable = weights.counts(model)[0]
        # All pairs of a step are each other's negatives, so its batches are one; memory is kept by reading in pieces.
        whole = {"batch_tokens": tuning.batch_tokens * tuning.accumulate, "accumulate": 1}
        history = fit(
            model,
            train,
            tuning.model_copy(update=whole),
            seed=seed,
            folder=folder,
            score=score if parts.dev and tuning.early_stopping else None,
            trackers=tuple(recipe.track),
            progress=watcher.step,
            scored=watcher.scored,
        )
        model.encoder = adapters.merged(model.encoder)
        learned = Learned(seed, model, score() if parts.dev else 0.0, history, trainable, weights.counts(model)[1])
        learned.temperatures = {spec.heads[0].name: 1.0}
        learned.model = model.cpu()
        return learned

    def measure(self, recipe: Recipe, base: BaseModel, learned: Sequence[Learned], rows: Sequence[Row]) -> Figures:
        """As `Task.measure`, with the main figure of the untuned base and the gain over it on the same rows."""
        spec, tokenizer = model_spec(recipe, base), tokenizer_of(base.folder)
        (head,) = spec.heads
        said = [outputs(one.model, rows, tokenizer, spec) for one in learned]
        figures = measure(spec.heads, rows, said, [one.temperatures for one in learned])
        untuned = outputs(BiEncoder(load_encoder(base.folder), spec.heads), rows, tokenizer, spec)
        before, *after = (
            Vector().metrics(head, rows, found[head.name], 1.0)[Vector.main] for found in (untuned, *said)
        )
        clusters = [row.group or row.text for row in rows]
        gain = bootstrap(lambda over: float(np.mean([metric(over) for metric in after])) - before(over), clusters)
        added = {
            f"{Vector.main}_before": Figure(*bootstrap(before, clusters)),
            f"{Vector.main}_gain": Figure(*gain),
        }
        return Figures({head.name: {**figures.heads[head.name], **added}}, figures.rows, figures.details)

    def write(self, recipe: Recipe, base: BaseModel, learned: Learned, folder: Path) -> None:
        """`model/` is what transformers' AutoModel and sentence-transformers read."""
        spec = model_spec(recipe, base)
        place = folder / "model"
        place.mkdir()
        adapters.save_encoder(learned.model.encoder, place)
        tokenizer_of(base.folder).save_pretrained(place)
        spec.write(place)
        _write_sentence_transformer(spec, learned.model.width, place)
        _write_json(folder / "calibration.json", {"temperatures": learned.temperatures})

    def export(
        self, recipe: Recipe, base: BaseModel, learned: Learned, parts: Parts, folder: Path
    ) -> list[dict[str, Any]]:
        from engine.export import mixed, onnx

        spec, tokenizer = model_spec(recipe, base), tokenizer_of(base.folder)
        shown = parts.train[: onnx.SMOOTHED_ON // 2]
        ids = tokens([row.text for row in shown], spec.prefix, tokenizer, spec)
        ids += tokens([str(row.pair) for row in shown], spec.pair_prefix, tokenizer, spec)
        sample = Rows(ids, {}, tokenizer.pad_token_id or 0)
        probes = parts.dev + parts.calibration or parts.train[: onnx.SMOOTHED_ON]
        return [vars(loss) for loss in mixed.export(learned.model, folder, sample, probes, recipe.export)]


def _mined(task: Embed, model: BiEncoder, train: PairTexts) -> negatives.Mined:
    """Hard negatives of the train pairs, by the model as it stands before tuning."""
    anchors, candidates = (
        vectors(model, ids, train.pad_token_id).astype(np.float32) for ids in (train.input_ids, train.candidates)
    )
    return negatives.mine(
        anchors, candidates, train.partners, train.belongs, count=task.hard_negatives, margin=task.margin
    )


def _write_sentence_transformer(spec: ModelSpec, width: int, folder: Path) -> None:
    """What sentence-transformers needs beside the encoder: mean over the tokens, length 1, prefixes, longest text."""
    kinds = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (kind, path) in enumerate(kinds.items())
    ]
    _write_json(folder / "modules.json", modules)
    for path in filter(None, kinds.values()):
        (folder / path).mkdir()
    pooling = {"word_embedding_dimension": width, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
    _write_json(folder / "1_Pooling" / "config.json", pooling)
    _write_json(folder / "2_Normalize" / "config.json", {})
    _write_json(folder / "sentence_bert_config.json", {"max_seq_length": spec.max_length, "do_lower_case": False})
    prompts = {"query": spec.prefix, "document": spec.pair_prefix}
    config = {"prompts": prompts, "default_prompt_name": None, "similarity_fn_name": "cosine"}
    _write_json(folder / "config_sentence_transformers.json", config)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
