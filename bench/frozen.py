"""What remembering the frozen layers' outputs saves: the same training with the cache on disk, and without it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bench.banking77 import RECIPE
from bench.contract import Figures, public_data
from engine import Progress, Recipe, Store, train

LAYERS = (3, 6)
"""Half of the base's layers, and all of them: the head alone learns."""
SETTINGS = ["data.per_label=20", "data.on_leak=drop", "tuning.epochs=4", "export.format=none", "track=[]"]


def run(*, seeds: int) -> Figures:
    """Seconds of tuning with the cache, empty at first, over those without it; a fresh cache is part of the price."""
    public_data("banking77")
    ratios: dict[int, list[float]] = {layers: [] for layers in LAYERS}
    apart = 0.0
    with Progress() as progress:
        for seed in range(13, 13 + seeds):
            for layers in LAYERS:
                seconds, found = [], []
                for megabytes in (0, 4096):
                    settings = [f"seeds=[{seed}]", f"tuning.freeze_layers={layers}", f"tuning.cache_mb={megabytes}"]
                    with TemporaryDirectory() as place:
                        done = train(
                            Recipe.load(RECIPE, [*SETTINGS, *settings]), store=Store(Path(place)), watcher=progress,
                            fresh=True,
                        )  # fmt: skip
                        seconds.append(done.version.manifest()["seconds"])
                        found.append(done.figures.heads["intent"]["accuracy"].value)
                progress.stage(
                    f"{layers} layers frozen: {seconds[0]:.0f} s without the cache, {seconds[1]:.0f} s with it"
                )
                ratios[layers].append(seconds[1] / seconds[0])
                apart = max(apart, abs(found[1] - found[0]))
    return Figures(
        {**{f"time_ratio_{layers}_frozen": float(np.mean(values)) for layers, values in ratios.items()},
         "accuracy_difference": apart},
        settings={"seeds": seeds, "rows_a_label": 20, "epochs": 4},
    )  # fmt: skip
