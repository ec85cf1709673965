"""Processes: one training shared by several, over torchrun's agent (gloo on CPUs, NCCL on GPUs).

Every process walks the same road on its part of each batch, with the gradients averaged; the first alone speaks, writes
and stores.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import KeelError, RecipeError

if TYPE_CHECKING:
    from engine.recipe import Recipe

RUN = "KEEL_RUN"
"""Environment: the run's folder, which the launching process holds for all."""


def first() -> bool:
    """Whether this process is the only or the first one of its run."""
    return os.environ.get("RANK", "0") == "0"


def given_folder() -> Path | None:
    """The run's folder, when a launching process holds it."""
    return Path(os.environ[RUN]) if RUN in os.environ else None


def check(recipe: Recipe) -> None:
    """Refuse what several processes would train otherwise than one.

    Raises:
        RecipeError: names the setting.
    """
    tuning = recipe.tuning
    alone = {
        "task.kind: embed": recipe.task.kind == "embed",  # its negatives are the rows beside it in the process
        "tuning.method: contrastive": tuning.method == "contrastive",
        "tuning.method: zero_shot": tuning.method == "zero_shot",
        "tuning.adapt": tuning.adapt is not None,
        "tuning.gradual_unfreezing": tuning.gradual_unfreezing,
    }
    for name, asked in alone.items():
        if asked:
            raise RecipeError(f"{name} trains in one process; leave --processes out")


def after_the_first(work: Callable[[], object]) -> None:
    """Do the work of a process that is not the first. What is wrong is wrong in all: the first says it."""
    try:
        work()
    except KeelError:
        time.sleep(10)  # when the first ends, its agent ends this one
        raise


def launch(count: int, command: Sequence[str], folder: Path) -> None:
    """Run `engine` with the arguments `command` in `count` processes that work on one run.

    Raises:
        SystemExit: one of them ended badly; it has said why, and its exit code is ours.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.disable(logging.ERROR)  # a fault is told once, by the first process
    os.environ[RUN] = str(folder)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, len(os.sched_getaffinity(0)) // count)))
    config = LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=count, max_restarts=0, logs_specs=DefaultLogsSpecs(),
        rdzv_backend="c10d", rdzv_endpoint="localhost:0", local_addr="localhost",
    )  # fmt: skip
    try:
        elastic_launch(config, sys.executable)("-m", "engine", *command)
    except ChildFailedError as fault:
        code = fault.get_first_failure()[1].exitcode
        if code < 0:
            raise KeelError(
                f"a training process was killed (signal {-code}); the same command goes on from here"
            ) from None
        raise SystemExit(code) from None
    except SignalException:
        raise KeyboardInterrupt from None
