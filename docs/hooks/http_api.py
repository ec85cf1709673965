"""HTTP: every route of every service, from the OpenAPI document that it serves itself under /openapi.json."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import FastAPI

HEAD = """# HTTP

Each service answers `/docs` (these routes to try), `/openapi.json`, `/healthz`, `/readyz`, `/metrics`. Under `keel
serve` the applications' routes stand behind `/support`, `/news` and `/recommend`, and the engine's as they are. A key
goes into the header `Authorization: Bearer KEY`. Faults are `application/problem+json` (RFC 9457): `title`, `status`,
`detail`, and of a request that does not fit `errors[]` with each field. A body holds at most 1,000,000 bytes.
"""


def page() -> str:
    """All services' routes."""
    lines = [HEAD]
    with tempfile.TemporaryDirectory() as folder:
        for name, app in _services(Path(folder)).items():
            lines += _service(name, app.openapi())
    return "\n".join(lines)


def _services(folder: Path) -> dict[str, FastAPI]:
    """The applications, each on an empty database and without a model: their routes are the same."""
    import apps.customer_service.api
    import apps.finance_monitor.api
    import apps.recommender.api
    from apps.customer_service import settings
    from apps.finance_monitor import tables
    from apps.finance_monitor.inbox import Inbox
    from apps.recommender import tables as log
    from apps.recommender.shelf import Shelf
    from engine.service import Champions, Queue, api

    queue = Queue(1)
    asked = api.application(api.opened(f"sqlite:///{folder}/keys.db"), Champions(), queue=queue, per_minute=600)
    support, _ = apps.customer_service.api.application(
        settings.database(f"sqlite:///{folder}/support.db"),
        lambda tenant: None,
        per_minute=600,
        queue=queue,  # type: ignore[arg-type,return-value]
    )
    state = tables.opened(str(folder / "monitor.db"))
    monitor, _ = apps.finance_monitor.api.application(state, Inbox(state), queue=queue)
    shelf = Shelf(log.opened(f"sqlite:///{folder}/recommender.db"), {})
    return {
        "engine": asked,
        "support-bot": support,
        "finance-monitor": monitor,
        "recommender": apps.recommender.api.application(shelf, queue=queue),
    }


def _service(name: str, document: dict[str, Any]) -> Iterator[str]:
    yield f"## {name}\n"
    yield "| | | takes | answers |\n|---|---|---|---|"
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            told = " ".join((route.get("description") or route.get("summary", "")).split())
            takes = ", ".join([*_parameters(route), *_body(route)])
            yield f"| `{method.upper()} {path}` | {_cell(told)} | {_cell(takes)} | {', '.join(_answers(route))} |"
    yield ""
    for title, schema in document.get("components", {}).get("schemas", {}).items():
        if "properties" in schema and not title.startswith(("HTTPValidation", "ValidationError")):
            yield from _schema(name, title, schema)


def _parameters(route: dict[str, Any]) -> Iterator[str]:
    for one in route.get("parameters", []):
        yield f"`{one['name']}`" + ("" if one.get("required") else "?")


def _body(route: dict[str, Any]) -> Iterator[str]:
    for kind, body in route.get("requestBody", {}).get("content", {}).items():
        yield _type(body.get("schema", {})) or kind


def _answers(route: dict[str, Any]) -> Iterator[str]:
    for status, answer in route.get("responses", {}).items():
        if status != "422":
            kinds = [_type(of.get("schema", {})) for of in answer.get("content", {}).values()]
            yield " ".join([status, *filter(None, kinds)])


def _schema(service: str, title: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f"### {title} ({service})\n"
    if schema.get("description"):
        yield _cell(schema["description"]) + "\n"
    yield "| field | type | |\n|---|---|---|"
    for name, field in schema["properties"].items():
        need = "" if name in schema.get("required", []) else "?"
        yield f"| `{name}`{need} | {_cell(_type(field))} | {_cell(field.get('description', ''))} |"
    yield ""


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {})) or 'anything'}"
    return str(schema.get("type", ""))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
