"""Outcome: what the week made of one model, and what rows that no gate saw say of it."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field

from apps.recommender.intervals import Interval
from bench.week.house import House
from engine.evaluate.intervals import Difference

Gain = Difference | Interval
"""Both have `value`, `low` and `high`."""


@dataclass(frozen=True)
class Decided:
    """What a retrain came to, as its command told it.

    Attributes:
        promoted: whether the challenger is champion now.
        challenger: None: none was made.
        gates: names of those that did not hold.
        learnt: ids of the feedback that taught it.
    """

    promoted: bool
    challenger: str | None
    why: str
    gates: tuple[str, ...] = ()
    learnt: frozenset[str] = field(default=frozenset(), repr=False)

    @classmethod
    def of(cls, house: House, program: str, *arguments: str) -> Decided:
        """Run the command; a refusal to learn at all is a decision too."""
        said = house.run(program, "retrain", *arguments, "--json", check=False)
        try:
            told = json.loads(said)
        except ValueError:
            return cls(False, None, said.strip()[-500:])
        told = told.get("decision", told)
        failed = tuple(dict.fromkeys(gate["name"] for gate in told["gates"] if not gate["held"]))
        learnt = frozenset(told["feedback"]["learnt"])
        return cls(told["promoted"], told["challenger"], told["why"], failed, learnt)


@dataclass(frozen=True)
class Outcome:
    """
    Attributes:
        week: the decision on the week's challenger; `gain`: how much better it is on rows that no gate saw, paired.
        poisoned: the decision on the challenger that lies taught; `harm`: how much better, where there is one.
        hostile, lies: ids of what was said to do harm in the week, and after it.
    """

    week: Decided
    gain: Gain
    poisoned: Decided
    harm: Gain | None
    hostile: Collection[str]
    lies: Collection[str]

    def figures(self, name: str) -> dict[str, float]:
        """Keys begin with the name."""
        found = {
            "promoted": self.week.promoted,
            "gain": self.gain.value,
            "promoted_only_when_better": all(
                not one.promoted or (gain is not None and gain.low > 0)
                for one, gain in ((self.week, self.gain), (self.poisoned, self.harm))
            ),
            "hostile_learnt": _share(self.week, self.hostile),
            "poisoned_refused": not self.poisoned.promoted,
            "poison_learnt": _share(self.poisoned, self.lies),
        }
        found |= {"poisoned_gain": self.harm.value} if self.harm else {}
        return {f"{name}_{key}": float(value) for key, value in found.items()}

    def intervals(self, name: str) -> dict[str, tuple[float, float]]:
        found = {f"{name}_gain": (self.gain.low, self.gain.high)}
        return found | ({f"{name}_poisoned_gain": (self.harm.low, self.harm.high)} if self.harm else {})


def _share(decided: Decided, ids: Collection[str]) -> float:
    return len(decided.learnt.intersection(ids)) / max(1, len(ids))
