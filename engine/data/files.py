"""Files that are whole or absent: written aside, synced, renamed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from engine.errors import InputError


@contextmanager
def whole(path: Path) -> Iterator[TextIO]:
    """A stream that becomes the file `path` when the block ends well, and nothing when it does not.

    Raises:
        InputError: the folder is missing or cannot be written.
    """
    aside = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        stream = aside.open("w", encoding="utf-8")
    except OSError as fault:
        raise InputError(f"{path}: cannot be written ({fault.strerror}); give a path in a folder of yours") from None
    try:
        with stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write one JSON object a line, whole or not at all; gives the number of lines.

    Values that JSON has no form for, such as the dates of a Parquet file, are written as text.
    """
    count = 0
    with whole(path) as stream:
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")
            count += 1
    return count


def write_json(path: Path, value: Any) -> None:
    """Write one JSON document, whole or not at all."""
    with whole(path) as stream:
        stream.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def json_lines_path(name: str) -> Path:
    """The path of an output file.

    Raises:
        InputError: the name does not end in .jsonl.
    """
    path = Path(os.path.expanduser(name))
    if path.suffix != ".jsonl":
        raise InputError(f"{name}: the output is JSON lines; name it {path.with_suffix('.jsonl')}")
    return path
