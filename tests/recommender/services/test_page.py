"""The page to try a user, in a real browser against the real server with a small shop's model."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By

from apps.recommender import tables
from apps.recommender.api import application
from apps.recommender.ranker import Recommender
from apps.recommender.shelf import Shelf
from engine.service import Keys, Queue
from tests.browsing import WAIT_S, click, shot, until, wait
from tests.services import free_port

SET = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input', {bubbles: true}))"


@pytest.fixture
def site(recommender: Recommender, session_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """Its address, and a key."""
    monkeypatch.setenv("KEEL_HOME", str(session_home))
    recommender.save("tried")
    database = tables.opened(f"sqlite:///{session_home}/tried.db")
    shelf, queue = Shelf(database, {"default": ["tried"]}), Queue(2)
    key = Keys(database).add("desk", "agent")
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(application(shelf, queue=queue), port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    end = time.monotonic() + WAIT_S
    while not server.started:
        assert time.monotonic() < end
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}/", key
    server.should_exit = True
    thread.join(WAIT_S)
    queue.close()
    shelf.close()
    database.close()


def test_a_user_is_tried_and_a_visitor_becomes_known_by_clicks(browser: Any, site: tuple[str, str]) -> None:
    address, key = site
    browser.set_window_size(1280, 900)
    browser.get(address)
    wait(browser, lambda page: page.find_element(By.ID, "ask").is_displayed())
    browser.find_element(By.CSS_SELECTOR, "#ask input").send_keys(key)
    browser.find_element(By.CSS_SELECTOR, "#ask button").click()
    wait(browser, lambda page: page.find_element(By.CSS_SELECTOR, "#list .item .reasons").text)
    user = browser.find_element(By.CSS_SELECTOR, "#who input").get_attribute("value")
    answer = httpx.get(
        f"{address}models/tried/history", params={"user": user, "count": 12}, headers={"Authorization": f"Bearer {key}"}
    )
    titles = [one.text for one in browser.find_elements(By.CSS_SELECTOR, "#history .title")]
    assert titles == [one["title"] for one in answer.json()]
    first = _titles(browser)
    assert len(first) == 10
    click(browser, "#list summary")
    sums = browser.find_element(By.CSS_SELECTOR, "#list .summed")
    values = [float(one.text.replace("−", "-")) for one in sums.find_elements(By.TAG_NAME, "td")]
    assert sum(values[:-1]) == pytest.approx(values[-1], abs=0.01)
    shot(browser, "recommender-page")

    browser.execute_script(SET, browser.find_element(By.ID, "value-purchase"), "0")
    browser.execute_script(SET, browser.find_element(By.ID, "diversity"), "1")
    wait(browser, lambda _: _titles(browser) not in ([], first))

    browser.find_element(By.ID, "visitor").click()
    until(browser, "#history", "Nothing yet")
    before = _titles(browser)
    until(browser, "#list .take", "I click this")
    title = browser.find_element(By.CSS_SELECTOR, "#list .title").text
    click(browser, "#list .take")
    until(browser, "#history", title)
    wait(browser, lambda _: _titles(browser) not in ([], before))

    browser.find_element(By.ID, "theme").click()
    browser.find_element(By.ID, "tongue").click()
    until(browser, "#list-title", "推荐列表")
    until(browser, "#list .take", "点选")
    assert browser.find_element(By.ID, "value-purchase").get_attribute("value") == "0", "sliders stay where they were"
    shot(browser, "recommender-page-dark")
    browser.set_window_size(500, 900)  # headless Chromium has no narrower window; the page is bound to a phone's width
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 375, "height": 812, "deviceScaleFactor": 2, "mobile": True}
    )
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 375
    shot(browser, "recommender-page-phone")
    faults = [line for line in browser.get_log("browser") if line["level"] == "SEVERE" and "401" not in line["message"]]
    assert faults == []


def _titles(browser: Any) -> list[str]:
    try:
        return [one.text for one in browser.find_elements(By.CSS_SELECTOR, "#list .title")]
    except StaleElementReferenceException:
        return []
