"""Page: one of the console's, as the frame lists it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apps.console.visit import Visit


@dataclass(frozen=True)
class Page:
    """
    Args:
        key: opens it, after g.
        draw: its content, into the frame.
        scope: that a key which is narrowed to some must name; "" for whoever has a session.
        below: other paths that it draws, such as /models/{name}.
    """

    name: str
    path: str
    icon: str
    key: str
    draw: Callable[[Visit], Awaitable[None]]
    scope: str = ""
    below: tuple[str, ...] = ()
