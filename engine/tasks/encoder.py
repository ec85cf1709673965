"""Encoder: one pretrained encoder with heads, over the whole text (mean of its tokens) or over each token.

A row may lack a head's label; the loss of that head is then masked for the row. Losses are sums over the labelled rows
(or tokens) divided by their number in the whole step, so that padding, bucketing, accumulation and several processes
all give the gradients of one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engine.base_models import BaseModel
from engine.recipe import Classify, Rank, Recipe, Tag
from engine.tasks import kinds, losses
from engine.tasks.encoding import MISSING, Rows
from engine.tasks.heads import EMBEDDING, HELD, HeadSpec, ModelSpec, specs

WEIGHTS, VECTORS = "heads.safetensors", "vectors.safetensors"
TOKEN_HEADS = frozenset({"tags", "span"})


class TextEncoder(nn.Module):
    """Encoder -> the tokens, or their mean.

    Args:
        encoder: any transformers encoder with `last_hidden_state`.
    """

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder = encoder
        self.width = int(encoder.config.hidden_size)
        self.vectors: nn.Linear | None = None
        """Gives another encoder's vector of the text, from the first token's state (see `tuning.vectors`)."""

    def states(self, input_ids: Tensor | None, attention_mask: Tensor, inputs_embeds: Tensor | None = None) -> Tensor:
        """Last hidden states of the tokens, shape (rows, tokens, width)."""
        given = {"input_ids": input_ids} if inputs_embeds is None else {"inputs_embeds": inputs_embeds}
        states: Tensor = self.encoder(**given, attention_mask=attention_mask).last_hidden_state
        return states[:, -attention_mask.shape[1] :]  # prompt tuning puts its virtual tokens before the text's

    def embed(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Mean of the last hidden states over the tokens, shape (rows, width)."""
        return _mean(self.states(input_ids, attention_mask), attention_mask)


