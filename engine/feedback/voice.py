"""Voice: who says something, as far as that is known: a rater in one role, and the key that they speak by."""

from __future__ import annotations

from typing import NamedTuple

BY = "/"


def rater_of(key: str, person: str) -> str:
    """Who stands for what one of the people says that share a key: the key is checked, the person is what it names."""
    return f"{key}{BY}{person}"


class Voice(NamedTuple):
    rater: str
    labels: bool
    """Whether they label for training; what the same rater says elsewhere is another voice."""

    @property
    def key(self) -> str:
        """All that is known of a rater for sure; their name, where they have a key to themselves or none."""
        return self.rater.partition(BY)[0]
