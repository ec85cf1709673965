"""Search: trials that score best on dev, the test rows unread, whole through a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from engine import Recipe, space, training
from engine.data.split import Parts
from engine.errors import InputError, RecipeError
from engine.search import search

Toy = Callable[..., Recipe]
FEW = {"epochs": 1, "batch_tokens": 512, "max_length": 48}


class Guard:
    """Test rows that must not be touched."""

    def _touched(self, *_: Any) -> NoReturn:
        raise AssertionError("the search looked at the test rows")

    __iter__ = __len__ = __getitem__ = __contains__ = __bool__ = __eq__ = __getattr__ = _touched  # type: ignore[assignment]
    __hash__ = None  # type: ignore[assignment]


def test_the_search_never_looks_at_the_test_rows(toy_recipe: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    real = training.prepare

    def guarded(*given: Any) -> Any:
        parts, loaded, dropped = real(*given)
        return replace(parts, test=Guard()), loaded, dropped  # type: ignore[arg-type]

    monkeypatch.setattr(training, "prepare", guarded)
    found = search(toy_recipe(tuning=FEW), trials=2)
    assert [trial.state for trial in found.trials] == ["finished", "finished"]
    with pytest.raises(AssertionError, match="looked at the test rows"):
        training.train(toy_recipe())  # the guard does guard


def test_the_first_trial_is_the_recipe_as_it_is_and_the_best_comes_back_as_a_recipe(
    toy_recipe: Toy, tmp_path: Path
) -> None:
    recipe = toy_recipe(tuning={**FEW, "learning_rate": 0.00123456})
    found = search(recipe, trials=3)
    first = found.trials[0]
    assert first.settings["tuning.learning_rate"] == 0.00123456
    assert first.settings["tuning.epochs"] == 1
    assert first.score == pytest.approx(training_score(recipe, tmp_path))
    assert found.best.score == max(trial.score or 0 for trial in found.trials)
    (tmp_path / "best.yaml").write_text(found.yaml())
    again = Recipe.load(tmp_path / "best.yaml")
    assert {path: space.at(again, path) for path in found.best.settings} == found.best.settings
    assert again.digest() == found.recipe.digest()


def training_score(recipe: Recipe, folder: Path) -> float:
    parts: Parts = training.prepare(recipe, folder)[0]
    learned, _ = training.learn(recipe, parts, folder / "run", training.Quiet())
    return learned[0].dev_score


def test_a_search_goes_on_where_it_was_and_draws_what_it_would_have_drawn(toy_recipe: Toy) -> None:
    recipe = toy_recipe(tuning=FEW)
    varied = {"tuning.learning_rate": space.Range(low=1e-4, high=1e-2, log=True)}
    begun = search(recipe, trials=2, within=varied)
    longer = search(recipe, trials=4, within=varied)
    assert longer.study == begun.study
    assert longer.trials[:2] == begun.trials
    longer.study.unlink()
    whole = search(recipe, trials=4, within=varied)
    assert [trial.settings for trial in whole.trials] == [trial.settings for trial in longer.trials]
    assert [trial.score for trial in whole.trials] == [trial.score for trial in longer.trials]


def test_other_data_or_another_space_is_another_search(toy_recipe: Toy, tmp_path: Path) -> None:
    recipe = toy_recipe()
    varied: space.Space = {"tuning.warmup": space.Choice((0.1, 0.2))}
    first = search(recipe, trials=1, within=varied)
    assert search(recipe, trials=1, within={"tuning.warmup": space.Choice((0.1, 0.3))}).study != first.study
    rows = (tmp_path / "rows.jsonl").read_text().splitlines()
    (tmp_path / "rows.jsonl").write_text("\n".join(rows[:-1]) + "\n")
    assert search(recipe, trials=1, within=varied).study != first.study


def test_trials_that_fall_behind_are_pruned_and_leave_nothing(toy_recipe: Toy) -> None:
    """Next to nothing is learnt, so a head that begins as a probe stays ahead of one that begins at random."""
    recipe = toy_recipe(tuning={**FEW, "epochs": 2, "learning_rate": 1e-12, "head_learning_rate": 1e-12})
    found = search(recipe, trials=8, within={"tuning.head_start": space.Choice(("probe", "random"))})
    pruned = [trial for trial in found.trials if trial.state == "pruned"]
    assert pruned
    assert all(trial.settings == {"tuning.head_start": "random"} for trial in pruned)
    assert found.best.settings == {"tuning.head_start": "probe"}
    assert not list(found.study.with_suffix("").iterdir())


def test_settings_that_cannot_stand_together_are_pruned_with_the_reason(toy_recipe: Toy) -> None:
    varied: space.Space = {
        "tuning.method": space.Choice(("lora",)),
        "tuning.gradual_unfreezing": space.Choice((True,)),
    }
    _, odd = search(toy_recipe(tuning=FEW), trials=2, within=varied).trials
    assert (odd.state, odd.score) == ("pruned", None)
    assert "gradual_unfreezing is for method full" in odd.note


def test_a_space_tells_all_its_faults_with_line_path_and_remedy(
    toy_recipe: Toy, write: Callable[[str, str], Path]
) -> None:
    path = write(
        "space.yaml",
        "tuning.learning_rat: [1e-4]\n"
        "tuning.epochs: {low: 1.5, high: 3}\n"
        "tuning.warmup: {low: 0, high: 0.5, lag: true}\n"
        "tuning.dropout: {low: 0.5, high: 0.2}\n"
        "tuning.weight_decay: 3\n"
        "data.split.test: [0.1, 0.2]\n"
        "tuning.batch_tokens: [2, 512]\n"
        "task.heads.topics.multi_label: [true, false]\n"
        "tuning.gradual_unfreezing: {low: 0, high: 1}\n"
        "base.x: [1]\n",
    )
    with pytest.raises(RecipeError) as fault:
        space.read(path, toy_recipe())
    for told, line in zip(
        (
            "line 1: tuning.learning_rat: unknown key; did you mean 'learning_rate'?",
            "line 2: tuning.epochs: input should be a valid integer",
            "line 3: tuning.warmup.lag: unknown key; did you mean 'log'?",
            "line 4: tuning.dropout: low must be under high",
            "line 5: tuning.weight_decay: give a range",
            "line 6: data.split.test: a search varies base, task, tuning alone",
            "line 7: tuning.batch_tokens: input should be greater than or equal to 16; found '2'",
            "line 8: task.heads.topics.multi_label: changes what the model is asked",
            "line 9: tuning.gradual_unfreezing: takes no range",
            "line 10: base.x: 'base' is a value, not a section",
        ),
        str(fault.value).splitlines(),
        strict=True,
    ):
        assert told in line


def test_a_space_is_read_as_a_person_writes_it(toy_recipe: Toy, write: Callable[[str, str], Path]) -> None:
    text = "tuning.learning_rate: {low: 1e-5, high: 5e-4, log: true}\ntuning.epochs: {low: 2, high: 4}\n"
    read = space.read(write("s.yaml", text + "tuning.freeze_layers: [null, 1]\n"), toy_recipe())
    assert read == {
        "tuning.learning_rate": space.Range(low=1e-5, high=5e-4, log=True),
        "tuning.epochs": space.Whole(low=2, high=4),
        "tuning.freeze_layers": space.Choice((None, 1)),
    }


@pytest.mark.parametrize("method", ["full", "head", "lora", "prompt", "contrastive"])
def test_the_default_space_holds_the_recipe_and_only_what_its_method_uses(toy_recipe: Toy, method: str) -> None:
    heads = {"sentiment": {"labels": ["negative", "neutral", "positive"]}}
    recipe = toy_recipe(tuning={"method": method}, task={"kind": "classify", "heads": heads})
    found = space.default(recipe)
    assert all(values.holds(space.at(recipe, path)) for path, values in found.items())
    assert ("tuning.learning_rate" in found) == (method != "head")
    assert ("tuning.rank" in found) == (method == "lora")
    assert ("tuning.virtual_tokens" in found) == (method == "prompt")
    assert ("tuning.head_learning_rate" in found) == (method != "contrastive")


def test_nothing_to_tune_is_told(toy_recipe: Toy) -> None:
    heads = {"sentiment": {"labels": ["negative", "neutral", "positive"]}}
    with pytest.raises(RecipeError, match="zero_shot learns nothing"):
        search(toy_recipe(tuning={"method": "zero_shot"}, task={"kind": "classify", "heads": heads}))


def test_ctrl_c_leaves_a_search_that_goes_on(toy_recipe: Toy) -> None:
    class Impatient(training.Quiet):
        def step(self, done: int, total: int, note: str) -> None:
            if done == 1:
                raise KeyboardInterrupt

    recipe = toy_recipe(tuning=FEW)
    with pytest.raises(KeyboardInterrupt):
        search(recipe, trials=3, watcher=Impatient())
    found = search(recipe, trials=3)
    assert len(found.trials) == 3


def test_two_processes_do_not_share_a_search(toy_recipe: Toy) -> None:
    recipe = toy_recipe()

    class Second(training.Quiet):
        told = ""

        def step(self, done: int, total: int, note: str) -> None:
            if not self.told:
                with pytest.raises(InputError, match="another process is at this search") as fault:
                    search(recipe, trials=1)
                self.told = str(fault.value)

    second = Second()
    search(recipe, trials=1, watcher=second)
    assert second.told


def test_no_time_left_still_gives_the_recipe_as_it_is(toy_recipe: Toy) -> None:
    assert len(search(toy_recipe(), trials=5, timeout=0).trials) == 1


@pytest.mark.system
def test_a_search_killed_twice_ends_with_exactly_its_trials(toy_recipe: Toy, tmp_path: Path, home: Path) -> None:
    """SIGKILL at moments when trials are under way; the table then is that of a search which was never killed."""
    recipe = toy_recipe(tuning={**FEW, "epochs": 2})
    (tmp_path / "toy.yaml").write_text(json.dumps(recipe.model_dump(exclude_unset=True)))
    command = [str(Path(sys.executable).parent / "engine"), "tune", "toy.yaml", "--trials", "12", "--json"]
    for finished in (3, 7):
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, cwd=tmp_path
        )
        limit = time.monotonic() + 240
        while begun(home) <= finished and time.monotonic() < limit:
            time.sleep(0.05)
        time.sleep(0.3)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
    trials = json.loads(done.stdout)["trials"]
    assert len(trials) == 12
    assert Recipe.load("best.yaml").name == "toy"
    (study,) = (home / "searches").glob("*.db")
    states = counted(study)
    assert states["RUNNING"] == states["WAITING"] == 0
    assert states["COMPLETE"] + states["PRUNED"] == 12
    assert 1 <= states["FAIL"] <= 2
    study.unlink()
    whole = search(recipe, trials=12)
    assert [(trial["state"], trial["score"]) for trial in trials] == [(one.state, one.score) for one in whole.trials]


def begun(home: Path) -> int:
    """Trials that the study under way has begun, by its folder of them; 0 while there is none."""
    return max((int(path.name.split("-")[1]) for path in home.glob("searches/*/trial-*")), default=0)


def counted(study: Path) -> dict[str, int]:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(study)) as connection:
        found = dict(connection.execute("SELECT state, COUNT(*) FROM trials GROUP BY state").fetchall())
    return {state: found.get(state, 0) for state in ("RUNNING", "WAITING", "COMPLETE", "PRUNED", "FAIL")}
