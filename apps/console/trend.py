"""Trend: stories, negative ones and those expected, over time, as one chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from apps.console.curves import INK

if TYPE_CHECKING:
    from apps.console.words import Words

COLOURS = {"stories": "#8fa3bb", "negative": "#d64550", "expected": "#2f7fd6"}


class Trend:
    """Drawn where it is made, and again whenever it is shown something else."""

    def __init__(self, say: Words) -> None:
        from nicegui import ui

        self._say = say
        self._chart = ui.echart({}).classes("chart trend")
        self._chart.props["role"] = "img"

    def show(self, named: str, times: Sequence[datetime], series: Mapping[str, Sequence[float]]) -> None:
        """
        Args:
            named: whose trend it is, for those who do not see it.
            times: ends of the spans.
            series: stories, negative, expected, of each span.
        """
        names = {name: self._say(f"news.{name}") for name in COLOURS}
        at = [int(time.timestamp() * 1000) for time in times]
        lines = {names[name]: [list(point) for point in zip(at, series[name], strict=True)] for name in COLOURS}
        sums = ", ".join(f"{names[name]} {sum(series[name]):.0f}" for name in COLOURS)
        self._chart.props["aria-label"] = f"{named}: {sums}"
        self._chart.options.clear()
        self._chart.options.update(_options(lines))
        self._chart.update()


def _options(lines: Mapping[str, list[list[float]]]) -> dict[str, Any]:
    axis = {"axisLabel": {"color": INK}, "splitLine": {"lineStyle": {"color": INK, "opacity": 0.2}}}
    dressed: tuple[dict[str, Any], ...] = (
        {"areaStyle": {"opacity": 0.25}, "lineStyle": {"width": 0}, "step": "end"},
        {"areaStyle": {"opacity": 0.35}, "step": "end"},
        {"lineStyle": {"type": "dashed"}},
    )
    return {
        "animation": False,
        "useUTC": True,
        "color": list(COLOURS.values()),
        "tooltip": {"trigger": "axis"},
        "legend": {"top": 0, "textStyle": {"color": INK}},
        "grid": {"left": 40, "right": 14, "top": 34, "bottom": 28},
        "xAxis": {"type": "time", **axis},
        "yAxis": {"type": "value", "minInterval": 1, **axis},
        "series": [
            {"type": "line", "name": name, "data": points, "symbol": "none", **dress}
            for (name, points), dress in zip(lines.items(), dressed, strict=True)
        ],
    }
