"""Predict: POST /v1/predict/{model}, any stored model of texts.

A text is a call of its own on one thread, as offline: an answer is the same to the byte whoever else asks.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, FastAPI, Path, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field, ValidationError, model_validator
from starlette.routing import Route

from engine.errors import InputError, StoreError
from engine.predictor import Predictor, Text
from engine.service import logs, telemetry
from engine.service.app import Parts, calling
from engine.service.champions import Champions
from engine.service.problems import Problem
from engine.service.queue import Queue

if TYPE_CHECKING:
    from engine.drift import Watch

MOST = 256
"""Texts of a request."""
LETTERS = 20_000
"""Of a text: far more than any model here reads."""
NAME = 200
"""Letters of a model's."""
Model = Annotated[str, Path(max_length=NAME, description="name, name@alias or name@number; a bare name: its champion.")]
One = Annotated[str, Field(max_length=LETTERS)]


class Asked(BaseModel):
    """One text, or several; of a model of pairs, such as (question, passage), pairs."""

    text: One | tuple[One, One] | None = None
    texts: Annotated[list[One | tuple[One, One]], Field(min_length=1, max_length=MOST)] | None = None
    head: str | None = Field(None, max_length=200, description="The one head to answer; by default all.")

    @model_validator(mode="after")
    def _one_of_both(self) -> Asked:
        if (self.text is None) == (self.texts is None):
            raise ValueError("give text or texts, one of the two")
        return self


def add(app: FastAPI, champions: Champions, queue: Queue, watch: Watch | None = None) -> None:
    """The road to every model in a store. Models are no tenant's: whoever may predict may ask them all.

    Args:
        app: as `create` made it.
        watch: counts what is asked and answered, for `engine drift`; who gave it closes it.
    """
    router = APIRouter(prefix="/v1", tags=["predict"])

    @router.post(
        "/predict/{model}",
        response_class=Response,
        responses={200: {"content": {"application/json": {}}}},
        openapi_extra={"requestBody": {"content": {"application/json": {"schema": Asked.model_json_schema()}}}},
    )
    async def predict(request: Request, model: Model) -> Response:
        """Each head's answer with its calibrated probabilities, and the version and backend that gave it.

        `text` is answered by `answer`, `texts` by `answers` in their order.
        """
        return await answered(request)

    # Who calls and what is asked are read here and not as parameters: beside a short call FastAPI's way is long.
    async def answered(request: Request) -> Response:
        await calling(request, ("server", "agent"), "predict")
        body, model = await _asked(request), request.path_params["model"]
        held = champions.held(model)
        predictor = await queue.run(lambda: _loaded(champions, model)) if held is None else held
        heads = [head.name for head in predictor.spec.heads]
        if body.head is not None and body.head not in heads:
            raise Problem(422, f"head {body.head!r}: {predictor.model} has {', '.join(heads)}")
        texts: list[Text] = body.texts if body.texts is not None else [body.text]  # type: ignore[list-item]
        logs.note(model=predictor.model, texts=texts)
        found = await queue.each(lambda text: _answer(predictor, text, body.head, watch), texts)
        told = f'"answer": {found[0]}' if body.texts is None else f'"answers": [{", ".join(found)}]'
        names = json.dumps({"model": predictor.model, "backend": predictor.backend})
        return Response(f"{{{told}, {names[1:]}", media_type="application/json")

    app.include_router(router)
    parts: Parts = app.state.service
    parts.straight.append(Route("/v1/predict/{model}", answered, methods=["POST"]))


async def _asked(request: Request) -> Asked:
    if not request.headers.get("content-type", "").partition(";")[0].strip().endswith("json"):
        raise Problem(415, "send JSON, and Content-Type: application/json")
    try:
        return Asked.model_validate_json(await request.body())
    except ValidationError as fault:
        faults = fault.errors(include_url=False)
        raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in faults]) from None


def _loaded(champions: Champions, model: str) -> Predictor:
    """Raises: Problem: 404, there is no such model of texts; 503, it is damaged. Neither tells what else there is."""
    try:
        if len(model) <= NAME and champions.holds(model):
            return champions.get(model)
    except InputError:
        pass
    except StoreError:
        raise Problem(503, f"{model!r} cannot answer now; our log says why", {"Retry-After": "30"}) from None
    raise Problem(404, f"no model of texts is {model!r} here")


def _answer(predictor: Predictor, text: Text, head: str | None, watch: Watch | None) -> str:
    with telemetry.span("inference", model=predictor.model, backend=predictor.backend):
        found = predictor.one(text)
    if watch is not None:
        watch.seen(found.model, [found], [text])
    said = found.heads if head is None else {head: found.heads[head]}
    return json.dumps(said, ensure_ascii=False, default=vars)  # as `as_dict`, without its copies
