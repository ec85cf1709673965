"""Generate: the road of a causal chat model that answers a prompt in words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from engine.base_models import BaseModel
from engine.data.rows import Row
from engine.data.split import Parts
from engine.errors import DataError, ExportError, KeelError
from engine.evaluate.intervals import bootstrap
from engine.evaluate.report import Figure, Figures, main_score, measure
from engine.recipe import Generate, Recipe
from engine.tasks.causal import CausalModel, Replies, bare, encoded, judged, load, written
from engine.tasks.chat import Chat
from engine.tasks.encoding import Collator
from engine.tasks.heads import ModelSpec, specs
from engine.tasks.kinds import Metric
from engine.tasks.reply import HEAD, Reply, messages
from engine.tasks.task import Learned, Watcher
from engine.tuning import adapt, adapters, weights
from engine.tuning.trainer import fit

ASKED = 20
"""Test rows whose answers are written out to see whether they come to an end."""
PROBES = 4
"""Train rows on which an adapter is compared with its merged form."""
ROUNDING = 1e-4
"""Largest difference of a logit that merging may make, as a share of the largest logit; 1e-5 is rounding alone."""


class Generation:
    def learn(
        self, recipe: Recipe, base: BaseModel, parts: Parts, seed: int, folder: Path, watcher: Watcher
    ) -> Learned:
        import transformers

        transformers.set_seed(seed)
        tuning = recipe.tuning
        chat = _chat(recipe, base)
        rows = {name: encoded(getattr(parts, name), chat, tuning.max_length) for name in ("train", "dev")}
        for name, found in rows.items():
            _tell_cut(found, name, len(getattr(parts, name)), tuning.max_length, watcher)
        if not rows["train"].input_ids:
            raise DataError(
                f"tuning.max_length: {tuning.max_length} tokens leave no prompt room for an answer; raise it"
            )
        model = CausalModel(load(base.folder))
        if tuning.adapt:
            adapt.adapt(recipe, model, base.folder, chat.tokenizer, seed=seed, folder=folder, watcher=watcher)
        if tuning.method in adapters.PEFT:
            model.encoder = adapters.wrap(model.encoder, tuning, "CAUSAL_LM")
        weights.freeze(model, tuning)
        trainable = weights.counts(model)[0]

        def score() -> float:
            dev = [parts.dev[number] for number in rows["dev"].answered]
            return main_score(specs(recipe.task), dev, {HEAD: judged(model, rows["dev"])})

        history = fit(
            model,
            rows["train"],
            tuning,
            seed=seed,
            folder=folder,
            score=score if rows["dev"].input_ids and tuning.early_stopping else None,
            trackers=tuple(recipe.track),
            progress=watcher.step,
            scored=watcher.scored,
        )
        if tuning.method in adapters.MERGED:
            _merge(model, rows["train"])
        learned = Learned(seed, model, score() if rows["dev"].input_ids else 0.0, history, trainable)
        learned.parameters = weights.counts(model)[1]
        learned.temperatures = {HEAD: 1.0}
        learned.model = model.cpu()
        return learned

    def measure(self, recipe: Recipe, base: BaseModel, learned: Sequence[Learned], rows: Sequence[Row]) -> Figures:
        """Besides the figures of `reply.Reply`: the untuned base's perplexity on the same rows; `ended`, the share of
        greedy answers that come to their end within the task's `max_new_tokens`, over at most 20 of the rows; `cut`,
        the share of the rows' answers that were cut at the longest length; `merge_difference`, the most by which
        merging an adapter changed a logit. Rows without room for an answer are left out.
        """
        assert isinstance(recipe.task, Generate)
        chat = _chat(recipe, base)
        given = encoded(rows, chat, recipe.tuning.max_length)
        kept = [rows[number] for number in given.answered]
        if not kept:
            raise DataError(
                f"tuning.max_length: {recipe.tuning.max_length} tokens leave no test row room for an answer"
            )
        heads = specs(recipe.task)
        asked = [chat.prompt(messages(row)[:-1]) for row in kept[:: -(-len(kept) // ASKED)]]
        said, ended = [], []
        for one in learned:
            model = one.model.to(_device())
            said.append({HEAD: judged(model, given)})
            answers = written(
                model.encoder,
                asked,
                ends=chat.ends,
                limit=recipe.task.max_new_tokens,
                penalty=recipe.task.repetition_penalty,
            )
            ended.append([answer[-1] in chat.ends for answer in answers])
            model.cpu()
        figures = measure(heads, kept, said, [one.temperatures for one in learned])
        before = judged(CausalModel(load(base.folder)).to(_device()), given)
        untuned = Reply().metrics(heads[0], kept, before, 1.0)["perplexity"]
        clusters = [row.group or f"row {number}" for number, row in enumerate(kept)]
        added = {
            "perplexity_before": Figure(*bootstrap(untuned, clusters)),
            "ended": Figure(*bootstrap(_share(np.mean(ended, axis=0)), range(len(asked)))),
            "cut": _exact(given.cut / len(given)),
        }
        if merged := [one.model.merge_difference for one in learned if one.model.merge_difference is not None]:
            added["merge_difference"] = _exact(max(merged))
        return Figures({HEAD: {**figures.heads[HEAD], **added}}, len(kept), figures.details)

    def write(self, recipe: Recipe, base: BaseModel, learned: Learned, folder: Path) -> None:
        """`model/` is what transformers' AutoModelForCausalLM reads; `generation_config.json` says where it stops.

        Its repetition penalty is the recipe's, but transformers' own `generate` holds it against the prompt too.
        """
        assert isinstance(recipe.task, Generate)
        place = folder / "model"
        place.mkdir()
        chat, model = _chat(recipe, base), learned.model.encoder
        stops = bare(model).generation_config
        stops.eos_token_id, stops.max_new_tokens = chat.ends, recipe.task.max_new_tokens
        stops.repetition_penalty = recipe.task.repetition_penalty
        adapters.save_encoder(model, place)
        chat.tokenizer.save_pretrained(place)
        ModelSpec(
            recipe.task.kind,
            specs(recipe.task),
            recipe.task.system,
            recipe.tuning.max_length,
            tuple(recipe.languages),
        ).write(place)
        text = json.dumps({"temperatures": learned.temperatures}, indent=2)
        (folder / "calibration.json").write_text(text + "\n", encoding="utf-8")

    def export(self, recipe: Recipe, base: BaseModel, learned: Learned, parts: Parts, folder: Path) -> NoReturn:
        raise ExportError("task generate is not exported; set export.format: none")


def _chat(recipe: Recipe, base: BaseModel) -> Chat:
    assert isinstance(recipe.task, Generate)
    return Chat(base.folder, system=recipe.task.system)


def _tell_cut(found: Replies, name: str, rows: int, max_length: int, watcher: Watcher) -> None:
    without = rows - len(found.answered)
    if found.cut or without:
        watcher.stage(
            f"{name}: tuning.max_length {max_length} cut {found.cut:,} of {rows:,} answers and left out {without:,} "
            "rows whose prompt leaves no room for one"
        )


def _merge(model: CausalModel, rows: Replies) -> None:
    """Merge the adapter into the weights, and hold the merged model to the adapter's logits.

    Raises:
        KeelError: they differ by more than rounding.
    """
    shown = Collator(rows.pad_token_id)([{"input_ids": ids} for ids in rows.input_ids[:PROBES]])
    before = _logits(model, shown)
    model.encoder = adapters.merged(model.encoder)
    after = _logits(model, shown)
    model.merge_difference = float((after - before).abs().max())
    if model.merge_difference > (most := ROUNDING * float(before.abs().max())):
        raise KeelError(
            f"merging the adapter changed a logit by {model.merge_difference:.2g}, over {most:.2g}; nothing was stored"
        )


def _logits(model: CausalModel, shown: dict[str, Tensor]) -> Tensor:
    """Of all real tokens, shape (tokens, vocabulary)."""
    model.eval()
    device = next(model.parameters()).device
    with torch.inference_mode():
        found: Tensor = model.encoder(**{name: value.to(device) for name, value in shown.items()}).logits
    return found[:, -shown["input_ids"].shape[1] :][shown["attention_mask"].bool()]


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _share(values: Any) -> Metric:
    return lambda rows: float(values[rows].mean())


def _exact(value: float) -> Figure:
    """A figure that no other draw of test rows is asked about."""
    return Figure(value, value, value)
