"""Curves: loss and score of versions by epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apps.console.words import Words

INK = "#7b8794"
"""Of texts and axes: read on light ground and on dark."""
COLOURS = ("#2f7fd6", "#d9822b", "#2c9c69", "#a05cc5", "#c2485c", "#7d8a2e")


def draw(say: Words, manifests: Mapping[str, Mapping[str, Any]]) -> None:
    """Two charts, of what there is.

    Args:
        manifests: by the version's name.
    """
    from nicegui import ui

    drawn = 0
    with ui.element("div").classes("charts"):
        for key in ("loss", "score"):
            lines = {name: _points(manifest, key) for name, manifest in manifests.items()}
            lines = {name: points for name, points in lines.items() if len(points) > 1}
            if lines:
                drawn += 1
                told = "; ".join(
                    f"{name}: {', '.join(f'{y:.3f}' for _, y in points)}" for name, points in lines.items()
                )
                chart = ui.echart(_options(say(f"models.{key}"), say("models.epoch"), lines)).classes("chart")
                chart.props["role"], chart.props["aria-label"] = "img", f"{say(f'models.{key}')}: {told}"
    if not drawn:
        ui.label(say("models.curves.none")).classes("empty")


def _points(manifest: Mapping[str, Any], key: str) -> list[tuple[float, float]]:
    return [(one["epoch"], one[key]) for one in manifest.get("history", []) if one.get(key) is not None]


def _options(title: str, across: str, lines: Mapping[str, list[tuple[float, float]]]) -> dict[str, Any]:
    rules = {"lineStyle": {"color": INK, "opacity": 0.2}}
    axis = {"axisLabel": {"color": INK}, "nameTextStyle": {"color": INK}, "splitLine": rules}
    return {
        "animation": False,
        "color": list(COLOURS),
        "title": {"text": title, "textStyle": {"color": INK, "fontSize": 13, "fontWeight": 600}},
        "tooltip": {"trigger": "axis"},
        "legend": {"bottom": 0, "textStyle": {"color": INK}, "type": "scroll"},
        "grid": {"left": 52, "right": 20, "top": 40, "bottom": 58},
        "xAxis": {
            "type": "value",
            "name": across,
            "nameLocation": "middle",
            "nameGap": 24,
            "min": 1,
            "minInterval": 1,
            **axis,
        },
        "yAxis": {"type": "value", "scale": True, **axis},
        "series": [
            {"type": "line", "name": name, "data": [list(point) for point in points], "symbolSize": 7}
            for name, points in lines.items()
        ],
    }
