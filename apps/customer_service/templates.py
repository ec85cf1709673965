"""Templates: what agents told customers again and again, reviewed by a person and bound to the articles it stands on.

Past replies that were taken from the same sentence make one template: the reply that is most like all of them, its
greeting gone and what was personal in it a slot. A template is answered with only when a person has approved it, and
only while every document that it stands on is, to the letter, the version that was reviewed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from sqlalchemy import delete, insert, select, update

from apps.customer_service import tables
from engine.errors import InputError
from engine.text.languages import detect

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import ColumnElement, Connection

    from apps.customer_service.examples import Told
    from apps.customer_service.knowledge import Knowledge
    from engine import Embedder

State = Literal["proposed", "approved", "rejected", "suspended"]
"""suspended: approved, but a document that it stands on has changed or is gone."""
LEAST = 2
"""Past replies that make a template."""
SLOTS = {
    "en": {
        "EMAIL": "your e-mail address",
        "PHONE": "your phone number",
        "CARD": "your card",
        "IBAN": "your IBAN",
        "IP": "your IP address",
        "ID": "your identity number",
    },
    "zh": {
        "EMAIL": "您的邮箱",
        "PHONE": "您的电话",
        "CARD": "您的卡",
        "IBAN": "您的IBAN",
        "IP": "您的IP地址",
        "ID": "您的证件号",
    },
}
"""What a slot is filled with: never the person's own data, which the bot does not keep."""
_NAMES = "|".join(SLOTS["en"])
_SLOT, _MASK = re.compile(rf"\{{({_NAMES})\}}"), re.compile(rf"\[({_NAMES})\]")
_GREETING = re.compile(
    r"^(?:(?:hi|hello|dear|good (?:morning|day|evening))\b|你好|您好)[^.!?,:。！，]{0,40}[.!?,:。！，]\s*",
    re.IGNORECASE,
)
_T = tables.templates.c


@dataclass(frozen=True)
class Template:
    id: str
    """The same sentences of the same document give the same id."""
    text: str
    """With slots such as {CARD}."""
    lang: str
    intent: str | None
    document: str
    version: str
    """Of the document, when the template was made or last approved."""
    sentences: tuple[str, ...]
    """Of the document, that it stands on."""
    questions: tuple[str, ...]
    """Some that it answered."""
    replies: int
    """Past replies that it stands for."""
    state: State = field(default="proposed", compare=False)

    def filled(self) -> str:
        """Braces that are no slot stay as they are; see `strange`."""
        slots = SLOTS.get(self.lang, SLOTS["en"])
        return _SLOT.sub(lambda found: slots[found[1]], self.text)

    def strange(self) -> list[str]:
        """What stands in braces and is no slot, such as another system's {NAME}: a customer is never told that."""
        return re.findall(r"\{[^{}]*\}?", _SLOT.sub("", self.text))


def propose(
    told: Sequence[Told], versions: Mapping[str, str], embedder: Embedder, *, lang: str = "en"
) -> list[Template]:
    """The templates that past replies give, those that stand for most replies first.

    Args:
        versions: document -> its version now.
    """
    groups: dict[tuple[str, tuple[str, ...]], list[Told]] = defaultdict(list)
    for one in told:
        if one.document in versions:
            groups[one.document, one.sentences].append(one)
    found = []
    for (document, said), members in groups.items():
        if len(members) < LEAST:
            continue
        texts = [_plain(one.reply) for one in members]
        vectors = embedder.embed(texts)
        middle = texts[int(np.argmax(vectors @ vectors.sum(0)))]
        intents = Counter(one.intent for one in members if one.intent)
        key = hashlib.sha256(json.dumps([document, said]).encode()).hexdigest()[:10]
        intent = intents.most_common(1)[0][0] if intents else None
        questions = tuple(dict.fromkeys(one.question for one in members))[:5]
        found.append(
            Template(
                key, middle, detect(middle) or "en", intent, document, versions[document], said, questions, len(members)
            )
        )
    return sorted(found, key=lambda one: (-one.replies, one.id))


def _plain(reply: str) -> str:
    """Without its greeting and with slots for what was masked."""
    rest = _GREETING.sub("", reply) or reply
    whole = _MASK.sub(lambda found: f"{{{found[1]}}}", rest.strip())
    return whole[:1].upper() + whole[1:]


