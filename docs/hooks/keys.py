"""Keys: every key of a recipe, and of the recommender's settings, with type, default and the text beside it in code."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel

RECIPE = """# Recipe

A recipe is one YAML document: which model to make of which data, and how. Unknown keys are faults that name the nearest
known key; `--set PATH=VALUE` changes a value from the command line. The packaged ones stand in `recipes/`. Of the
types, Count is a whole number from 1, Fraction a number from 0 to under 1, Positive one over 0, Paths a file or a list.
"""
METHODS = """## What can tune what

| `task.kind` | `tuning.method` |
|---|---|
"""
RECOMMENDER = """# Settings of the recommender

`recommender train --settings FILE` reads this YAML; what is left out has its default.
"""


def recipe() -> str:
    """The page of a recipe's keys, outermost first."""
    from engine import recipe
    from engine.recipe import checks, retrain

    sections = {
        "recipe": recipe.Recipe,
        "task, kind classify": recipe.Classify,
        "task.heads.NAME": recipe.Head,
        "task, kind tag": recipe.Tag,
        "task, kind extract": recipe.Extract,
        "task, kind rank": recipe.Rank,
        "task, kind embed": recipe.Embed,
        "task, kind generate": recipe.Generate,
        "task, kind choose": recipe.Choose,
        "data": recipe.Data,
        "data.split": recipe.Split,
        "data.noise": recipe.Noise,
        "tuning": recipe.Tuning,
        "tuning.adversarial": recipe.Adversarial,
        "tuning.distill": recipe.Distill,
        "tuning.extend": recipe.Extend,
        "tuning.adapt": recipe.Adapt,
        "export": recipe.Export,
        "gates": recipe.Gates,
        "gates.robustness": checks.Robustness,
        "gates.fairness": checks.Fairness,
        "retrain": recipe.Retrain,
        "retrain.vetting": retrain.Vetting,
    }
    methods = "\n".join(f"| {kind} | {', '.join(known)} |" for kind, known in recipe.METHODS.items())
    return "\n".join([RECIPE, *_sections(sections), METHODS + methods, ""])


def recommender() -> str:
    """The page of the recommender's settings."""
    from apps.recommender import settings

    sections = {
        "the document": settings.Settings,
        "text": settings.Text,
        "sequence": settings.Sequence,
        "booster": settings.Booster,
        "rerank": settings.Rerank,
        "listing": settings.Listing,
    }
    return "\n".join([RECOMMENDER, *_sections(sections)])


def _sections(sections: dict[str, type[BaseModel]]) -> Iterator[str]:
    for title, model in sections.items():
        yield f"## {title}\n"
        if model.__doc__:
            yield _plain(model.__doc__) + "\n"
        told = _read(model.__module__)[model.__qualname__]
        yield "| key | type | default | |\n|---|---|---|---|"
        for key, field in model.model_fields.items():
            docstring = told.members[key].docstring
            text = _plain(docstring.value) if docstring else ""
            default = (
                "required" if field.is_required() else f"`{_default(field.get_default(call_default_factory=True))}`"
            )
            yield f"| `{key}` | {_type(told.members[key].annotation)} | {default} | {text} |"
        yield ""


@cache
def _read(module: str) -> Any:
    """What stands in a module's file, that file alone; with the texts below its fields."""
    import griffe

    path = Path(str(sys.modules[module].__file__))
    return griffe.visit(module, filepath=path, code=path.read_text(encoding="utf-8"))


def _default(value: Any) -> str:
    if hasattr(value, "model_dump"):
        return "..."
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _type(annotation: Any) -> str:
    """An annotation in words of YAML; bounds stay as pydantic has them."""
    text = str(annotation)
    text = re.sub(r"Annotated\[(.+?), (?:Field|BeforeValidator)\((.*)\)\]", _bounded, text)
    text = re.sub(r"Literal\[(.*?)\]", lambda found: " or ".join(found[1].replace("'", "").split(", ")), text)
    text = text.replace(" | None", " or none")
    return _plain(text)


def _bounded(found: re.Match[str]) -> str:
    bounds = {"ge": "at least", "gt": "over", "le": "at most", "lt": "under", "min_length": "length at least"}
    told = [f"{bounds[key]} {value}" for key, value in re.findall(r"(\w+)=([\d.e-]+)", found[2]) if key in bounds]
    return ", ".join([found[1], *told])


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
