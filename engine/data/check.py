"""Check: what is in the data, what training would refuse, and which labels are probably wrong."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine import resources
from engine.data import profile, sources, suspects
from engine.data.profile import Balance, Duplicate, Field
from engine.data.rows import Row
from engine.data.split import clusters
from engine.data.subject import Subject, records
from engine.errors import InputError, KeelError
from engine.tasks.heads import HeadSpec
from engine.text.normalise import words

if TYPE_CHECKING:
    from engine.tasks.task import Watcher

IMBALANCE = 20.0
"""Rows of the most frequent label for each of the rarest, from which it is worth a remark."""
FEW_ROWS = 10
"""A label with fewer rows is hardly learnt, and its figures say little."""


@dataclass(frozen=True)
class Suspect:
    """A label that is probably wrong."""

    origin: str
    text: str
    head: str
    given: str
    suggested: str
    confidence: float
    """Probability of the suggested label by models that never saw the row."""
    doubt: float
    """That, less the probability of the given label."""


@dataclass(frozen=True)
class Suspicion:
    """What confident learning says of a head as a whole; see `suspects.Suspicion`."""

    head: str
    judged: int
    suspects: int
    error_share: float
    agreement: float


@dataclass
class Report:
    files: list[str]
    rows: int
    rejected: list[sources.Rejected]
    fields: list[Field]
    labels: list[Balance]
    words: dict[str, int]
    """Quantile -> length in words; a Chinese character is one."""
    tokens: dict[str, int]
    """Quantile -> length in tokens of the base."""
    cut: int
    """Rows that the model would not read to their end."""
    duplicates: dict[str, int]
    """exact, near: rows that repeat an earlier one; conflicting: those among them that are labelled differently."""
    conflicts: list[Duplicate]
    parts: dict[str, int] = field(default_factory=dict)
    """Rows of each part of the split."""
    suspicions: list[Suspicion] = field(default_factory=list)
    suspects: list[Suspect] = field(default_factory=list)
    """Head by head, the most suspect first."""
    faults: list[str] = field(default_factory=list)
    """What makes training impossible."""
    remarks: list[str] = field(default_factory=list)
    """What training takes, and a person should look at."""

    def as_dict(self) -> dict[str, Any]:
        return {"ok": not self.faults, **asdict(self)}


def check(subject: Subject, *, most: int = 20, watcher: Watcher) -> Report:
    """Check the rows of a subject.

    Args:
        most: suspects of each head that are named; 0 leaves out the search for wrong labels, the slow part.

    Raises:
        DataError, InputError: a file or the base cannot be read at all.
    """
    watcher.stage(f"reading {', '.join(subject.data.train)}")
    loaded = sources.load(subject.data.train, subject.data, subject.heads)
    watcher.stage(f"measuring {len(loaded.rows):,} rows")
    counts = _tokens(subject.base, loaded.rows)
    same = profile.duplicates(loaded.rows)
    kinds = Counter(one.kind for one in same)
    conflicts = [one for one in same if one.differs]
    report = Report(
        files=list(subject.data.train),
        rows=len(loaded.rows),
        rejected=loaded.rejected,
        fields=profile.fields(records(subject.data)),
        labels=[profile.balance(head.name, head.labels, loaded.rows) for head in subject.heads],
        words=profile.quantiles([len(words(row.whole)) for row in loaded.rows]),
        tokens=profile.quantiles(counts),
        cut=sum(count > subject.max_length for count in counts),
        duplicates={"exact": kinds["exact"], "near": kinds["near"], "conflicting": len(conflicts)},
        conflicts=conflicts,
        faults=list(subject.faults),
    )
    watcher.stage("asking whether training would take them")
    _judge(subject, loaded, report)
    _remark(subject, report)
    if most:
        _suspect(subject, loaded.rows, report, most, watcher)
    return report


def _judge(subject: Subject, loaded: sources.Loaded, report: Report) -> None:
    """Faults: what the road itself says of the rows, up to the tuning."""
    if subject.recipe is None:
        if loaded.rejected_share > subject.data.max_rejected:
            first = loaded.rejected[0]
            report.faults.append(f"{len(loaded.rejected)} rows are bad; first: line {first.line}: {first.reason}")
        return
    from engine.tasks.task import LEAST_CALIBRATION
    from engine.training import prepare

    for name in [*(subject.data.dev or []), *(subject.data.test or [])]:
        resources.find(name, kind="data file")  # a file that is not there is wrong input, not a fault of the rows
    with tempfile.TemporaryDirectory() as folder:
        try:
            parts, _, dropped = prepare(subject.recipe, Path(folder))
        except KeelError as fault:
            lines = str(fault).replace(f"All are in {Path(folder) / 'rejected.jsonl'}; mend", "Mend").splitlines()
            more = [f"... and {len(lines) - 6} more"] if len(lines) > 6 else []
            report.faults.append("\n".join(lines[:6] + more))
            return
    report.parts = parts.counts()
    if dropped:
        report.remarks.append(f"{dropped} rows leave train, since they leak into another part")
    for head in subject.heads:
        answered = sum(row.labels.get(head.name) is not None for row in parts.calibration)
        if parts.calibration and answered < LEAST_CALIBRATION:
            report.faults.append(
                f"head {head.name}: {answered} calibration rows, needs {LEAST_CALIBRATION}; label more"
            )
        seen = profile.balance(head.name, head.labels, parts.train).rows
        bare = [label for label, count in seen.items() if not count]
        if head.kind == "single" and len(seen) - len(bare) < 2:
            report.faults.append(f"head {head.name}: train has fewer than two of its labels; give rows of others")
        elif bare:
            report.remarks.append(f"head {head.name}: no row of train is {', '.join(bare[:10])}: it cannot be learnt")


def _remark(subject: Subject, report: Report) -> None:
    if not subject.heads:
        report.remarks.append("no column of labels is named: nothing was said of labels; give --label COLUMN")
    for balance in report.labels:
        few = [label for label, count in balance.rows.items() if 0 < count < FEW_ROWS]
        if few:
            report.remarks.append(f"head {balance.head}: fewer than {FEW_ROWS} rows are {', '.join(few[:10])}")
        if balance.ratio and balance.ratio >= IMBALANCE:
            report.remarks.append(
                f"head {balance.head}: {balance.ratio:.0f} rows of the most frequent label for each of the rarest; "
                "class_weights (balanced or sqrt) may help"
            )
    if report.cut:
        report.remarks.append(
            f"{report.cut} rows have more tokens than tuning.max_length, {subject.max_length}: their ends go unread"
        )
    if report.duplicates["conflicting"]:
        report.remarks.append(f"{report.duplicates['conflicting']} rows repeat another one with a different label")
    if report.rejected:
        report.remarks.append(f"{len(report.rejected)} rows are bad and would be left out")


def _suspect(subject: Subject, rows: list[Row], report: Report, most: int, watcher: Watcher) -> None:
    heads = [head for head in subject.heads if head.kind in ("single", "multi")]
    if not heads or not rows:
        return
    from engine.embedder import Embedder

    vectors = []
    watcher.stage(f"looking for wrong labels: vectors by {subject.base}")
    for vector in Embedder(subject.base).stream(row.whole for row in rows):
        vectors.append(vector)
        if not len(vectors) % 100:
            watcher.step(len(vectors), len(rows), "")
    watcher.stage("looking for wrong labels: judging each row by the others")
    cluster_of = np.zeros(len(rows), dtype=np.int64)
    for number, cluster in enumerate(clusters(rows)):
        cluster_of[cluster] = number
    for head in heads:
        numbers = [number for number, row in enumerate(rows) if row.labels[head.name] is not None]
        if not numbers:
            continue
        chosen = [rows[number] for number in numbers]
        named: list[Suspect] = []
        own = np.stack([vectors[number] for number in numbers])
        for labels, given in _questions(head, chosen):
            found = suspects.find(own, given, cluster_of[numbers].tolist())
            name = head.name if head.kind == "single" else f"{head.name}: {labels[1]}"
            report.suspicions.append(
                Suspicion(name, found.judged, len(found.suspects), found.error_share, found.agreement)
            )
            for one in found.suspects:
                row, given_label, suggested = chosen[one.row], labels[one.given], labels[one.suggested]
                named.append(
                    Suspect(row.origin, row.text, head.name, given_label, suggested, one.confidence, one.doubt)
                )
        report.suspects += sorted(named, key=lambda one: -one.doubt)[:most]


def _questions(head: HeadSpec, rows: list[Row]) -> Iterator[tuple[tuple[str, ...], list[int]]]:
    """Names of the answers, and the rows' answers: one question for a single label, one for each of several."""
    if head.kind == "single":
        yield head.labels, [head.labels.index(row.labels[head.name]) for row in rows]
        return
    for label in head.labels:
        yield (f"not {label}", label), [int(label in row.labels[head.name]) for row in rows]


def _tokens(base: str, rows: list[Row]) -> list[int]:
    """Tokens of each row as the base reads it."""
    from tokenizers import Tokenizer

    from engine import base_models

    found = base_models.resolve(base)
    file = found.folder / "tokenizer.json"
    if not file.is_file():
        raise InputError(f"{base}: has no tokenizer.json; name a base with one")
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return [len(tokenizer.encode(found.prefix + row.text, row.pair).ids) for row in rows]
