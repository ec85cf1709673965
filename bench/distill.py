"""A three-layer student of the Banking77 model: what it keeps, and how much faster it answers; both in int8."""

from __future__ import annotations

import time

from bench.banking77 import RECIPE
from bench.contract import Figures, public_data
from bench.held_out import averaged
from bench.seeds import trained
from engine import Predictor, Progress, Recipe
from engine.data import sources
from engine.tasks.heads import specs

ROUNDS = 3


def run(*, seeds: int) -> Figures:
    """Accuracy kept (student over teacher) and ratio of texts/s, in turns, the best of three rounds each."""
    file = str(public_data("banking77") / "test.csv")
    with Progress() as progress:
        teachers = trained(Recipe.load(RECIPE), seeds, progress)
        students = []
        for number, teacher in enumerate(teachers):
            learns = [
                "name=banking77-student", f"tuning.distill={{teacher: '{teacher.folder}', layers: 3}}",
                "tuning.epochs=5", "tuning.learning_rate=3e-4",
            ]  # fmt: skip
            students += trained(Recipe.load(RECIPE, learns), 1, progress, first=13 + number)
        taught, _ = averaged(teachers, file, "intent")
        found, intervals = averaged(students, file, "intent")
        recipe = Recipe.load(RECIPE)
        texts = [row.text for row in sources.load([file], recipe.data, specs(recipe.task)).rows]
        forms = [Predictor.open(one[0].folder, backend="onnx") for one in (teachers, students)]
        best = [0.0, 0.0]
        for _ in range(ROUNDS):
            for place, form in enumerate(forms):
                start = time.perf_counter()
                form.predict(texts)
                best[place] = max(best[place], len(texts) / (time.perf_counter() - start))
    return Figures(
        {"accuracy_kept": found["accuracy"] / taught["accuracy"], "speedup": best[1] / best[0]},
        settings={
            "seeds": seeds, "accuracy": round(found["accuracy"], 4), "teacher": round(taught["accuracy"], 4),
            "interval": intervals["accuracy"], "texts_per_s": [round(value) for value in best],
        },
    )  # fmt: skip
