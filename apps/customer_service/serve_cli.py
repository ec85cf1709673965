"""`support-bot serve` and `support-bot keys ...`: the bot over HTTP, and who may call it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from apps.customer_service.options import ChatModel, ErrorRate, Tenant, Url
from engine.service import keys_cli

if TYPE_CHECKING:
    from engine.db import Database


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8080,
    page: Annotated[bool, typer.Option(help="The chat page under /chat, which needs no key.")] = True,
    per_minute: Annotated[
        int, typer.Option(min=1, help="Requests of one key a minute; at /chat of one address.")
    ] = 600,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads that answer; by default one a core.")] = None,
    mask: Annotated[bool, typer.Option(help="Store e-mail addresses, cards and the like as [EMAIL], [CARD].")] = True,
    error_rate: ErrorRate = 0.05,
    chat_model: ChatModel = None,
    database: Url = None,
    tenant: Tenant = "default",
) -> None:
    """Answer over HTTP: /v1/conversations, /v1/inbox, /v1/chat/completions, /widget.js, /chat, /metrics, /docs.

    Example: support-bot serve --port 8080
    """
    import threading

    from apps.customer_service import api, settings
    from apps.customer_service.bot import ready
    from apps.customer_service.finder import LAG_S
    from apps.customer_service.writer import configured
    from engine import Watch
    from engine.service import Keys, Queue
    from engine.service import serve as run

    opened = settings.database(database)
    queue, writer, watch = Queue(workers), configured(chat_model), Watch(opened)
    app, desks = api.application(
        opened,
        lambda whose: ready(opened, whose, error_rate, writer, watch, lag_s=LAG_S),
        per_minute=per_minute,
        queue=queue,
        mask_personal_data=mask,
    )
    desks.bot(tenant).warm()  # a fault is told now, and the first customer does not wait
    if page:
        from apps.customer_service import page as chat

        chat.mount(app, desks, queue, tenant)
    if not Keys(opened).any():
        typer.echo("no key yet: only /chat can be used; make one with: support-bot keys add NAME", err=True)
    typer.echo(f"http://{host}:{port}/docs" + (f"   http://{host}:{port}/chat" if page else ""), err=True)
    threading.Thread(target=desks.keep_current, name="current", daemon=True).start()
    try:
        run(app, host=host, port=port)
    finally:
        desks.close()
        queue.close()
        watch.close()


def _opened(url: str | None) -> Database:
    from apps.customer_service import settings

    return settings.database(url)


keys = keys_cli.commands(
    "support-bot",
    _opened,
    roles={
        "server": "all of a tenant's",
        "agent": "the inbox",
        "widget": "public, converses in its pages alone",
    },
    where=Url,
    example="shop --role widget --origin https://shop.example",
    own=["support-bot"],
)
