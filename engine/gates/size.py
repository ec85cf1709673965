"""Size: the challenger's bytes on disk over the champion's, each in the form that answers here."""

from __future__ import annotations

from pathlib import Path

from engine.decision import Gate
from engine.export import forms
from engine.gates.trial import Side, Trial


def ask(trial: Trial) -> list[Gate]:
    before, after = (_megabytes(side) for side in (trial.champion, trial.challenger))
    bound = trial.settings.size
    note = f"{before:.1f} MB to {after:.1f} MB; may be {bound:g} times as large"
    return [Gate("size", after / before <= bound, after / before, bound, None, note)]


def _megabytes(side: Side) -> float:
    version = side.predictor.version
    assert version is not None
    folder: Path = version.folder
    return forms.size(folder, side.predictor.backend) / 1e6  # type: ignore[arg-type]