class Templates:
    """One tenant's, in its database."""

    def __init__(self, knowledge: Knowledge) -> None:
        self.knowledge = knowledge
        self.tenant = knowledge.tenant

    def keep(self, found: Iterable[Template]) -> int:
        """Store proposals; one that is there keeps its text and its state.

        Returns:
            How many are new.
        """
        new = 0
        with self.knowledge.database.write() as connection:
            known = {one.id for one in self._stored(connection)}
            for one in found:
                if one.id not in known:
                    data = {key: value for key, value in asdict(one).items() if key != "state"}
                    row = {"tenant": self.tenant, "id": one.id, "document": one.document, "state": "proposed"}
                    row["data"] = json.dumps(data, ensure_ascii=False)
                    connection.execute(insert(tables.templates), row)
                    new += 1
        return new

    def all(self) -> list[Template]:
        """Those of most replies first; an approved one whose articles have changed is suspended."""
        with self.knowledge.database.read() as connection:
            return [self._checked(connection, one) for one in self._stored(connection)]

    def get(self, id: str) -> Template:
        """Raises: InputError: there is no such template."""
        for one in self.all():
            if one.id == id:
                return one
        raise InputError(f"no template {id!r}; see: support-bot templates list")

    def approve(self, id: str, text: str | None = None) -> Template:
        """Let the bot answer with it, as it stands or in a reviewer's words; bound to the articles as they are now.

        Raises:
            InputError: there is no such template, it has braces that are no slot, or a sentence that it stands on is
                in no article any more.
        """
        one = self.get(id)
        one = replace(one, text=text or one.text)
        if strange := one.strange():
            slots = ", ".join(f"{{{name}}}" for name in SLOTS["en"])
            raise InputError(f"template {id}: {strange[0]} is no slot; give a text without it (slots: {slots})")
        with self.knowledge.database.write() as connection:
            version, held = self._document(connection, one.document) or ("", "")
            if gone := [said for said in one.sentences if said not in held]:
                raise InputError(
                    f"template {id}: {one.document} does not say any more: {gone[0]!r}; reject it, and make templates "
                    "anew"
                )
            approved = replace(one, version=version, state="approved")
            self._write(connection, approved)
        return approved

    def reject(self, id: str) -> None:
        """Never answer with it. Raises: InputError: there is no such template."""
        one = self.get(id)
        with self.knowledge.database.write() as connection:
            self._write(connection, replace(one, state="rejected"))

    def clear(self) -> None:
        """Remove proposals that nobody has looked at."""
        with self.knowledge.database.write() as connection:
            connection.execute(delete(tables.templates).where(_T.tenant == self.tenant, _T.state == "proposed"))

    def of(self, document: str, sentence: str) -> Template | None:
        """The approved template that stands on this sentence, if its document is still what it was at the approval."""
        with self.knowledge.database.read() as connection:
            for one in self._stored(connection, _T.document == document, _T.state == "approved"):
                if sentence in one.sentences and self._checked(connection, one).state == "approved":
                    return one
        return None

    def _stored(self, connection: Connection, *which: ColumnElement[bool]) -> list[Template]:
        rows = connection.execute(select(_T.state, _T.data).where(_T.tenant == self.tenant, *which)).all()
        found = []
        for row in rows:
            value = json.loads(row.data)
            value |= {name: tuple(value[name]) for name in ("sentences", "questions")}
            found.append(Template(**value, state=row.state))
        return sorted(found, key=lambda one: (-one.replies, one.id))

    def _checked(self, connection: Connection, one: Template) -> Template:
        if one.state != "approved" or (self._document(connection, one.document) or ("",))[0] == one.version:
            return one
        return replace(one, state="suspended")

    def _document(self, connection: Connection, id: str) -> tuple[str, str] | None:
        """Version and text, None if it is gone."""
        d = tables.documents.c
        row = connection.execute(select(d.version, d.text).where(d.tenant == self.tenant, d.id == id)).first()
        return None if row is None else (row.version, row.text)

    def _write(self, connection: Connection, one: Template) -> None:
        data = {key: value for key, value in asdict(one).items() if key != "state"}
        connection.execute(
            update(tables.templates)
            .where(_T.tenant == self.tenant, _T.id == one.id)
            .values(state=one.state, data=json.dumps(data, ensure_ascii=False))
        )
