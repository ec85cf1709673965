"""Documents: what a company tells its customers, as Markdown, whatever file it came from."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import DataError, InputError
from engine.text.languages import detect

MAX_BYTES = 50_000_000
"""A larger file is no article."""
_COMMENT = re.compile(
    r"""(?P<code>
        ^[ ]{0,3}(?P<fence>`{3,}(?=[^`\n]*$)|~{3,}) .*? (?:^[ ]{0,3}(?P=fence)[`~]*[ \t\r]*$ | \Z)
        | (?<!`)(?P<tick>`+)(?!`) [^\n]+? (?<!`)(?P=tick)(?!`)
    )
    | <!-- .*? -->
    | ^[ ]{0,3}<!-- (?:(?!-->).)* \Z                     # one that nobody ended hides all that follows
    | ^[ ]{0,3}\[[^\]\n]+\]:[ \t]+ (?:\#|<>) [ \t][^\n]*$  # [//]: # (a link that leads nowhere)
    """,
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)


@dataclass(frozen=True)
class Document:
    id: str
    """Stable: the front matter's `id`, or the file's path under the folder that was given; of a FAQ with its row."""
    title: str
    text: str
    """Markdown; citations count characters in it."""
    lang: str
    source: str
    """The file it came from, as it was given."""
    section: str = ""
    updated: str = ""

    @property
    def version(self) -> str:
        """Changes with anything a customer could be told from it."""
        told = json.dumps([self.title, self.section, self.lang, self.text])
        return hashlib.sha256(told.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Rejected:
    """A file, or a row of one, that is no document: where, and why."""

    source: str
    line: int | None
    reason: str
    raw: str


def files(paths: list[Path]) -> Iterator[tuple[Path, str]]:
    """The files under the paths that can be read, in order, each with the name that its document's id grows from.

    Raises:
        InputError: a path is not there, or a named file is of no known kind.
    """
    for path in paths:
        if path.is_dir():
            for file in sorted(path.rglob("*")):
                hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
                if file.is_file() and file.suffix.lower() in _READERS and not hidden:
                    yield file, file.relative_to(path).with_suffix("").as_posix()
        elif not path.is_file():
            raise InputError(f"{path}: no such file or folder")
        elif path.suffix.lower() not in _READERS:
            raise InputError(f"{path}: not a kind that can be read; there are: {', '.join(sorted(_READERS))}")
        else:
            yield path, path.stem


def gone(source: str) -> bool:
    """Whether a document's file is not there any more; what cannot be looked at is not gone."""
    try:
        Path(source).stat()
    except (FileNotFoundError, NotADirectoryError):
        return Path(source).is_absolute()  # others are no files of an ingestion
    except OSError:
        pass
    return False


def read(file: Path, name: str) -> Iterator[Document | Rejected]:
    """The documents of a file: one, or of a FAQ (CSV, JSON lines) one a row. Whatever is wrong with a file, it alone is
    rejected."""
    try:
        if _clean(str(file)) != str(file):
            raise DataError("its name is not UTF-8; rename it")
        if file.stat().st_size > MAX_BYTES:
            raise DataError(f"larger than {MAX_BYTES // 1_000_000} MB; split it")
        found = list(_READERS[file.suffix.lower()](file, name))
    except UnicodeDecodeError as fault:
        found = [rejected(file, f"not UTF-8 at byte {fault.start + 1}; save it as UTF-8")]
    except (DataError, OSError) as fault:
        found = [rejected(file, str(fault))]
    except Exception as fault:  # the readers of others raise what they like over a file that is damaged
        found = [rejected(file, f"cannot be read ({type(fault).__name__}: {fault})")]
    for one in found:
        if isinstance(one, Document) and not re.search(r"\w", one.text):
            yield Rejected(one.source, None, "holds no text", one.text[:200])
        else:
            yield one


def rejected(file: Path, reason: str) -> Rejected:
    """All of a file."""
    return Rejected(_clean(str(file)), None, reason, "")


def _markdown(file: Path, name: str) -> Iterator[Document]:
    matter, text = _front_matter(file.read_text(encoding="utf-8-sig"))
    yield _document(file, name, _shown(text), matter)


def _plain(file: Path, name: str) -> Iterator[Document]:
    yield _document(file, name, file.read_text(encoding="utf-8-sig"), {})


def _html(file: Path, name: str) -> Iterator[Document]:
    yield _from_html(file, name, file.read_bytes())


def _docx(file: Path, name: str) -> Iterator[Document]:
    import zipfile

    import mammoth

    try:
        with file.open("rb") as stream:
            html = mammoth.convert_to_html(stream, convert_image=lambda image: {}).value
    except (zipfile.BadZipFile, KeyError, ValueError) as fault:
        raise DataError(f"not a Word document that can be read ({fault})") from None
    yield _from_html(file, name, html.encode())


def _pdf(file: Path, name: str) -> Iterator[Document]:
    import pypdf
    from pypdf.errors import PyPdfError

    try:
        reader = pypdf.PdfReader(file)
        pages = [page.extract_text() for page in reader.pages]
        title = (reader.metadata.title if reader.metadata else None) or ""
    except (PyPdfError, ValueError, KeyError) as fault:
        raise DataError(f"not a PDF that can be read ({fault})") from None
    if not any(page.strip() for page in pages):
        raise DataError("a PDF without text, pictures of pages perhaps; run it through OCR first")
    yield _document(file, name, "\n\n".join(pages), {"title": title} if title.strip() else {})


def _csv_faq(file: Path, name: str) -> Iterator[Document | Rejected]:
    csv.field_size_limit(MAX_BYTES)  # of a cell; 131,072 characters by default
    with file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        for row in reader:
            yield _faq(file, name, reader.line_num, row, json.dumps(row, ensure_ascii=False))


def _jsonl_faq(file: Path, name: str) -> Iterator[Document | Rejected]:
    for number, line in enumerate(file.read_text(encoding="utf-8-sig").split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as fault:
            yield Rejected(str(file), number, f"not JSON ({fault})", line)
            continue
        yield _faq(file, name, number, row, line)


def _faq(file: Path, name: str, line: int, row: Any, raw: str) -> Document | Rejected:
    """A question with its answer. Its id grows from the question: rows may be moved or added between others."""
    if not isinstance(row, dict):
        return Rejected(str(file), line, "not an object with question and answer", raw)
    for field in ("question", "answer"):
        if not isinstance(row.get(field), str) or not row[field].strip():
            return Rejected(str(file), line, f"field '{field}' is missing or empty; a row has question and answer", raw)
    own = row.get("id") or hashlib.sha256(row["question"].encode()).hexdigest()[:12]
    matter = {"title": row["question"], **{key: row[key] for key in ("lang", "section", "updated") if row.get(key)}}
    return _document(file, f"{name}#{own}", _shown(row["answer"]), matter)


def _document(file: Path, name: str, text: str, matter: dict[str, Any]) -> Document:
    text = _clean(text.replace("\r\n", "\n")).strip("\n")
    matter = {key: _clean(str(value)) for key, value in matter.items() if value}
    heading = re.match(r"\s*#\s+(.+?)\s*#*\s*\n", text + "\n")
    title = matter.get("title") or (heading and heading[1]) or name.rsplit("/", 1)[-1].replace("-", " ")
    return Document(
        id=matter.get("id", name),
        title=title.strip(),
        text=text,
        lang=matter.get("lang") or detect(f"{title}\n{text}") or "en",
        source=str(file),
        section=matter.get("section", ""),
        updated=matter.get("updated", ""),
    )


def _clean(text: str) -> str:
    """Without what no database takes: NUL, and halves of a character."""
    return text.replace("\x00", "").encode(errors="replace").decode()


def _front_matter(text: str) -> tuple[dict[str, Any], str]:
    import yaml

    match = re.match(r"---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|$)", text, re.DOTALL)
    if not match:
        return {}, text
    try:
        matter = yaml.safe_load(match[1])
    except (yaml.YAMLError, ValueError) as fault:
        # ValueError: of a day that no calendar has.
        raise DataError(f"its front matter is not YAML ({' '.join(str(fault).split())})") from None
    if matter is not None and not isinstance(matter, dict):
        raise DataError("its front matter is not a list of `key: value` lines")
    return matter or {}, text[match.end() :]


def _shown(text: str) -> str:
    """Markdown without its comments, which nobody is shown; within code they are none."""
    return _COMMENT.sub(lambda found: found["code"] or "", text)


def _from_html(file: Path, name: str, raw: bytes) -> Document:
    """What a reader of the page reads: no menus, scripts, forms, nor what is hidden from the eye."""
    from bs4 import BeautifulSoup
    from markdownify import MarkdownConverter

    page = BeautifulSoup(raw, "html.parser")
    title = page.title.get_text(" ", strip=True) if page.title else ""
    body = page.find("main") or page.find("article") or page.body or page
    for tag in body.select("script, style, noscript, template, nav, header, footer, aside, form, iframe, [hidden]"):
        tag.decompose()
    for tag in body.select("[style]"):
        # What stood within a tag that went has gone with it.
        if not tag.decomposed and re.search(
            r"display:\s*none|visibility:\s*hidden|font-size:\s*0", str(tag.get("style"))
        ):
            tag.decompose()
    heading = body.find("h1")
    title = heading.get_text(" ", strip=True) if heading else title
    lang = page.html.get("lang") if page.html else None
    text = MarkdownConverter(heading_style="ATX", strip=["a", "img"]).convert_soup(body)
    matter = {"title": title, "lang": str(lang).split("-")[0].lower() if lang else None}
    return _document(file, name, re.sub(r"\n{3,}", "\n\n", text), matter)


_READERS: dict[str, Callable[[Path, str], Iterator[Document | Rejected]]] = {
    ".md": _markdown,
    ".markdown": _markdown,
    ".txt": _plain,
    ".html": _html,
    ".htm": _html,
    ".csv": _csv_faq,
    ".jsonl": _jsonl_faq,
    ".pdf": _pdf,
    ".docx": _docx,
}
