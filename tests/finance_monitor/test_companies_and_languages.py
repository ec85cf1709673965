"""Names in headlines, and the language a headline is in."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from apps.finance_monitor.companies import Companies
from engine.text.languages import detect

NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("title", "names"),
    [
        ("Queues grow outside branches of Brackwater Savings", ("Brackwater Savings",)),
        ("Brackwater Savings' finance chief resigns", ("Brackwater Savings",)),
        ("Nordvik AB cuts its outlook; rival Halden gains", ("Nordvik", "Halden")),
        ("Profit at Marks & Sons fell 5% on Tuesday in London", ("Marks & Sons",)),
        ("Oil slips below $71 as traders wait for OPEC", ()),
        (
            "Profit at Bank of America rose; US Steel and Air China slipped",
            ("Bank of America", "US Steel", "Air China"),
        ),
        ("they share to Facebook", ("Facebook",)),
        ("Shares in $HLDN slide again", ("$HLDN",)),
        ("", ()),
    ],
)
def test_names_are_found_by_their_capitals(title: str, names: tuple[str, ...]) -> None:
    assert Companies().find(title, (), NOW) == names


def test_a_short_form_stands_for_the_name_it_begins() -> None:
    companies = Companies()
    companies.find("Regulator examines the books of Veldt Motors", (), NOW)
    assert companies.find("Dealers say Veldt hid a fault", (), NOW) == ("Veldt Motors",)


def test_title_case_and_capitals_only_give_names_already_known() -> None:
    companies = Companies()
    assert companies.find("Veldt Motors Recalls Hatchbacks Over Brakes", (), NOW) == ()
    companies.find("Regulator examines the books of Veldt Motors", (), NOW)
    for title in ("Veldt Motors Recalls Hatchbacks Over Brakes", "VELDT MOTORS RECALLS 410,000 HATCHBACKS"):
        assert companies.find(title, (), NOW) == ("Veldt Motors",)


def test_a_watch_list_works_in_chinese_and_tickers_are_names() -> None:
    assert Companies(["海岳银行"]).find("海岳银行被下调评级", ("hldn",), NOW) == ("海岳银行", "$HLDN")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Profit fell 12% on weak demand", "en"),
        ("央行宣布降准0.5个百分点", "zh"),
        ("Alibaba 第三季度营收增长", "zh"),
        ("トヨタ、通期予想を下方修正", "ja"),
        ("삼성전자 영업이익 감소", "ko"),
        ("Прибыль банка снизилась", "ru"),
        ("Der Gewinn des Konzerns ist im dritten Quartal gesunken und die Aussichten sind trüb", "de"),
        ("Le bénéfice du groupe a reculé dans les pays émergents", "fr"),
        ("Veldt Motors recalls", "en"),
        ("Tencent (腾讯) beats estimates again as games and ads rebound", "en"),
        ("2,41%", None),
    ],
)
def test_languages_are_told_apart(text: str, language: str | None) -> None:
    assert detect(text) == language
