"""Own data in both languages, five folds by story: Chinese rows, and English against the English model."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.contract import Figures
from bench.seeds import FIRST_SEED
from engine import Predictor, Progress, Recipe, Store, train
from engine.data import sources
from engine.data.split import clusters
from engine.evaluate.report import measure
from engine.resources import find, home
from engine.tasks.heads import specs
from engine.tasks.kinds import Output

FOLDS = 5
REFERENCE_FOLDS = 1
"""Folds on which the English model is trained for comparison; the gap is measured on those folds' English rows."""


def run(*, seeds: int) -> Figures:
    """Macro F1 of sentiment over all rows, each predicted by the fold that did not train on it."""
    recipes = {name: Recipe.load(f"recipes/{name}.yaml") for name in ("finance_news_multilingual", "finance_news")}
    whole = recipes["finance_news_multilingual"]
    loaded = sources.load(whole.data.train, whole.data, specs(whole.task))
    lines = find(whole.data.train[0]).read_text(encoding="utf-8").splitlines()
    numbers = [int(row.origin.rpartition(":")[2]) - 1 for row in loaded.rows]
    languages = np.array([json.loads(lines[number])["lang"] for number in numbers])
    folds = np.zeros(len(numbers), dtype=int)
    groups = clusters(loaded.rows)
    for place, group in enumerate(np.random.default_rng(FIRST_SEED).permutation(len(groups))):
        folds[groups[group]] = place % FOLDS
    logits: dict[str, Any] = {name: np.zeros((len(numbers), 3)) for name in recipes}
    store = Store(home() / "bench")
    with Progress() as progress:
        for name, count in (("finance_news_multilingual", FOLDS), ("finance_news", REFERENCE_FOLDS)):
            for fold in range(count):
                train_file, test_file = _files(lines, numbers, folds, fold)
                predictor = _fold(recipes[name], fold, train_file, test_file, store, progress)
                held = np.flatnonzero((folds == fold) & ((languages == "en") | (name != "finance_news")))
                logits[name][held] = predictor.logits([loaded.rows[row].text for row in held])["sentiment"]
    heads = [head for head in predictor.spec.heads if head.name == "sentiment"]

    def score(name: str, language: str) -> Any:
        rows = np.flatnonzero((languages == language) & (folds < (FOLDS if language == "zh" else REFERENCE_FOLDS)))
        chosen = [loaded.rows[row] for row in rows]
        said = {"sentiment": [Output(values) for values in logits[name][rows]]}
        return measure(heads, chosen, [said], [{"sentiment": 1.0}]).heads["sentiment"]["macro_f1"]

    chinese = score("finance_news_multilingual", "zh")
    english, reference = score("finance_news_multilingual", "en"), score("finance_news", "en")
    return Figures(
        {"zh_macro_f1": chinese.value, "en_gap": reference.value - english.value},
        {"zh_macro_f1": (chinese.low, chinese.high)},
        {
            "folds": FOLDS,
            "reference_folds": REFERENCE_FOLDS,
            "en_macro_f1": round(english.value, 4),
            "en_macro_f1_minilm": round(reference.value, 4),
        },
    )


def _files(lines: list[str], numbers: list[int], folds: NDArray[np.intp], fold: int) -> tuple[Path, Path]:
    """Train and test file of a fold."""
    folder = Path(mkdtemp(prefix="keel-folds-"))
    for name, kept in (("train", folds != fold), ("test", folds == fold)):
        text = "".join(lines[number] + "\n" for number, keep in zip(numbers, kept, strict=True) if keep)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return folder / "train.jsonl", folder / "test.jsonl"


def _fold(recipe: Recipe, fold: int, train_file: Path, test_file: Path, store: Store, progress: Progress) -> Predictor:
    name = f"{recipe.name}-fold-{fold}"
    stamp = recipe.digest()
    hashes = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (train_file, test_file)}
    for version in reversed(store.versions(name)):
        made = Recipe.load(version.folder / "recipe.yaml")
        same_recipe = (
            made.model_copy(update={"name": recipe.name, "data": recipe.data, "export": recipe.export}).digest()
            == stamp
        )
        if same_recipe and set(version.manifest()["data_sha256"].values()) == hashes:
            return Predictor.open(version.folder)
    data = recipe.data.model_copy(update={"train": [str(train_file)], "test": [str(test_file)]})
    plain = recipe.export.model_copy(update={"format": "none"})
    changed = recipe.model_copy(update={"name": name, "data": data, "export": plain})
    done = train(changed, store=store, watcher=progress)
    return Predictor.open(done.version.folder)
