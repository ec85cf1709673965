"""Verdict text: verified and explained alerts in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from apps.finance_monitor.checking import Checked
from engine.explain import Explanation, coloured


def show_verdict(one: Checked) -> None:
    console, told = Console(), one.verdict.told
    if one.verdict.holds:
        console.print(Text.assemble(("verified ", "bold green"), _title(told)))
        console.print(Text(f"  equal: {', '.join(one.verdict.compared)}"))
        model = f"{told['model']['name']}@{told['model']['version']}"
        kept = one.items - one.anew
        console.print(Text(f"  over {one.items:,} items, {one.anew:,} labelled anew by {model}, {kept:,} by the state"))
    else:
        console.print(Text.assemble(("differs  ", "bold red"), _title(told)))
        table = Table()
        for column in ("field", "as told", "recomputed"):
            table.add_column(column, overflow="fold")
        for found in one.verdict.differences:
            table.add_row(*(Text(_value(value)) for value in (found.field, found.told, found.recomputed)))
        console.print(table)
    show_explanation(told, one.decisive, one.words)


def show_explanation(told: Mapping[str, Any], decisive: dict[str, Any] | None, words: Sequence[Explanation]) -> None:
    console = Console()
    if decisive:
        count = len(decisive["stories"])
        fires = decisive["without_them"]["fires"]
        end = "it fires all the same (names and stories that hung on them changed too)" if fires else "it does not fire"
        console.print(
            Text(
                f"{_title(told)}: {count} of its {decisive['of']} stories decide; replayed without them, {end}:", "bold"
            )
        )
        for one in decisive["stories"]:
            console.print(Text.assemble("  ", (one["id"], "dim"), f"  {one['title']}"))
        for one in decisive["without_them"]["instead"]:
            console.print(Text(f"  instead: {one['key']['type']} {one['key']['value']}, {one['opened']}", "dim"))
    for found in words:
        console.print(coloured(found))


def _title(told: Mapping[str, Any]) -> str:
    return f"{told['id']} {told['key'].get('type')} {told['key'].get('value')}, {told['opened']}"


def _value(value: Any) -> str:
    return "(none)" if value is None else str(value)
