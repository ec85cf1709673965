"""Summary: alerts with their evidence and what the feed held, as tables on a terminal."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apps.finance_monitor.run import Result

SHOWN = 6
"""Headlines of evidence shown an alert; the alerts file has all."""


def show(result: Result) -> None:
    """Print the run's tables to stdout."""
    from rich.console import Console

    console = Console()
    for alert in result.alerts.values():
        console.print(_alert(alert))
    if not result.alerts:
        console.print("No alarm.")
    console.print(_topics(result))
    console.print(_told(result), markup=False, highlight=False)


def _alert(alert: dict[str, Any]) -> object:
    from rich import box
    from rich.panel import Panel
    from rich.text import Text

    opened = datetime.fromisoformat(alert["opened"])
    closed = f"{datetime.fromisoformat(alert['closed']):%H:%M}" if alert["closed"] else "still firing"
    head = Text()
    head.append(f"{opened:%a %Y-%m-%d %H:%M} to {closed} UTC", style="bold")
    head.append(
        f"   {alert['observed']} negative stories in an hour, {alert['expected']:.2f} expected, "
        f"p = {alert['p_value']:.1e}\n"
    )
    if alert["related"]:
        head.append(f"also: {', '.join(_named(key) for key in alert['related'][:6])}\n", style="dim")
    mentions = alert["evidence"]
    for mention in mentions[:SHOWN]:
        head.append(f"  {mention['id']}  ", style="dim")
        head.append(f"{mention['title']}\n")
    if len(mentions) > SHOWN:
        head.append(f"  and {len(mentions) - SHOWN} more\n", style="dim")
    head.rstrip()
    colour = "red" if alert["severity"] == "critical" else "yellow"
    title = f"ALARM  {_named(alert['key'])}  ({alert['severity']})"
    return Panel(head, title=title, title_align="left", border_style=colour, box=box.ROUNDED)


def _named(key: dict[str, str]) -> str:
    return f"{key['type']} {key['value']}"


def _topics(result: Result) -> object:
    from rich.table import Table

    table = Table(title="Topics", title_justify="left")
    for column in ("topic", "items", "negative"):
        table.add_column(column, justify="left" if column == "topic" else "right")
    for topic, count in result.tally.topics.most_common():
        table.add_row(topic, f"{count:,}", f"{result.tally.negative_topics[topic]:,}")
    return table


def _told(result: Result) -> str:
    tally = result.tally
    span = f", {tally.first:%Y-%m-%d} to {tally.last:%Y-%m-%d}" if tally.first and tally.last else ""
    lines = [
        f"{tally.items:,} items telling {tally.stories:,} stories{span}; {tally.off_topic:,} on no topic, "
        f"{tally.price_recaps:,} price recaps (not counted as news)"
    ]
    if tally.unlabelled:
        counts = ", ".join(f"{count} in '{language}'" for language, count in tally.unlabelled.most_common())
        lines.append(
            f"{tally.unlabelled.total()} items not labelled, no model knows their language: {counts}. For Chinese: "
            "pip install 'keel-suite[multilingual]', then engine train recipes/finance_news_multilingual.yaml"
        )
    if tally.routes["cheap"]:
        lines.append(f"{tally.routes['cheap']:,} titles were left to the cheap model, which was sure of them")
    if tally.routes["overload"]:
        lines.append(f"{tally.routes['overload']:,} titles came under overload and were labelled by the cheap model")
    if result.arrivals.duplicates:
        lines.append(f"{result.arrivals.duplicates:,} items came twice and counted once")
    if result.arrivals.late:
        lines.append(
            f"{result.arrivals.late:,} items came too late to count; with a live feed --lateness waits longer, "
            "a file is best sorted by time"
        )
    if held := result.arrivals.held:
        are = "1 item is" if held == 1 else f"{held:,} items are"
        lines.append(
            f"{are} held, as news that is up to --lateness older may come yet; the next run with this state "
            "goes on with what is held"
        )
    for sink, count in result.waiting.items():
        lines.append(f"{sink} has not taken {count:,} changes of alerts; the next run with this state sends them")
    for sink, count in result.given_up.items():
        lines.append(
            f"{sink} has refused {count:,} changes of alerts too often; finance-monitor resend sends them again"
        )
    if result.dead:
        lines.append(f"{result.dead} lines were no news items: see {result.dead_letters}")
    return "\n".join(lines)
