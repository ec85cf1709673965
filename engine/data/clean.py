"""Clean: texts as people wrote them, without the marks of the systems that they went through.

Unicode becomes NFC, never NFKC: NFKC would turn the full-width punctuation of Chinese into ASCII. Every operation is
repeated until nothing changes, so that cleaning twice is cleaning once; the price is that `&amp;lt;b&amp;gt;` goes as a
tag too, which mends texts that were escaped twice and takes code examples out of texts about HTML (`html=False`).
"""

from __future__ import annotations

import html as entities
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine import resources
from engine.data import files
from engine.data.rows import BadRow
from engine.data.sources import Rejected, check_text, records
from engine.errors import DataError, InputError
from engine.text import pii

MAX_PASSES = 50
"""Times that a text may change: `&amp;amp;amp;...` would take one for each `amp;`."""
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")
_INVISIBLE = re.compile(r"[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\ufff9-\ufffb]")
"""Soft hyphens, zero-width spaces, text direction, byte order marks. Joiners stay: Persian and emoji need them."""
_BREAK = re.compile(r"\r\n|[\r\x0b\x0c\u2028\u2029]")
_SPACES = re.compile(r"[^\S\n]+")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")

_BLOCKS = (
    "address article aside blockquote body br button caption center dd details dialog dir div dl dt fieldset "
    "figcaption figure footer form h1 h2 h3 h4 h5 h6 head header hr html iframe legend li main menu meta nav noscript "
    "ol optgroup option p pre section select summary table tbody template textarea tfoot thead title tr ul"
).split()
_INLINE = (
    "a abbr acronym audio b base bdi bdo big canvas cite code col colgroup data datalist del dfn em embed font i img "
    "input ins kbd label link map mark meter object output param picture progress q rp rt ruby s samp script small "
    "source span strike strong style sub sup svg td th time track tt u var video wbr"
).split()
_MARKUP = re.compile(
    # Hand-made, since html.parser takes `costs<budget` for a tag, and minutes over a text of unclosed comments. Every
    # alternative stops at the next opening of its own kind, which keeps the time linear.
    r"<!--(?:(?!<!--).)*?-->|<!\[CDATA\[|\]\]>|<!doctype\b[^<>]*>"
    r"|<script\b(?:(?!<script\b).)*?</script\s*>|<style\b(?:(?!<style\b).)*?</style\s*>"
    rf"|</?(?P<name>{'|'.join(_BLOCKS + _INLINE)})(?:[\s/][^<>]*)?>",
    re.IGNORECASE | re.DOTALL,
)


@dataclass
class Cleaned:
    """What cleaning did to a file."""

    rows: int = 0
    changed: int = 0
    """Rows of which a text changed."""
    operations: Counter[str] = field(default_factory=Counter)
    """control, invisible, replacement: characters; html: tags; entity: entities; unicode, whitespace: changed texts."""
    pii: Counter[str] = field(default_factory=Counter)
    """Kind -> how many were masked."""
    rejected: list[Rejected] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {**vars(self), "rejected": [vars(bad) for bad in self.rejected]}


def clean_text(text: str, *, html: bool = True, mask_pii: bool = False) -> tuple[str, Counter[str], Counter[str]]:
    """The text, clean; how often each operation was needed; and how much of each kind of personal data was masked.

    Raises:
        BadRow: tags and entities are nested in each other too deep for a text of people.
    """
    operations: Counter[str] = Counter()
    masked: Counter[str] = Counter()
    for _ in range(MAX_PASSES):
        before = text
        for name, step in _STEPS.items():
            if html or name not in ("html", "entity"):
                text, count = step(text)
                operations[name] += count
        if mask_pii:
            text, found = pii.mask(text)
            masked += found
        if text == before:
            break
    else:
        raise BadRow(f"tags or entities are nested over {MAX_PASSES} deep; mend the export")
    operations["replacement"] = text.count("\ufffd")
    return text, +operations, masked


