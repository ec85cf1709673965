"""Table: feedback as CSV or JSON lines for people who label, and their labels back.

A line has the id and the text, of each head an empty cell HEAD for the label and what the model said (HEAD_said,
HEAD_probability), and who said what when. Back come the lines with cells filled in; lines without an id are texts of
one's own.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from engine.data.files import whole
from engine.data.rows import BadRow
from engine.data.sources import Rejected, check_text, records
from engine.errors import InputError
from engine.feedback.claims import said_label
from engine.feedback.labelling import labelled
from engine.feedback.log import Feedback, FeedbackLog

if TYPE_CHECKING:
    from engine.tasks.heads import HeadSpec

BEFORE = ("id", "text")
AFTER = ("app", "model", "kind", "verdict", "correction", "rater", "consent", "subject", "tenant", "time")
SAID, PROBABILITY = "_said", "_probability"
FORMS = (".csv", ".jsonl")
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_GUARDED = re.compile(r"'+[=+\-@\t\r]")


def write(feedback: Sequence[Feedback], path: Path, heads: Sequence[str] = ()) -> None:
    """Write feedback, whole or not at all.

    Args:
        path: .csv, as spreadsheets read it, Chinese too; or .jsonl.
        heads: those to label, beside those that the feedback speaks of.

    Raises:
        InputError: the file is of another kind, or cannot be written.
    """
    if path.suffix not in FORMS:
        raise InputError(f"{path}: write {' or '.join(FORMS)}")
    with whole(path) as stream:
        if path.suffix == ".jsonl":
            for row in _rows(feedback, heads):
                stream.write(json.dumps(row, ensure_ascii=False) + "\n")
        else:
            stream.write("\ufeff")  # without it Excel takes UTF-8 for the machine's old code page
            write_csv(feedback, stream, heads)


def write_csv(feedback: Sequence[Feedback], stream: TextIO, heads: Sequence[str] = ()) -> None:
    """As CSV; a text that a spreadsheet would run as a formula gets a ' before it (OWASP, CSV injection)."""
    rows = list(_rows(feedback, heads))
    lines = csv.writer(stream, lineterminator="\n")
    columns = list(rows[0]) if rows else [*BEFORE, *heads, *AFTER]
    lines.writerow(columns)
    for row in rows:
        lines.writerow([_cell(row[column]) for column in columns])


def _rows(feedback: Sequence[Feedback], heads: Sequence[str]) -> Iterator[dict[str, Any]]:
    spoken = {head for one in feedback for head in one.said if said_label(one, head) is not None}
    spoken |= {head for one in feedback if one.kind in ("correction", "label") for head in one.correction or ()}
    names = [*heads, *sorted(spoken - set(heads))]
    for one in feedback:
        row: dict[str, Any] = {name: getattr(one, name) for name in BEFORE}
        for head in names:
            said = one.said.get(head)
            label = said_label(one, head)
            row[head] = None
            row[head + SAID] = list(label) if isinstance(label, tuple) else label
            row[head + PROBABILITY] = said.get("probability") if isinstance(said, Mapping) else None
        yield row | {name: getattr(one, name) for name in AFTER}


def _cell(value: Any) -> Any:
    if isinstance(value, dict):
        value = json.dumps(value, ensure_ascii=False)
    elif isinstance(value, list):
        value = ", ".join(value)
    elif isinstance(value, bool):
        value = "yes" if value else "no"
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


@dataclass
class Taken:
    """What came of an import."""

    new: int = 0
    known: int = 0
    """Labels that were there already."""
    empty: int = 0
    """Lines without a label."""
    rejected: list[Rejected] = field(default_factory=list)


@dataclass(frozen=True)
class Source:
    """How lines are read.

    Attributes:
        rater: who labelled.
        heads: of the model; a label that they lack is a slip of the pen, unless it is among `new_labels`.
        model, tenant, consent: of lines without an id.
    """

    rater: str
    heads: Sequence[HeadSpec]
    new_labels: Sequence[str] = ()
    model: str = ""
    tenant: str = "default"
    consent: bool = True


def take(path: Path, log: FeedbackLog, source: Source) -> Taken:
    """Store the labels of a file; those taken before are passed over.

    Raises:
        InputError: the file cannot be read as a whole.
    """
    taken = Taken()
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    guarded = path.suffix.lower() == ".csv"
    found: list[Feedback] = []
    for line, values in records(path, str(path)):
        try:
            if isinstance(values, BadRow):
                raise values
            one = _read(values, guarded, log, source)
            found += [one] if one else []
            taken.empty += one is None
        except BadRow as fault:
            taken.rejected.append(Rejected.of(str(path), line, fault, values))
    with log.database.write() as connection:
        for one in found:
            new = log.add(connection, one)
            taken.new, taken.known = taken.new + new, taken.known + (not new)
    return taken


def _read(values: Mapping[str, Any], guarded: bool, log: FeedbackLog, source: Source) -> Feedback | None:
    """The label on a line; None where nobody filled it in.

    Raises:
        BadRow: the line is none of ours, or a label is none.
    """
    names = {head.name for head in source.heads}
    if not names & values.keys():
        raise BadRow(f"no column of a head; name one of {', '.join(sorted(names))}")
    labels = {}
    for head in source.heads:
        value = values.get(head.name)
        if value is None or value == "" or value == []:
            continue
        labels[head.name] = _label(head, value, guarded, source.new_labels)
    if not labels:
        return None
    return labelled(_asked(values, guarded, log, source), labels, rater=source.rater, app="import")


def _asked(values: Mapping[str, Any], guarded: bool, log: FeedbackLog, source: Source) -> Feedback:
    """What the labels of a line are about."""
    if id := values.get("id"):
        one = log.find(str(id))
        if one is None:
            raise BadRow(
                f"no feedback has the id {str(id)[:60]!r}; it may have been forgotten. Leave it out to add a text"
            )
        return one
    text = check_text(_plain(values.get("text"), guarded), "text")
    # Each text is a subject of its own: those of one subject all teach, or all judge.
    own = f"import {source.rater} {hashlib.sha256(text.encode()).hexdigest()[:12]}"
    subject = str(values.get("subject") or "") or own
    return Feedback(
        source.tenant, source.model, subject, text, {},
        app="import", kind="label", rater=source.rater, consent=source.consent,
    )  # fmt: skip


def _label(head: HeadSpec, value: Any, guarded: bool, new: Sequence[str]) -> str | list[str]:
    value = _plain(value, guarded)
    parts: Iterable[Any] = [value]
    if head.multi_label:
        parts = value if isinstance(value, list) else str(value).split(",")
    found = []
    for part in parts:
        label = part.strip() if isinstance(part, str) else ""
        if label not in (*head.labels, *new) or not label:
            near = difflib.get_close_matches(label, head.labels, n=1)
            way = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(head.labels[:20])}"
            raise BadRow(f"field {head.name!r}: unknown label {str(part)[:60]!r}; {way} A new one needs --new-label")
        found.append(label)
    return found if head.multi_label else found[0]


def _plain(value: Any, guarded: bool) -> Any:
    """A cell as it was before it was made safe for spreadsheets."""
    return value[1:] if guarded and isinstance(value, str) and _GUARDED.match(value) else value
