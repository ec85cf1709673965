"""Tuning: which weights learn, from which loss, in which steps; and the export of what came of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.recipe.section import Count, Fraction, Paths, Positive, Section

Method = Literal[
    "full", "head", "lora", "adalora", "ia3", "prefix", "prompt", "p_tuning", "adapter", "contrastive", "zero_shot"
]
WITH_RANK = frozenset({"lora", "adalora", "adapter"})
WITH_VIRTUAL_TOKENS = frozenset({"prefix", "prompt", "p_tuning"})


class Adversarial(Section):
    """Training against the worst small change of the word embeddings."""

    method: Literal["fgm", "pgd", "freelb"] = "fgm"
    """FGM (Miyato et al. 2017), PGD (Madry et al. 2018), FreeLB (Zhu et al. 2020)."""
    epsilon: Positive = 1.0
    """Length of the change, in units of the mean length of a word's embedding in the text."""
    steps: Count = 3
    """Ascent steps of pgd and freelb."""


class Distill(Section):
    """Learning from a stored model's logits and vectors, beside the labels (Hinton et al. 2015; Sun et al. 2019)."""

    teacher: str
    """A stored classify model with the same heads: name, name@alias, name@number, or a version's folder."""
    layers: Count | None = None
    """Layers of the student: so many of the teacher's, evenly spaced; without it the student is `base`."""
    temperature: Positive = 2.0
    weight: Annotated[float, Field(gt=0, le=1)] = 0.7
    """Share of the teacher's logits in the loss; the labels have the rest."""
    vectors: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the squared distance between the two models' sentence vectors."""


class Adapt(Section):
    """Self-supervised training of the pretrained model on unlabelled texts before it is tuned."""

    texts: Paths
    """Files with a text a row (the recipe's text column), or plain .txt with one a line."""
    method: Literal["simcse", "tsdae", "mlm", "clm"] = "simcse"
    """SimCSE (Gao et al. 2021), TSDAE (Wang et al. 2021), masked language modelling (the base needs its head); clm:
    causal language modelling, for chat models."""
    epochs: Count = 1
    learning_rate: Positive = 3e-5


class Extend(Section):
    """New labels for the stored model that is the recipe's base, without forgetting its own."""

    replay: Count = 20
    """Rows of each old label that are learnt from again; rows of new labels all are."""
    weight: Annotated[float, Field(ge=0)] = 1.0
    """Of the divergence from what the base said of its own labels."""
    temperature: Positive = 2.0


class Tuning(Section):
    method: Method = "full"
    epochs: Count = 4
    learning_rate: Positive = 1e-4
    head_learning_rate: Positive = 1e-3
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor on the learning rate from each layer to the one below it."""
    head_start: Literal["probe", "random", "stored"] = "probe"
    """"probe": label heads begin as logistic regressions on the untouched encoder; "stored": heads go on from those of
    the stored model that is the base."""
    rank: Count = 8
    """Width of lora, adalora and bottleneck adapters."""
    virtual_tokens: Count = 16
    """Learned tokens of prefix, prompt and p_tuning."""
    freeze_layers: Annotated[int, Field(ge=0)] | None = None
    """Lowest layers that stay as they are, the embeddings with them (0: the embeddings alone); none by default."""
    cache_mb: Annotated[int, Field(ge=0)] = 2048
    """Room on disk for what frozen layers say of the train rows, computed once for all epochs; 0: each time anew."""
    gradual_unfreezing: bool = False
    """The heads learn alone in the first epoch, then a further layer from the top each epoch (Howard & Ruder 2018)."""
    batch_tokens: Annotated[int, Field(ge=16)] = 2048
    """Upper bound of rows x longest row, padding included."""
    accumulate: Count = 1
    """Batches whose gradients make one step; equal to one batch of all their rows."""
    max_length: Annotated[int, Field(ge=8)] = 128
    warmup: Fraction = 0.1
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    dropout: Fraction = 0.1
    label_smoothing: Fraction = 0.0
    adversarial: Adversarial | None = None
    r_drop: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the divergence between two passes with other dropout (Liang et al. 2021); 0: one pass."""
    distill: Distill | None = None
    extend: Extend | None = None
    adapt: Adapt | None = None
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of the products while training (weights and what is stored stay fp32); "auto": bf16 where the chip has it."""
    average: Fraction = 0.98
    """Decay a step of the exponential average over the weights, which is what is scored and stored; 0: no average."""
    early_stopping: Annotated[int, Field(ge=0)] = 2
    """Epochs without a better dev score before training stops; 0 trains all epochs and keeps the last."""
    checkpoint_steps: Count = 200
    """Steps between two checkpoints, from which a killed run goes on."""

    @model_validator(mode="after")
    def _check(self) -> Tuning:
        for name, methods in (("rank", WITH_RANK), ("virtual_tokens", WITH_VIRTUAL_TOKENS)):
            if getattr(self, name) != type(self).model_fields[name].default and self.method not in methods:
                raise ValueError(f"{name} is for the methods {', '.join(sorted(methods))}; method is {self.method}")
        if self.method != "full":
            for name in ("freeze_layers", "gradual_unfreezing"):
                if getattr(self, name) not in (None, False):
                    raise ValueError(f"{name} is for method full; method is {self.method}")
        objectives = [name for name in ("adversarial", "r_drop", "distill", "extend") if getattr(self, name)]
        if len(objectives) > 1:
            raise ValueError(f"{' and '.join(objectives)} are objectives of their own; take one of them")
        if objectives and self.method in ("contrastive", "zero_shot"):
            raise ValueError(f"{objectives[0]} cannot train method {self.method}, which has its own objective or none")
        if self.adapt and self.distill and self.distill.layers:
            raise ValueError("distill.layers begins with the teacher's layers, and what adapt learnt is lost; take one")
        return self


class Export(Section):
    format: Literal["onnx", "none"] = "onnx"
    precision: Literal["fp32", "int8"] = "int8"
    max_quality_loss: Annotated[float, Field(ge=0)] = 0.005