def clean_file(file: str, out: Path, columns: Sequence[str], *, html: bool = True, mask_pii: bool = False) -> Cleaned:
    """Clean some columns of a file into `out` (JSON lines, whole or not at all), the other columns as they are.

    The first column must hold a text after cleaning, the others may be empty or missing. Rows that cannot be read, or
    that hold replacement characters (what stood there is lost), go to `rejected_path(out)` with the reason.

    Raises:
        DataError: the file cannot be read, no row has the first column, or no row is left.
        InputError: `out` is the file itself, or cannot be written.
    """
    path = resources.find(file, kind="data file")
    if out.exists() and out.samefile(path):
        raise InputError(f"{out}: is the file to clean; give another path, the original is kept")
    done = Cleaned()
    known: dict[str, None] = {}

    def rows() -> Iterator[dict[str, Any]]:
        for line, values in records(path, file):
            try:
                if isinstance(values, BadRow):
                    raise values
                known.update(dict.fromkeys(values))
                yield _clean_row(values, columns, done, html, mask_pii)
                done.rows += 1
            except BadRow as fault:
                done.rejected.append(Rejected.of(file, line, fault, values))
        if missing := [column for column in columns if column not in known] if known else []:
            raise DataError(f"{file}: no row has '{missing[0]}'; name columns with --text: {', '.join(known)}")
        if not done.rows:
            first = f"; first: line {done.rejected[0].line}: {done.rejected[0].reason}" if done.rejected else ""
            raise DataError(f"{file}: no row is left{first}")

    files.write_lines(out, rows())
    aside = rejected_path(out)
    if done.rejected:
        files.write_lines(aside, (vars(bad) for bad in done.rejected))
    else:
        aside.unlink(missing_ok=True)  # of an earlier run
    return done


def rejected_path(out: Path) -> Path:
    """Where the bad rows of a cleaned file go."""
    return out.with_name(f"{out.stem}.rejected.jsonl")


def _clean_row(
    values: dict[str, Any], columns: Sequence[str], done: Cleaned, html: bool, mask_pii: bool
) -> dict[str, Any]:
    new = dict(values)
    for number, column in enumerate(columns):
        value = values.get(column)
        if number and (value is None or value == ""):
            continue
        if isinstance(value, str):
            new[column], operations, masked = clean_text(value, html=html, mask_pii=mask_pii)
            done.operations += operations
            done.pii += masked
        if column not in values:
            raise BadRow(f"no field '{column}'")
        if number == 0 or new[column]:
            check_text(new[column], column)
    done.changed += new != values
    return new


def _without_control(text: str) -> tuple[str, int]:
    return _CONTROL.subn(lambda match: _as_windows(match[0]), text)


def _as_windows(control: str) -> str:
    """C1 controls are Windows-1252 read as Latin-1, as HTML has it; other controls are nothing."""
    return bytes([ord(control)]).decode("cp1252", "ignore") if control >= "\x80" else ""


def _without_invisible(text: str) -> tuple[str, int]:
    return _INVISIBLE.subn("", text)


def _without_tags(text: str) -> tuple[str, int]:
    return _MARKUP.subn(_as_space, text) if "<" in text or "]]>" in text else (text, 0)


def _as_space(match: re.Match[str]) -> str:
    name = (match["name"] or "").lower()
    if name in ("td", "th"):
        return " "
    return "\n" if name in _BLOCKS else ""


def _unescaped(text: str) -> tuple[str, int]:
    """Only `&name;` with its semicolon, so that a link's `&copy=1` stays."""
    count = sum(entities.unescape(entity) != entity for entity in _ENTITY.findall(text))
    return (_ENTITY.sub(lambda match: entities.unescape(match[0]), text), count) if count else (text, 0)


def _composed(text: str) -> tuple[str, int]:
    composed = unicodedata.normalize("NFC", text)
    return composed, int(composed != text)


def _spaced(text: str) -> tuple[str, int]:
    """One space between words, no space at the ends of lines, one blank line between paragraphs at most."""
    lines = [line.strip() for line in _SPACES.sub(" ", _BREAK.sub("\n", text)).split("\n")]
    spaced = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    return spaced, int(spaced != text)


_STEPS: dict[str, Callable[[str], tuple[str, int]]] = {
    "control": _without_control,
    "invisible": _without_invisible,
    "html": _without_tags,
    "entity": _unescaped,
    "unicode": _composed,
    "whitespace": _spaced,
}
