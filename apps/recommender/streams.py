"""Streams: tables as .parquet, .csv or .jsonl, read and written a part at a time."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from apps.recommender.readers.data import MAX_SHOWN, DeadLetter, Rows
from engine.errors import DataError, InputError

Sink = Callable[[pd.DataFrame], None]
Part = tuple[Rows, float]
"""Rows, and the share of the file that has been read with them."""


def check(source: Path, target: Path) -> None:
    """Raises:
    InputError: the one cannot be made of the other.
    """
    if odd := [path for path in (source, target) if path.suffix not in _SINKS]:
        raise InputError(f"{odd[0]}: tables end in {', '.join(_SINKS)}")
    if not source.is_file():
        raise InputError(f"{source}: no such file")
    if source.resolve() == target.resolve():
        raise InputError(f"{target}: it would replace what it is made of; give another file")


def parts(path: Path, columns: Sequence[str], most: int) -> Iterator[Part]:
    """Up to `most` rows at a time, with what the table has of the columns.

    One part comes at least, so that the columns of a table without rows can be looked at.

    Raises:
        InputError: the file is empty.
        DataError: it is unreadable, or breaks off.
    """
    read = {".parquet": _parquet_parts, ".csv": _csv_parts, ".jsonl": _json_parts}[path.suffix]
    try:
        yield from read(path, columns, most)
    except UnicodeDecodeError as fault:
        raise DataError(f"{path}: not UTF-8 ({fault}); save it as UTF-8") from None


def sink(target: Path, place: Path) -> AbstractContextManager[Sink]:
    """What writes tables of the same columns, one behind the other, to a place, in the form of the target's ending."""
    return _SINKS[target.suffix](place)


def _parquet_parts(path: Path, columns: Sequence[str], most: int) -> Iterator[Part]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = [name for name in file.schema_arrow.names if name in columns]
            total, done = file.metadata.num_rows, 0
            batches = file.iter_batches(most, columns=names) if total else [None]
            for batch in batches:
                table = pa.Table.from_batches([batch]) if batch else file.schema_arrow.empty_table().select(names)
                for at, field in enumerate(table.schema):
                    if pa.types.is_integer(field.type):  # pandas would make 7.0 of a 7 beside a gap
                        table = table.set_column(at, field.name, table.column(at).cast(pa.string()))
                index = pd.RangeIndex(done + 1, done + len(table) + 1)
                done += len(table)
                yield Rows(path, table.to_pandas(ignore_metadata=True).set_axis(index)), done / max(total, 1)
    except (pa.ArrowException, OSError) as fault:
        raise DataError(f"{path}: no whole Parquet file ({fault}); write it anew") from None


def _csv_parts(path: Path, columns: Sequence[str], most: int) -> Iterator[Part]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        lines = csv.reader(stream, strict=True)
        head = next(lines, None)
        if not head:
            raise InputError(f"{path}: the file is empty; its first line should name its columns")
        places = {name: at for at, name in enumerate(head) if name in columns}

        def good() -> Iterator[tuple[int, list[str] | DeadLetter]]:
            try:
                for fields in lines:
                    number = lines.line_num
                    if len(fields) == len(head):
                        yield number, [fields[at] for at in places.values()]
                    elif fields:
                        reason = f"{len(fields)} fields where {len(head)} should stand"
                        yield number, DeadLetter(str(path), number, reason, ",".join(fields)[:MAX_SHOWN])
            except csv.Error as fault:
                raise DataError(f"{path}, line {lines.line_num}: {fault}; close the quotes") from None

        yield from _gathered(path, good(), list(places), most, stream.buffer)


def _json_parts(path: Path, columns: Sequence[str], most: int) -> Iterator[Part]:
    def good() -> Iterator[tuple[int, list[Any] | DeadLetter]]:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            try:
                values = json.loads(line)
                if not isinstance(values, dict):
                    raise ValueError(f"a {type(values).__name__} where an object should stand")
                yield number, [values.get(name) for name in names]
            except (ValueError, RecursionError) as fault:
                reason = f"not JSON: {fault}; send one object a line"
                yield number, DeadLetter(str(path), number, reason, line[:MAX_SHOWN])

    # The first line that is an object says which columns there are.
    with path.open(encoding="utf-8", newline="\n") as stream:
        names = [name for name in columns if name in _first_object(stream)]
    with path.open(encoding="utf-8", newline="\n") as stream:
        yield from _gathered(path, good(), names, most, stream.buffer)


def _first_object(lines: Iterator[str]) -> dict[str, Any]:
    for line in lines:
        try:
            values = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(values, dict):
            return values
    return {}


def _gathered(
    path: Path, lines: Iterator[tuple[int, list[Any] | DeadLetter]], names: Sequence[str], most: int, raw: Any
) -> Iterator[Part]:
    size, first = max(path.stat().st_size, 1), True
    while (some := list(islice(lines, most))) or first:
        first = False
        kept = [(number, fields) for number, fields in some if isinstance(fields, list)]
        index = pd.Index([number for number, _ in kept], dtype=np.int64)
        frame = pd.DataFrame([fields for _, fields in kept], columns=list(names), index=index, dtype=object)
        yield Rows(path, frame, [one for _, one in some if isinstance(one, DeadLetter)]), raw.tell() / size


@contextmanager
def parquet(path: Path) -> Iterator[Sink]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer = None

    def write(frame: pd.DataFrame) -> None:
        nonlocal writer
        table = pa.Table.from_pandas(frame, preserve_index=False)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table.cast(writer.schema))

    try:
        yield write
    finally:
        if writer:
            writer.close()


@contextmanager
def lines(path: Path, *, unit: Literal["s", "us"] = "us") -> Iterator[Sink]:
    """Numbers to 15 decimals, times to the unit."""
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        yield lambda frame: frame.to_json(
            stream,
            orient="records",
            lines=True,
            date_format="iso",
            date_unit=unit,
            double_precision=15,
            force_ascii=False,
        )


@contextmanager
def _csv(path: Path) -> Iterator[Sink]:
    with path.open("w", encoding="utf-8", newline="") as stream:
        yield lambda frame: frame.to_csv(
            stream, index=False, header=stream.tell() == 0, date_format="%Y-%m-%dT%H:%M:%S.%fZ", lineterminator="\n"
        )


_SINKS: dict[str, Callable[[Path], AbstractContextManager[Sink]]] = {".parquet": parquet, ".csv": _csv, ".jsonl": lines}
