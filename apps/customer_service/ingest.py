"""Ingest: files in, documents with chunks and vectors in the knowledge; what has not changed is left alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import file_digest
from pathlib import Path

from apps.customer_service import documents
from apps.customer_service.chunks import Chunk, cut
from apps.customer_service.documents import Document, Rejected
from apps.customer_service.knowledge import Knowledge, OtherEmbedder, Vectors
from apps.customer_service.units import units
from engine import Embedder, Progress
from engine.errors import InputError


@dataclass
class Ingested:
    """What an ingestion did."""

    files: int = 0
    unchanged: int = 0
    documents: int = 0
    chunks: int = 0
    removed: int = 0
    """Documents that their file no longer holds, or whose file is gone and was pruned."""
    moved: list[str] = field(default_factory=list)
    """Files that are gone and whose documents are those of a file that was read now."""
    deleted: list[str] = field(default_factory=list)
    """Ids of documents that the files hold and that stay deleted."""
    missing: list[str] = field(default_factory=list)
    """Files under the given folders that were ingested before and are gone now."""
    rejected: list[Rejected] = field(default_factory=list)


def ingest(
    paths: list[Path],
    knowledge: Knowledge,
    embedder: Embedder,
    progress: Progress,
    *,
    prune: bool = False,
    again: Sequence[str] = (),
) -> Ingested:
    """Read files and folders into the knowledge, a file a transaction: stopped anywhere, the same call goes on.

    Args:
        prune: also delete the documents of files that are gone from the given folders.
        again: ids of documents that were deleted and may come again.

    Raises:
        InputError: a path is not there, an id was not deleted, or the knowledge was made by another embedder, be it
            meanwhile.
    """
    found = list(documents.files([path.absolute() for path in paths]))
    knowledge.begin(embedder.model)
    if unknown := sorted(set(again) - set(knowledge.deleted())):
        raise InputError(f"not among the documents that were deleted: {', '.join(unknown)}")
    knowledge.lift(again)
    known = knowledge.hashes()
    done = Ingested(files=len(found))
    for number, (file, name) in enumerate(found, 1):
        progress.step(number, len(found), "reading files")
        try:
            with file.open("rb") as stream:
                sha256 = file_digest(stream, "sha256").hexdigest()
        except OSError as fault:
            done.rejected.append(documents.rejected(file, str(fault)))
            continue
        if known.get(str(file)) == sha256:
            done.unchanged += 1
            continue
        read, rejected = _read(file, name)
        done.rejected += rejected
        if rejected and not read:
            continue  # what was known of it stays, for this may be a file that was half written
        chunks = [chunk for document in read for chunk in cut(document)]
        titles = {document.id: document.title for document in read}
        try:
            made = _vectors(chunks, titles, knowledge, embedder)
            replaced = knowledge.replace(str(file), sha256, read, chunks, made, embedder.model)
        except OtherEmbedder:
            raise
        except InputError as fault:
            done.rejected.append(documents.rejected(file, str(fault)))
            continue
        done.documents += replaced.documents
        done.chunks += replaced.chunks
        done.removed += replaced.removed
        done.moved += replaced.moved
    here = {str(file) for file, _ in found}
    done.deleted = [id for id, source in knowledge.deleted().items() if source in here]
    given = [path.absolute() for path in paths if path.is_dir()]
    done.missing = sorted(
        source for source in knowledge.sources() - here if any(Path(source).is_relative_to(one) for one in given)
    )
    if prune:
        done.removed += knowledge.drop(done.missing)
    return done


def take(documents: Sequence[Document], knowledge: Knowledge, embedder: Embedder) -> None:
    """As `ingest`, for documents that are read already; those that were deleted come again."""
    knowledge.begin(embedder.model)
    knowledge.lift([document.id for document in documents])
    for document in documents:
        chunks = cut(document)
        made = _vectors(chunks, {document.id: document.title}, knowledge, embedder)
        # Each is a file of its own: the others of its file stay as they are.
        own = replace(document, source=f"{document.source.partition('#')[0]}#{document.id}")
        knowledge.replace(own.source, document.version, [own], chunks, made, embedder.model)


def write_rejected(rejected: list[Rejected], path: Path) -> None:
    """One JSON object a rejected file or row."""
    lines = [json.dumps(vars(one), ensure_ascii=False) + "\n" for one in rejected]
    # Half a character is written as JSON escapes it.
    path.write_text("".join(lines), encoding="utf-8", errors="backslashreplace")


def _read(file: Path, name: str) -> tuple[list[Document], list[Rejected]]:
    read: dict[str, Document] = {}
    rejected: list[Rejected] = []
    for one in documents.read(file, name):
        if isinstance(one, Rejected):
            rejected.append(one)
        elif one.id in read:
            rejected.append(Rejected(one.source, None, f"the id {one.id!r} stands twice in the file", one.text[:200]))
        else:
            read[one.id] = one
    return list(read.values()), rejected


def _vectors(
    chunks: list[Chunk], titles: dict[str, str], knowledge: Knowledge, embedder: Embedder
) -> dict[str, Vectors]:
    """Of the chunks that have none yet; a text that stands in several units is read once."""
    import numpy as np

    known = knowledge.known(chunk.id for chunk in chunks)
    wanted = {chunk.id: units(chunk, titles[chunk.document]) for chunk in chunks if chunk.id not in known}
    texts = list(dict.fromkeys(text for found in wanted.values() for text in found))
    if not texts:
        return {}
    vectors = dict(zip(texts, embedder.stream(texts, side="pair"), strict=True))
    return {chunk: np.stack([vectors[text] for text in found]) for chunk, found in wanted.items()}
