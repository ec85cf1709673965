"""Words: what the console says, in each of its tongues; `words.yaml` is the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal, get_args

import yaml

from apps.console import retold

if TYPE_CHECKING:
    from fastapi.requests import HTTPConnection

Tongue = Literal["en", "zh"]
COOKIE = "keel_tongue"
HTML: dict[Tongue, Literal["en-US", "zh-CN"]] = {"en": "en-US", "zh": "zh-CN"}
"""As HTML names the tongues."""


@dataclass(frozen=True)
class Words:
    tongue: Tongue

    def __call__(self, key: str, **values: Any) -> str:
        """What stands under the key, with the values in their places."""
        said = catalogue()[key][self.tongue]
        return said.format(**values) if values else said

    def has(self, key: str) -> bool:
        return key in catalogue()

    def label(self, name: str) -> str:
        """A label or topic of a model, as people say it; its own name where nobody has said."""
        key = f"named.{name}"
        return self(key) if self.has(key) else name.replace("_", " ")

    def retold(self, text: str) -> str:
        """A sentence of the engine's or an application's."""
        return retold.chinese(text) if self.tongue == "zh" else text

    @classmethod
    def of(cls, connection: HTTPConnection) -> Words:
        """In the tongue that was chosen here, or that the browser asks for first."""
        chosen = connection.cookies.get(COOKIE)
        first = connection.headers.get("accept-language", "")[:2].lower()
        return cls(next((one for one in get_args(Tongue) if one == (chosen or first)), "en"))


@cache
def catalogue() -> Mapping[str, Mapping[Tongue, str]]:
    text = resources.files("apps.console").joinpath("words.yaml").read_text(encoding="utf-8")
    found: dict[str, dict[Tongue, str]] = yaml.safe_load(text)
    return found
