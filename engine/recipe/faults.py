"""Faults of a recipe, each told with file, line, path, the value found and the nearest known key."""

from __future__ import annotations

import difflib
import types
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel


def lines(node: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], int]:
    """Path -> line of a composed YAML tree."""
    found: dict[tuple[str, ...], int] = {}
    if isinstance(getattr(node, "value", None), list):
        for index, child in enumerate(node.value):
            key, inner = (child[0].value, child[1]) if isinstance(child, tuple) else (str(index), child)
            mark = child[0] if isinstance(child, tuple) else child
            found[(*path, key)] = mark.start_mark.line + 1
            found |= lines(inner, (*path, key))
    return found


def repeated(node: Any, path: str = "") -> list[tuple[str, int]]:
    """Keys that stand twice in one mapping of a composed YAML tree, with the line of the later one."""
    found: list[tuple[str, int]] = []
    seen = set()
    for child in node.value if isinstance(getattr(node, "value", None), list) else []:
        key, inner = (child[0].value, child[1]) if isinstance(child, tuple) else (None, child)
        below = ".".join(filter(None, (path, key if isinstance(key, str) else None)))
        if key is not None and repr(key) in seen:
            found.append((below, child[0].start_mark.line + 1))
        seen.add(repr(key))
        found += repeated(inner, below)
    return found


def tell(error: Any, source: str, lines: dict[tuple[str, ...], int], model: type[BaseModel]) -> str:
    """One of pydantic's errors as a line for a person."""
    path = tuple(str(part) for part in error["loc"])
    line = next((lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in lines), None)
    where = f"{source}, line {line}" if line else source
    path = _without_kind(path)
    dotted = ".".join(path) or "recipe"
    if error["type"] == "extra_forbidden":
        known = _known_keys(model, path[:-1])
        near = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.4)
        remedy = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(known)}"
        return f"{where}: {dotted}: unknown key; {remedy}"
    if error["type"] == "missing":
        return f"{where}: {dotted}: missing; add '{path[-1]}:'"
    if error["type"] == "union_tag_not_found":
        return f"{where}: {dotted}.kind: missing; add 'kind:', one of {error['ctx'].get('expected_tags') or KINDS}"
    if error["type"] == "union_tag_invalid":
        return f"{where}: {dotted}.kind: no such kind {error['ctx']['tag']!r}; known: {error['ctx']['expected_tags']}"
    message = error["msg"].removeprefix("Value error, ")
    if not path:
        return f"{where}: {message}"
    return f"{where}: {dotted}: {message[0].lower() + message[1:]}; found {str(error['input'])[:120]!r}"


KINDS = "classify, tag, extract, rank, embed, generate, choose"


def _without_kind(path: tuple[str, ...]) -> tuple[str, ...]:
    """pydantic names the kind of a task as a step of the path; the person wrote no such step."""
    return (path[0], *path[2:]) if len(path) > 1 and path[0] == "task" and path[1] in KINDS.split(", ") else path


def _known_keys(model: type[BaseModel], path: tuple[str, ...]) -> list[str]:
    sections = [model]
    for part in path:
        fields = [section.model_fields[part] for section in sections if part in section.model_fields]
        if fields:  # else a name the user chose, such as a head's: stay at the value's type
            sections = [found for field in fields for found in _sections(field.annotation)]
    return list(dict.fromkeys(name for section in sections for name in section.model_fields))


def _sections(annotation: Any) -> list[type[BaseModel]]:
    """The sections that an annotation may hold, whatever it is wrapped in."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return [annotation] if issubclass(annotation, BaseModel) else []
    inner = get_args(annotation)[:1] if get_origin(annotation) is Annotated else get_args(annotation)
    return [found for part in inner for found in _sections(part)]
