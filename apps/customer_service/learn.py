"""Learn: from articles, past dialogues and dev questions to a bundle: embedder, cross-encoder, intents, weights, bars.

    dialogues ─> examples ─> four recipes ─> models ─┐
    dev questions ────────────────────────────────────┴─> fusion, confidence ─> bundle

Test questions have no part in it.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from apps.customer_service import answerable, confidence, examples, grounding, tables
from apps.customer_service.confidence import Sample, of_search, of_sentences, plain
from apps.customer_service.dialogues import Asked, Dialogue, read_dialogues, read_questions
from apps.customer_service.documents import Document, Rejected
from apps.customer_service.evidence import gather
from apps.customer_service.finder import Finder, Fusion, Reading, Search
from apps.customer_service.ingest import take
from apps.customer_service.knowledge import Knowledge, Passage
from apps.customer_service.logistic import Logistic
from apps.customer_service.models import Models
from apps.customer_service.past import Past
from apps.customer_service.question import Question
from engine import Embedder, Predictor, Progress, Recipe, Store, load, train
from engine.db import Database
from engine.errors import InputError
from engine.text.terms import terms

if TYPE_CHECKING:
    from sqlalchemy import Connection

EMBED, RANK = "recipes/support_embed.yaml", "recipes/support_rank.yaml"
ANSWERABLE, INTENTS = "recipes/support_answerable.yaml", "recipes/support_intents.yaml"
LEAST_OF_INTENT = 5
"""Rows below which an intent is not learnt: its rows count as "other"."""
OTHER = "other"
LEXICAL = (0.0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 1.0)
PAST = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
REWRITTEN = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
ALIKE = 0.6
"""Share of terms in common from which a past question is nearly a dev question."""
CALIBRATION, LEAST_CALIBRATED = 0.05, 20
"""Share of the questions on which the reader of whole contexts is calibrated, and how many it takes."""
GROUNDED = 300
"""Replies on which the bar of grounding is set."""
DEPTH = 30
"""Passages whose order is scored."""


@dataclass
class Learnt:
    models: Models
    figures: dict[str, float]
    """On dev questions."""
    rejected: list[Rejected]
    counts: dict[str, int]


def learn(
    documents: Sequence[Document],
    dialogues: Path,
    dev: Path,
    small_talk: Path | None,
    progress: Progress,
    *,
    base: str = "minilm",
    most: int | None = None,
) -> Learnt:
    """Train and fit everything, and store the bundle as champion.

    Args:
        base: of the embedder and the classifiers; "multilingual" where articles are Chinese.
        most: dialogues that it learns from, drawn evenly; None: all.

    Raises:
        InputError: there are no documents, or too few dialogues or dev questions.
    """
    if not documents:
        raise InputError("there are no articles to learn on; run: support-bot ingest PATH")
    asked = read_questions(dev)
    read, rejected = read_dialogues(dialogues)
    unlike = apart(read, asked)
    past = drawn(unlike, most)
    progress.stage(f"finding what {len(past):,} dialogues teach about {len(documents):,} articles")
    made = examples.make(past, documents, Embedder(base))
    talk = _talk(small_talk) if small_talk else []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)

        def tuned(recipe: str, rows: list[dict[str, Any]], *settings: str, kept: Path | None = None) -> str:
            progress.stage(f"training: {recipe}")
            file = kept or place / f"{Path(recipe).stem}.jsonl"
            file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
            given = [f"data.train={file}", f"base={base}", *settings]
            return str(train(Recipe.load(recipe, given), promote=kept is not None, watcher=progress).version)

        embed = tuned(EMBED, examples.pairs(made, documents))
        embedder = Embedder(f"store:{embed}")
        held = examples.Sentences(documents, embedder)
        judged = examples.judged(made, held, embedder)
        rank = tuned(RANK, judged)
        contexts = answerable.rows(made, held, embedder)
        share = min(max(CALIBRATION, LEAST_CALIBRATED / len(contexts)), 0.5)
        sure = tuned(ANSWERABLE, contexts, f"data.split.calibration={share:.3f}")
        intents = _intents(made.intents + talk)
        labels = f"task.heads.intent.labels={sorted({row['intent'] for row in intents})}"
        understood = tuned(INTENTS, intents, labels, kept=_kept(intents))
        remembered = Past.of(made.past(), embedder)
        progress.stage("fitting weights and the bar on dev questions")
        database = Database.open(f"sqlite:///{place}/dev.db", name=tables.NAME, migrations=tables.MIGRATIONS)
        knowledge = Still(database)
        take(documents, knowledge, embedder)
        finder = Finder(knowledge, embedder, Fusion(), remembered)
        fusion, figures = fit_fusion(asked, finder)
        confident, more = fit_confidence(asked, finder, load(rank), load(sure))
        database.close()
    grounded = grounding_bar(made, documents, embedder)
    models = Models(f"store:{embed}", rank, sure, understood, fusion, confident, grounded, remembered)
    counts = {
        "dialogues": len(past),
        "like_dev": len(read) - len(unlike),
        "answered": len(made.told),
        "unanswered": len(made.unanswered),
        "unaligned": made.unaligned,
        "judged": len(judged),
    }
    figures |= more
    stored = models.save({"figures": {"dev": figures}, "rows": counts})
    return Learnt(stored, figures, rejected, counts)


def _kept(intents: list[dict[str, Any]]) -> Path:
    """Where the rows of intents stay, for `engine retrain support-intents` to go on from; other rows, another file."""
    digest = hashlib.sha256(json.dumps(intents, sort_keys=True).encode()).hexdigest()[:12]
    folder = Store().root.parent / "support-bot"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"intents-{digest}.jsonl"


def apart(past: Sequence[Dialogue], asked: Sequence[Asked]) -> list[Dialogue]:
    """The dialogues that ask no dev question in nearly its words: the bar would trust too much in what it was fitted
    on."""
    tested = [set(terms(one.text)) for one in asked if not one.history]
    kept = []
    for one in past:
        own = set(terms(one.question))
        if not any(len(own & other) >= ALIKE * len(own | other) for other in tested if own and other):
            kept.append(one)
    return kept


def drawn(past: Sequence[Dialogue], most: int | None) -> list[Dialogue]:
    """So many of the dialogues, in their order."""
    if most is None or most >= len(past):
        return list(past)
    return [past[at] for at in sorted(np.random.default_rng(13).permutation(len(past))[:most])]


class Still(Knowledge):
    """Knowledge that nobody changes once it is searched: dozens of weights are tried, and each passage read once."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._read: dict[str, Passage] = {}

    def live(self, connection: Connection, ids: Sequence[str]) -> dict[str, Passage]:
        self._read |= super().live(connection, [one for one in ids if one not in self._read])
        return {one: self._read[one] for one in ids if one in self._read}


