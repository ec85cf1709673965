"""`support-bot serve` and `support-bot keys ...`: the bot over HTTP, and who may call it."""

from __future__ import annotations

from typing import Annotated

import typer

from apps.customer_service.options import ChatModel, ErrorRate, Json, Tenant, Url, print_json

keys = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="API keys.\n\nExample: support-bot keys add shop --role widget --origin https://shop.example",
)


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8080,
    page: Annotated[bool, typer.Option(help="The chat page under /chat, which needs no key.")] = True,
    per_minute: Annotated[int, typer.Option(min=1, help="Requests of one key a minute.")] = 600,
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
    import uvicorn

    from apps.customer_service import api, settings
    from apps.customer_service.bot import ready
    from apps.customer_service.writer import configured
    from engine.service import Keys, Queue

    opened = settings.database(database)
    queue, writer = Queue(workers), configured(chat_model)
    app, desks = api.application(
        opened,
        lambda whose: ready(opened, whose, error_rate, writer),
        per_minute=per_minute,
        queue=queue,
        mask_personal_data=mask,
    )
    desks.bot(tenant).warm()  # a fault is told now, and the first customer does not wait
    if page:
        from apps.customer_service import page as chat

        chat.mount(app, desks, queue, tenant)
    if not Keys(opened).all():
        typer.echo("no key yet: only /chat can be used; make one with: support-bot keys add NAME", err=True)
    typer.echo(f"http://{host}:{port}/docs" + (f"   http://{host}:{port}/chat" if page else ""), err=True)
    try:
        uvicorn.run(app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=5)
    finally:
        queue.close()


@keys.command("add")
def add(
    name: Annotated[str, typer.Argument(help="What people call the key.")],
    role: Annotated[str, typer.Option(help="server, agent or widget.")] = "server",
    origin: Annotated[list[str] | None, typer.Option(help="Of a widget's key: the page's scheme and host.")] = None,
    database: Url = None,
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """Make a key; it is shown once. A widget's key is public and works in its pages alone.

    Example: support-bot keys add shop --role widget --origin https://shop.example
    """
    from apps.customer_service import settings
    from engine.service import Keys

    key = Keys(settings.database(database)).add(name, role, tenant, origin or ())  # type: ignore[arg-type]
    if as_json:
        print_json({"name": name, "tenant": tenant, "role": role, "key": key})
    else:
        typer.echo(key)


@keys.command("list")
def list_(database: Url = None, as_json: Json = False) -> None:
    """Who may call.

    Example: support-bot keys list
    """
    from apps.customer_service import settings
    from engine.service import Keys

    found = Keys(settings.database(database)).all()
    if as_json:
        print_json([vars(one) for one in found])
        return
    for one in found:
        typer.echo("\t".join((one.name, one.tenant, one.role, one.created, *one.origins)))


@keys.command("revoke")
def revoke(name: Annotated[str, typer.Argument(help="The key's name.")], database: Url = None) -> None:
    """Take a key back at once.

    Example: support-bot keys revoke shop
    """
    from apps.customer_service import settings
    from engine.service import Keys

    Keys(settings.database(database)).revoke(name)
    typer.echo(f"{name} is revoked")
