"""Speed of each form of a stored model on this machine."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

import numpy as np

from engine import resources
from engine.predictor import Backend, load
from engine.store import Store

SINGLE = 100
"""Texts timed one by one for the latency."""
WARM_UP = 16


@dataclass(frozen=True)
class Speed:
    backend: str
    texts_per_s: float
    p50_ms: float
    p99_ms: float
    """Latency of a single text, in milliseconds."""


def measure(name: str, file: str | None = None, *, store: Store | None = None) -> list[Speed]:
    """Speed of every backend the version has, on the file's lines or 500 packaged headlines.

    Raises:
        InputError: no such model or file.
    """
    if file:
        texts = [line for line in resources.find(file).read_text(encoding="utf-8").splitlines() if line.strip()]
    else:
        lines = resources.find("data/finance/headlines.jsonl").read_text(encoding="utf-8").splitlines()
        texts = [json.loads(line)["title"] for line in lines[:500]]
    folder = (store or Store()).get(name).folder
    backends: list[Backend] = ["torch", "onnx"] if (folder / "onnx").is_dir() else ["torch"]
    rows = []
    for backend in backends:
        predictor = load(name, backend=backend, store=store)
        predictor.predict(texts[:WARM_UP])
        start = time.perf_counter()
        predictor.predict(texts)
        rate = len(texts) / (time.perf_counter() - start)
        singles = []
        for text in texts[:SINGLE]:
            start = time.perf_counter()
            predictor.predict([text])
            singles.append(1000 * (time.perf_counter() - start))
        p50, p99 = np.quantile(singles, [0.5, 0.99])
        rows.append(Speed(backend, rate, float(p50), float(p99)))
    return rows
