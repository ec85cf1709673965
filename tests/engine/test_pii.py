"""Personal data are masked by form and checksum; figures, dates and prices stay."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.resources import packaged
from engine.text.pii import chinese_id_checks, find, iban_checks, luhn, mask


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Write to jane.o'hara+x@mail.example.co.uk.", "Write to [EMAIL]."),
        ("联系zhang.wei@example.cn即可", "联系[EMAIL]即可"),
        ("call +44 (0)20 7946 0018 or 0049 30 123456", "call [PHONE] or [PHONE]"),
        ("(212) 555-0123, 1-212-555-0123, 212.555.0123", "[PHONE], [PHONE], [PHONE]"),
        ("01 23 45 67 89 et 07700 900123", "[PHONE] et [PHONE]"),
        ("call me at 5550123", "call me at [PHONE]"),
        ("手机13812345678或138 1234 5678，+8613812345678", "手机[PHONE]或[PHONE]，[PHONE]"),
        ("联系电话：０１０－６２３４５６７８", "联系电话：[PHONE]"),
        ("card 4111 1111 1111 1111, exp 05/27", "card [CARD], exp 05/27"),
        ("3782-822463-10005 or 6200000000000005", "[CARD] or [CARD]"),
        ("DE89 3704 0044 0532 0130 00 EUR 500 due", "[IBAN] EUR 500 due"),
        ("BE68 5390 0754 7034 THIS", "[IBAN] THIS"),
        ("gb82west12345698765432, or De89 3704 0044 0532 0130 00 in euro", "[IBAN], or [IBAN] in euro"),
        ("my no12 GB82 WEST 1234 5698 7654 32", "my no12 [IBAN]"),
        ("from 192.168.0.1 and 2001:db8::8a2e:370:7334 at 10:30:45", "from [IP] and [IP] at 10:30:45"),
        ("身份证号11010519491231002X。", "身份证号[ID]。"),
        ("SSN 078-05-1120", "SSN [ID]"),
    ],
)
def test_personal_data_are_masked(text: str, masked: str) -> None:
    assert mask(text)[0] == masked
    assert sum(mask(text)[1].values()) == masked.count("[")


@pytest.mark.parametrize(
    "text",
    [
        "Order 4111111111111112 of 2024-05-06",  # fails Luhn
        "DE89 3704 0044 0532 0130 01",  # fails mod 97
        "110105194912310021",  # fails the check character
        "110105194913310029 month 13",
        "version 1.2.3, 0.75 percent, 01.02.2024, 2024-05-06",
        "1,234,567.89 and 10 000 000 and EUR 1 234 567 890",
        "profit 2023-2024 rose 12-14%; earnings call 2023-2024; call on 2024-05-06",
        "open 0800-1730, ABN 59 087 901 620",
        "股价上涨 600519 至 1800.50 元，成交 1,381,234,567 股",
        "999.1.1.1 and a::b and 10:30:45 and a@b",
    ],
)
def test_other_numbers_stay(text: str) -> None:
    assert mask(text) == (text, {})


def test_of_all_figures_in_the_packaged_news_only_the_two_phone_numbers_are_found() -> None:
    found = []
    for name in ("headlines.jsonl", "news.jsonl"):
        with (packaged() / "data" / "finance" / name).open(encoding="utf-8") as lines:
            titles = [json.loads(line)["title"] for line in lines]
        found += [title[one.start : one.end] for title in titles for one in find(title)]
    assert found == ["+358 10 555 0171", "+47 55 00 12 34"]


@given(st.text(st.sampled_from("0123456789+-() .@:abXDE[]１电话"), max_size=60))
def test_a_masked_text_holds_nothing_more_to_mask(text: str) -> None:
    masked, counts = mask(text)
    assert mask(masked) == (masked, {})
    assert bool(counts) == (masked != text)


@given(st.text("0123456789", min_size=12, max_size=18))
def test_exactly_one_check_digit_passes_luhn(digits: str) -> None:
    assert sum(luhn(digits + last) for last in "0123456789") == 1


@given(st.text("0123456789", min_size=18, max_size=18))
def test_exactly_one_pair_of_check_digits_makes_an_iban(account: str) -> None:
    passing = [check for check in range(2, 99) if iban_checks(f"DE{check:02}{account}")]
    assert len(passing) == 1


def test_the_check_character_of_a_chinese_id_is_that_of_the_standards_example() -> None:
    assert [last for last in "0123456789X" if chinese_id_checks("11010519491231002" + last)] == ["X"]


@pytest.mark.parametrize("piece", ["1-", "a@", "0 ", "::", "DE89 ", "+1 ", "a!", "a@b.co ", "1.1.1.1, "])
def test_hostile_texts_take_no_longer_than_others(piece: str) -> None:
    start = time.process_time()
    mask(piece * 50_000)
    assert time.process_time() - start < 5
