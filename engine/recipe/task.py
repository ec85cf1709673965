"""Task: what the model is asked. One section a kind, told apart by `kind`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.recipe.section import Count, Fraction, Positive, Section

ClassWeights = Literal["none", "balanced", "sqrt"]


class Head(Section):
    """One question asked of a text: a label (softmax), several labels (a sigmoid each), a number (regression), or its
    entities."""

    labels: list[str] = []
    multi_label: bool = False
    regression: bool = False
    """The answer is a number; labels are left out."""
    entities: bool = False
    """The labels are types of entities, and the answer is spans of the text with one each, as task tag gives them."""
    descriptions: dict[str, str] = {}
    """Label -> what it means, in words, for zero shots; a label left out is described by its name."""
    weight: Positive = 1.0
    """Share of this head's loss in the sum over heads."""
    class_weights: ClassWeights = "none"
    """"balanced": inverse label frequency in train; "sqrt": its square root; both with mean 1 over the rows."""

    @model_validator(mode="after")
    def _check(self) -> Head:
        twice = sorted({label for label in self.labels if self.labels.count(label) > 1})
        if twice:
            raise ValueError(f"labels stand twice: {', '.join(twice)}")
        if unknown := sorted(self.descriptions.keys() - set(self.labels)):
            raise ValueError(f"descriptions of labels that are not there: {', '.join(unknown)}")
        if self.regression and (self.labels or self.multi_label or self.class_weights != "none"):
            raise ValueError("a regression head takes neither labels, multi_label nor class_weights")
        if self.multi_label and self.class_weights != "none":
            raise ValueError("class_weights are for single-label heads; a multi-label head takes weight")
        if self.entities and (self.regression or self.multi_label or self.descriptions):
            raise ValueError("a head of entities takes neither regression, multi_label nor descriptions")
        if not self.regression and len(self.labels) < (1 if self.multi_label or self.entities else 2):
            raise ValueError("a single-label head needs two labels or more, a multi-label head or one of entities one")
        return self

    @property
    def single(self) -> bool:
        """Whether the answer is one label."""
        return bool(self.labels) and not (self.multi_label or self.entities)


class Vectors(Section):
    """The model repeats the sentence vectors of another encoder beside its answers."""

    of: str
    """The encoder, as `base` names one."""
    weight: Positive = 1.0
    """Share of their loss (1 - cosine) in the sum over the heads."""


class Classify(Section):
    """Labels, numbers or entities of a text, or of a text pair (where `data.columns.pair` names a column)."""

    kind: Literal["classify"]
    heads: Annotated[dict[str, Head], Field(min_length=1)]
    vectors: Vectors | None = None
    """Sentence vectors that come in the same pass, for who needs both."""


class Tag(Section):
    """Entities: spans of the text, each with a type (BIO over the words)."""

    kind: Literal["tag"]
    labels: Annotated[list[str], Field(min_length=1)]
    """Entity types."""
    class_weights: ClassWeights = "none"


class Extract(Section):
    """The span of a passage (`data.columns.pair`) that answers the question (`data.columns.text`), or no answer."""

    kind: Literal["extract"]
    longest_answer: Count = 30
    """Tokens of the longest span considered."""


class Rank(Section):
    """How well a text (`data.columns.pair`) fits a query (`data.columns.text`): a cross-encoder over both."""

    kind: Literal["rank"]
    loss: Literal["pointwise", "listwise"] = "pointwise"
    """"pointwise": cross entropy of each pair; "listwise": softmax over the texts of one query (Cao et al. 2007)."""


class Embed(Section):
    """A vector of a text such that texts which belong together (`text`, `pair`) lie near: a bi-encoder."""

    kind: Literal["embed"]
    hard_negatives: Annotated[int, Field(ge=0)] = 0
    """Mined negatives a pair: near texts that are not its partner; 0: the other pairs of the batch alone."""
    margin: Fraction = 0.05
    """A near text whose cosine does not lie this far below the true partner's may be a second true one: left out."""
    scale: Positive = 20.0
    """Inverse temperature of the softmax over cosines."""
    matryoshka: list[Count] = []
    """Shorter widths, such as 128 and 64, whose cut vectors must serve as well (Kusupati et al. 2022)."""

    @model_validator(mode="after")
    def _check(self) -> Embed:
        if self.margin != type(self).model_fields["margin"].default and not self.hard_negatives:
            raise ValueError("margin is for mined negatives; set hard_negatives, for example 3")
        return self


class Generate(Section):
    """An answer in words to a prompt, by a causal chat model; the loss is on the answer alone."""

    kind: Literal["generate"]
    system: str = ""
    """The system message before every prompt; empty: none."""
    max_new_tokens: Count = 128
    repetition_penalty: Annotated[float, Field(ge=1, le=2)] = 1.1
    """How much less likely a token becomes once its answer has said it: greedy answers of small models run in circles
    without; 1: none."""


class Choose(Section):
    """One label of a text, by a causal chat model: the one whose word it finds likeliest as its answer's beginning
    (pattern-exploiting training; Schick & Schütze 2021, arXiv 2001.07676)."""

    kind: Literal["choose"]
    labels: Annotated[list[str], Field(min_length=2)]
    question: str = "Which of these fits the text best: {labels}? Answer with one of them alone."
    """Asked after each text; {labels} stands for the words of all labels."""
    words: dict[str, str] = {}
    """Label -> the word it is answered with; a label left out is its own word, with spaces for underscores."""

    @model_validator(mode="after")
    def _check(self) -> Choose:
        if twice := sorted({label for label in self.labels if self.labels.count(label) > 1}):
            raise ValueError(f"labels stand twice: {', '.join(twice)}")
        if unknown := sorted(self.words.keys() - set(self.labels)):
            raise ValueError(f"words of labels that are not there: {', '.join(unknown)}")
        return self


Task = Annotated[Choose | Classify | Tag | Extract | Rank | Embed | Generate, Field(discriminator="kind")]
