"""MovieLens: ratings and movies, as .csv (20M and later) or with `::` between fields as .dat (1M, 10M)."""

from __future__ import annotations

from pathlib import Path

from apps.recommender.events import Events
from apps.recommender.items import Items
from apps.recommender.readers.data import Data, Rows
from engine.errors import InputError

RATINGS = ("userId", "movieId", "rating", "timestamp")
MOVIES = ("movieId", "title", "genres")
EVENT = "rating"


def read(path: Path) -> Data:
    """Ratings as events whose weight is the rating, and movies as items whose tags are their genres.

    Args:
        path: the folder, or the file of ratings with the one of movies beside it, if there is one.

    Raises:
        InputError: there are no ratings.
        DataError: no row can be used.
    """
    folder = path if path.is_dir() else path.parent
    ratings = _rows(folder, "ratings", RATINGS)
    if ratings is None:
        raise InputError(f"{folder}: neither ratings.csv nor ratings.dat")
    ratings.ids("userId", "movieId")
    ratings.number("rating")
    ratings.seconds("timestamp")
    names = dict(zip(RATINGS, ("user_id", "item_id", "weight", "datetime"), strict=True))
    events = Events.of(ratings.some().rename(columns=names).assign(event=EVENT), name=str(ratings.path))
    movies = _rows(folder, "movies", MOVIES)
    if movies is None:
        return Data(events, dead=tuple(ratings.dead))
    movies.ids("movieId")
    movies.once("movieId")
    frame = movies.some()
    none = frame["genres"] == "(no genres listed)"
    tags = frame["genres"].str.replace("|", ", ", regex=False).mask(none, None)
    items = Items.of(frame.assign(genres=tags).rename(columns={"movieId": "item_id", "genres": "tags"}))
    return Data(events, items, dead=(*movies.dead, *ratings.dead))


def _rows(folder: Path, name: str, columns: tuple[str, ...]) -> Rows | None:
    if (path := folder / f"{name}.csv").exists():
        rows = Rows.read(path, ",")
        rows.need(*columns)
        return rows
    return Rows.read(path, "::", columns) if (path := folder / f"{name}.dat").exists() else None
