"""Sentences of the engine and the applications in Chinese: what the code tells today is in the catalogue."""

from __future__ import annotations

import ast
import string
from dataclasses import fields
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from apps.console import retold
from apps.console.pages.decisions import why
from apps.console.words import Words
from apps.recommender.explanation import OF_HISTORY, OWN, PARTS, _because, _moved
from apps.recommender.rules import Receipt
from apps.recommender.standing import Evidence, Ranked
from engine import Recipe, packaged
from engine.decision import Decision, Gate, Taught
from engine.evaluate.fairness import Gap
from engine.gates.fairness import _measures
from engine.recipe.gates import NAMES

CHINESE, ENGLISH = Words("zh"), Words("en")
ENTRIES = yaml.safe_load((Path(retold.__file__).parent / "retold.yaml").read_text(encoding="utf-8"))
ANY = "7"
CODE = {
    "engine/gates": {"note"},
    "engine/feedback/vetting.py": {"why", "fault"},
    "engine/lessons.py": {"out"},
}
"""Where a sentence is put together, and what it is called there."""


def _places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def _filled(sentence: str) -> str:
    return sentence.format(**dict.fromkeys(_places(sentence), ANY))


def test_each_sentence_is_told_whole_and_none_hides_another() -> None:
    for one in ENTRIES:
        assert _places(one["zh"]) <= _places(one["en"]), one["en"]
        assert CHINESE.retold(_filled(one["en"])) == _filled(one["zh"])
        assert ENGLISH.retold(_filled(one["en"])) == _filled(one["en"])
    assert CHINESE.retold("nobody has said this {yet}") == "nobody has said this {yet}"
    assert CHINESE.retold("because of Braces {0} in your history") == "因为您看过：Braces {0}"


def test_every_reason_of_a_list_is_known() -> None:
    row = Ranked("i", 1, 0.0, {}, {}, evidence=(Evidence("j", "A lamp", 0.3),))
    told = [*OWN.values(), *PARTS.values(), *OF_HISTORY.values(), _because(row)]
    told += [_moved(Receipt("i", "diversity", *moved)) for moved in ((2, 1), (1, 2), (1, 1))]
    told += ["new", "near the price that you usually pay", "nothing speaks for it more than for others"]
    assert [one for one in told if CHINESE.retold(one) == one] == []


def _told(node: ast.expr, known: dict[str, list[str]]) -> list[str]:
    """What the expression may come to, with something in the place of every value."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.Name(id=name):
            return known.get(name, [ANY])
        case ast.IfExp(body=body, orelse=other):
            return [*_told(body, known), *_told(other, known)]
        case ast.FormattedValue(value=value):
            return _told(value, known)
        case ast.JoinedStr(values=parts):
            return ["".join(one) for one in product(*(_told(part, known) for part in parts))]
    return [ANY]


def _sentences(path: Path, names: set[str]) -> set[str]:
    found = set()
    for function in (
        one for one in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(one, ast.FunctionDef)
    ):
        known: dict[str, list[str]] = {}
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                known.setdefault(node.targets[0].id, [])
                known[node.targets[0].id] += _told(node.value, known)
        found |= {text for name in names for text in known.get(name, []) if text != ANY}
    return found


def test_every_gates_figure_and_every_reason_to_set_aside_is_known() -> None:
    root = packaged()
    told = {
        text
        for where, names in CODE.items()
        for file in sorted((root / where).glob("*.py")) or [root / where]
        for text in _sentences(file, names)
    }
    gap: Any = SimpleNamespace(**{field.name: 0 for field in fields(Gap)})
    moves = _measures(gap, gap)
    told -= {general := "7: worst of 7 exchanges is 7 (champion: 7)"}
    told |= {general.replace("is 7", f"is {one.told}") for one in moves}
    assert len(told) > 20
    assert {text for text in told if CHINESE.retold(text) == text} == set()


@pytest.mark.parametrize("name", NAMES)
def test_every_gate_has_a_name(name: str) -> None:
    assert CHINESE.has(f"gate.{name}")


def test_every_label_of_the_news_has_a_name() -> None:
    heads = Recipe.load(packaged() / "recipes" / "finance_news.yaml").task.heads
    labels = [label for head in heads.values() for label in head.labels]
    assert len(labels) == 20
    assert all(CHINESE.label(label) != label.replace("_", " ") for label in labels)
    assert ENGLISH.label("supply_chain") == "supply chain"
    assert CHINESE.label("card_arrival") == "card arrival"


def test_a_decision_is_told_as_its_report_tells_it() -> None:
    gate = Gate("size", False, 3.0, 2.0, None, "10.0 MB to 30.0 MB; may be 2 times as large")
    taught = Taught(6, (), (), 2, 40, (), "")
    for gates in ((gate,), ()):
        one = Decision("d", "toy", "2026-03-02T08:00:00+00:00", "toy@1", "toy@2", not gates, gates, taught, ())
        assert why(ENGLISH, one) == one.why
    assert why(CHINESE, Decision("d", "toy", "", "toy@1", "toy@2", False, (gate,), taught, ())) == (
        "toy@2 被拒绝，toy@1 保留： 体积 (10.0 → 30.0 MB；最多可为 2 倍)"
    )
