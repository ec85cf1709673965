"""Readiness: whether a service may be sent work yet, and what it has to say of its parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Readiness:
    ready: bool = True
    details: Mapping[str, str] = field(default_factory=dict)
    """Part -> how it stands, for anybody to read: no path, no text."""
