"""Labelling: texts of the log that a person should label, with what the model says; and the labels, stored.

labelling = Labelling(log, "support-intents", rater="ana")
for task in labelling.tasks(20): labelling.label(task, {"intent": "card_lost"})
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from engine.errors import InputError
from engine.evaluate.metrics import THRESHOLD
from engine.feedback import choice, neighbours
from engine.feedback.choice import By, Candidate, Heads
from engine.feedback.claims import claims
from engine.feedback.log import Feedback, FeedbackLog, name_of
from engine.text.normalise import normalised

if TYPE_CHECKING:
    from engine.predictor import Predictor
    from engine.tasks.heads import HeadSpec

LABELLED = ("single", "multi")
"""Kinds of heads that are labelled by naming labels."""
MOST = 5000
"""Texts that are looked at, the newest: a model has to read them all."""


@dataclass(frozen=True)
class Task:
    """A text to label."""

    feedback: Feedback
    """The newest that is known of it, with what the model says now."""
    heads: Heads
    """What the model says of it."""
    doubt: Candidate

    def ranked(self, head: str) -> list[str]:
        """Labels, the most probable first."""
        return sorted(self.heads[head], key=lambda label: -self.heads[head][label])


class Labelling:
    """What one rater labels for one model.

    Args:
        name: the model, as NAME, NAME@ALIAS or NAME@NUMBER.
        rater: who labels; their labels stand under this name.
        challenger: another model of the same heads: texts on which both disagree come first.
        of: the model whose feedback gives the texts; by default the same, all its versions.
        tenant: whose feedback; None: everyone's.

    Raises:
        InputError: there is no such model, or it gives no labels.
    """

    def __init__(
        self,
        log: FeedbackLog,
        name: str,
        *,
        rater: str,
        challenger: str | None = None,
        of: str | None = None,
        tenant: str | None = None,
    ) -> None:
        from engine.opening import load

        self.log, self.rater, self.tenant = log, rater, tenant
        self._model = load(name)
        self.model = self._model.model
        """NAME@NUMBER."""
        self._of = of or name_of(self.model)
        self._challenger = load(challenger) if challenger else None
        self.heads: tuple[HeadSpec, ...] = tuple(head for head in self._model.spec.heads if head.kind in LABELLED)
        if not self.heads or self._model.spec.pairs:
            raise InputError(f"{self.model}: gives no labels of single texts; name a model that classifies")

    def tasks(self, count: int, *, by: By = "all", seed: int = 13) -> list[Task]:
        """Texts that nobody has labelled yet, those first of which most is learnt; of those with consent alone.

        Args:
            by, seed: as `choice.choose` takes them.
        """
        found = self._unlabelled()
        texts = [rows[-1].text for rows in found]
        said = _probabilities(self._model, texts)
        others = _probabilities(self._challenger, texts) if self._challenger else [{} for _ in texts]
        multi = {head.name: head.multi_label for head in self.heads}
        doubts = [
            Candidate(choice.uncertainty(heads, multi), max(_disputed(rows), choice.divergence(heads, other)))
            for rows, heads, other in zip(found, said, others, strict=True)
        ]
        if not texts:
            return []
        chosen = choice.choose(doubts, neighbours.by_letters(texts), count, by=by, seed=seed)
        return [
            Task(replace(found[at][-1], model=self.model, said=self._said(said[at])), said[at], doubts[at])
            for at in chosen
        ]

    def label(self, task: Task, labels: Mapping[str, Any]) -> Feedback:
        """Store a person's labels.

        Args:
            labels: head -> label, or of a head with several labels a list of them.

        Raises:
            InputError: a head is none of the model's, or a label is empty.
        """
        one = labelled(task.feedback, checked(labels, self.heads), rater=self.rater, app="console")
        with self.log.database.write() as connection:
            self.log.add(connection, one)
        return one

    def _said(self, heads: Heads) -> dict[str, Any]:
        """As feedback tells predictions."""
        said: dict[str, Any] = {}
        for head in self.heads:
            of = heads[head.name]
            best = max(of, key=lambda label: of[label])
            given = (
                {"labels": [label for label in of if of[label] >= THRESHOLD]} if head.multi_label else {"label": best}
            )
            said[head.name] = {**given, "probability": round(of[best], 4)}
        return said

    def _unlabelled(self) -> list[list[Feedback]]:
        """All that is known of each text without a label, the newest text last."""
        found: dict[str, list[Feedback]] = {}
        done = set()
        for one in self.log.read(tenant=self.tenant, model=name_of(self.model), kind="label"):
            done.add(normalised(one.text))
        for one in self.log.read(tenant=self.tenant, model=self._of):
            key = normalised(one.text)
            if one.consent and key:
                found[key] = [*found.pop(key, []), one]
        return [rows for key, rows in found.items() if key not in done][-MOST:]


def labelled(one: Feedback, labels: Mapping[str, Any], *, rater: str, app: str) -> Feedback:
    """A label for the text of other feedback; it belongs to the same subject. Given again, it has the same id."""
    import hashlib
    import json

    told = json.dumps([one.tenant, one.model, one.subject, one.text, dict(labels), rater], sort_keys=True)
    return Feedback(
        one.tenant,
        one.model,
        one.subject,
        one.text,
        one.said,
        correction=dict(labels),
        id=hashlib.sha256(told.encode()).hexdigest()[:32],
        app=app,
        kind="label",
        rater=rater,
        consent=one.consent,
    )


def checked(labels: Mapping[str, Any], heads: Sequence[HeadSpec]) -> dict[str, Any]:
    """Labels as they are stored; a label that the model does not know is a new one.

    Raises:
        InputError: a head is none of the model's, or a label is empty or of another form.
    """
    known = {head.name: head for head in heads}
    for name, value in labels.items():
        if name not in known:
            raise InputError(f"head {name!r}: the model has {', '.join(known)}")
        values = value if known[name].multi_label and isinstance(value, list) else [value]
        if not all(isinstance(one, str) and one.strip() for one in values):
            form = "a list of labels" if known[name].multi_label else "a label"
            raise InputError(f"head {name!r}: {value!r} is not {form}")
    if not labels:
        raise InputError(f"no label; name one of {', '.join(known)}")
    return {
        name: [value] if known[name].multi_label and isinstance(value, str) else value for name, value in labels.items()
    }


def _probabilities(model: Predictor, texts: Sequence[str]) -> list[dict[str, dict[str, float]]]:
    wanted = [head.name for head in model.spec.heads if head.kind in LABELLED]
    return [{head: dict(found[head].probabilities) for head in wanted} for found in model.predict(texts)]


def _disputed(rows: Sequence[Feedback]) -> float:
    """Share of the claims on a text that contradict the others, of the head where most do; 0 to 1/2, told as 0 to 1."""
    said: dict[str, Counter[Any]] = defaultdict(Counter)
    for one in rows:
        for claim in claims(one):
            said[claim.head][(claim.label, claim.form == "denies")] += 1
    worst = 0.0
    for counts in said.values():
        worst = max(worst, min(1.0, 2.0 * (1.0 - max(counts.values()) / counts.total())))
    return worst
