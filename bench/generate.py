"""LoRA of smollm2 on a shop platform's support articles: title -> beginning, 100 articles held out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.contract import Figures, public_data
from bench.seeds import FIRST_SEED, trained
from engine import Progress, Recipe
from engine.resources import home
from engine.text.sentences import sentences

RECIPE = "recipes/bench/magento_articles.yaml"
WORDS = 60
"""Words of an article's beginning, at most: as many whole sentences, but at least one."""
LEAST_WORDS = 20
HELD_OUT = 100
TAUGHT = 500
"""Train articles: a run takes some minutes on two cores."""
PROBES = 5
"""Held-out titles on which the stored model, as plain transformers reads it, is compared with Keel's."""


def run(*, seeds: int) -> Figures:
    """Perplexity of the held-out beginnings after and before tuning, and the share of it that tuning took off; the
    share of greedy articles that come to an end; and the largest difference of a logit between the tuned adapter, the
    merged model and its reading by plain transformers."""
    folder = _files(public_data("magento_kb"))
    settings = [f"data.train={folder / 'train.jsonl'}", f"data.test={folder / 'test.jsonl'}"]
    with Progress() as progress:
        versions = trained(Recipe.load(RECIPE, settings), seeds, progress)
        progress.stage("reading the stored models by plain transformers")
        reloaded = [_reloaded(version.folder, folder / "test.jsonl") for version in versions]
    manifests = [version.manifest() for version in versions]
    found = [manifest["metrics"]["heads"]["answer"] for manifest in manifests]

    def mean(key: str, of: str = "value") -> float:
        return float(np.mean([one[key][of] for one in found]))

    names = ("perplexity", "perplexity_before", "ended")
    figures = {name: mean(name) for name in names}
    figures["perplexity_drop"] = 1 - figures["perplexity"] / figures["perplexity_before"]
    figures["merged_equal"] = max([one["merge_difference"]["value"] for one in found] + reloaded)
    return Figures(
        figures,
        {name: (mean(name, "low"), mean(name, "high")) for name in names},
        {
            "seeds": len(versions),
            "rows": manifests[0]["rows"],
            "token_accuracy": round(mean("token_accuracy"), 4),
            "answers_cut": round(mean("cut"), 4),
            "reloaded_difference": max(reloaded),
            "trainable_share": round(manifests[0]["parameters"]["trainable"] / manifests[0]["parameters"]["all"], 5),
        },
    )


def _reloaded(version: Path, test: Path) -> float:
    """Largest difference of a logit between the stored model as Keel loads it and as plain transformers does."""
    import torch
    import transformers

    from engine.tasks import causal
    from engine.tasks.chat import Chat

    chat, ours = Chat(version / "model"), causal.load(version / "model")
    theirs: Any = transformers.AutoModelForCausalLM.from_pretrained(version / "model")
    theirs.eval()
    worst = 0.0
    with test.open(encoding="utf-8") as stream, torch.inference_mode():
        for line, _ in zip(stream, range(PROBES), strict=False):
            ids = torch.tensor([chat.prompt([{"role": "user", "content": json.loads(line)["text"]}])])
            worst = max(worst, float((ours(ids).logits - theirs(ids).logits).abs().max()))
    return worst


def _files(source: Path) -> Path:
    """Train and test file; the articles are dealt out by a fixed draw over their paths."""
    rows = list(_articles(source))
    dealt = np.random.default_rng(FIRST_SEED).permutation(len(rows)).tolist()
    parts = {"test": dealt[:HELD_OUT], "train": dealt[HELD_OUT : HELD_OUT + TAUGHT]}
    folder = home() / "bench" / "data" / "magento_articles"
    folder.mkdir(parents=True, exist_ok=True)
    for name, numbers in parts.items():
        lines = [json.dumps(rows[number]) + "\n" for number in sorted(numbers)]
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder


def _articles(source: Path) -> Iterator[dict[str, str]]:
    """Title and beginning of each Markdown file: links are their words, and the cut falls between sentences."""
    for path in sorted(source.glob("**/*.md")):
        parts = re.split(r"^---\s*$", path.read_text(encoding="utf-8"), maxsplit=2, flags=re.MULTILINE)
        title = re.search(r"^title:\s*(.+)$", parts[1], re.MULTILINE) if len(parts) == 3 else None
        if not title:
            continue
        body = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", parts[2])
        spans = sentences(body)
        lengths = np.cumsum([len(span.of(body).split()) for span in spans])
        if len(spans) and lengths[-1] >= LEAST_WORDS:
            last = max(int(np.searchsorted(lengths, WORDS, side="right")), 1) - 1
            yield {"text": title[1].strip().strip("\"'"), "answer": body[spans[0].start : spans[last].end]}
