"""What pages show."""

from __future__ import annotations

from typing import Any

from apps.console.pages.compare import _common


def test_only_figures_that_both_have_are_compared() -> None:
    def manifest(**heads: Any) -> dict[str, Any]:
        return {"metrics": {"heads": heads}}

    one = {"value": 0.5, "low": 0.4, "high": 0.6}
    mine = manifest(topic={"accuracy": one, "ece": one}, old={"accuracy": one})
    theirs = manifest(topic={"accuracy": one}, new={"accuracy": one})
    assert [name for name, *_ in _common(mine, theirs)] == ["topic accuracy"]
    assert _common(mine, {}) == []