class EncoderModel(TextEncoder):
    """Encoder -> mean over the tokens, or the tokens themselves -> one linear layer a head.

    Args:
        encoder: any transformers encoder with `last_hidden_state`.
        heads: name, kind and labels, in the order of the outputs.
        loss_weights: head -> weight of its loss in the sum.
        class_weights: head -> weight of each label, shape (labels,).
        listwise: relevance is learnt a query at a time.
        vectors_weight: weight of the loss of `vectors` in the sum.
    """

    def __init__(
        self,
        encoder: Any,
        heads: Sequence[HeadSpec],
        *,
        dropout: float = 0.0,
        label_smoothing: float = 0.0,
        loss_weights: Mapping[str, float] | None = None,
        class_weights: Mapping[str, Tensor] | None = None,
        listwise: bool = False,
        vectors_weight: float = 1.0,
    ) -> None:
        super().__init__(encoder)
        self.specs = tuple(heads)
        self.dropout = nn.Dropout(dropout)
        layers = {head.name: nn.Linear(self.width, head.width) for head in heads}
        for layer in layers.values():
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
        self.heads = nn.ModuleDict(layers)
        self.label_smoothing = label_smoothing
        self.listwise = listwise
        self.vectors_weight = vectors_weight
        self.above: Callable[[Tensor, Tensor], Tensor] | None = None
        """(states of the frozen layers, mask) -> last hidden states, where the former are remembered."""
        self.loss_weights = dict(loss_weights or {})
        for name, weights in (class_weights or {}).items():
            self.register_buffer(f"class_weights_{name}", weights, persistent=False)

    def forward(
        self,
        input_ids: Tensor | None,
        attention_mask: Tensor,
        inputs_embeds: Tensor | None = None,
        states: Tensor | None = None,
        **targets: Tensor,
    ) -> dict[str, Tensor]:
        """Logits a head as `logits_<head>`, shape (rows, width), or (rows, tokens, width) over tokens; with `vectors`
        the other encoder's vectors as `sentence_embedding`, shape (rows, width of theirs).

        Args:
            states: what the frozen layers left of the text, shape (rows, tokens, width), for the layers above.
            targets: `labels_<head>` for every head; then `loss` is among the outputs. `items_<head>` is the weight of
                the labelled rows in the whole step (without it, of this batch); `queries` numbers the rows' queries;
                `taught_sentence_embedding` are the vectors to repeat, and `share` is the batch's part of the step.
        """
        if states is None or self.above is None:
            states = self.states(input_ids, attention_mask, inputs_embeds)
        else:
            states = self.above(states, attention_mask)
        pooled = _mean(states, attention_mask)
        inputs = {head.name: states if head.kind in TOKEN_HEADS else pooled for head in self.specs}
        # In fp32 whatever the products' precision: a softmax over rounded logits loses small differences.
        logits = {name: self.heads[name](self.dropout(given)).float() for name, given in inputs.items()}
        outputs = {f"logits_{name}": value for name, value in logits.items()}
        outputs["vector"] = pooled
        if self.vectors is not None:
            outputs[EMBEDDING] = self.vectors(states[:, 0])
        if targets:
            total = torch.stack([self._loss(head, logits[head.name], attention_mask, targets) for head in self.specs])
            outputs = {"loss": total.sum() + self._unlike(outputs, targets), **outputs}
        return outputs

    def items(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weight of the labelled rows of a batch, a head: what its summed loss is divided by."""
        return {
            head.name: losses.weight(head, targets[f"labels_{head.name}"], self._options(head, targets))
            for head in self.specs
        }

    def _loss(self, head: HeadSpec, logits: Tensor, mask: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        labels = targets[f"labels_{head.name}"]
        options = self._options(head, targets)
        items = targets.get(f"items_{head.name}")
        if items is None:
            items = losses.weight(head, labels, options)
        total = losses.summed(head, logits, labels, mask, options)
        return self.loss_weights.get(head.name, 1.0) * total / items.clamp(min=1e-9)

    def _unlike(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor | float:
        """Loss of the vectors that are repeated: 1 - cosine, the mean over the rows."""
        wanted = targets.get(HELD)
        if EMBEDDING not in outputs or wanted is None:
            return 0.0
        cosines = nn.functional.cosine_similarity(outputs[EMBEDDING].float(), wanted)
        return self.vectors_weight * targets.get("share", 1.0) * (1 - cosines).mean()

    def _options(self, head: HeadSpec, targets: Mapping[str, Tensor]) -> losses.Options:
        weights = getattr(self, f"class_weights_{head.name}", None)
        return losses.Options(self.label_smoothing, weights, targets.get("queries") if self.listwise else None)


def build(recipe: Recipe, base: BaseModel, train: Rows) -> EncoderModel:
    """An untrained model on the base's encoder; class weights and the scale of numbers come from the train rows."""
    task = recipe.task
    given = specs(task)
    loss_weights = {name: head.weight for name, head in task.heads.items()} if isinstance(task, Classify) else {}
    for head in given:
        if head.kind == "regression":
            seen = train.targets[head.name][np.isfinite(train.targets[head.name])]
            loss_weights[head.name] = loss_weights.get(head.name, 1.0) / max(float(np.var(seen)), 1e-9)
    wanted = {name: head.class_weights for name, head in task.heads.items()} if isinstance(task, Classify) else {}
    if isinstance(task, Tag):
        wanted = {given[0].name: task.class_weights}
    weights = {
        head.name: torch.tensor(_class_weights(train.targets[head.name], head.width, wanted[head.name]))
        for head in given
        if wanted.get(head.name, "none") != "none"
    }
    return EncoderModel(
        load_encoder(base.folder),
        given,
        dropout=recipe.tuning.dropout,
        label_smoothing=recipe.tuning.label_smoothing,
        loss_weights=loss_weights,
        class_weights=weights,
        listwise=isinstance(task, Rank) and task.loss == "listwise",
        vectors_weight=task.vectors.weight if isinstance(task, Classify) and task.vectors else 1.0,
    )


def load_encoder(folder: Path) -> Any:
    """The encoder in a Hugging Face folder, in float32."""
    import transformers

    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # its notes and bars would break ours
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
    bare = {"add_pooling_layer": False} if config.model_type in {"bert", "roberta", "xlm-roberta", "electra"} else {}
    return transformers.AutoModel.from_pretrained(folder, dtype=torch.float32, **bare)


def save(model: EncoderModel, tokenizer: Any, spec: ModelSpec, folder: Path) -> None:
    """Write `model/` of a version: the encoder as AutoModel reads it, `heads.safetensors`, `heads.json`.

    With `vectors` there is `vectors.safetensors`, too; an adapter that cannot be merged into the weights lies beside
    them, in `adapter/`.
    """
    from safetensors.torch import save_file

    from engine.tuning import adapters

    adapters.save_encoder(model.encoder, folder)
    tokenizer.save_pretrained(folder)
    save_file({name: value.contiguous() for name, value in model.heads.state_dict().items()}, folder / WEIGHTS)
    if model.vectors is not None:
        save_file(model.vectors.state_dict(), folder / VECTORS)
    spec.write(folder)


def load(folder: Path) -> EncoderModel:
    """The model that `save` wrote, ready to answer."""
    from safetensors.torch import load_file

    from engine.tuning import adapters

    model = EncoderModel(adapters.with_adapter(load_encoder(folder), folder), ModelSpec.read(folder).heads)
    model.heads.load_state_dict(load_file(folder / WEIGHTS))
    if (folder / VECTORS).exists():
        layer = load_file(folder / VECTORS)
        width, features = layer["weight"].shape
        model.vectors = nn.Linear(features, width)
        model.vectors.load_state_dict(layer)
    return model.eval()


def _mean(states: Tensor, attention_mask: Tensor) -> Tensor:
    mask = attention_mask.unsqueeze(-1).to(states.dtype)
    return (states * mask).sum(1) / mask.sum(1).clamp(min=1)


def _class_weights(labels: Any, count: int, kind: str) -> Any:
    flat = np.concatenate([np.atleast_1d(row) for row in labels])
    seen = np.bincount(flat[flat != MISSING], minlength=count).clip(min=1)
    weights = (1.0 / seen) ** (0.5 if kind == "sqrt" else 1.0)
    return (weights / (weights * seen).sum() * seen.sum()).astype(np.float32)


def is_token_level(head: HeadSpec) -> bool:
    """Whether the head answers for each token."""
    return head.kind in TOKEN_HEADS


def outputs(model: nn.Module, rows: Rows, *, batch_tokens: int = 4096) -> dict[str, list[kinds.Output]]:
    """What the model says of every row, a head, in the order of the rows. Computed in fp32."""
    from engine.data.batches import TokenBudgetSampler
    from engine.tasks.encoding import Collator

    model.eval()
    device = next(model.parameters()).device
    collate = Collator(rows.pad_token_id)
    found: dict[str, list[Any]] = {}
    with torch.inference_mode():
        for batch in TokenBudgetSampler(rows.lengths, batch_tokens, seed=None):
            inputs = collate([{"input_ids": rows.input_ids[row]} for row in batch])
            answers = model(**{name: value.to(device) for name, value in inputs.items()})
            for name, values in answers.items():
                if name.startswith("logits_"):
                    place = found.setdefault(name.removeprefix("logits_"), [None] * len(rows))
                    for row, value in zip(batch, values.cpu().double().numpy(), strict=True):
                        place[row] = rows.output(row, value)
    return found
