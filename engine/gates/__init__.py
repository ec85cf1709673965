"""Gates: what a challenger is asked before it may take the champion's place, one gate a file."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from engine.decision import Gate
from engine.gates.trial import Trial
from engine.recipe.gates import NAMES

Ask = Callable[[Trial], list[Gate]]


def judge(trial: Trial) -> tuple[Gate, ...]:
    """What every gate that the recipe asks says, in the order of `engine.recipe.gates.NAMES`."""
    found: list[Gate] = []
    for name in NAMES:
        if name in trial.settings.ask:
            ask: Ask = import_module(f"engine.gates.{name}").ask
            found += ask(trial)
    return tuple(found)
