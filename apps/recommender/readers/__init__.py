"""Readers: events and items as others publish them, one file a format; all give a `Data`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import InputError

if TYPE_CHECKING:
    from apps.recommender.readers.data import Data

FORMATS = (
    "a folder with news.tsv and behaviors.tsv (MIND), with .inter and .item files (RecBole), with ratings and movies "
    "as .csv or .dat (MovieLens), or with events and items as .csv, .jsonl or .parquet; or one .inter file or table of "
    "events"
)


def read(path: Path) -> Data:
    """What a folder or file holds, its format known by its files' names.

    Raises:
        InputError: it is not there, or of no known format.
        DataError: no row of a file can be used.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; give {FORMATS}")
    names = {one.name for one in path.iterdir()} if path.is_dir() else {path.name}
    if "behaviors.tsv" in names:
        from apps.recommender.readers import mind

        return mind.read(path)
    if any(name.endswith(".inter") for name in names):
        from apps.recommender.readers import recbole

        return recbole.read(path)
    if names & {"ratings.csv", "ratings.dat"}:
        from apps.recommender.readers import movielens

        return movielens.read(path)
    from apps.recommender.readers import tables

    if path.is_file() or tables.found(path, "events"):
        return tables.read(path)
    raise InputError(f"{path}: of no known format; give {FORMATS}")
