"""Show: values as people read them, and tables and headings that hold texts of strangers as texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from engine.card import words


def moment(time: str) -> str:
    """An RFC 3339 time, to the minute."""
    return f"{time[:10]} {time[11:16]} UTC" if len(time) > 16 else time


def figure(name: str, value: Mapping[str, Any]) -> str:
    """A metric with its value and interval."""
    return f"{words.metric(name)} {value['value']:.3f} ({value['low']:.3f} – {value['high']:.3f})"


def heading(text: str, level: int = 2) -> None:
    from nicegui import ui

    ui.html(f"<h{level}>{escape(text)}</h{level}>", sanitize=False)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Columns of numbers stand to the right."""
    from nicegui import ui

    numbers = [bool(rows) and all(_is_number(row[place]) for row in rows) for place in range(len(columns))]

    def cells(tag: str, values: Sequence[str]) -> str:
        kinds = (' class="number"' if number else "" for number in numbers)
        return "".join(f"<{tag}{kind}>{escape(value)}</{tag}>" for kind, value in zip(kinds, values, strict=True))

    caption = f"<caption>{escape(title)}</caption>" if title else ""
    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    head = f"<thead><tr>{cells('th', columns)}</tr></thead>"
    ui.html(f"<table>{caption}{head}<tbody>{body}</tbody></table>", sanitize=False).classes("wide")


def drawing(svg: str, title: str, told: str) -> None:
    """One of the engine's own drawings.

    Args:
        told: what it shows, for those who do not see it.
    """
    from nicegui import ui

    caption, small = f"<figcaption>{escape(title)}</figcaption>", f"<small>{escape(told)}</small>" if told else ""
    ui.html(f"<figure>{caption}{svg}{small}</figure>", sanitize=False).classes("wide drawing")


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "").replace("−", "-"))
    except ValueError:
        return False
    return True
