"""Document: a YAML file that a person wrote, as plain values with the line of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine import resources
from engine.errors import RecipeError
from engine.recipe import faults

Lines = dict[tuple[str, ...], int]
"""Path of a value -> its line in the file."""


def read(path: str | Path, *, kind: str, shape: str) -> tuple[dict[str, Any], Lines]:
    """The mapping in a file, found as `resources.find` finds it.

    Args:
        kind: what the file is, for messages ("recipe").
        shape: what such a file holds, for messages ("a YAML mapping that starts with 'name:'").

    Raises:
        RecipeError: it is not UTF-8, not YAML, or no mapping.
    """
    import yaml

    source = resources.find(path, kind=kind)
    try:
        text = source.read_text(encoding="utf-8")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except UnicodeDecodeError as fault:
        raise RecipeError(f"{path}: not UTF-8 at byte {fault.start}; save the {kind} as UTF-8") from None
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        where = f"{path}, line {mark.line + 1}" if mark else str(path)
        raise RecipeError(f"{where}: not YAML: {getattr(fault, 'problem', None) or fault}") from None
    except RecursionError:
        raise RecipeError(f"{path}: an anchor holds itself; write the value out") from None
    if not isinstance(values, dict):
        raise RecipeError(f"{path}: a {kind} is {shape}; found {type(values).__name__}")
    if twice := faults.repeated(tree):
        raise RecipeError("\n".join(f"{path}, line {line}: {key}: stands twice; keep one" for key, line in twice))
    return values, faults.lines(tree)
