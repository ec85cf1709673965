"""Opinions: what analysts say of alerts and of labels over HTTP, kept as feedback; models learn from it."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field, model_validator
from sqlalchemy import select

from apps.finance_monitor import changelog, tables
from apps.finance_monitor.verdicts import APP, Verdicts
from engine.db import Database
from engine.feedback import Feedback, FeedbackLog
from engine.service import Caller, Problem, allow

Desk = Annotated[Caller, allow("server", "agent")]
Item = Annotated[str, Path(min_length=1, max_length=500)]
Label = Annotated[str, Field(min_length=1, max_length=100, pattern=r"\S")]


class Verdict(BaseModel):
    verdict: Literal["right", "false_alarm"] | None = None
    note: str = Field("", max_length=1000)

    @model_validator(mode="after")
    def _told(self) -> Verdict:
        if self.verdict is None and not self.note.strip():
            raise ValueError("say right or false_alarm, or write a note")
        return self


class Correction(BaseModel):
    """What the labels of an item should have been; what is left out was right or is not known."""

    sentiment: Label | None = None
    topics: Annotated[list[Label], Field(max_length=50)] | None = None

    @model_validator(mode="after")
    def _told(self) -> Correction:
        if self.sentiment is None and self.topics is None:
            raise ValueError("give sentiment, topics or both")
        return self


def routes(database: Database) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["opinions"])
    log = FeedbackLog(database)

    @router.post("/alerts/{id}/verdict", status_code=201)
    def judge(caller: Desk, id: Annotated[str, Path(pattern="^[0-9a-f]{16}$")], body: Verdict) -> dict[str, Any]:
        """Whether an alert was right, or a note on it."""
        with database.read() as connection:
            told = changelog.of(connection, id)
        if not told:
            raise Problem(404, f"no alert {id}")
        right = None if body.verdict is None else body.verdict == "right"
        return {"id": Verdicts(database, caller.tenant).add(told[-1].alert, right, caller.name, body.note).id}

    @router.get("/items")
    def labelled(
        caller: Desk,
        before: Annotated[
            int | None, Query(ge=1, lt=2**31, description="Only of lower numbers: the next page.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> list[dict[str, Any]]:
        """News items with the labels that a model gave them, to be judged; the newest first."""
        table = tables.items
        query = select(table.c.number, table.c.data).order_by(table.c.number.desc()).limit(limit)
        if before is not None:
            query = query.where(table.c.number < before)
        with database.read() as connection:
            return [_shown(number, json.loads(data)) for number, data in connection.execute(query)]

    @router.post("/items/{id:path}/correction", status_code=201)
    def correct(
        caller: Desk, id: Annotated[str, Path(min_length=1, max_length=500)], body: Correction
    ) -> dict[str, Any]:
        """What the labels of a news item should have been."""
        table = tables.items
        with database.write() as connection:
            query = select(table.c.data).where(table.c.item == id).order_by(table.c.number.desc())
            data = connection.execute(query).scalar()
            if data is None:
                raise Problem(404, f"no news item {id[:100]}")
            item = json.loads(data)
            label = item["label"] or {}
            said = {"sentiment": {"label": label["sentiment"]}, "topics": {"labels": label["topics"]}} if label else {}
            one = Feedback(
                caller.tenant,
                label.get("model", ""),
                id,
                item["title"],
                said,
                None,
                body.model_dump(exclude_none=True),
                app=APP,
                kind="correction",
                rater=caller.name,
                consent=True,
            )
            log.add(connection, one)
        return {"id": one.id}

    return router


def _shown(number: int, item: dict[str, Any]) -> dict[str, Any]:
    told = {name: item[name] for name in ("id", "title", "source", "published", "language")}
    label = item["label"] and {name: item["label"][name] for name in ("sentiment", "topics", "model")}
    return {"number": number, **told, "label": label}
