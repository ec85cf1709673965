"""Sources: CSV, JSONL and Parquet files -> rows of a recipe; bad rows go to a dead-letter file with their reason."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine import resources
from engine.data.rows import BadRow, Row
from engine.errors import DataError
from engine.recipe import Data
from engine.tasks import kinds
from engine.tasks.heads import HeadSpec

MAX_TEXT = 1_000_000
"""Characters of the longest text taken; a longer one is a broken export, not a text."""
PAIRED = frozenset({"span", "relevance", "vector"})
"""Kinds of heads that are about two texts."""
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True)
class Rejected:
    file: str
    line: int
    reason: str
    row: str

    @classmethod
    def of(cls, file: str, line: int, fault: BadRow, values: dict[str, Any] | BadRow) -> Rejected:
        """The bad row, whole: who mends it needs all of it."""
        shown = values.raw if isinstance(values, BadRow) else json.dumps(values, ensure_ascii=False, default=str)
        return cls(file, line, str(fault), shown)


@dataclass
class Loaded:
    rows: list[Row] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    hashes: dict[str, str] = field(default_factory=dict)
    """File -> SHA-256 of its bytes."""
    grouped: bool = False
    """A row has the column that `data.split.group` names."""

    @property
    def rejected_share(self) -> float:
        return len(self.rejected) / max(1, len(self.rows) + len(self.rejected))


def load(files: Sequence[str], data: Data, heads: Sequence[HeadSpec]) -> Loaded:
    """All rows of `files` that the recipe can use, and those that it cannot with the reason.

    Raises:
        DataError: a file is missing, empty, of an unknown kind, not UTF-8, or lacks the text column.
    """
    loaded = Loaded()
    for name in files:
        path = resources.find(name, kind="data file")
        loaded.hashes[name] = resources.sha256(path)
        before = len(loaded.rows) + len(loaded.rejected)
        skipped = 0
        for line, values in records(path, name):
            try:
                if isinstance(values, BadRow):
                    raise values
                if any(str(values.get(column)) not in allowed for column, allowed in data.where.items()):
                    skipped += 1
                    continue
                loaded.grouped |= data.split.group in values
                loaded.rows.append(_row(values, data, heads, f"{name}:{line}"))
            except BadRow as fault:
                loaded.rejected.append(Rejected.of(name, line, fault, values))
        if len(loaded.rows) + len(loaded.rejected) == before:
            why = f"none of its {skipped} rows has {data.where}" if skipped else "it holds no rows"
            raise DataError(f"{name}: {why}; give a file with rows, or mend data.where")
    return loaded


def check_rejected(loaded: Loaded, limit: float, dead_letters: Path | None = None) -> None:
    """Stop when too large a share of the rows is bad.

    Args:
        dead_letters: where they are written, if anywhere.

    Raises:
        DataError: with the first bad rows and the dead-letter file.
    """
    if loaded.rejected_share <= limit:
        return
    first = "; ".join(f"{bad.file}, line {bad.line}: {bad.reason}" for bad in loaded.rejected[:3])
    total = len(loaded.rows) + len(loaded.rejected)
    raise DataError(
        f"{len(loaded.rejected)} of {total} rows are bad, over data.max_rejected = {limit:g}; first: {first}. "
        + (f"All are in {dead_letters}; mend" if dead_letters else "Mend")
        + " them or raise the limit"
    )


def write_rejected(rejected: Sequence[Rejected], path: Path) -> None:
    """One JSON object a bad row: file, line, reason, row."""
    with path.open("w", encoding="utf-8") as stream:
        for bad in rejected:
            stream.write(json.dumps(vars(bad), ensure_ascii=False) + "\n")


def records(path: Path, name: str) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    """Line and fields of each row of a file, or why the line holds none.

    Raises:
        DataError: the file as a whole cannot be read; it names `name`.
    """
    if path.stat().st_size == 0:
        raise DataError(f"{name}: the file is empty; give one with rows")
    readers = {
        ".csv": _csv, ".jsonl": _jsonl, ".ndjson": _jsonl, ".parquet": _parquet,
        ".conll": _conll, ".bio": _conll, ".annotated": _conll,
    }  # fmt: skip
    read = readers.get(path.suffix.lower())
    if read is None:
        raise DataError(f"{name}: unknown kind of file '{path.suffix}'; Keel reads {', '.join(readers)}")
    yield from read(path, name)


def _lines(path: Path, name: str) -> Iterator[tuple[int, str | BadRow]]:
    with path.open("rb") as stream:
        head = stream.read(4)
        if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise DataError(f"{name}: the file is UTF-16; save it as UTF-8")
        stream.seek(3 if head[:3] == b"\xef\xbb\xbf" else 0)
        for number, raw in enumerate(stream, 1):
            try:
                yield number, raw.decode("utf-8")
            except UnicodeDecodeError as fault:
                reason = f"not UTF-8 at byte {fault.start + 1} of the line; save the file as UTF-8"
                yield number, BadRow(reason, raw.decode("utf-8", "backslashreplace").rstrip("\r\n"))


def _jsonl(path: Path, name: str) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    for number, line in _lines(path, name):
        if isinstance(line, BadRow):
            yield number, line
        elif line.strip():
            yield number, parse_object(line)


def parse_object(line: str) -> dict[str, Any] | BadRow:
    """The JSON object on a line, or why there is none."""
    try:
        value = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as fault:
        cut = "; the line seems cut off" if not line.rstrip().endswith("}") else ""
        return BadRow(f"not JSON: {fault}{cut}", line.rstrip("\r\n"))
    if isinstance(value, dict):
        return value
    return BadRow(f"a {type(value).__name__} where an object {{...}} should stand", line.rstrip("\r\n"))


def _csv(path: Path, name: str) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    bad: dict[int, BadRow] = {}
    read: dict[int, str] = {}  # the lines of the row at hand

    def text() -> Iterator[str]:
        for number, line in _lines(path, name):
            if isinstance(line, BadRow):
                bad[number] = line
                yield "\n"
            else:
                read[number] = line.rstrip("\r\n")
                yield line.replace("\x00", "\ufffd")

    limit = csv.field_size_limit(50 * MAX_TEXT)
    try:
        reader = csv.reader(text(), strict=True)
        columns = _header(reader, name, bad)
        while True:
            start = reader.line_num + 1
            read.clear()
            try:
                cells = next(reader, None)
            except csv.Error as fault:
                # A stray quote opens a cell that runs on through the lines after it: each of them is a row lost.
                lost = f"; a quote of line {start} may run on to here" if len(read) > 1 else ""
                for number, line in list(read.items()):
                    yield number, BadRow(f"not CSV: {fault}{lost}", line)
                continue
            if cells is None:
                break
            if start in bad:
                yield start, bad.pop(start)
            elif cells and len(cells) != len(columns):
                reason = f"{len(cells)} cells where the header has {len(columns)}; quote cells that hold commas"
                yield start, BadRow(reason, "\n".join(read.values()))
            elif cells:
                yield start, dict(zip(columns, cells, strict=True))
    finally:
        csv.field_size_limit(limit)


def _header(reader: Iterator[list[str]], name: str, bad: dict[int, BadRow]) -> list[str]:
    try:
        columns = [column.strip() for column in next(reader, [])]
    except csv.Error as fault:
        raise DataError(f"{name}, line 1: no readable header ({fault}); save the file as CSV with \\n lines") from None
    if bad or not columns:
        raise DataError(f"{name}, line 1: no readable header; the first line names the columns, in UTF-8")
    if twice := sorted({column for column in columns if columns.count(column) > 1}):
        raise DataError(f"{name}, line 1: columns stand twice: {', '.join(map(repr, twice))}; give each its own name")
    return columns


def _parquet(path: Path, name: str) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    import pyarrow.parquet as parquet

    try:
        file = parquet.ParquetFile(path)
    except Exception as fault:
        raise DataError(f"{name}: not a Parquet file ({fault})") from None
    number = 0
    for batch in file.iter_batches(batch_size=4096):
        for values in batch.to_pylist():
            number += 1
            yield number, values


def _conll(path: Path, name: str) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    """A word and its BIO tag a line, a blank line after each sentence -> {text, entities} at its first line."""
    words: list[tuple[str, str]] = []
    first, fault = 0, None
    for number, line in [*_lines(path, name), (0, "")]:
        if isinstance(line, BadRow):
            fault = line
        elif cells := line.split():
            first = first or number
            if len(cells) < 2:
                fault = BadRow(f"line {number} has one cell; a word and its tag stand on a line, or nothing")
            words.append((cells[0], cells[-1]))
        elif words:
            yield first, fault or _sentence(words)
            words, first, fault = [], 0, None


def _sentence(words: Sequence[tuple[str, str]]) -> dict[str, Any]:
    entities: list[dict[str, Any]] = []
    place, inside = 0, ""
    for word, tag in words:
        end = place + len(word)
        label = tag.partition("-")[2]
        if label and tag.startswith("I") and label == inside:
            entities[-1]["end"] = end
        elif label:
            entities.append({"start": place, "end": end, "label": label})
        inside = label
        place = end + 1
    return {"text": " ".join(word for word, _ in words), "entities": entities}


def _row(values: dict[str, Any], data: Data, heads: Sequence[HeadSpec], origin: str) -> Row:
    column = data.text_column
    if column not in values:
        raise BadRow(f"no field '{column}'; set data.columns.text to one of: {', '.join(map(str, values))}")
    text = check_text(values[column], column)
    pair = None
    if "pair" in data.columns or any(head.kind in PAIRED for head in heads):
        column = data.column("pair")
        if column not in values:
            raise BadRow(f"no field '{column}'; set data.columns.pair to one of: {', '.join(map(str, values))}")
        pair = check_text(values[column], column)
    labels = {head.name: _label(values, head, data, text, pair) for head in heads}
    if labels and all(label is None for label in labels.values()):
        names = ", ".join(data.column(head.name) for head in heads)
        raise BadRow(f"no label for any head; give one of the fields: {names}")
    source = values.get("augmented_from")
    language = values.get(data.columns.get("language", "lang"))
    return Row(
        text,
        labels,
        _group(values, data, heads, text, pair),
        origin,
        pair,
        source if isinstance(source, str) and source else None,
        language[:20] if isinstance(language, str) and language else None,
    )


def _group(values: dict[str, Any], data: Data, heads: Sequence[HeadSpec], text: str, pair: str | None) -> str | None:
    """The recipe's group, or else what several rows of the task share: the query of its texts, the passage of its
    questions. Dealt over the parts they would tell the test's answers, and cut a query's list short."""
    group = values.get(data.split.group) if data.split.group else None
    if group not in (None, ""):
        return str(group)
    asked = {head.kind for head in heads}
    if asked & {"relevance", "vector"}:
        return text
    return pair if "span" in asked else None


def _label(values: dict[str, Any], head: HeadSpec, data: Data, text: str, pair: str | None) -> Any:
    column = data.column(head.name)
    return kinds.of(head.kind).read(head, values.get(column), column, text, pair)


def check_text(value: Any, column: str) -> str:
    """The text, fit to use.

    Raises:
        BadRow: it is no string, empty, over a million characters, or holds control characters.
    """
    if not isinstance(value, str):
        raise BadRow(f"field '{column}' is {type(value).__name__}, not a text")
    if not value.strip():
        raise BadRow(f"field '{column}' is empty")
    if len(value) > MAX_TEXT:
        raise BadRow(f"field '{column}' has {len(value):,} characters, over {MAX_TEXT:,}; cut it")
    if found := _CONTROL.search(value):
        raise BadRow(
            f"field '{column}' holds the control character {found[0]!r} at position {found.start()}; clean the file"
        )
    if "\ufffd" in value:
        raise BadRow(f"field '{column}' holds the replacement character U+FFFD: the file was read in a wrong encoding")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadRow(f"field '{column}' holds half a surrogate pair; export the file as UTF-8 again") from None
    return value
