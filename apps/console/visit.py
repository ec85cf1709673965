"""Visit: one look at one page: who looks, in which tongue and theme, at which house."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from apps.console.guard import CALLER
from apps.console.words import Words
from engine.service.app import LOCAL
from engine.service.keys import ADMIN

if TYPE_CHECKING:
    from fastapi import Request

    from apps.console.house import House
    from engine.service import Caller

T = TypeVar("T")
THEME = "keel_theme"
"""Cookie: dark, light, or none, which is as the system is."""


@dataclass(frozen=True)
class Visit:
    house: House
    caller: Caller
    words: Words
    request: Request

    @classmethod
    def of(cls, request: Request, house: House) -> Visit:
        return cls(house, request.scope[CALLER], Words.of(request), request)

    @property
    def dark(self) -> bool | None:
        """None: as the system is."""
        return {"dark": True, "light": False}.get(self.request.cookies.get(THEME, ""))

    @property
    def may_decide(self) -> bool:
        """Whether they may promote and roll back; others look, talk and judge."""
        return self.caller.role == "server" and self.caller.may(ADMIN)

    def may(self, scope: str) -> bool:
        """Whether their key is good for that; "" is for whoever has a session."""
        return not scope or self.caller.may(scope)

    @property
    def local(self) -> bool:
        """Whether there is no session to end: no key was ever made."""
        return self.caller is LOCAL

    @staticmethod
    async def asked(work: Callable[[], T]) -> T:
        """What blocking work gives, done beside the event loop."""
        import asyncio

        return await asyncio.to_thread(work)
