"""Names that moved to `items`."""

from apps.finance_monitor.items import DeadLetter, NewsItem, parse

__all__ = ["DeadLetter", "NewsItem", "parse"]
