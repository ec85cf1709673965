"""Completions: the bot as OpenAI's clients expect a chat model, with its citations beside the text.

Nothing is stored: the caller sends the dialogue each time. So nobody is handed over to either: `keel.kind` "handoff"
says that a person is wished for, and the caller leads to one. A system message is text that the bot does not obey.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from apps.customer_service.answers import Answer, Turn
from engine.service import Caller, Problem, Queue, allow

if TYPE_CHECKING:
    from apps.customer_service.api import Desks

MODEL = "support-bot"
MAX_MESSAGES = 100


class Part(BaseModel):
    type: str
    text: str = ""


class ChatMessage(BaseModel):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Part] | None = None

    def text(self) -> str:
        if isinstance(self.content, list):
            return " ".join(part.text for part in self.content if part.type == "text")
        return self.content or ""


class Completion(BaseModel):
    """What else OpenAI's clients send, such as a temperature, has no meaning here and is left alone."""

    model: str = MODEL
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=MAX_MESSAGES)]
    stream: bool = False


def routes(desks: Desks, queue: Queue) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["OpenAI-compatible"])

    @router.get("/models")
    def models(caller: Annotated[Caller, allow("server")]) -> dict[str, Any]:
        """The one model there is."""
        return {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": "keel"}]}

    @router.post("/chat/completions", response_model=None)
    async def complete(caller: Annotated[Caller, allow("server")], body: Completion) -> Any:
        """Answer the last message of a dialogue; with `stream`, as server-sent events."""
        asked, history = _dialogue(body.messages)
        head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": MODEL}
        if body.stream:
            parts = await _begun(queue.stream(_parts(desks, caller.tenant, asked, history)))
            return StreamingResponse(_events(head, parts), media_type="text/event-stream")
        answer = await queue.run(lambda: desks.bot(caller.tenant).answer(asked, history, alone=True))
        message = {"role": "assistant", "content": answer.text, **_beside(answer)}
        return {
            **head,
            "object": "chat.completion",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        }

    return router


def _dialogue(messages: list[ChatMessage]) -> tuple[str, list[Turn]]:
    said = [one for one in messages if one.role in ("user", "assistant") and one.text().strip()]
    if not said or said[-1].role != "user":
        raise Problem(422, "messages: the last one is the user's question, with text in it")
    history = [Turn("customer" if one.role == "user" else "bot", one.text()) for one in said[:-1]]
    return said[-1].text(), history


def _parts(desks: Desks, tenant: str, asked: str, history: list[Turn]) -> Iterator[str | Answer]:
    yield from desks.bot(tenant).stream(asked, history, alone=True)


def _beside(answer: Answer) -> dict[str, Any]:
    return {
        "citations": [vars(one) for one in answer.citations],
        "keel": {"kind": answer.kind, "confidence": round(answer.confidence, 4), "models": list(answer.models)},
    }


async def _begun(parts: AsyncIterator[str | Answer]) -> AsyncIterator[str | Answer]:
    """The same, once the first of them is there: a fault before it is told by the status."""
    first = await anext(parts)

    async def whole() -> AsyncIterator[str | Answer]:
        yield first
        async for part in parts:
            yield part

    return whole()


async def _events(head: dict[str, Any], parts: AsyncIterator[str | Answer]) -> AsyncIterator[str]:
    """A chat model's sentences as they come, or a quoted answer word by word; citations come with the last piece."""

    def event(delta: dict[str, Any], end: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": end}
        value = {**head, "object": "chat.completion.chunk", "choices": [choice]}
        return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"

    yield event({"role": "assistant", "content": ""})
    told = ""
    async for part in parts:
        if not isinstance(part, Answer):
            text = f"{' ' if told else ''}{part}"
        elif part.text.startswith(told):
            text = part.text.removeprefix(told)
        else:  # what was told stands no more
            text = f"\n\n{part.text}"
        for piece in re.findall(r"\S+\s*|\s+", text):
            yield event({"content": piece})
        told += text
        if isinstance(part, Answer):
            yield event(_beside(part), "stop")
    yield "data: [DONE]\n\n"
