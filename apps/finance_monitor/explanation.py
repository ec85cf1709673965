"""Explanation: the fewest stories without which an alert would not have fired, and the words that made its news bad."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from apps.finance_monitor.windows import Mention
from engine.text import languages

if TYPE_CHECKING:
    from engine.explain import Explainer, Explanation

TOP = 3
"""Headlines of an alert whose words are weighed."""
READ = 100
"""Headlines among which those are looked for."""


@dataclass(frozen=True)
class Moment:
    """A step at which an alert's key fired.

    Attributes:
        mentions: the key's negative stories of the window, in order of time.
        spare: the most of them that would not have fired.
    """

    mentions: tuple[Mention, ...]
    spare: int


def moment(mentions: Sequence[Mention], p_value: Callable[[int], float], *, alpha: float, least: int) -> Moment:
    """What one step says.

    Args:
        p_value: of so many negative stories of the key, all else as it was; it falls as they grow.
        alpha: the level below which the key fires.
        least: stories below which it never does.
    """
    spare = len(mentions) - 1
    while spare >= least and p_value(spare) < alpha:
        spare -= 1
    return Moment(tuple(mentions), spare)


def decisive(moments: Iterable[Moment]) -> list[Mention]:
    """The fewest stories without which no step would have fired, in order of time.

    The test looks at the count alone, so at each step some number of stories is too many, whichever they are. A window
    holds stories that follow one another, so its latest ones lie in the steps to come the longest: any other choice can
    be exchanged for them, and no choice is smaller (unless a source took a story back in between).
    """
    out: dict[str, Mention] = {}
    for one in moments:
        left = [mention for mention in one.mentions if mention.story not in out]
        out |= {mention.story: mention for mention in left[max(0, one.spare) :]}
    return sorted(out.values(), key=lambda mention: (mention.time, mention.item_id))


def worst(titles: Sequence[str], explainer: Explainer, *, top: int = TOP) -> list[Explanation]:
    """Why the labeller finds the most negative of the titles in its languages negative, the worst first."""
    labeller = explainer.predictor
    mine = [title for title in dict.fromkeys(titles[:READ]) if languages.detect(title) in labeller.spec.languages]
    negative = [found["sentiment"].probabilities["negative"] for found in labeller.predict(mine)]
    order = sorted(range(len(mine)), key=lambda place: (-negative[place], place))
    return [explainer.explain(mine[place], "sentiment", "negative")[0] for place in order[:top]]
