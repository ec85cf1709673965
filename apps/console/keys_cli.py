"""`keel keys ...`: who may call the house, and log in to its console."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from engine.service import Keys

Url = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        help="sqlite:///FILE or postgresql+psycopg://...; else KEEL_DATABASE, or keel.db in Keel's home.",
    ),
]
Tenant = Annotated[str, typer.Option(help="Whose data it opens.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout and nothing else.")]
keys = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="API keys.\n\nExample: keel keys add desk")


@keys.command("add")
def add(
    name: Annotated[str, typer.Argument(help="What people call the key.")],
    role: Annotated[
        Literal["server", "agent", "widget"],
        typer.Option(help="server may do all; agent may look, talk and judge; widget stands in a public page."),
    ] = "server",
    origin: Annotated[list[str] | None, typer.Option(help="Of a widget's key: the page's scheme and host.")] = None,
    database: Url = None,
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """Make a key; it is shown once. From then on every caller needs one.

    Example: keel keys add desk --role agent
    """
    key = _keys(database).add(name, role, tenant, origin or ())
    if as_json:
        _print({"name": name, "tenant": tenant, "role": role, "key": key})
    else:
        typer.echo(key)


@keys.command("list")
def list_(database: Url = None, as_json: Json = False) -> None:
    """Who may call.

    Example: keel keys list
    """
    found = _keys(database).all()
    if as_json:
        _print([vars(one) for one in found])
        return
    for one in found:
        typer.echo("\t".join((one.name, one.tenant, one.role, one.created, *one.origins)))


@keys.command("revoke")
def revoke(name: Annotated[str, typer.Argument(help="The key's name.")], database: Url = None) -> None:
    """Take a key back at once; its sessions end with it.

    Example: keel keys revoke desk
    """
    _keys(database).revoke(name)
    typer.echo(f"{name} is revoked")


def _keys(url: str | None) -> Keys:
    from engine.db import Database, default_url
    from engine.service import Keys
    from engine.service.keys import MIGRATIONS

    return Keys(Database.open(url or default_url(), name="service", migrations=MIGRATIONS))


def _print(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
