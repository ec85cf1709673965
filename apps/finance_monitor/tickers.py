"""Tickers: a listed company's symbol, as headlines write it: $BRK.B, NYSE: CCL, (NASDAQ:AAPL), 600519.SH, BRK.B."""

from __future__ import annotations

import re
from dataclasses import dataclass

_EXCHANGES = (
    "NYSE American|NYSE Arca|NYSE|NASDAQ|Nasdaq|AMEX|OTCQB|OTCQX|OTC|LSE|AIM|TSXV|TSX|ASX|NZX|HKEX|SEHK|SGX|TYO|TSE|"
    "NSE|BSE|SSE|SZSE|XETRA|ETR|EPA|BME|JSE|KRX|TWSE"
)
_SYMBOL = r"[A-Z0-9]{1,6}(?:[.\-/][A-Z]{1,2})?"
_WRITTEN = re.compile(
    rf"\(?\b(?:{_EXCHANGES})\s*[:：]\s*(?P<listed>{_SYMBOL})(?![A-Za-z0-9])\)?"
    r"|(?<![\w$])\$(?P<cash>[A-Za-z]{1,6}(?:[.\-/][A-Za-z]{1,2})?)(?![A-Za-z0-9])"
    r"|(?<![A-Za-z0-9.])(?P<number>\d{4,6}\.(?:SH|SS|SZ|BJ|HK|TW|T|KS|KQ))(?![A-Za-z0-9])"
    r"|(?<![\w.])(?P<share>[A-Z]{2,5}\.[A-Z])(?![\w.])",
    re.ASCII,
)


@dataclass(frozen=True)
class Written:
    start: int
    end: int
    symbol: str
    """As `canonical` writes it."""
    sure: bool
    """Marked as a ticker; otherwise only a watch list tells whether it is one (BRK.B may be, U.S.A may not)."""


def canonical(ticker: str) -> str:
    """One way of writing for all: without its sign or exchange, in capitals, a class of shares after a dot."""
    return re.sub(r"[-/]", ".", re.split(r"[:：]", ticker)[-1].strip().lstrip("$").upper())


def written(text: str) -> list[Written]:
    """The tickers of a text, in order."""
    return [
        Written(match.start(), match.end(), canonical(match[match.lastgroup or 0]), match.lastgroup != "share")
        for match in _WRITTEN.finditer(text)
    ]
