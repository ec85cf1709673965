"""The risk desk's page in a real browser, against the real server with a toy labeller."""

from __future__ import annotations

import shutil
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys as Key

from apps.finance_monitor import tables
from apps.finance_monitor.feeds import named
from apps.finance_monitor.run import Models, monitor
from engine import Store, load
from engine.feedback import FeedbackLog
from tests.browsing import press, shot, until, wait
from tests.finance_monitor.test_serve import START, item, running, surge, usual
from tests.finance_monitor.test_verify import OneHot, wire  # noqa: F401

HOSTILE = "attack by <img src=x onerror=\"document.title='broken'\"> on the firm"
USUAL = 300


@pytest.fixture
def site(tmp_path: Path) -> Any:
    with running(str(tmp_path / "monitor.db")) as client:
        yield client


def test_a_desk_sees_an_alarm_live_reads_its_evidence_and_silences_it(
    browser: Any, site: httpx.Client, tmp_path: Path
) -> None:
    site.post("/v1/items", json=usual(USUAL))
    browser.set_window_size(1280, 900)
    browser.get(str(site.base_url))
    until(browser, "#live", "live")
    until(browser, "#firing", "Nothing fires.")
    until(browser, "#figures", "items 299")
    link = {"title": HOSTILE, "url": "javascript:alert(1)"}
    told = surge(USUAL)
    news = [{**told[0], **link}, {**told[1], "url": "https://wire.example/1"}, *told[2:]]
    site.post("/v1/items", json=news)  # the page hears of it by itself

    firing = until(browser, "#firing article", "cyber")
    assert "expected" in firing.text
    assert HOSTILE in firing.text  # text, never HTML
    links = firing.find_elements(By.CSS_SELECTOR, "li a")
    assert [one.get_attribute("href") for one in links] == ["https://wire.example/1"]
    assert browser.title == "(1) finance-monitor"
    assert browser.find_elements(By.CSS_SELECTOR, "#topic .firing svg .negative")
    shot(browser, "monitor-page")

    marks = [one.text for one in browser.find_elements(By.CSS_SELECTOR, "#all .axis span")]
    assert marks[0] == "0"
    assert 2 <= len(marks) <= 5
    assert len({int(after) - int(before) for before, after in pairwise(marks)}) == 1
    chart = browser.find_element(By.CSS_SELECTOR, "#topic .firing svg")
    assert "negative" in chart.get_attribute("aria-label")
    browser.execute_script("arguments[0].focus()", chart)
    chart.send_keys(Key.END)
    assert "expected" in browser.find_element(By.CSS_SELECTOR, "#topic .firing .readout").text
    chart.send_keys(Key.TAB)

    press(browser, "#firing .correct", "neutral", Key.ENTER)
    until(browser, "#firing li:first-child", "noted")
    press(browser, "#firing .judge button:last-child")
    until(browser, "#firing article", "Thank you, noted.")
    assert browser.switch_to.active_element.text == "Why?", "the buttons went, the keyboard is beside where they were"
    figures = browser.find_element(By.ID, "figures").text
    site.post("/v1/items", json=[item(900 + n, 12 * USUAL + 65 + 15 * n, f"usual report, {n} more") for n in range(2)])
    wait(browser, lambda page: page.find_element(By.ID, "figures").text != figures)
    assert browser.switch_to.active_element.text == "Why?", "what is drawn anew leaves the keyboard where it was"
    (alert,) = site.get("/v1/alerts").json()
    log = FeedbackLog(tables.opened(str(tmp_path / "monitor.db")))
    said = {one.kind: one for one in log.read()}
    log.database.close()
    assert (said["verdict"].verdict, said["verdict"].subject) == (0.0, alert["id"])
    assert (said["correction"].correction, said["correction"].subject) == ({"sentiment": "neutral"}, told[0]["id"])

    press(browser, "#firing button.silence")
    until(browser, "#firing article.silenced", "Silenced until")
    assert browser.title == "finance-monitor"
    assert "topic:cyber" in browser.find_element(By.ID, "silences").text
    (silence,) = site.get("/v1/silences").json()
    site.delete(f"/v1/silences/{silence['id']}")  # by another desk
    until(browser, "#firing article:not(.silenced)", "cyber")

    after = 12 * USUAL + 80
    site.post("/v1/items", json=[item(1000 + n, after + 12 * n, f"usual report {n} again") for n in range(30)])
    until(browser, "#ended article", "cyber")
    assert (START + timedelta(minutes=after)).strftime("%-d %b") in browser.find_element(By.ID, "figures").text
    browser.find_element(By.ID, "theme").click()
    browser.find_element(By.CSS_SELECTOR, "#topic .name").click()
    assert browser.find_element(By.CSS_SELECTOR, "#large table").text.count("\n") >= 5
    shot(browser, "monitor-page-dark")
    faults = [line for line in browser.get_log("browser") if line["level"] == "SEVERE"]
    assert faults == []


def test_a_desk_asks_why_an_alarm_fired_and_sees_what_decided_it(
    browser: Any,
    wire: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    state = str(tmp_path / "monitor.db")
    monitor([named(str(wire))], Models([load("toy")], OneHot()), state=state)  # type: ignore[arg-type]
    with running(state) as site:
        browser.set_window_size(1280, 900)
        browser.get(str(site.base_url))
        until(browser, "#ended .why", "Why?")
        press(browser, "#ended .why")
        told = until(browser, "#why", "stories decide. Without them it does not fire.")
        decisive = told.find_elements(By.CSS_SELECTOR, ".decisive li")
        headlines = told.find_elements(By.CSS_SELECTOR, ".words")
        assert len(decisive) > 8
        assert sum(one.is_displayed() for one in decisive) == 8
        told.find_element(By.TAG_NAME, "summary").send_keys(Key.ENTER)
        assert all(one.is_displayed() for one in decisive)
        assert len(headlines) == 3
        for headline in headlines:
            assert "the cyber of the bank in the quarter" in headline.text
            strongest = headline.find_element(By.CSS_SELECTOR, "mark.for[style*='100%']")
            assert strongest.text == "cyber"
            assert strongest.get_attribute("title").startswith("+")
        shot(browser, "monitor-why")
        browser.switch_to.active_element.send_keys(Key.ESCAPE)
        wait(browser, lambda page: not page.find_element(By.ID, "why").is_displayed())
        assert browser.switch_to.active_element.get_attribute("aria-label") == "Why: cyber"

        shutil.rmtree(Store().root / "toy")
        press(browser, "#ended .why")
        until(browser, "#why .fault", "toy@1, the alert's model, is not in")


def test_a_silence_from_the_form_has_hours_or_a_weekly_window(browser: Any, site: httpx.Client) -> None:
    browser.get(str(site.base_url))
    until(browser, "#silences", "None.")
    form = browser.find_element(By.ID, "silence")
    browser.execute_script("arguments[0].closest('details').open = true", form)
    form.find_element(By.NAME, "key").send_keys("topic:labour", Key.ENTER)
    hours, weekly = (form.find_element(By.NAME, name) for name in ("hours", "weekly"))
    assert hours.get_property("validationMessage")  # or the API would refuse it
    weekly.send_keys("sat 22:00-04:00", Key.ENTER)
    until(browser, "#silences", "sat 22:00-04:00, until ended")
    assert hours.get_property("required")
    form.find_element(By.NAME, "key").send_keys("topic:credit")
    hours.send_keys("2", Key.ENTER)
    until(browser, "#silences", "topic:credit: until")
    assert {one["key"]["value"]: one["ends"] is None for one in site.get("/v1/silences").json()} == {
        "labour": True,
        "credit": False,
    }
