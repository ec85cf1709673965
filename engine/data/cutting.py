"""Cutting: a file's rows written as train, dev, calibration and test, each row as it stands."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from engine import resources
from engine.data import files, sources
from engine.data.rows import BadRow
from engine.data.split import cut
from engine.data.subject import Subject
from engine.errors import DataError, InputError
from engine.recipe import Split

REPORT = "split.json"
REJECTED = "rejected.jsonl"


@dataclass(frozen=True)
class Cut:
    """What was written into the folder; the same stands in its split.json."""

    file: str
    sha256: str
    shares: dict[str, float]
    seed: int
    group: str | None
    label: str | None
    rows: dict[str, int]
    """Part -> rows."""
    labels: dict[str, dict[str, int]]
    """Part -> label -> rows."""
    rejected: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def cut_file(file: str, folder: Path, split: Split, *, text: str = "text", label: str | None = None) -> Cut:
    """Write `folder`, whole or not at all: a JSONL file a part, split.json, and rejected.jsonl where rows are bad.

    Rows of one group and near-duplicates stay on one side; every part gets its share of every value of `label`.

    Raises:
        DataError: the file cannot be read, or too few of its rows.
        InputError: there is no such column, or the folder holds something already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: holds something already; give a folder that is new or empty")
    subject = Subject.of_file(file, text=text, labels=[label] if label else [], group=split.group)
    label = label or next((head.name for head in subject.heads), None)
    if any(head.multi_label for head in subject.heads):
        raise InputError(f"{file}: column '{label}' holds several labels a row; give --label a column with one")
    data = subject.data.model_copy(update={"split": split})
    loaded = sources.load([file], data, ())
    path = resources.find(file, kind="data file")
    raw = {f"{file}:{line}": values for line, values in sources.records(path, file) if not isinstance(values, BadRow)}
    rows = [replace(row, labels={label: raw[row.origin].get(label)}) if label else row for row in loaded.rows]
    if not rows:
        raise DataError(f"{file}: no row can be used; first: {loaded.rejected[0].reason}")
    parts = cut(rows, split, stratify=label)
    report = Cut(
        file=file,
        sha256=loaded.hashes[file],
        shares={"test": split.test, "dev": split.dev, "calibration": split.calibration},
        seed=split.seed,
        group=split.group,
        label=label,
        rows=parts.counts(),
        labels={
            name: dict(Counter(str(row.labels[label]) for row in part).most_common()) if label else {}
            for name, part in vars(parts).items()
        },
        rejected=len(loaded.rejected),
    )
    _write(folder, {name: [raw[row.origin] for row in part] for name, part in vars(parts).items()}, loaded, report)
    return report


def _write(folder: Path, parts: dict[str, list[dict[str, Any]]], loaded: sources.Loaded, report: Cut) -> None:
    aside = folder.with_name(f".{folder.name}-{os.getpid()}")
    try:
        aside.mkdir()
    except OSError as fault:
        raise InputError(f"{folder}: cannot be made ({fault.strerror}); give a folder in one of yours") from None
    try:
        for name, rows in parts.items():
            if rows:
                files.write_lines(aside / f"{name}.jsonl", rows)
        if loaded.rejected:
            sources.write_rejected(loaded.rejected, aside / REJECTED)
        files.write_json(aside / REPORT, report.as_dict())
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
