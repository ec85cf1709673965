"""`... keys add / list / rotate / revoke`: who may call, the same commands for every program that serves."""

# No `from __future__ import annotations` here: an option differs from program to program, and typer would look for its
# name among the module's.

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.printing import Json, print_json

if TYPE_CHECKING:
    from engine.db import Database
    from engine.service.keys import Role

SCOPES = ("admin", "feedback", "metrics", "predict")
"""Beside the titles of applications."""


def commands(
    program: str,
    opened: Callable[[Any], "Database"],
    *,
    roles: Mapping["Role", str],
    where: Any,
    default: Any = None,
    example: str = "shop",
    own: Sequence[str] = (),
) -> typer.Typer:
    """The commands of one program.

    Args:
        program: as a person calls it.
        opened: the database that the option `where` names.
        roles: those that mean something to this program, and what.
        where: the option's type.
        default: of the option; `...` where it must be given.
        example: what stands behind "keys add" in the help.
        own: titles of the program's applications.
    """
    scopes, told = (*own, *SCOPES), "; ".join(f"{role}: {may}" for role, may in roles.items())
    keys = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode=None,
        help=f"API keys.\n\nExample: {program} keys add {example}",
    )

    @keys.command("add", help=f"Make a key; it is shown once.\n\nExample: {program} keys add {example}")
    def add(
        name: Annotated[str, typer.Argument(help="What people call the key.")],
        role: Annotated[str, typer.Option(help=f"{told}.")] = "server",
        origin: Annotated[list[str], typer.Option(help="Of a widget's key: the page's scheme and host.")] = [],  # noqa: B006
        scope: Annotated[list[str], typer.Option(help=f"Narrow it to this, again for each: {', '.join(scopes)}.")] = [],  # noqa: B006
        days: Annotated[float | None, typer.Option(min=0, help="It is nobody's after so many.")] = None,
        tenant: Annotated[str, typer.Option(help="Whose it is; it opens nothing of another's.")] = "default",
        place: where = default,
        as_json: Json = False,
    ) -> None:
        from datetime import timedelta

        from engine.errors import InputError
        from engine.service.keys import Keys

        if role not in roles:
            raise InputError(f"--role {role}: choose {', '.join(roles)}")
        if wrong := [one for one in scope if one not in scopes]:
            raise InputError(f"--scope {wrong[0]}: choose {', '.join(scopes)}")
        lasts = timedelta(days=days) if days is not None else None
        key = Keys(opened(place)).add(name, role, tenant, origin, scopes=scope, lasts=lasts)  # type: ignore[arg-type]
        if as_json:
            print_json({"name": name, "tenant": tenant, "role": role, "scopes": list(scope), "key": key})
        else:
            typer.echo(key)

    @keys.command("list", help=f"Who may call, what for, and when a key was used last.\n\nExample: {program} keys list")
    def list_(place: where = default, as_json: Json = False) -> None:
        from engine.service.keys import Keys

        found = Keys(opened(place)).all()
        if as_json:
            print_json([dataclasses.asdict(one) for one in found])
            return
        for one in found:
            narrowed = ",".join(one.scopes) or "all"
            typer.echo(
                "\t".join((one.name, one.tenant, one.role, narrowed, one.created, one.used or "unused", *one.origins))
            )

    @keys.command("rotate", help=f"A new secret for a key; it is shown once.\n\nExample: {program} keys rotate shop")
    def rotate(
        name: Annotated[str, typer.Argument(help="The key's name.")],
        grace: Annotated[float, typer.Option(min=0, help="Hours for which the old secret works beside it.")] = 0.0,
        place: where = default,
        as_json: Json = False,
    ) -> None:
        from datetime import timedelta

        from engine.service.keys import Keys

        key = Keys(opened(place)).rotate(name, grace=timedelta(hours=grace))
        if as_json:
            print_json({"name": name, "key": key})
        else:
            typer.echo(key)

    @keys.command(
        "revoke", help=f"Take a key back: in two seconds it is nobody's.\n\nExample: {program} keys revoke shop"
    )
    def revoke(name: Annotated[str, typer.Argument(help="The key's name.")], place: where = default) -> None:
        from engine.service.keys import Keys

        Keys(opened(place)).revoke(name)
        typer.echo(f"{name} is revoked")

    return keys
