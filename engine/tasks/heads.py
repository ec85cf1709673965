"""What a stored model says of its heads: readable without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.recipe import Head

FILE = "heads.json"


@dataclass(frozen=True)
class HeadSpec:
    """A head's name, its labels in the order of the logits, and whether several labels can hold at once."""

    name: str
    labels: tuple[str, ...]
    multi_label: bool


@dataclass(frozen=True)
class ModelSpec:
    """What a stored model needs beside its weights to read a text and name its answers."""

    heads: tuple[HeadSpec, ...]
    prefix: str
    max_length: int
    languages: tuple[str, ...]

    def write(self, folder: Path) -> None:
        (folder / FILE).write_text(json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> ModelSpec:
        values = json.loads((folder / FILE).read_text(encoding="utf-8"))
        heads = tuple(
            HeadSpec(head["name"], tuple(head["labels"]), head["multi_label"]) for head in values.pop("heads")
        )
        return cls(heads, languages=tuple(values.pop("languages")), **values)


def specs(heads: Mapping[str, Head]) -> tuple[HeadSpec, ...]:
    """The recipe's heads, in their order."""
    return tuple(HeadSpec(name, tuple(head.labels), head.multi_label) for name, head in heads.items())