Read = list[tuple[Question, list[Reading], set[str]]]
"""Questions with their readings and right articles."""


def fit_fusion(asked: Sequence[Asked], finder: Finder) -> tuple[Fusion, dict[str, float]]:
    """The weights under which dev questions find their article best, given to the finder as well; a part alone wins
    where no mixture is better."""
    direct = [one for one in asked if one.kind == "answerable"]
    read = _read(finder, [(Question.of(one.text), one.articles) for one in direct])
    mixed = {(lexical, past): _score(finder, Fusion(lexical, past), read) for lexical in LEXICAL for past in PAST}
    lexical, past = max(mixed, key=lambda weights: (mixed[weights], -weights[0], -weights[1]))
    figures = {
        "ndcg10_fused": mixed[lexical, past],
        "ndcg10_dense": mixed[0.0, 0.0],
        "ndcg10_bm25": mixed[1.0, 0.0],
    }
    fusion = Fusion(lexical, past)
    if leaning := [one for one in asked if one.kind == "follow_up"]:
        fusion, more = fit_leaning(leaning, direct, finder, fusion)
        figures |= more
    finder.fusion = fusion
    return fusion, figures


def fit_leaning(
    leaning: Sequence[Asked], direct: Sequence[Asked], finder: Finder, fusion: Fusion
) -> tuple[Fusion, dict[str, float]]:
    """The weight of the rewritten turn, and how a turn that leans on others is told from one that does not.

    The latter are questions that need no history, behind that of somebody else.
    """
    follow = _read(finder, [(Question.of(one.text, one.history), one.articles) for one in leaning])
    strangers = [
        (Question.of(one.text, leaning[at % len(leaning)].history), one.articles) for at, one in enumerate(direct)
    ]
    behind = _read(finder, strangers)
    by_weight = {weight: _score(finder, replace(fusion, rewritten=weight), follow) for weight in REWRITTEN}
    rewritten = max(by_weight, key=lambda weight: (by_weight[weight], -weight))
    signs, truth = [], []
    for read, leans in ((follow, True), (behind, False)):
        found = [finder.signs(question, readings)[0] for question, readings, _ in read if len(readings) > 1]
        signs += found
        truth += [leans] * len(found)
    lean = Logistic.fit(np.array(signs, dtype=np.float64), np.array(truth))
    fusion = replace(fusion, rewritten=rewritten, lean=lean)
    return fusion, {
        "ndcg10_follow_up": _score(finder, fusion, follow),
        "ndcg10_follow_up_raw": by_weight[0.0],
        "ndcg10_behind_others": _score(finder, fusion, behind),
    }


