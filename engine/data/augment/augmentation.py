"""Augmentation: new train rows of a recipe, made of its train part alone, with the labels of their sources."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine import resources
from engine.data import files, sources
from engine.data.augment.kept import NEGATIONS
from engine.data.augment.methods import Options, build
from engine.data.leakage import find_leaks
from engine.data.rows import BadRow, Row
from engine.errors import InputError
from engine.recipe import Recipe
from engine.tasks.heads import places, specs
from engine.text.languages import detect
from engine.text.normalise import normalised, words

if TYPE_CHECKING:
    from engine.tasks.task import Watcher

FROM, METHOD = "augmented_from", "method"
"""Fields of a new row: the file and line it was made of, and how."""
MOST_SHARE = 20.0
FITTING = (0.4, 2.5)
"""Words of a free rewriting for each word of its text: outside of this it says less, or more."""


@dataclass
class Report:
    """What augmentation added; the same stands beside the new file."""

    method: str
    by: str
    recipe: str
    recipe_sha256: str
    train_rows: int
    """Rows of the train part, without earlier augmentation."""
    eligible: int
    """Rows of them that the method can rewrite: a translator takes those in its language."""
    tried: int
    added: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    """unchanged; duplicate (of a train row or another new one); empty; meaning (numbers, negation or length differ);
    leak (stands in dev, calibration or test)."""
    leaks: dict[str, int] = field(default_factory=dict)
    """Kind -> new rows dropped for such a leak."""
    labels: dict[str, dict[str, int]] = field(default_factory=dict)
    """Head -> label -> new rows."""
    settings: dict[str, Any] = field(default_factory=dict)
    measured: dict[str, Any] | None = None
    """Whether it helped; see `measure`."""


def augment(
    recipe: Recipe, options: Options, *, share: float = 1.0, language: str | None = None, watcher: Watcher
) -> tuple[list[dict[str, Any]], Report]:
    """New rows for a recipe, as records to write, and what was made and dropped.

    A record is that of the row it comes from, with another text and without entities, whose places moved. None has a
    text that stands, exactly or nearly, in dev, calibration or test.

    Args:
        share: rows to try for each row of train; over 1, rows are used again.
        language: code of the language to rewrite, where the method needs to know; the recipe's first one.

    Raises:
        InputError: the options fit neither each other nor the task.
        KeelError: the recipe's data cannot be used.
    """
    from engine.training import prepare

    if not 0 < share <= MOST_SHARE:
        raise InputError(f"--share {share:g}: give a number over 0, {MOST_SHARE:g} at most")
    moved = places(recipe.task)
    if len(moved) == len(specs(recipe.task)):
        raise InputError("augmentation changes texts, and the recipe's entities are places in them; it cannot be used")
    watcher.stage(f"reading {', '.join(recipe.data.train)}")
    with tempfile.TemporaryDirectory() as folder:
        parts, _, _ = prepare(recipe, Path(folder))
    rows = (row for row in parts.train if row.augmented_from is None)
    train = [row for row in rows if not row.reworded(row.text, row.pair, moved).says_nothing]
    language = language or recipe.languages[0]
    watcher.stage(f"making ready: {options.method}")
    method = build(options, [row.text for row in train], language, recipe.base)
    eligible = [row for row in train if method.language is None or detect(row.text) == method.language]
    if not eligible:
        raise InputError(f"no train row is in language '{method.language}'; give --language another")
    chosen = _chosen(eligible, round(share * len(train)), options.seed)
    report = Report(options.method, method.by, recipe.name, recipe.digest(), len(train), len(eligible), len(chosen))
    report.settings = {"share": share, "language": language, **asdict(options)}
    made: list[Row] = []
    drops: Counter[str] = Counter()
    seen = {normalised(row.whole) for row in parts.train}
    watcher.stage(f"rewriting {len(chosen):,} texts by {method.by}")
    for number, (row, text) in enumerate(zip(chosen, method.rewrite([row.text for row in chosen]), strict=True), 1):
        new = replace(row.reworded(text, row.pair, moved), augmented_from=row.origin, origin=f"new:{number}")
        if why := _why_not(row, new, seen, free=method.free):
            drops[why] += 1
        else:
            seen.add(normalised(new.whole))
            made.append(new)
        if not number % 50:
            watcher.step(number, len(chosen), "")
    watcher.stage(f"holding {len(made):,} new rows against dev, calibration and test")
    leaks = {id(leak.row): leak.kind for leak in find_leaks(replace(parts, train=made)) if leak.part == "train"}
    made = [row for row in made if id(row) not in leaks]
    report.added = len(made)
    report.dropped = dict(drops) | ({"leak": len(leaks)} if leaks else {})
    report.leaks = dict(Counter(leaks.values()))
    report.labels = {
        head.name: dict(Counter(name for row in made for name in _names(row.labels[head.name])).most_common())
        for head in specs(recipe.task)
        if head.kind in ("single", "multi")
    }
    return list(_records(recipe, made, options.method)), report


def write(out: Path, records: Sequence[dict[str, Any]], report: Report) -> Path:
    """Write the new rows, and the report beside them; gives the report's path."""
    files.write_lines(out, records)
    beside = out.with_suffix(".report.json")
    files.write_json(beside, asdict(report))
    return beside


def _chosen(rows: Sequence[Row], count: int, seed: int) -> list[Row]:
    """`count` rows in a drawn order; none is taken twice before all are taken once."""
    random = np.random.default_rng(seed)
    order: list[int] = []
    while len(order) < count:
        order += random.permutation(len(rows)).tolist()
    return [rows[number] for number in order[:count]]


def _why_not(row: Row, new: Row, seen: set[str], *, free: bool) -> str | None:
    if not new.text.strip():
        return "empty"
    if normalised(new.text) == normalised(row.text):
        return "unchanged"
    if normalised(new.whole) in seen:
        return "duplicate"
    return "meaning" if free and not keeps_meaning(row.text, new.text) else None


def keeps_meaning(text: str, rewritten: str) -> bool:
    """Whether a rewriting is about as long, holds the same numbers, and negates if and only if the text does."""
    old, new = words(text), words(rewritten)
    fits = FITTING[0] <= len(new) / max(1, len(old)) <= FITTING[1]
    numbers = [sorted(re.findall(r"\d+", one)) for one in (text, rewritten)]
    return fits and numbers[0] == numbers[1] and _negates(old) == _negates(new)


_DENIES = NEGATIONS & frozenset("no not never none nobody nothing nowhere neither nor without cannot".split())


def _negates(found: Sequence[str]) -> bool:
    return any(word in _DENIES or word.endswith("n't") for word in found)


def _names(label: Any) -> Sequence[str]:
    return [] if label is None else [label] if isinstance(label, str) else list(label)


def _records(recipe: Recipe, made: Sequence[Row], method: str) -> Iterator[dict[str, Any]]:
    wanted = {row.augmented_from for row in made}
    raw: dict[str, dict[str, Any]] = {}
    for name in recipe.data.train:
        for line, values in sources.records(resources.find(name, kind="data file"), name):
            if not isinstance(values, BadRow) and (origin := f"{name}:{line}") in wanted:
                raw[origin] = values
    moved = {recipe.data.column(name) for name in places(recipe.task)}
    for row in made:
        assert row.augmented_from is not None
        kept = {name: value for name, value in raw[row.augmented_from].items() if name not in moved}
        yield {**kept, recipe.data.text_column: row.text, FROM: row.augmented_from, METHOD: method}
