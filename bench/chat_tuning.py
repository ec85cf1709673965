"""LoRA of smollm2 on past dialogues: sources and a question in, the agent's reply out; whole articles held out."""

from __future__ import annotations

import json

import numpy as np

from apps.customer_service import documents, examples
from apps.customer_service.dialogues import read_dialogues
from apps.customer_service.settings import packaged
from bench.contract import Figures
from bench.seeds import FIRST_SEED, trained
from engine import Embedder, Progress, Recipe
from engine.resources import home

RECIPE = "recipes/support_chat.yaml"
TAUGHT = 400
"""Dialogues: a run takes some minutes on two cores."""


def run(*, seeds: int) -> Figures:
    """`perplexity_drop`: the share of the held-out replies' perplexity that tuning took off."""
    folder = home() / "bench" / "data" / "chat_tuning"
    folder.mkdir(parents=True, exist_ok=True)
    with Progress() as progress:
        progress.stage("reading the dialogues")
        articles = [
            one for file in sorted(packaged("articles/en").glob("*.md")) for one in documents.read(file, file.name)
        ]
        found = [one for one in articles if isinstance(one, documents.Document)]
        embedder = Embedder("minilm")
        past, _ = read_dialogues(packaged("dialogues.jsonl"))
        rows = examples.written(examples.make(past, found, embedder), found, embedder)
        kept = np.random.default_rng(FIRST_SEED).permutation(len(rows))[:TAUGHT]
        lines = [json.dumps(rows[at], ensure_ascii=False) + "\n" for at in sorted(kept.tolist())]
        (folder / "chat.jsonl").write_text("".join(lines), encoding="utf-8")
        recipe = Recipe.load(RECIPE, [f"data.train={folder / 'chat.jsonl'}"])
        manifests = [version.manifest() for version in trained(recipe, seeds, progress)]
    told = [manifest["metrics"]["heads"]["answer"] for manifest in manifests]
    names = ("perplexity", "perplexity_before", "ended")
    figures = {name: float(np.mean([one[name]["value"] for one in told])) for name in names}
    figures["perplexity_drop"] = 1 - figures["perplexity"] / figures["perplexity_before"]
    intervals = {
        name: (float(np.mean([one[name]["low"] for one in told])), float(np.mean([one[name]["high"] for one in told])))
        for name in ("perplexity", "perplexity_before")
    }
    return Figures(figures, intervals, {"seeds": len(told), "rows": manifests[0]["rows"]})
