"""`kill -9` at random moments of a training run: the store stays whole and the champion answers.

KEEL_KILLS sets how many moments (default 3).
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import Recipe, Store, load, train
from engine.store import Version
from engine.training import Quiet

pytestmark = pytest.mark.system
KILLS = int(os.environ.get("KEEL_KILLS", "3"))


def test_a_killed_run_leaves_whole_versions_only(toy_recipe: Callable[..., Recipe], tmp_path: Path, home: Path) -> None:
    recipe = toy_recipe(export={"format": "onnx", "precision": "fp32", "max_quality_loss": 1.0})
    file = tmp_path / "toy.yaml"
    file.write_text(json.dumps(recipe.model_dump(exclude_none=True)))
    champion = train(recipe).version
    answer = load("toy").probabilities(["Profit fell"])["sentiment"].tolist()
    command = [sys.executable, "-m", "engine", "train", str(file)]
    start = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    whole = time.monotonic() - start
    draw = random.Random(0)
    for _ in range(KILLS):
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        # Half of the moments in the last fifth of the run, where the version is written.
        time.sleep(whole * (draw.uniform(0.8, 1.02) if draw.random() < 0.5 else draw.uniform(0.1, 1.0)))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        store = Store()
        assert [fault for version in store.versions("toy") for fault in store.verify(version)] == []
        assert store.get("toy") == champion
        assert load("toy").probabilities(["Profit fell"])["sentiment"].tolist() == answer
    train(recipe)
    assert not list((home / "models" / "toy").glob(".unfinished-*"))


DIES = """
import os, signal, sys, threading
from engine import Recipe, train
from engine.training import Quiet

class Dies(Quiet):
    def step(self, done, total, note):
        if done >= int(sys.argv[2]):  # a moment later: perhaps inside an accumulation, or a write
            threading.Timer(float(sys.argv[3]), lambda: os.kill(os.getpid(), signal.SIGKILL)).start()

train(Recipe.load(sys.argv[1]), watcher=Dies())
"""


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_run_killed_at_random_steps_ends_with_the_weights_it_would_have_had(
    toy_recipe: Callable[..., Recipe], tmp_path: Path, home: Path, method: str
) -> None:
    tuning = {
        "method": method, "epochs": 3, "batch_tokens": 128, "accumulate": 2, "max_length": 48, "checkpoint_steps": 4,
        "early_stopping": 0,
    }  # fmt: skip
    recipe = toy_recipe(tuning=tuning)
    file = tmp_path / "toy.yaml"
    file.write_text(json.dumps(recipe.model_dump(exclude_none=True)))
    script = tmp_path / "dies.py"
    script.write_text(DIES)
    steps = 0

    class Counts(Quiet):
        def step(self, done: int, total: int, note: str) -> None:
            nonlocal steps
            steps = total

    whole = _weights(train(recipe, watcher=Counts()).version)
    draw = random.Random(method)
    for step in sorted(draw.sample(range(1, steps - 8), KILLS)):
        command = [sys.executable, str(script), str(file), str(step), str(draw.uniform(0, 0.02))]
        assert subprocess.run(command, capture_output=True, check=False).returncode == -signal.SIGKILL
    assert list((home / "runs" / "toy").glob("unfinished-*/seed-*/checkpoint-*"))
    assert _weights(train(recipe).version) == whole


def _weights(version: Version) -> str:
    return hashlib.sha256((version.folder / "model" / "model.safetensors").read_bytes()).hexdigest()


def test_ctrl_c_says_that_nothing_is_lost(toy_recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    file = tmp_path / "toy.yaml"
    file.write_text(json.dumps(toy_recipe().model_dump(exclude_none=True)))
    process = subprocess.Popen(
        [sys.executable, "-m", "engine", "train", str(file)],
        stderr=subprocess.PIPE, text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert process.stderr
    for line in process.stderr:
        if "tuning" in line:
            break
    process.send_signal(signal.SIGINT)
    assert process.stderr.read().endswith("the same command goes on from here\n")
    process.stderr.close()
    assert process.wait() in (130, -signal.SIGINT)  # the same to a shell; which, is up to Python
