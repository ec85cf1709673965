"""The checks can fail: each finds what it is for."""

from __future__ import annotations

from tests import checks


def test_templates_are_found_and_original_texts_are_not() -> None:
    original = [
        "Halden cuts its outlook",
        "Why the ferry strike ended before noon",
        "A verdict nobody in Oslo expected",
    ]
    assert checks.shared_texts(original) == 0
    assert checks.shared_texts([*original, "Nordvik cuts its outlook"]) == 2
    long = "profit at the bank fell in the third quarter as costs rose and loans went bad"
    assert checks.shared_texts([*original, long, long.replace("third", "second")]) == 2


def test_the_repository_holds_its_own_rules() -> None:
    for check in (checks.circles, checks.originality, checks.feed_apart, checks.examples, checks.change_log):
        assert list(check()) == []
