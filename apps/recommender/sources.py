"""Sources: the items, events and settings that a training is given, or Keel's own shop where it is given none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from apps.recommender import readers
from apps.recommender.events import Events
from apps.recommender.items import Items
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
    dead: tuple[DeadLetter, ...] = ()


def given(items: Path | None, events: Path | None, settings: Path | None, progress: Progress) -> Source:
    """What the files hold; items may stand beside the events. Without either, Keel's own shop, simulated.

    Raises:
        InputError: a file is not there, or one is missing.
        DataError: a file cannot be used.
    """
    told = Settings.read(settings) if settings else None
    if events is None:
        if items is not None:
            raise InputError(f"--items {items}: without events there is nothing to learn from; give --events as well")
        return own(told, progress)
    progress.stage(f"reading {events}")
    data = readers.read(events)
    found = Items.read(items) if items else data.items
    if found is None:
        raise InputError(f"{events}: no items beside the events; name their file with --items")
    return Source(found, data.events, told or Settings(), data.dead)


def own(settings: Settings | None, progress: Progress) -> Source:
    """The catalogue that Keel brings, and what simulated users did with it."""
    from apps.recommender.simulate import simulate
    from apps.recommender.world import World

    progress.stage(f"simulating the users of {OWN}")
    folder = packaged() / OWN
    events = Events.of(simulate(World()).events)
    return Source(Items.read(folder / "items.jsonl"), events, settings or Settings.read(folder / "settings.yaml"))
