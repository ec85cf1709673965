"""Feeds: news from files, pipes, web feeds and message queues, one file a kind; all keep to `source.Source`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import InputError

if TYPE_CHECKING:
    from apps.finance_monitor.feeds.source import Source
    from apps.finance_monitor.mapping import Mapping

_LOG = logging.getLogger(__name__)


def named(feed: str, *, follow: bool = False, poll: float = 60.0, mapping: Mapping | None = None) -> Source:
    """The source that a feed's name stands for.

    Args:
        feed: a file, a pattern of files, "-" for standard input, or the URL of a web feed, a Redis stream or a Kafka
            topic.
        follow: it goes on when all that is there has been read.
        poll: seconds between two looks at a web feed.
        mapping: how items are read from other shapes; web feeds need none.

    Raises:
        InputError: there is no such feed, or what it is read with is not installed.
    """
    scheme, marked, _ = feed.partition("://")
    if marked and mapping and mapping.format == "csv":
        raise InputError(f"--feed {feed}: CSV is read from files; map its JSON with format: jsonl")
    if scheme in ("http", "https"):
        from apps.finance_monitor.feeds.rss import WebFeed

        return WebFeed(feed, follow=follow, poll=poll)
    if scheme in ("redis", "rediss"):
        from apps.finance_monitor.feeds.redis import RedisStream

        return RedisStream(feed, follow=follow, mapping=mapping)
    if scheme == "kafka":
        from apps.finance_monitor.feeds.kafka import KafkaTopic

        return KafkaTopic(feed, follow=follow, mapping=mapping)
    if marked:
        raise InputError(f"--feed {feed}: {scheme}:// is no kind of feed; known are http, https, redis, rediss, kafka")
    if set(feed) & set("*?[") and not Path(feed).exists():
        from apps.finance_monitor.feeds.glob import Glob

        return Glob(feed, follow=follow, mapping=mapping)
    from apps.finance_monitor.feeds.file import File

    if follow and feed != "-" and not Path(feed).exists():
        _LOG.warning("--feed %s: no such file yet; it is waited for", feed)
    return File(feed, follow=follow, mapping=mapping)
