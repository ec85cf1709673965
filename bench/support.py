"""The bot that the support benchmarks ask: Keel's own articles, trained once into a store of its own."""

from __future__ import annotations

import os
from pathlib import Path

from apps.customer_service import learn, settings
from apps.customer_service.bot import Bot
from apps.customer_service.ingest import ingest
from apps.customer_service.knowledge import Knowledge
from apps.customer_service.models import NAME, Models
from engine import Embedder, Progress, Store
from engine.resources import home


def bot(progress: Progress) -> Bot:
    """Ready to answer; trained at first, some minutes on two cores. The process works in its own KEEL_HOME after it."""
    os.environ["KEEL_HOME"] = str(home() / "bench" / "support")
    articles = settings.packaged("articles/en")
    store = Store()
    if not store.has(NAME):
        knowledge = fresh_knowledge("train")
        progress.stage("training support-bot on its own dialogues, once")
        ingest([articles], knowledge, Embedder("minilm"), Progress(quiet=True))
        dialogues, dev, talk = map(settings.packaged, ("dialogues.jsonl", "queries/dev.jsonl", "small_talk.jsonl"))
        learn.learn(knowledge.documents(), dialogues, dev, talk, progress)
    models = Models.load()
    knowledge = fresh_knowledge("asked")
    ingest([articles], knowledge, models.embedder, Progress(quiet=True))
    return Bot(knowledge, models)


def fresh_knowledge(name: str) -> Knowledge:
    """An empty one in a file of its own."""
    file = home() / f"{name}.db"
    for left in file.parent.glob(f"{file.name}*"):
        left.unlink()
    return Knowledge(settings.database(f"sqlite:///{file}"))


def questions(name: str) -> Path:
    """The packaged file of labelled questions."""
    return settings.packaged(f"queries/{name}.jsonl")
