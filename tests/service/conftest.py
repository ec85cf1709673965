"""A store with two versions of a toy model: the same weights, other probabilities."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from engine import Recipe, Store, Version, train


@pytest.fixture(scope="session")
def trained_toy(tmp_path_factory: pytest.TempPathFactory, toy_base: Path, headlines: list[dict[str, Any]]) -> Version:
    folder = tmp_path_factory.mktemp("toy-model")
    rows = folder / "rows.jsonl"
    rows.write_text("".join(json.dumps(item) + "\n" for item in headlines[:120]), encoding="utf-8")
    values = {
        "name": "toy",
        "base": str(toy_base),
        "task": {"kind": "classify", "heads": {"sentiment": {"labels": ["negative", "neutral", "positive"]}}},
        "data": {"train": str(rows), "columns": {"text": "title"}, "split": {"group": "story"}},
        "tuning": {"method": "head", "epochs": 1, "batch_tokens": 512, "max_length": 48},
        "export": {"format": "none"},
        "track": [],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEEL_HOME", str(folder))
        return train(Recipe.parse(values), store=Store(folder / "models")).version


@pytest.fixture
def versions(home: Path, trained_toy: Version) -> tuple[Version, Version]:
    """The champion, and one that may become it."""
    store = Store()
    first, second = (stored(store, trained_toy, warmth) for warmth in (1.0, 2.0))
    store.promote(first)
    return first, second


def stored(store: Store, version: Version, warmth: float = 1.0, **files: bytes) -> Version:
    """A version once more, with its temperatures so many times as high, and more files in its model's folder."""
    with store.staging("toy") as place:
        shutil.copytree(version.folder, place, dirs_exist_ok=True)
        calibration = place / "calibration.json"
        value = json.loads(calibration.read_text(encoding="utf-8"))
        value["temperatures"] = {head: warmth * of for head, of in value["temperatures"].items()}
        calibration.write_text(json.dumps(value), encoding="utf-8")
        for name, content in files.items():
            (place / "model" / name).write_bytes(content)
        manifest = json.loads((place / "manifest.json").read_text(encoding="utf-8"))
        (place / "manifest.json").unlink()
        return store.commit("toy", place, manifest)
