"""Options that several commands share, and how they print JSON."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from engine.db.option import Url as Url

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout and nothing else.")]
Tenant = Annotated[str, typer.Option(help="Whose articles and conversations.")]
ErrorRate = Annotated[
    float, typer.Option(help="Share of questions without an answer that may be answered all the same.")
]
ChatModel = Annotated[
    str | None,
    typer.Option(
        "--chat-model",
        metavar="NAME",
        help="Stored chat model that words the answers; or set KEEL_CHAT_URL, _MODEL, _KEY. Else they are quoted.",
    ),
]


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
