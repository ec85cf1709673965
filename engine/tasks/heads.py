"""Heads: what a stored model says of the questions it answers. Readable without torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from engine.recipe import Choose, Classify, Embed, Extract, Generate, Head, Rank, Tag, Task

FILE = "heads.json"
LONGEST = 30
EMBEDDING = "sentence_embedding"
"""Output of a model that gives a text's vector, alone or beside its heads' logits."""
HELD = f"taught_{EMBEDDING}"
"""Of a batch that is learnt from, what its rows' vectors are to be (see `tuning.vectors`)."""
HeadKind = Literal["single", "multi", "regression", "tags", "span", "relevance", "vector", "answer"]


@dataclass(frozen=True)
class HeadSpec:
    """A head's name, kind, and labels in the order of the logits (entity types for tags, none for numbers)."""

    name: str
    kind: HeadKind
    labels: tuple[str, ...] = ()
    widths: tuple[int, ...] = ()
    """Numbers of a vector's beginning that serve as a shorter vector, largest first."""
    longest: int = LONGEST
    """Tokens of the longest span considered as an answer."""

    @property
    def multi_label(self) -> bool:
        return self.kind == "multi"

    @property
    def width(self) -> int:
        """Logits a text, or a token."""
        match self.kind:
            case "tags":
                return 1 + 2 * len(self.labels)
            case "span":
                return 2
            case "regression" | "relevance":
                return 1
            case _:
                return len(self.labels)


@dataclass(frozen=True)
class ModelSpec:
    """What a stored model needs beside its weights to read a text and name its answers."""

    task: str
    heads: tuple[HeadSpec, ...]
    prefix: str
    max_length: int
    languages: tuple[str, ...]
    pair_prefix: str = ""
    """Text before the second of two texts where each is read by itself, as `embed` does."""
    pairs: bool = False
    """It was taught pairs, and a text alone would be answered all the same, and wrongly."""
    vectors: str = ""
    """Encoder whose sentence vectors it gives beside its answers; empty: none."""

    def write(self, folder: Path) -> None:
        (folder / FILE).write_text(json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> ModelSpec:
        values = json.loads((folder / FILE).read_text(encoding="utf-8"))
        heads = tuple(
            HeadSpec(
                head["name"],
                head["kind"],
                tuple(head["labels"]),
                tuple(head.get("widths", ())),
                head.get("longest", LONGEST),
            )
            for head in values.pop("heads")
        )
        return cls(heads=heads, languages=tuple(values.pop("languages")), **values)


def _kind(head: Head) -> HeadKind:
    if head.regression:
        return "regression"
    if head.entities:
        return "tags"
    return "multi" if head.multi_label else "single"


def places(task: Task) -> tuple[str, ...]:
    """Heads whose labels are places in the text: they hold in no other wording."""
    return tuple(head.name for head in specs(task) if head.kind == "tags")


def specs(task: Task) -> tuple[HeadSpec, ...]:
    """The heads of a recipe's task, in their order."""
    match task:
        case Classify(heads=heads):
            return tuple(HeadSpec(name, _kind(head), tuple(head.labels)) for name, head in heads.items())
        case Tag(labels=labels):
            return (HeadSpec("entities", "tags", tuple(labels)),)
        case Extract(longest_answer=longest):
            return (HeadSpec("answer", "span", longest=longest),)
        case Rank():
            return (HeadSpec("relevance", "relevance"),)
        case Embed(matryoshka=widths):
            return (HeadSpec("vector", "vector", widths=tuple(sorted(set(widths), reverse=True))),)
        case Choose(labels=labels):
            return (HeadSpec("label", "single", tuple(labels)),)
        case Generate():
            return (HeadSpec("answer", "answer"),)
