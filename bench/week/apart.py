"""Apart: labelled rows that no row which teaches equals, or nearly equals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.data.leakage import find_leaks
from engine.data.rows import Row
from engine.data.split import Parts

Labelled = tuple[str, Mapping[str, Any]]
"""A text, and head -> label."""


def apart(rows: Sequence[Labelled], taught: Sequence[Labelled]) -> list[Labelled]:
    """Those of the rows that are like none that teaches."""
    test, train = (
        [Row(text, labels, None, str(at)) for at, (text, labels) in enumerate(part)] for part in (rows, taught)
    )
    alike = {leak.other.origin for leak in find_leaks(Parts(train=train, dev=[], calibration=[], test=test))}
    return [one for at, one in enumerate(rows) if str(at) not in alike]
