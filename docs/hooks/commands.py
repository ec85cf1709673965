"""Commands: every command with its arguments and options, as its own --help tells them."""

from __future__ import annotations

import importlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
HEAD = """# Commands

Every command has `--help` with an example. With `--json` it writes one JSON document on standard output and nothing
else; progress goes to standard error. Exit code 0 means done, 1 that the work failed or a check did not hold, 2 that
something given is wrong; the message then says where and what to do.
"""


def page() -> str:
    """All commands of the package, by their entry points."""
    return "\n".join([HEAD, *(line for name, app in programs().items() for line in _command(name, app, 2))])


def programs() -> dict[str, Any]:
    """Name -> command of each entry point in pyproject.toml."""
    import typer

    found = {}
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    for name, place in sorted(scripts.items()):
        found[name] = typer.main.get_command(importlib.import_module(place.partition(":")[0]).app)
    return found


def _command(path: str, command: Any, level: int) -> Iterator[str]:
    yield f"{'#' * min(level, 4)} {path}\n"
    yield from _told(command.help or "")
    rows = _rows(path, command)
    if rows or not getattr(command, "commands", {}):
        yield f"```text\n{_usage(path, command)}\n```\n"
    if rows:
        yield "| | |\n|---|---|"
        yield from (f"| {name} | {text} |" for name, text in rows)
        yield ""
    for name, inner in sorted(getattr(command, "commands", {}).items()):
        yield from _command(f"{path} {name}", inner, level + 1)


def _told(text: str) -> Iterator[str]:
    """The help in paragraphs, its examples as code."""
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        plain = " ".join(paragraph.split())
        if plain.startswith("Example: "):
            yield f"```bash\n{plain.removeprefix('Example: ')}\n```\n"
        elif plain:
            yield _escaped(plain) + "\n"


def _usage(path: str, command: Any) -> str:
    words = [path]
    for one in command.params:
        if not one.opts[0].startswith("-"):
            word = f"{one.name.upper()}{'...' if one.nargs == -1 else ''}"
            words.append(word if one.required else f"[{word}]")
    inner = " COMMAND" if getattr(command, "commands", {}) else ""
    return " ".join(words) + " [OPTIONS]" + inner


def _rows(path: str, command: Any) -> list[tuple[str, str]]:
    context = command.make_context(path, [], resilient_parsing=True)
    rows = []
    for one in command.params:
        if "--help" not in one.opts and (record := one.get_help_record(context)):
            name = record[0] if one.opts[0].startswith("-") else one.name.upper()
            rows.append((f"`{name}`".replace("|", "\\|"), _escaped(record[1])))
    return rows


def _escaped(text: str) -> str:
    """Text that Markdown must not read: brackets, stars and bars of a help text mean themselves."""
    return re.sub(r"([\[\]*_|<>])", r"\\\1", " ".join(text.split()))
