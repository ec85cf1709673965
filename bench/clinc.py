"""CLINC150: 150 intents, and questions that none of them fits; the threshold is chosen on the validation rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.contract import Figures, public_data
from bench.seeds import trained
from engine import Predictor, Progress, Recipe
from engine.evaluate.intervals import bootstrap
from engine.resources import home

OUT = "oos"
RECIPE = "recipes/bench/clinc150.yaml"
LEAST_RECALL = 0.8
"""Out-of-scope recall on the validation rows that the threshold must reach; of those it is the most lenient. It is the
.70 asked for and more than two standard errors of a hundred rows (.04 each)."""


def run(*, seeds: int) -> Figures:
    """In-scope accuracy, where a rejected row counts as wrong, and out-of-scope recall; means over the seeds."""
    parts = json.loads((public_data("clinc150") / "data_full.json").read_text(encoding="utf-8"))
    folder = _files(parts)
    accuracies, recalls, thresholds = [], [], []
    right, found_out = [], []
    with Progress() as progress:
        recipe = Recipe.load(RECIPE, [f"data.train={folder / 'train.jsonl'}", f"data.dev={folder / 'val.jsonl'}",
                                      f"data.test={folder / 'test.jsonl'}"])  # fmt: skip
        for version in trained(recipe, seeds, progress):
            model = Predictor.open(version.folder)
            _, outside, _ = _judged(model, parts["oos_val"])
            # The lowest confidence that still turns away `LEAST_RECALL` of the validation rows out of scope.
            threshold = float(np.quantile(outside, LEAST_RECALL, method="higher"))
            answers, confidence, truth = _judged(model, parts["test"])
            right.append((answers == truth) & (confidence >= threshold))
            _, outside, _ = _judged(model, parts["oos_test"])
            found_out.append(outside < threshold)
            accuracies.append(float(right[-1].mean()))
            recalls.append(float(found_out[-1].mean()))
            thresholds.append(round(threshold, 4))
    inside = bootstrap(lambda rows: float(np.mean([one[rows].mean() for one in right])), range(len(right[0])))
    outside_ = bootstrap(lambda rows: float(np.mean([one[rows].mean() for one in found_out])), range(len(found_out[0])))
    return Figures(
        {"in_scope_accuracy": float(np.mean(accuracies)), "oos_recall": float(np.mean(recalls))},
        {"in_scope_accuracy": inside[1:], "oos_recall": outside_[1:]},
        {"seeds": seeds, "thresholds": thresholds, "least_recall_on_validation": LEAST_RECALL},
    )


def _judged(model: Predictor, rows: list[list[str]]) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.intp]]:
    """Best in-scope label, its confidence, and the true label's number (-1 outside).

    The confidence is the label's logit (Hendrycks et al. 2019, arXiv 1911.11132) and half of what it has over the
    logit of the rows out of scope: of eleven such scores, the best on the validation rows.
    """
    labels = model.spec.heads[0].labels
    logits = model.logits([text for text, _ in rows])["intent"]
    inside = [number for number, label in enumerate(labels) if label != OUT]
    answers = np.asarray(inside, dtype=np.intp)[logits[:, inside].argmax(1)]
    best = logits[:, inside].max(1)
    truth = np.array([labels.index(label) if label != OUT else -1 for _, label in rows], dtype=np.intp)
    return answers, best + (best - logits[:, labels.index(OUT)]) / 2, truth


def _files(parts: dict[str, list[list[str]]]) -> Path:
    """The data set's parts as files that a recipe reads."""
    folder = home() / "bench" / "data" / "clinc150"
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in {
        "train": parts["train"] + parts["oos_train"], "val": parts["val"] + parts["oos_val"], "test": parts["test"],
    }.items():  # fmt: skip
        lines = [json.dumps({"text": text, "intent": label}) + "\n" for text, label in rows]
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder
