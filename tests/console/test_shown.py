"""What pages show: texts of strangers stay texts."""

from __future__ import annotations

import csv
import io
from dataclasses import fields
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from apps.console.pages.compare import _common
from apps.console.pages.feedback import written
from engine.feedback import Feedback

TEXTS = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\x00"), max_size=40)


def _feedback(text: str, **more: Any) -> Feedback:
    values: dict[str, Any] = {"app": "console", "kind": "label", "rater": "desk", "consent": True, **more}
    return Feedback("default", "toy@1", "s", text, {"sentiment": {"label": "positive"}}, **values)


@given(TEXTS)
def test_the_csv_holds_every_text_and_runs_none(text: str) -> None:
    header, row = csv.reader(io.StringIO(written([_feedback(text)]), newline=""))
    assert header == [field.name for field in fields(Feedback)]
    told = row[header.index("text")]
    assert told.removeprefix("'") == text.removeprefix("'")
    assert not told.startswith(("=", "+", "-", "@", "\t"))


def test_only_figures_that_both_have_are_compared() -> None:
    def manifest(**heads: Any) -> dict[str, Any]:
        return {"metrics": {"heads": heads}}

    one = {"value": 0.5, "low": 0.4, "high": 0.6}
    mine = manifest(topic={"accuracy": one, "ece": one}, old={"accuracy": one})
    theirs = manifest(topic={"accuracy": one}, new={"accuracy": one})
    assert [name for name, *_ in _common(mine, theirs)] == ["topic accuracy"]
    assert _common(mine, {}) == []
