"""News: the trend of a key, the busiest keys, and alerts with their evidence, live; analysts judge them here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from apps.console.pages import why
from apps.console.pages.apart import served
from apps.console.parts.news import News
from apps.console.show import heading, moment
from apps.console.trend import Trend
from apps.finance_monitor import changelog, charts
from apps.finance_monitor.silences import parsed
from apps.finance_monitor.verdicts import Verdicts
from apps.finance_monitor.windows import Key
from engine.errors import KeelError

if TYPE_CHECKING:
    from apps.console.visit import Visit

LOOK_S = 4.0
ALERTS = 30
KEYS = 14
HEADLINES = 4
RANGES = {"24,15": "news.day", "168,60": "news.week", "720,240": "news.month"}
"""Hours, and minutes of a span -> what it is called."""


async def draw(visit: Visit) -> None:
    from nicegui import ui

    heading(visit.words("page.news"), 1)
    if news := served(visit, News, whole=False):
        with ui.element("div").classes("two"):
            await Desk(visit, news).draw()


class Desk:
    """What is looked at, and what is seen."""

    def __init__(self, visit: Visit, news: News) -> None:
        self._visit, self._news = visit, news
        self._verdicts = Verdicts(news.database, visit.caller.tenant)
        self._key, self._range = "all:all", "720,240"
        self._seen: tuple[int, datetime | None] | None = None

    async def draw(self) -> None:
        from nicegui import ui

        say = self._visit.words
        with ui.element("section").props(f'aria-label="{say("news.trends")}"'):
            with ui.element("div").classes("choices"):
                heading(say("news.trends"))
                ui.element("div").classes("grow")
                ui.toggle({key: say(name) for key, name in RANGES.items()}, value=self._range).props(
                    "dense no-caps unelevated"
                ).on_value_change(self._ranged)
            self._status = ui.label().classes("soft")
            self._chart = Trend(say)
            self._keys = ui.element("div").classes("rows keys")
        with ui.element("section").props(f'aria-label="{say("news.alerts")}"'):
            heading(say("news.alerts"))
            self._alerts = ui.element("div").classes("stack").props("aria-live=polite")
        await self._look()
        ui.timer(LOOK_S, self._look)

    async def _ranged(self, event: Any) -> None:
        self._range = event.value
        await self._look(anew=True)

    async def _chosen(self, key: str) -> None:
        self._key = key
        await self._look(anew=True)

    async def _look(self, *, anew: bool = False) -> None:
        """Draw what has changed since the last look."""
        seen = await self._visit.asked(self._newest)
        pulse = self._news.meter.pulse
        items, late, dead = (pulse.items, pulse.late, pulse.dead) if pulse else (0, 0, 0)
        self._status.text = self._visit.words("news.status", items=f"{items:,}", late=late, dead=dead)
        if anew or seen != self._seen:
            self._seen = seen
            read = await self._visit.asked(self._read)
            self._draw_keys(read["keys"])
            self._draw_alerts(read["alerts"], read["verdicts"])
            kind, _, value = self._key.partition(":")
            named = _named(self._visit.words, {"type": kind, "value": value})
            self._chart.show(named, read["times"], read["series"])

    def _newest(self) -> tuple[int, datetime | None]:
        with self._news.database.read() as connection:
            return changelog.last(connection), charts.newest(connection)

    def _read(self) -> dict[str, Any]:
        hours, minutes = map(int, self._range.split(","))
        span, key = timedelta(minutes=minutes), Key(*parsed(self._key))  # type: ignore[arg-type]
        with self._news.database.read() as connection:
            now = charts.now(connection)
            end = now + (datetime(1970, 1, 1, tzinfo=UTC) - now) % span
            count = timedelta(hours=hours) // span
            series = charts.read(connection, [key], end - count * span, count, span)[key]
            keys = charts.busiest(connection, now - timedelta(hours=hours), KEYS)
            alerts = [told.alert for told, _ in zip(changelog.latest(connection), range(ALERTS), strict=False)]
        times = [end - (count - 1 - place) * span for place in range(count)]
        return {"times": times, "series": series, "keys": keys, "alerts": alerts, "verdicts": self._verdicts.all()}

    def _draw_keys(self, keys: list[dict[str, Any]]) -> None:
        from nicegui import ui

        say = self._visit.words
        told = any(one["key"]["type"] == "all" for one in keys)
        everything = [] if told else [{"key": {"type": "all", "value": "all"}, "stories": None, "negative": None}]
        self._keys.clear()
        with self._keys:
            for one in (*everything, *keys):
                spoken = f"{one['key']['type']}:{one['key']['value']}"
                row = ui.element("button").classes("row").on("click", lambda spoken=spoken: self._chosen(spoken))
                row.props(f"type=button aria-pressed={'true' if spoken == self._key else 'false'}")
                with row:
                    ui.label(_named(say, one["key"])).classes("title grow")
                    if one["stories"] is not None:
                        ui.label(say("news.of", negative=one["negative"], stories=one["stories"])).classes("soft")

    def _draw_alerts(self, alerts: list[dict[str, Any]], verdicts: dict[str, bool]) -> None:
        from nicegui import ui

        say = self._visit.words
        self._alerts.clear()
        with self._alerts:
            if not alerts:
                ui.label(say("news.calm")).classes("empty")
            for one in sorted(alerts, key=lambda one: one["status"] != "firing"):
                self._alert(one, verdicts.get(one["id"]))

    def _alert(self, one: dict[str, Any], verdict: bool | None) -> None:
        from nicegui import ui

        say, firing = self._visit.words, one["status"] == "firing"
        with ui.element("article").classes(f"card alert {one['severity'] if firing else 'ended'}"):
            with ui.element("div").classes("head"):
                ui.label(say(f"news.{one['severity'] if firing else 'ended'}")).classes("tag")
                ui.label(_named(say, one["key"])).classes("title")
            told = {"observed": one["observed"], "expected": f"{one['expected']:.1f}", "minutes": one["window_minutes"]}
            ui.label(say("news.told", **told))
            until = moment(one["closed"]) if one["closed"] else say("news.now")
            ui.label(f"{moment(one['opened'])} – {until}; p = {one['p_value']:.1e}").classes("soft")
            with ui.element("ul").classes("evidence"):
                for item in one["evidence"][:HEADLINES]:
                    with ui.element("li"):
                        ui.label(item["title"])
            self._judging(one, verdict)

    def _judging(self, one: dict[str, Any], verdict: bool | None) -> None:
        from nicegui import ui

        say = self._visit.words
        with ui.element("div").classes("links") as row:
            ask = ui.button(say("why.ask")).props("flat dense no-caps").classes("why")
            ask.props["aria-label"] = say("why.of", name=_named(say, one["key"]))
            ask.on_click(lambda: why.show(self._visit, self._news.explained, one["id"], _named(say, one["key"])))
            if verdict is not None:
                ui.label(say("news.judged.right" if verdict else "news.judged.wrong")).classes("soft")
            for right in (True, False):
                if verdict is not right:
                    button = (
                        ui.button(say("news.right" if right else "news.wrong"))
                        .props("outline dense no-caps")
                        .classes("decide")
                    )
                    button.on_click(lambda right=right: self._judge(one, right, row))

    async def _judge(self, one: dict[str, Any], right: bool, row: Any) -> None:
        from nicegui import ui

        try:
            await self._visit.asked(lambda: self._verdicts.add(one, right, self._visit.caller.name))
        except KeelError as fault:
            ui.notify(str(fault), type="negative")
            return
        row.clear()
        with row:
            ui.label(self._visit.words("news.judged.right" if right else "news.judged.wrong")).classes("soft")


def _named(say: Any, key: dict[str, str]) -> str:
    if key["type"] == "all":
        return str(say("news.all"))
    return str(say.label(key["value"])) if key["type"] == "topic" else key["value"]
