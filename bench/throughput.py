"""The whole monitor against `transformers.pipeline` of a BERT-base, and its cascade against the champion alone.

FinBERT is a BERT-base. Its weights are not to be had offline; a randomly initialised one of the same shape and
vocabulary size costs the same a token.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from apps.finance_monitor.cascade import CHEAP, Cascade
from apps.finance_monitor.distilled import DISAGREEMENT, distilled
from apps.finance_monitor.feeds.file import File
from apps.finance_monitor.labels import encoder
from apps.finance_monitor.repeats import Vectors
from apps.finance_monitor.run import Models, monitor
from bench.contract import Figures, public_data
from bench.newsroom import Newsroom
from bench.seeds import trained
from engine import Embedder, Prediction, Predictor, Progress, Recipe
from engine.base_models import resolve
from engine.evaluate.held_out import labelled
from engine.evaluate.intervals import paired_bootstrap
from engine.evaluate.metrics import single_label

ROUNDS, SLICE = 2, 128
START = datetime(2026, 3, 2, tzinfo=UTC)


def run(*, seeds: int) -> Figures:
    """All on the same test sentences, in turns, so many at a time, so that what else the machine does meets all alike.

    Of two rounds the better counts; no round remembers another's answers.

    The stand-in is taught by the champion on its training sentences; the bound on its disagreement is set on others of
    those and on the calibration sentences.
    """
    file = str(public_data("financial_phrasebank") / "50agree_test.csv")
    with Progress() as progress, TemporaryDirectory() as folder:
        (newsroom,) = Newsroom.trained(1, progress)
        (own,) = trained(Recipe.load("recipes/bench/phrasebank.yaml"), 1, progress)
        rows, _ = labelled(own.folder, file)
        texts = [row.text for row in rows]
        place = Path(folder) / "feed.jsonl"
        models, embedder = newsroom.models(), encoder()
        champion = Predictor.open(own.folder)
        stand_in = distilled(own, champion, progress)
        bert = _bert_base(Path(folder))
        works: dict[str, Callable[[Sequence[str]], Any]] = {
            "monitor": lambda some: monitor([File(str(_feed(place, some)))], _forgetful(models, embedder)),
            "bert": lambda some: bert(list(some), batch_size=32),
            "champion": champion.predict,
            "cascade": lambda some: Cascade(champion, stand_in).predict(some),
            "label": models.champions[0].predict,
            "embed": embedder.embed,
        }
        seconds = dict.fromkeys(works, 0.0)
        for start in range(0, len(texts), SLICE):
            progress.stage(f"{start} of {len(texts)} sentences")
            for name, work in works.items():
                seconds[name] += min(_seconds(work, texts[start : start + SLICE]) for _ in range(ROUNDS))
        rates = {name: len(texts) / spent for name, spent in seconds.items()}
        alone, together = champion.predict(texts), Cascade(champion, stand_in).predict(texts)
    labels = list(champion.spec.heads[0].labels)
    truth = np.array([labels.index(row.labels["sentiment"]) for row in rows])
    before, after = (single_label(truth, _one_hot(said, labels))["macro_f1"] for said in (alone, together))
    loss = paired_bootstrap([after], [before], [f"row {number}" for number in range(len(rows))])
    differ = np.mean(
        [one["sentiment"].label != other["sentiment"].label for one, other in zip(alone, together, strict=True)]
    )
    return Figures(
        {
            "ratio_vs_bert_base": rates["monitor"] / rates["bert"],
            "cascade_speedup": rates["cascade"] / rates["champion"],
            "cascade_macro_f1_loss": loss.value,
        },
        {"cascade_macro_f1_loss": (loss.low, loss.high)},
        {
            "seeds": 1,
            "items_per_s": {name: round(rate, 1) for name, rate in rates.items()},
            "left_to_the_stand_in": round(float(np.mean([one.backend == CHEAP for one in together])), 4),
            "disagreement": round(float(differ), 4),
            "disagreement_bound": DISAGREEMENT,
        },
    )


def _forgetful(models: Models, embedder: Embedder) -> Models:
    """The same models, without the answers that they remember."""
    return replace(models, labellers=[Cascade(one) for one in models.champions], embedder=Vectors(embedder))


def _seconds(work: Callable[[Sequence[str]], Any], texts: Sequence[str]) -> float:
    start = time.perf_counter()
    work(texts)
    return time.perf_counter() - start


def _feed(path: Path, texts: Sequence[str]) -> Path:
    """A feed of the sentences, one every five minutes."""
    lines = []
    for number, text in enumerate(texts):
        time = (START + number * timedelta(minutes=5)).isoformat()
        lines.append(json.dumps({"id": str(number), "published": time, "title": text, "source": "wire", "lang": "en"}))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _bert_base(folder: Path) -> Any:
    """What a user of FinBERT runs; the tokenizer is minilm's, which has BERT's vocabulary of 30,522 pieces."""
    import torch
    import transformers

    torch.set_num_threads(os.cpu_count() or 1)
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    torch.manual_seed(0)
    model: Any = transformers.BertForSequenceClassification(transformers.BertConfig())
    tokenizer = transformers.AutoTokenizer.from_pretrained(resolve("minilm").folder)
    return transformers.pipeline("text-classification", model=model.eval(), tokenizer=tokenizer, device="cpu")


def _one_hot(said: Sequence[Prediction], labels: Sequence[str]) -> Any:
    return np.eye(len(labels))[[labels.index(one["sentiment"].label) for one in said]]
