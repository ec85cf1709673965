"""Keel's engine: a recipe and data in, a trusted model version out.

from engine import Recipe, train, load
train(Recipe.load("recipes/finance_news.yaml"))
load("finance-news").predict(["Profit fell 12%"])
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from engine.decision import Aside as Aside
    from engine.decision import Decision as Decision
    from engine.decision import Gate as Gate
    from engine.decision import Taught as Taught
    from engine.decision import decisions as decisions
    from engine.drift import Watch as Watch
    from engine.embedder import Embedder as Embedder
    from engine.generator import Generator as Generator
    from engine.lineage import successor as successor
    from engine.opening import load as load
    from engine.predictor import Prediction as Prediction
    from engine.predictor import Predictor as Predictor
    from engine.progress import Progress as Progress
    from engine.recipe import Recipe as Recipe
    from engine.resources import packaged as packaged
    from engine.resources import sha256 as sha256
    from engine.retraining import retrain as retrain
    from engine.store import Store as Store
    from engine.store import Version as Version
    from engine.tasks.labels import Answer as Answer
    from engine.training import Trained as Trained
    from engine.training import learnt_from as learnt_from
    from engine.training import train as train

_HOMES = {
    "Answer": "engine.tasks.labels",
    "Aside": "engine.decision",
    "Decision": "engine.decision",
    "Embedder": "engine.embedder",
    "Gate": "engine.decision",
    "Generator": "engine.generator",
    "Prediction": "engine.predictor",
    "Predictor": "engine.predictor",
    "load": "engine.opening",
    "Progress": "engine.progress",
    "Recipe": "engine.recipe",
    "packaged": "engine.resources",
    "retrain": "engine.retraining",
    "sha256": "engine.resources",
    "Store": "engine.store",
    "Taught": "engine.decision",
    "successor": "engine.lineage",
    "Trained": "engine.training",
    "Version": "engine.store",
    "Watch": "engine.drift",
    "decisions": "engine.decision",
    "learnt_from": "engine.training",
    "train": "engine.training",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    """Public names are imported at first use: `import engine` and `--help` stay fast."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'engine' has no attribute {name!r}")
