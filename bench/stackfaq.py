"""StackFAQ: 1,249 paraphrases find the threads they paraphrase; nothing is tuned on them."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from apps.customer_service.evaluate import mean
from apps.customer_service.finder import Finder, Fusion
from apps.customer_service.ingest import ingest
from apps.customer_service.question import Question
from bench import support
from bench.contract import Figures, public_data
from engine import Embedder, Progress
from engine.resources import home


def run(*, seeds: int) -> Figures:
    """MAP over question-answer pairs: of a query, those of its own thread are relevant."""
    threads = json.loads((public_data("stackfaq") / "stackExchange-FAQ.json").read_text("utf-8"))["root"]["qapair"]
    folder = home() / "bench" / "data" / "stackfaq"
    folder.mkdir(parents=True, exist_ok=True)
    rows, queries = [], []
    for number, thread in enumerate(threads):
        answers = [thread["answer"]] if isinstance(thread["answer"], str) else thread["answer"]
        told = [answer for answer in answers if answer and answer.strip()]
        rows += [
            {"id": f"{number}-{at}", "question": thread["question"], "answer": answer, "lang": "en"}
            for at, answer in enumerate(told)
        ]
        queries += [(text, number) for text in thread["rephr"] if text and text.strip() != "*"]
    (folder / "faq.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with Progress() as progress:
        knowledge, embedder = support.fresh_knowledge("stackfaq"), Embedder("minilm")
        ingest([folder / "faq.jsonl"], knowledge, embedder, progress)
        progress.stage(f"asking {len(queries):,} queries")
        found = {}
        for name, fusion in (("map", Fusion()), ("map_dense", Fusion(lexical=0.0)), ("map_bm25", Fusion(lexical=1.0))):
            finder = Finder(knowledge, embedder, fusion)
            found[name] = np.array([_precision(finder, text, thread) for text, thread in queries])
    figures = {name: mean(values) for name, values in found.items()}
    figures["gain_over_dense"] = mean(found["map"] - found["map_dense"])
    return Figures(
        {name: one.value for name, one in figures.items()},
        {name: (one.low, one.high) for name, one in figures.items()},
        {"seeds": 1, "queries": len(queries), "pairs": len(rows)},
    )


def _precision(finder: Finder, text: str, thread: int) -> float:
    found = finder.find(Question.of(text), len(finder.index().chunks)).found
    order = dict.fromkeys(one.passage.chunk.document for one in found)
    return average_precision([document.partition("#")[2].partition("-")[0] == str(thread) for document in order])


def average_precision(relevant: Sequence[bool]) -> float:
    """Mean of the precision at each relevant place of a whole ranking."""
    places = np.flatnonzero(relevant) + 1
    return float(np.mean(np.arange(1, len(places) + 1) / places)) if len(places) else 0.0
