"""The catalogue: both tongues, and every key that the pages ask for."""

from __future__ import annotations

import ast
import string
from pathlib import Path

from fastapi.requests import HTTPConnection

from apps.console import words
from apps.console.words import Words, catalogue

CONSOLE = Path(words.__file__).parent


def _places(text: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_key_has_both_tongues_with_the_same_places() -> None:
    for key, said in catalogue().items():
        assert set(said) == {"en", "zh"}, key
        assert all(isinstance(text, str) and text for text in said.values()), key
        assert _places(said["en"]) == _places(said["zh"]), key


def test_every_key_that_is_said_is_there() -> None:
    asked = set()
    for path in CONSOLE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in ("say", "words", "_say"):
                first = node.args[0]
                branches = [first.body, first.orelse] if isinstance(first, ast.IfExp) else [first]
                asked |= {one.value for one in branches if isinstance(one, ast.Constant)}
    assert len(asked) > 50
    assert asked <= catalogue().keys()


def test_the_tongue_is_the_chosen_one_or_the_browsers() -> None:
    def tongue(**headers: str) -> str:
        raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        return Words.of(HTTPConnection({"type": "http", "headers": raw})).tongue

    assert tongue() == "en"
    assert tongue(accept_language="zh-CN,zh;q=0.9") == "zh"
    assert tongue(accept_language="zh-CN", cookie="keel_tongue=en") == "en"
    assert tongue(accept_language="fr", cookie="keel_tongue=xx") == "en"
