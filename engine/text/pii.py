"""Personal data in texts, found by form and checksum and masked: `a@b.org` becomes `[EMAIL]`.

Masked are e-mail addresses, phone numbers, payment cards (Luhn), IBANs (ISO 13616), IP addresses, United States social
security numbers and Chinese resident identity numbers (GB 11643). Names and street addresses have no form of their own
and stay. A phone number is taken when it is written as one: with `+` or `00`, as North American and Chinese numbers
are, grouped and beginning with 0, or after a word such as "call" or 电话.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Found:
    kind: str
    """email, card, iban, id, ip or phone."""
    start: int
    end: int


IBAN_LENGTHS = {
    found[:2]: int(found[2:])
    for found in (
        "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 "
        "ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 "
        "LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 "
        "QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"
    ).split()
}
"""Country -> characters of its IBAN (SWIFT's IBAN registry)."""

_ALNUM = r"[0-9A-Za-z\u00c0-\u024f]"
_EMAIL = re.compile(
    rf"(?<!{_ALNUM}){_ALNUM}(?:{_ALNUM}|[.!#$%&'*+/=?^_`{{|}}~-]){{0,63}}"
    rf"@(?:{_ALNUM}(?:{_ALNUM}|-){{0,62}}\.){{1,8}}[A-Za-z]{{2,24}}(?!{_ALNUM})"
)
_IBAN = re.compile(r"(?<![0-9A-Za-z])(?=([A-Za-z]{2}\d{2}(?: ?[0-9A-Za-z]){11,30}))")
"""Looked ahead for: what begins as one may run over the beginning of another."""
_CARD = re.compile(r"(?<![\d.,])(?<!\d[ -])[2-6]\d{3}(?:[ -]?\d){8,15}(?![\d]|[ -]\d|[.,]\d)")
_CHINESE_ID = re.compile(r"(?<![0-9A-Za-z])[1-9]\d{16}[\dXx](?![0-9A-Za-z])")
_SOCIAL = re.compile(r"(?<![\d-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])")
_IP4 = re.compile(r"(?<![\d.])(?<![vV])\d{1,3}(?:\.\d{1,3}){3}(?![\d]|\.\d)")
_IP6 = re.compile(
    r"(?<![0-9A-Fa-f:.])(?=[0-9A-Fa-f]*:[0-9A-Fa-f:]*:)[0-9A-Fa-f:]{2,39}(?:\.\d{1,3}){0,3}(?![0-9A-Za-z:])"
)

_GAP = r"[ .\-\u2010-\u2015]"
_PHONES = re.compile(
    "|".join(
        (
            rf"(?:\+|(?<![\d.,])00(?=[1-9]\d{{0,2}}{_GAP}))\d(?:{_GAP}?\(?\d\)?){{6,14}}",  # international
            rf"(?:1{_GAP})?\([2-9]\d\d\) ?\d{{3}}{_GAP}\d{{4}}",  # North America
            rf"(?:1{_GAP})?[2-9]\d\d([ .-])[2-9]\d\d\1\d{{4}}",
            r"(?:86[ -]?)?1[3-9]\d([ -]?)\d{4}\2\d{4}|0\d{2,3}-[2-9]\d{6,7}|[48]00-\d{3,4}-\d{3,4}",  # China
            rf"\(?0\d{{1,4}}\)?(?:{_GAP}\d{{2,8}}){{1,5}}",  # national, with its 0
        )
    )
)
_CUE = re.compile(
    r"(?:\b(?:phone|telephone|tel|mobile|cell|fax|call|dial|whatsapp|telefon|mobil)"
    r"(?: (?:number|no|us|me|on|at|is))*|电话|手机|热线|传真|致电)[.:： ]{0,3}"
    rf"(\(?\d(?:{_GAP}?\(?\d\)?){{6,14}})",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"(?:\d{4}[-.]\d\d[-.]\d\d|\d\d?[ .-]\d\d?[ .-](?:19|20)\d\d|(?:19|20)\d\d\W(?:19|20)\d\d)(?:\D.*)?"
    r"|\d\d[ .-]\d\d[ .-]\d\d"
)


class _Folded(dict[int, str]):
    """Digits of any script, and full-width letters and signs, as ASCII; one character stays one character."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        folded = str(unicodedata.decimal(char)) if char.isdecimal() else char
        if 0xFF01 <= code <= 0xFF5E:
            folded = chr(code - 0xFEE0)
        self[code] = folded
        return folded


_FOLDED = _Folded()


def find(text: str) -> list[Found]:
    """Personal data in `text`, in order, without overlaps; where two kinds overlap the one with a checksum counts."""
    folded = text.translate(_FOLDED)
    if not re.search(r"@|\d", folded) and "::" not in folded:
        return []
    taken: list[Found] = []  # in order, so that only its neighbours can overlap with one
    for kind, spans in _FINDERS:
        for start, end in spans(folded):
            place = bisect(taken, start, key=lambda found: found.start)
            if (not place or taken[place - 1].end <= start) and (place == len(taken) or end <= taken[place].start):
                taken.insert(place, Found(kind, start, end))
    return taken


def mask(text: str) -> tuple[str, Counter[str]]:
    """The text with `[KIND]` for each find, and how many there were of each kind. A masked text has no finds left."""
    counts: Counter[str] = Counter()
    while found := find(text):
        pieces, end = list[str](), 0
        for one in found:
            pieces += text[end : one.start], f"[{one.kind.upper()}]"
            end = one.end
            counts[one.kind] += 1
        text = "".join([*pieces, text[end:]])
    return text, counts


def luhn(digits: str) -> bool:
    """Whether the last digit checks the others (ISO/IEC 7812-1)."""
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(number // 10 + number % 10 for number in doubled) % 10 == 0


def iban_checks(iban: str) -> bool:
    """Whether an IBAN without spaces has its country's length and the remainder 1 (ISO 7064 mod 97-10)."""
    turned = iban[4:] + iban[:4]
    return len(iban) == IBAN_LENGTHS.get(iban[:2]) and int("".join(str(int(char, 36)) for char in turned)) % 97 == 1


def chinese_id_checks(number: str) -> bool:
    """Whether 18 characters hold a date of birth and their check character (GB 11643, ISO 7064 mod 11-2)."""
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    total = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(number[:17]))
    return 1850 <= born.year <= date.today().year and "10X98765432"[total % 11] == number[17].upper()


