"""CSV rows: lines put together to records, whose quoted cells may go over several, and read by a mapping."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from apps.finance_monitor.items import MAX_LINE, Bad, DeadLetter, NewsItem, letter
from apps.finance_monitor.mapping import Mapping


class CsvRows:
    """One file's rows after the other's.

    Attributes:
        header: names of the columns, once they are known.
    """

    def __init__(self, name: str, mapping: Mapping) -> None:
        self.header: list[str] | None = None
        self._name = name
        self._mapping = mapping
        self._held: list[bytes] = []
        self._first = 0
        csv.field_size_limit(MAX_LINE)

    def take(self, raw: bytes, line: int) -> Iterator[NewsItem | DeadLetter | None]:
        """What the record is that ends with this line; nothing while none does. Line 1 starts another file."""
        if line == 1:
            yield from self.end()
            self.header = None
        inside = bool(self._held)
        self._first = self._first if inside else line
        self._held.append(raw)
        if inside and b'"' not in raw and sum(map(len, self._held)) <= MAX_LINE:
            return  # only a quote ends a quoted cell
        try:
            row = self._row()
        except Bad as fault:
            yield self._letter(fault)
            return
        if row is not None:
            found = self._found(row)
            self._held.clear()
            yield found

    def end(self) -> Iterator[DeadLetter]:
        """A record that the file's end cut off."""
        if self._held:
            yield self._letter("a quoted cell is never closed; double the quotes inside cells")

    def _row(self) -> list[str] | None:
        """None: a quoted cell goes on."""
        whole = b"".join(self._held)
        if len(whole) > MAX_LINE:
            raise Bad(f"the row has over {MAX_LINE:,} bytes, or a quoted cell is never closed")
        try:
            text = whole.decode("utf-8-sig" if self._first == 1 else "utf-8")
            rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=self._mapping.delimiter, strict=True))
        except UnicodeDecodeError as fault:
            raise Bad(f"not UTF-8 at byte {fault.start + 1}; send UTF-8") from None
        except csv.Error as fault:
            if "unexpected end of data" in str(fault):
                return None
            raise Bad(f"no CSV: {fault}; quote cells that hold quotes, and double those inside") from None
        return rows[0] if rows else []

    def _found(self, row: list[str]) -> NewsItem | DeadLetter | None:
        if not any(row):
            return None
        if self.header is None:
            self.header = row
            missing = [place for place in self._mapping.places if place not in row]
            told = f"the header has no column {', '.join(missing)}; it has {', '.join(row)}"
            return self._letter(told) if missing else None
        if len(row) != len(self.header):
            return self._letter(
                f"{len(row)} cells where the header has {len(self.header)}; quote cells with delimiters"
            )
        try:
            return self._mapping.item(dict(zip(self.header, row, strict=True)))
        except Bad as fault:
            return self._letter(fault)

    def _letter(self, reason: object) -> DeadLetter:
        raw = b"".join(self._held)
        self._held.clear()
        return letter(self._name, self._first, reason, raw)
