"""Compare: the paired verdict is honest, and recipes are set side by side on the same rows."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from typer.testing import CliRunner

from engine import Recipe, Store, cli
from engine.compare import compare
from engine.errors import InputError, KeelError
from engine.evaluate.intervals import Metric, paired_bootstrap
from engine.repeats import FIRST_SEED

Toy = Callable[..., Recipe]
FEW = {"epochs": 1, "batch_tokens": 512, "max_length": 48, "early_stopping": 0}
UNTAUGHT = {**FEW, "method": "head", "head_learning_rate": 1e-9, "head_start": "random"}


def share(right: Any) -> Metric:
    return lambda rows: float(right[rows].mean())


def test_a_clear_difference_is_found_in_both_directions() -> None:
    random = np.random.default_rng(0)
    weak, strong = random.random(400) < 0.7, random.random(400) < 0.85
    found = paired_bootstrap([share(weak)], [share(strong)], range(400))
    assert found.verdict == "better"
    assert found.value == pytest.approx(strong.mean() - weak.mean())
    assert found.low <= found.value <= found.high
    assert found.p < 0.01
    back = paired_bootstrap([share(strong)], [share(weak)], range(400))
    assert (back.verdict, back.value) == ("worse", pytest.approx(-found.value))


def test_a_model_against_itself_shows_nothing() -> None:
    right = np.random.default_rng(0).random(100) < 0.7
    found = paired_bootstrap([share(right)], [share(right)], range(100))
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)
    assert found.verdict == "no difference shown"


def test_equal_models_are_told_apart_about_one_time_in_twenty() -> None:
    """Of 80 tries 4 are expected; ten would be one chance in two hundred."""
    random = np.random.default_rng(1)
    wrong = 0
    for _ in range(80):
        first, second = random.random((2, 150)) < 0.8
        wrong += paired_bootstrap([share(first)], [share(second)], range(150)).verdict != "no difference shown"
    assert wrong <= 9


def test_pairs_show_what_two_intervals_apart_would_hide() -> None:
    random = np.random.default_rng(2)
    first = random.random(500) < 0.7
    second = first.copy()
    second[np.flatnonzero(~first)[:12]] = True  # twelve more rows right, none lost
    assert paired_bootstrap([share(first)], [share(second)], range(500)).verdict == "better"


def test_rows_that_belong_together_count_once() -> None:
    first, second = np.zeros(200, bool), np.zeros(200, bool)
    second[:40] = True
    first[40:60] = True
    assert paired_bootstrap([share(first)], [share(second)], range(200)).verdict == "better"
    clusters = [row // 20 for row in range(200)]  # two stories against one
    assert paired_bootstrap([share(first)], [share(second)], clusters).verdict == "no difference shown"


def test_seeds_that_disagree_widen_the_interval() -> None:
    random = np.random.default_rng(3)
    base = random.random(300) < 0.7
    better, worse = base.copy(), base.copy()
    better[np.flatnonzero(~base)[:30]] = True
    worse[np.flatnonzero(base)[:25]] = False
    steady = paired_bootstrap([share(base)], [share(better)], range(300))
    torn = paired_bootstrap([share(base)] * 2, [share(better), share(worse)], range(300))
    assert steady.verdict == "better"
    assert torn.verdict == "no difference shown"
    assert torn.high - torn.low > 1.5 * (steady.high - steady.low)
    with pytest.raises(ValueError, match="2 seeds against 1"):
        paired_bootstrap([share(base)] * 2, [share(better)], range(300))


def test_recipes_are_compared_with_figures_costs_and_a_verdict(toy_recipe: Toy, tmp_path: Path, home: Path) -> None:
    first = toy_recipe(name="untaught", tuning=UNTAUGHT)
    second = toy_recipe(name="probe", tuning={**FEW, "method": "head"})
    found = compare([first, second], seeds=2)
    assert found.seeds == [FIRST_SEED, FIRST_SEED + 1]
    one, other = found.candidates
    assert one.versions == ["untaught-seed-13@1", "untaught-seed-14@1"]
    assert [head.head for head in one.quality] == ["sentiment", "topics"]
    assert [head.difference for head in one.quality] == [None, None]
    for before, after in zip(one.quality, other.quality, strict=True):
        assert after.difference
        assert after.difference.value == pytest.approx(after.figure.value - before.figure.value)
        assert after.figure.low <= after.figure.value <= after.figure.high
    for candidate in found.candidates:
        assert candidate.trainable < candidate.parameters
        assert 50 < candidate.peak_memory_mb < 20_000
        assert min(candidate.seconds, candidate.disk_mb, candidate.p50_ms) > 0
    manifest = Store(home / "comparisons").get("untaught-seed-13").manifest()
    assert manifest["rows"]["test"] == found.rows
    again = compare([first, first], names=["a", "b"], seeds=2)
    assert again.candidates[0].versions == again.candidates[1].versions == one.versions  # nothing is trained twice
    assert {head.difference.p for head in again.candidates[1].quality if head.difference} == {1.0}
    for recipe in (first, second):
        (tmp_path / f"{recipe.name}.yaml").write_text(json.dumps(recipe.model_dump(exclude_unset=True)))
    words = ["compare", "untaught.yaml", "probe.yaml", "--seeds", "1"]
    told = json.loads(CliRunner().invoke(cli.app, [*words, "--json"]).stdout)
    assert [one["name"] for one in told["candidates"]] == ["untaught", "probe"]
    shown = CliRunner().invoke(cli.app, words, env={"COLUMNS": "200"}).stdout
    assert "against the first" in shown
    assert "peak MB" in shown
    assert "One seed: this speaks of these models" in shown


def test_recipes_that_cannot_be_compared_are_refused_before_anything_is_trained(
    toy_recipe: Toy, tmp_path: Path, home: Path
) -> None:
    recipe = toy_recipe()
    rows = tmp_path / "rows.jsonl"
    fewer = tmp_path / "fewer.jsonl"
    fewer.write_text("\n".join(rows.read_text().splitlines()[:200]) + "\n")
    data = {"train": str(fewer), "columns": {"text": "title"}, "split": {"group": "story"}}
    with pytest.raises(InputError, match=r"test rows of b \(\d+\) and a \(\d+\) differ, for example in .*jsonl:\d+"):
        compare([recipe, toy_recipe(data=data)], names=["a", "b"])
    one_head = {"kind": "classify", "heads": {"sentiment": {"labels": ["negative", "neutral", "positive"]}}}
    with pytest.raises(InputError, match="b is asked something else than a"):
        compare([recipe, toy_recipe(task=one_head)], names=["a", "b"])
    with pytest.raises(InputError, match="two recipes or more"):
        compare([recipe])
    assert not Store(home / "comparisons").names()


def test_a_fault_in_the_training_process_comes_back_as_itself(toy_recipe: Toy) -> None:
    """The teacher is missing: only training finds out."""
    heads = {"sentiment": {"labels": ["negative", "neutral", "positive"]}}
    task = {"kind": "classify", "heads": heads}
    taught = toy_recipe(name="taught", task=task, tuning={**FEW, "distill": {"teacher": "nobody"}})
    with pytest.raises(InputError, match="nobody: no such model"):
        compare([taught, toy_recipe(task=task)], seeds=1)


def test_a_training_that_is_ended_from_outside_is_told(toy_recipe: Toy) -> None:
    def end() -> None:
        for _ in range(600):
            for child in psutil.Process().children():
                if "spawn_main" in " ".join(child.cmdline()):
                    child.kill()
                    return
            time.sleep(0.1)

    ender = threading.Thread(target=end)
    ender.start()
    with pytest.raises(KeelError, match="toy-seed-13: its training broke off"):
        compare([toy_recipe(), toy_recipe()], seeds=1)
    ender.join()