def _read(finder: Finder, questions: Sequence[tuple[Question, set[str]]]) -> Read:
    return [(question, finder.read(question), articles) for question, articles in questions]


def _score(finder: Finder, fusion: Fusion, read: Read) -> float:
    """Mean nDCG under some weights; the questions are not read again."""
    finder.fusion = fusion
    found = [
        ndcg(finder.rank(readings, DEPTH, finder.leaning(question, readings)), articles)
        for question, readings, articles in read
    ]
    return float(np.mean(found)) if found else 0.0


def fit_confidence(
    asked: Sequence[Asked], finder: Finder, reranker: Predictor | None, reader: Predictor | None
) -> tuple[confidence.Confidence, dict[str, float]]:
    """Which sentence to answer with, and when. Questions whose answer the search did not find teach neither."""
    samples = []
    for one in asked:
        if one.kind not in ("answerable", "unanswerable", "follow_up"):
            continue
        search = finder.find(Question.of(one.text, one.history))
        evidence = gather(search, reranker)
        right = np.array([says(each.text, one.sentences) for each in evidence], dtype=bool)
        if not evidence or (one.kind != "unanswerable" and not right.any()):
            continue  # it has an answer that was not found: neither kind
        whole = of_search(search, evidence, answerable.log_odds(search.asked, evidence, reader))
        figures = of_sentences(search, evidence)
        samples.append(Sample(figures, right, whole, one.kind != "unanswerable", plain(search, evidence)))
    sure = confidence.fit(samples)
    bar = sure.bar(0.05)
    passed = [sure.answer_of(one) >= bar for one in samples if one.answerable]
    return sure, {"coverage": float(np.mean(passed)), "found": float(sum(one.answerable for one in samples))}


def grounding_bar(made: examples.Examples, documents: Sequence[Document], embedder: Embedder) -> float:
    """How near a source has to be to support a sentence, judged on agents' replies: sentences of the article that they
    were not taken from do not support them."""
    held: dict[str, dict[str, None]] = defaultdict(dict)
    for document, said, _ in examples.sentences(documents):
        held[document][said] = None
    draw = np.random.default_rng(13).permutation(len(made.told))[:GROUNDED]
    pairs = []
    for one in (made.told[at] for at in draw):
        others = [said for said in held[one.document] if said not in one.sentences]
        pairs.append((one.reply, others))
    return grounding.fitted(pairs, embedder)


def says(text: str, sentences: Sequence[str]) -> bool:
    """Whether a sentence is, holds, or stands in one of the sentences."""
    own = " ".join(text.split())
    return any(own in other or other in own for other in (" ".join(one.split()) for one in sentences))


def ndcg(search: Search, articles: set[str], cut: int = 10) -> float:
    """nDCG of one query over documents, each at the place of its best passage; one relevant document counts as one."""
    order = list(dict.fromkeys(one.passage.chunk.document for one in search.found))[:cut]
    gain = sum(1 / np.log2(rank + 2) for rank, document in enumerate(order) if document in articles)
    best = sum(1 / np.log2(rank + 2) for rank in range(min(len(articles), cut)))
    return float(gain / best) if best else 0.0


def _talk(path: Path) -> list[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [{"question": row["text"], "intent": row["intent"]} for row in map(json.loads, lines)]
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise InputError(f"{path}: not JSON lines of {{text, intent}} ({fault})") from None


def _intents(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    counts = Counter(row["intent"] for row in rows)
    return [{**row, "intent": row["intent"] if counts[row["intent"]] >= LEAST_OF_INTENT else OTHER} for row in rows]
