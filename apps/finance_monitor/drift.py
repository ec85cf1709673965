"""Drift: a key's share of negative stories that has crept up over days, too slowly for any one hour to show.

Every six hours the key's stories are weighed: how much likelier are so many negative ones if the odds of a negative
story have doubled than if they are as usual? Both are beta-binomial, for the usual share is not known exactly and news
comes in clusters. The logarithms add up, never below zero (Page 1954). As the likelihood ratio is 1 in the mean while
all is usual, sums reach log(1 / a) once in 1 / a blocks at most in the long run (Lorden 1971; Shin, Ramdas and Rinaldo
2023, E-detectors): the level is set by the budget and needs no simulation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

BLOCK = timedelta(hours=6)
ODDS = 2.0
"""Times the usual odds, that are looked for."""
CLUSTERS = 30.0
"""Concentration of a block's own share around the usual one: stories of one event share their sentiment."""
PRIOR_SHARE, PRIOR_STORIES = 0.2, 20.0
"""Share of negative stories before any is seen, and how many stories that is worth."""
MEMORY = timedelta(days=60)
"""Mean age of the stories that tell what is usual."""
SETTLED = 100.0
"""Stories from which on the usual share is known well enough to tell a drift from it."""
MOST = 1 / 3
"""Share of the level that one block may add: a drift is what several blocks tell."""
ADAPTED = timedelta(days=14)
"""A drift that has lasted so long is the new usual."""


@dataclass
class Drift:
    """One key's sum of evidence, and what is usual for it. While a suspicion lasts, its blocks teach nothing."""

    usual_stories: float = 0.0
    usual_negative: float = 0.0
    stories: int = 0
    negative: int = 0
    """Stories under suspicion: since the sum was last zero."""
    blocks: int = 0
    evidence: float = 0.0
    firing: bool = False

    @property
    def share(self) -> float:
        """The usual share of negative stories."""
        return (PRIOR_STORIES * PRIOR_SHARE + self.usual_negative) / (PRIOR_STORIES + self.usual_stories)

    @property
    def expected(self) -> float:
        """Negative stories to expect among those under suspicion."""
        return self.share * self.stories

    @property
    def p_value(self) -> float:
        """Bound on how often, in the long run, a block of usual news ends with so much evidence."""
        return math.exp(-self.evidence)

    def take(self, stories: int, negative: int, alpha: float) -> bool:
        """Weigh a block.

        Args:
            alpha: share of blocks of usual news that may end in a drift.

        Returns:
            Whether the key's drift began or ended.
        """
        level = math.log(1 / alpha)
        self.stories += stories
        self.negative += negative
        self.blocks += 1
        if self.usual_stories >= SETTLED:
            step = self._log_ratio(stories, negative)
            self.evidence = min(max(0.0, self.evidence + min(step, MOST * level)), max(level, self.evidence))
        dispelled = self.evidence == 0.0
        adapted = self.firing and self.blocks * BLOCK >= ADAPTED
        if dispelled or adapted:
            ended, self.firing = self.firing, False
            self._learn()
            return ended
        if not self.firing and self.evidence >= level:
            self.firing = True
            return True
        return False

    def _log_ratio(self, stories: int, negative: int) -> float:
        usual = self.share
        raised = ODDS * usual / (1 - usual + ODDS * usual)
        known = 1 / (1 / CLUSTERS + 1 / (PRIOR_STORIES + self.usual_stories))
        return _log_beta_binomial(negative, stories, raised, known) - _log_beta_binomial(
            negative, stories, usual, known
        )

    def _learn(self) -> None:
        fade = math.exp(-self.blocks * BLOCK / MEMORY)
        self.usual_stories = self.usual_stories * fade + self.stories
        self.usual_negative = self.usual_negative * fade + self.negative
        self.stories = self.negative = self.blocks = 0
        self.evidence = 0.0


def _log_beta_binomial(negative: int, stories: int, share: float, concentration: float) -> float:
    """Log probability of so many among so many, without the binomial coefficient."""
    a, b = share * concentration, (1 - share) * concentration
    return (
        math.lgamma(a + negative)
        + math.lgamma(b + stories - negative)
        - math.lgamma(concentration + stories)
        + math.lgamma(concentration)
        - math.lgamma(a)
        - math.lgamma(b)
    )