def _matches(
    pattern: re.Pattern[str], holds: Callable[[str], bool] = bool
) -> Callable[[str], Iterator[tuple[int, int]]]:
    return lambda text: (match.span() for match in pattern.finditer(text) if holds(match[0]))


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    """An IBAN in groups of four may run into the next word: its country tells where it ends."""
    for match in _IBAN.finditer(text):
        places = [place for place in range(*match.span(1)) if text[place] != " "]
        length = IBAN_LENGTHS.get(match[1][:2].upper(), 0)
        if 0 < length <= len(places) and iban_checks("".join(text[place] for place in places[:length]).upper()):
            yield match.start(), places[length - 1] + 1


def _is_card(found: str) -> bool:
    """By issuer and length: Visa, Mastercard, Amex, Diners, Discover, JCB, UnionPay."""
    digits = re.sub(r"\D", "", found)
    issuer = (
        r"4(\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
        r"|3(0[0-5]|[68]\d)\d{11}|6(011|4[4-9]\d|5\d\d)\d{12}|35(2[89]|[3-8]\d)\d{12}|62\d{14,17}"
    )
    return re.fullmatch(issuer, digits) is not None and luhn(digits)


def _is_ip(found: str) -> bool:
    try:
        ipaddress.ip_address(found)
    except ValueError:
        return False
    return any(map(str.isdigit, found))  # a::b is valid, and more often a name in a program


def _phones(text: str) -> Iterator[tuple[int, int]]:
    for match in _CUE.finditer(text):
        if not _DATE.fullmatch(match[1]):
            yield match.span(1)
    for match in _PHONES.finditer(text):
        start, end = match.span()
        before, after = text[max(0, start - 2) : start], text[end : end + 2]
        apart = not re.search(r"[\d$€£¥/]$|\d[ .,-]$", before) and not re.match(r"[\d%]|[.,/]\d", after)
        if apart and 9 <= sum(map(str.isdigit, match[0])) <= 15 and not _DATE.fullmatch(match[0]):
            yield start, end


_FINDERS = (
    ("email", _matches(_EMAIL)),
    ("iban", _ibans),
    ("id", _matches(_CHINESE_ID, chinese_id_checks)),
    ("card", _matches(_CARD, _is_card)),
    ("id", _matches(_SOCIAL)),
    ("ip", _matches(_IP4, _is_ip)),
    ("ip", _matches(_IP6, _is_ip)),
    ("phone", _phones),
)
