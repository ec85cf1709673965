"""Feeds: news from files, pipes, web feeds and message queues, one file a kind; all keep to `source.Source`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apps.finance_monitor.feeds.source import Source


def named(feed: str, *, follow: bool = False) -> Source:
    """The source that a feed's name stands for.

    Args:
        feed: a file, or "-" for standard input.
        follow: it goes on when all that is there has been read.

    Raises:
        InputError: there is no such feed.
    """
    from apps.finance_monitor.feeds.file import File

    return File(feed, follow=follow)
