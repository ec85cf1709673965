"""Distilled: a champion's linear stand-in, taught by what the champion says, stored whole and tied to it.

Labels cost nothing but the champion's time, so it is asked of its training texts and of pieces and mixtures of them:
ten a text. On PhraseBank they take the agreement with the champion on all texts from .83 to .87.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.finance_monitor.linear import Head, Linear, Values, probabilities, sureness
from apps.finance_monitor.ngrams import VERSION, WIDTH, features
from engine import Predictor, Progress, Store, Version, learnt_from
from engine.errors import StoreError

DISAGREEMENT = 0.03
"""Share of all texts, at 95% confidence, that at most get another label than the champion would give. On texts that the
champion has not learnt by heart it is about half of that, and as often as not the champion is the one that errs."""
CONFIDENCE = 0.95
HELD = 0.2
"""Share of the champion's training rows that the sureness is set on, with its dev and calibration rows."""
STRENGTH = 60.0
"""Weight of a text against the penalty of half the squared weights; 30 to 100 agree alike."""
STEPS = 200
"""After 80 the agreement is .01 less."""
LEFT_OUT = 0.15


def distilled(version: Version, model: Predictor, progress: Progress) -> Linear:
    """The stored stand-in of this very version; made first where there is none.

    Raises:
        InputError: it cannot be made, as the champion's data are not there.
        StoreError: it is damaged.
    """
    store, name, teacher = Store(version.folder.parents[1]), f"{version.name}-linear", version.sha256()
    for made in reversed(store.versions(name)):
        manifest = made.manifest()
        if manifest.get("teacher_sha256") == teacher and manifest.get("ngrams") == VERSION:
            try:
                return Linear.read(made.folder)
            except (OSError, ValueError, KeyError) as fault:
                raise StoreError(f"{made}: unreadable ({fault}); see: engine models verify {made}") from None
    progress.stage(f"teaching a linear stand-in for {version}, once: some minutes on two cores")
    taught, judged = learnt_from(version, held=HELD)
    found = distil(model, [row.text for row in taught], [row.text for row in judged])
    manifest = {
        "name": name,
        "components": [str(version)],
        "teacher_sha256": teacher,
        "ngrams": VERSION,
        "disagreement": DISAGREEMENT,
        "confidence": CONFIDENCE,
    }
    with store.staging(name) as staged:
        found.write(staged)
        store.promote(store.commit(name, staged, manifest))
    return found


def distil(model: Predictor, taught: Sequence[str], judged: Sequence[str]) -> Linear:
    """A linear model that says what `model` says, as sure as keeps the bound on texts it was not taught.

    Args:
        taught: texts it learns from, with pieces and mixtures of them.
        judged: others, like those to come, on which its sureness is set.
    """
    heads = tuple(
        Head(head.name, head.labels, head.multi_label) for head in model.spec.heads if head.kind in ("single", "multi")
    )
    texts = [*taught, *_pieces(taught, random.Random(13))]
    weights = _fit(features(texts), np.hstack(_said(model, heads, texts)), heads).astype(np.float32)
    theirs = _said(model, heads, judged)
    found = Linear(heads, weights, sure=1.01)
    mine = probabilities(found.scores(features(judged)), heads)
    differs = np.zeros(len(judged), dtype=np.bool_)
    for head, one, other in zip(heads, mine, theirs, strict=True):
        unlike = (one >= 0.5) != (other >= 0.5) if head.multi_label else (one.argmax(-1) != other.argmax(-1))[:, None]
        differs |= unlike.any(-1)
    return replace(found, sure=threshold(sureness(mine, heads), differs))


def threshold(sure: Values, differs: NDArray[np.bool_], *, bound: float = DISAGREEMENT) -> float:
    """The least sureness that keeps the share of texts answered and answered otherwise below the bound.

    Sureness falls by fixed steps, and stops before the first at which the upper Clopper-Pearson limit of that share
    exceeds the bound; so tested in a fixed order, the confidence holds for the one chosen (Angelopoulos et al. 2021,
    arXiv 2110.01052, section 3). More than 1: no text is answered.

    Args:
        sure: of texts like those to come, shape (texts,).
        differs: whether the answer is another than the champion's.
    """
    from scipy.stats import beta

    chosen = 1.01
    for step in np.linspace(1.0, 0.3, 701):
        errors = int((differs & (sure >= step)).sum())
        if errors == len(sure) or beta.ppf(CONFIDENCE, errors + 1, len(sure) - errors) > bound:
            break
        chosen = float(step)
    return chosen


def _said(model: Predictor, heads: Sequence[Head], texts: Sequence[str]) -> list[Values]:
    found = model.probabilities(texts)
    return [found[head.name] for head in heads]


def _fit(rows_of_texts: Any, targets: Values, heads: Sequence[Head]) -> Values:
    """Weights, shape (WIDTH + 1, labels), by logistic regression on the champion's probabilities."""
    from scipy import sparse
    from scipy.optimize import minimize

    whole = sparse.csc_matrix(rows_of_texts, dtype=np.float64)
    used = np.flatnonzero(np.diff(whole.indptr))
    rows = whole[:, used].tocsr()
    columns = rows.T.tocsr()
    shape = (len(used) + 1, targets.shape[1])

    def loss(flat: Values) -> tuple[float, Values]:
        weights = flat.reshape(shape)
        scores = rows @ weights[:-1] + weights[-1]
        wrong = np.hstack(probabilities(scores, heads)) - targets
        gradient = np.vstack([STRENGTH * (columns @ wrong) + weights[:-1], STRENGTH * wrong.sum(0)])
        penalty = 0.5 * float((weights[:-1] ** 2).sum())
        return STRENGTH * _cross_entropy(scores, targets, heads) + penalty, gradient.ravel()

    found = minimize(
        loss, np.zeros(shape[0] * shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": STEPS, "maxcor": 8}
    )
    weights = np.zeros((WIDTH + 1, shape[1]))
    weights[[*used, WIDTH]] = found.x.reshape(shape)
    return weights


def _cross_entropy(scores: Values, targets: Values, heads: Sequence[Head]) -> float:
    total, at = 0.0, 0
    for head in heads:
        part, wanted = (both[:, at : at + len(head.labels)] for both in (scores, targets))
        at += len(head.labels)
        total -= float((part * wanted).sum())
        total += float((np.logaddexp(0.0, part) if head.multi_label else np.logaddexp.reduce(part, axis=1)).sum())
    return total


def _pieces(texts: Sequence[str], draw: random.Random) -> list[str]:
    """Of each text four pieces, four mixtures with another, and two with words left out."""
    found = []
    for text in texts:
        words, glue = _words(text)
        for number in range(4):
            length = draw.randint(max(1, len(words) // 3), len(words))
            start = draw.randint(0, len(words) - length)
            found.append(glue.join(words[start : start + length]))
            other, _ = _words(draw.choice(texts))
            cut, behind = (draw.randint(len(one) // 3, 2 * len(one) // 3) for one in (words, other))
            found.append(glue.join([*words[:cut], *other[behind:]]))
            if number % 2:
                found.append(glue.join(word for word in words if draw.random() > LEFT_OUT))
    return found


def _words(text: str) -> tuple[list[str], str]:
    """What a text is cut between, and what stands between them: Chinese has no spaces."""
    words = text.split()
    return (words, " ") if len(words) > 3 else (list(text), "")
