"""`engine train --processes 2` learns what one process learns, step by step."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from engine import Recipe, Store

pytestmark = pytest.mark.system


def engine(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "engine", *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def still_base(toy_base: Path, tmp_path: Path) -> Path:
    """The toy base without dropout, which no two processes draw alike."""
    folder = tmp_path / "still-base"
    shutil.copytree(toy_base, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def losses(run: Path) -> list[float]:
    """Mean loss of each ten steps, from the run's TensorBoard file."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (file,) = run.glob("seed-*/**/events.out.tfevents.*")
    events = EventAccumulator(str(file))
    events.Reload()
    return [event.value for event in events.Scalars("train/loss")]


@pytest.mark.parametrize("tuning", [{}, {"method": "lora"}, {"r_drop": 1.0, "accumulate": 2}], ids=str)
def test_two_processes_learn_what_one_learns(
    toy_recipe: Callable[..., Recipe], still_base: Path, tmp_path: Path, tuning: dict[str, Any]
) -> None:
    recipe = toy_recipe(
        base=str(still_base),
        tuning={
            "epochs": 4, "batch_tokens": 256, "max_length": 48, "dropout": 0.0, "precision": "fp32",
            "early_stopping": 0, **tuning,
        },
        track=["tensorboard"],
    )  # fmt: skip
    file = tmp_path / "toy.yaml"
    file.write_text(json.dumps(recipe.model_dump(exclude_none=True)))
    found, weights = [], []
    for processes in ("1", "2"):
        done = engine("train", str(file), "--processes", processes, "--json")
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        found.append(losses(Path(answer["run"])))
        version = Store().get(answer["version"])
        weights.append(load_file(version.folder / "model" / "model.safetensors"))
    assert len(found[0]) >= (5 if "accumulate" not in tuning else 2)
    assert found[1] == pytest.approx(found[0], abs=1e-4)
    for name, value in weights[0].items():
        assert torch.allclose(weights[1][name], value, atol=1e-4), name
    assert [version.number for version in Store().versions("toy")] == [1, 2]


def test_a_fault_is_told_once_and_what_cannot_be_shared_is_refused(
    toy_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    file = tmp_path / "toy.yaml"
    rows = tmp_path / "few.jsonl"
    rows.write_text('{"title": "Profit fell", "sentiment": "negative", "topics": [], "story": "a"}\n')
    values = toy_recipe().model_dump(exclude_none=True)
    file.write_text(json.dumps(values))
    refused = engine("train", str(file), "--processes", "2", "--set", "tuning.gradual_unfreezing=true")
    assert refused.returncode == 2
    assert "tuning.gradual_unfreezing trains in one process" in refused.stderr
    few = engine("train", str(file), "--processes", "2", "--set", f"data.train={rows}")
    assert few.returncode == 2
    assert few.stderr.count("error: too few rows") == 1
    assert "Traceback" not in few.stderr
