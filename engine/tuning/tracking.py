"""Tracking: where a run's curves go. TensorBoard files in the run's folder by default; by extra MLflow and Weights &
Biases, both offline into the same folder unless their own environment variables name a server."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from engine.errors import RecipeError


@contextlib.contextmanager
def tracked(folder: Path, trackers: tuple[str, ...]) -> Iterator[list[str]]:
    """Names for Trainer's `report_to`; the trackers' callbacks take their folders from the environment.

    Raises:
        RecipeError: a tracker's package is not installed.
    """
    for name in trackers:
        if find_spec(name) is None:
            raise RecipeError(f"track: {name} is not installed; run: pip install 'keel-suite[{name}]', or leave it out")
    wanted = {
        "TENSORBOARD_LOGGING_DIR": str(folder / "tensorboard"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "MLFLOW_EXPERIMENT_NAME": folder.parent.parent.name,
        "WANDB_MODE": "offline",
        "WANDB_DIR": str(folder),
        "WANDB_PROJECT": folder.parent.parent.name,
        "WANDB_SILENT": "true",
    }
    # A user's own server stands; TensorBoard's folder is always the run's.
    ours = {name: value for name, value in wanted.items() if name.startswith("TENSORBOARD") or name not in os.environ}
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield list(trackers)
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
