"""Sources: the items, events and settings that a training is given, or Keel's own shop where it is given none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from apps.recommender import readers
from apps.recommender.events import Events
from apps.recommender.exposures import Exposures
from apps.recommender.items import Items
from apps.recommender.readers import tables
from apps.recommender.readers.data import DeadLetter
from apps.recommender.settings import Settings
from engine import Progress, packaged
from engine.errors import InputError

OWN = Path("data/catalog")


@dataclass(frozen=True)
class Source:
    """Attributes:
    dead: rows of events that could not be used.
    """

    items: Items
    events: Events
    settings: Settings
    exposures: Exposures | None = None
    users: pd.DataFrame | None = None
    dead: tuple[DeadLetter, ...] = ()


def given(
    items: Path | None,
    events: Path | None,
    exposures: Path | None,
    users: Path | None,
    settings: Path | None,
    progress: Progress,
) -> Source:
    """What the files hold; items may stand beside the events. Without either, Keel's own shop, simulated.

    Raises:
        InputError: a file is not there, or one is missing.
        DataError: a file cannot be used.
    """
    told = Settings.read(settings) if settings else None
    if events is None:
        for option, path in (("--items", items), ("--exposures", exposures), ("--users", users)):
            if path is not None:
                raise InputError(f"{option} {path}: without events there is nothing to learn from; give --events too")
        return own(told, progress)
    progress.stage(f"reading {events}")
    data = readers.read(events)
    found = Items.read(items) if items else data.items
    if found is None:
        raise InputError(f"{events}: no items beside the events; name their file with --items")
    shown = Exposures.read(exposures) if exposures else None
    people = tables.load(users).frame if users else None
    return Source(found, data.events, told or Settings(), shown, people, data.dead)


def own(settings: Settings | None, progress: Progress) -> Source:
    """The catalogue that Keel brings, and what simulated users did with it."""
    from apps.recommender.simulate import simulate
    from apps.recommender.world import World

    progress.stage(f"simulating the users of {OWN}")
    folder = packaged() / OWN
    told = settings or Settings.read(folder / "settings.yaml")
    log = simulate(World())
    # What was seen was the shop's choice: exposures tell it, and a history is of what the user chose.
    chosen = Events.of(log.events[log.events["event"] != "view"])
    return Source(Items.read(folder / "items.jsonl"), chosen, told, Exposures.of(log.exposures))
