"""When a model is due, in words."""

from __future__ import annotations

import pytest

from engine import schedule
from engine.errors import InputError
from engine.schedule import Term


def test_the_words_are_joined_by_or_and_and() -> None:
    assert schedule.parse("500 new rows or drift") == ((Term(rows=500),), (Term(),))
    assert schedule.parse("1 new row AND 7  days or drift") == ((Term(rows=1), Term(days=7)), (Term(),))


@pytest.mark.parametrize("words", ["", "500 rows", "drift or", "500 new rows, drift", "some day", "-1 new rows"])
def test_other_words_are_refused_with_those_that_are_known(words: str) -> None:
    with pytest.raises(InputError, match="write N new rows, N days or drift, joined by or / and"):
        schedule.parse(words)
