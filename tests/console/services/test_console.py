"""The console in a real browser, against the whole house in a process of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import httpx
import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys as Key
from selenium.webdriver.support.ui import WebDriverWait

from engine import Store
from tests.console.services.conftest import TEXTS, Site

SHOTS = Path(os.environ.get("KEEL_SCREENSHOTS", ".keel/screenshots"))
WAIT_S = 30
PATHS = ("/", "/models", "/models/toy", "/chat", "/alerts", "/ranking", "/feedback", "/label", "/decisions", "/drift")


def test_the_house_is_gone_through_by_keyboard(browser: Any, site: Site) -> None:
    browser.set_window_size(1280, 900)
    browser.get(site.address)
    _until(browser, "main", "finance-monitor train")
    states = [one.text for one in browser.find_elements(By.CSS_SELECTOR, "main .state")]
    assert states == ["ready", "something is missing", "ready"]
    _shot(browser, "console-overview")
    _press(browser, "?")
    assert "gm Models" in " ".join(_until(browser, "#keys", "Models").text.split())
    _press(browser, Key.ESCAPE)
    assert not browser.find_elements(By.ID, "keys")

    _press(browser, "g", "m")
    _until(browser, "main .rows", "toy")
    browser.get(f"{site.address}/models/toy")
    _until(browser, "main", "@2")
    _decide(browser, "Promote")
    _until(browser, ".card.champion", "@2")
    assert Store(site.home / "models").aliases("toy") == {"champion": 2}
    _decide(browser, "Roll back")
    _until(browser, ".card.champion", "@1")
    assert Store(site.home / "models").aliases("toy") == {"champion": 1}
    _shot(browser, "console-model")


def test_a_customers_question_is_answered_with_its_sources_and_judged(browser: Any, site: Site) -> None:
    browser.get(f"{site.address}/chat")
    _until(browser, ".log", "")
    _press(browser, "/")
    browser.switch_to.active_element.send_keys("what is fee F-24?", Key.ENTER)
    answer = _until(browser, ".log li.bot", "sure")
    assert "F-24" in answer.text
    assert "sources: " in answer.text
    answer.find_element(By.CSS_SELECTOR, ".sources .q-item").click()
    _until(browser, ".log .sources", "F-24 the trace of a transfer")
    _shot(browser, "console-chat")
    before = len(site.feedback())
    browser.find_element(By.CSS_SELECTOR, ".log li.bot .links button").click()
    _until(browser, ".log li.bot .links", "Thank you.")
    assert len(site.feedback()) == before + 1

    browser.find_element(By.XPATH, "//button[contains(., 'Talk to a person')]").click()
    _until(browser, "main article", "what is fee F-24?").find_element(
        By.XPATH, ".//button[contains(., 'Take')]"
    ).click()
    _until(browser, "main article", "local")
    browser.find_element(By.CSS_SELECTOR, "main textarea").send_keys("<b>Hello</b>, Ana here")
    browser.find_element(By.XPATH, "//article//button[contains(., 'Send')]").click()
    assert "<b>Hello</b>, Ana here" in _until(browser, ".log li.agent", "Ana").text  # text, never HTML


def test_an_alert_is_judged(browser: Any, site: Site) -> None:
    browser.set_window_size(1280, 900)
    browser.get(f"{site.address}/alerts")
    alert = _until(browser, ".alert", "cyber")
    assert "attack 0 on the firm" in alert.text
    assert "negative" in browser.find_element(By.CSS_SELECTOR, ".trend").get_attribute("aria-label")
    _shot(browser, "console-news")
    alert.find_element(By.XPATH, ".//button[contains(., 'False alarm')]").click()
    _until(browser, ".alert", "Judged: a false alarm.")
    (verdict,) = [one for one in site.feedback() if one.kind == "verdict"]
    assert (verdict.verdict, verdict.rater, verdict.app) == (0.0, "local", "finance_monitor")


def test_a_visitors_click_changes_their_list(browser: Any, site: Site) -> None:
    browser.set_window_size(1280, 900)
    browser.get(f"{site.address}/ranking")
    _until(browser, ".places .item", "1")
    assert len(browser.find_elements(By.CSS_SELECTOR, ".places .item")) == 10
    _shot(browser, "console-ranking")
    field = browser.find_element(By.CSS_SELECTOR, "main input")
    field.send_keys(Key.CONTROL + "a", Key.DELETE)
    field.send_keys("A visitor")
    _until(browser, ".q-menu", "A visitor nobody knows").find_element(By.CSS_SELECTOR, ".q-item").click()
    take = _until(browser, ".places .item button", "I click this")
    title = browser.find_element(By.CSS_SELECTOR, ".places .item .title").text
    take.click()
    _until(browser, "ol.rows", title)


def test_labels_are_given_by_number(browser: Any, site: Site) -> None:
    browser.get(f"{site.address}/label")
    shown = _until(browser, ".label .said", "Profit").text
    _shot(browser, "console-label")
    label = browser.find_elements(By.CSS_SELECTOR, ".offer div")[1].text
    _press(browser, "1")
    _until(browser, ".label", f"2 of {len(TEXTS)}")
    _press(browser, Key.ARROW_RIGHT)
    _until(browser, ".label", f"3 of {len(TEXTS)}")
    (given,) = [one for one in site.feedback() if one.kind == "label"]
    assert (given.text, given.correction, given.app) == (shown, {"sentiment": label}, "console")
    browser.get(f"{site.address}/feedback")
    _until(browser, "main .rows", f"sentiment: {label}")
    _shot(browser, "console-feedback")


def test_decisions_and_drift_are_told(browser: Any, site: Site) -> None:
    browser.get(f"{site.address}/decisions")
    told = _until(browser, "main article", "toy@2 is refused")
    assert "−0.0120" in told.text or "-0.0120" in told.text
    _shot(browser, "console-decisions")
    browser.get(f"{site.address}/drift?model=toy")
    _until(browser, "main .cards", "length")
    _shot(browser, "console-drift")


def test_dark_chinese_and_on_a_phone(browser: Any, site: Site) -> None:
    browser.get(site.address)
    _until(browser, "h1", "Overview")
    _press(browser, "d")
    WebDriverWait(browser, WAIT_S).until(lambda page: page.find_elements(By.CSS_SELECTOR, "body.body--dark"))
    _press(browser, "l")
    _until(browser, "h1", "概览")
    assert browser.find_element(By.TAG_NAME, "html").get_attribute("lang") == "zh-CN"
    _shot(browser, "console-overview-dark-chinese")
    phone = {"width": 375, "height": 812, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    for path in PATHS:
        browser.get(site.address + path)
        _until(browser, "h1", "")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 375, path
        _shot(browser, f"console-phone{path.replace('/', '-').rstrip('-')}")
    faults = [line for line in browser.get_log("browser") if line["level"] == "SEVERE"]
    assert faults == []


def test_with_a_key_nothing_opens_without_a_session_which_ends_with_it(browser: Any, site: Site) -> None:
    key = site.keel("keys", "add", "desk", "--role", "agent")
    with httpx.Client(base_url=site.address, timeout=WAIT_S) as client:
        assert client.get("/", headers={"accept": "text/html"}).headers["location"] == "/login?to=/"
        for path in (*PATHS, "/_nicegui_ws/socket.io/?EIO=4&transport=polling"):
            assert client.get(path).status_code == 401, path
        for path in ("/recommend/models", "/news/v1/status"):
            assert client.get(path).status_code == 401, path
        assert client.post("/v1/predict/toy", json={"text": "Profit rises"}).status_code == 401
        said = client.post("/v1/predict/toy", json={"text": "Profit"}, headers={"Authorization": f"Bearer {key}"})
        assert said.json()["model"] == "toy@1"
    browser.get(f"{site.address}/models/toy")
    _until(browser, ".login h2", "Log in")
    _shot(browser, "console-login")
    browser.find_element(By.NAME, "key").send_keys("nobody's", Key.ENTER)
    _until(browser, ".fault", "Nobody's key.")
    browser.find_element(By.NAME, "key").send_keys(key, Key.ENTER)
    _until(browser, "h1", "toy")
    assert "desk · agent" in browser.find_element(By.CSS_SELECTOR, ".who").text
    assert not [one for one in browser.find_elements(By.CSS_SELECTOR, "main button") if one.text == "Promote"]
    for path, loaded in (("/news/", "#figures dd"), ("/recommend/", "#sliders input")):
        browser.get(f"{site.address}{path}")
        _until(browser, loaded, "")
        assert not browser.find_elements(By.CSS_SELECTOR, "#ask[open]"), "the session is enough"
        assert browser.execute_script("return sessionStorage.getItem('key')") is None
    browser.get(f"{site.address}/models/toy")
    _until(browser, "h1", "toy")
    site.keel("keys", "revoke", "desk")
    # The socket notices within seconds, and the page, loaded anew, is the login.
    WebDriverWait(browser, WAIT_S).until(lambda page: _reloaded(page).find_elements(By.CSS_SELECTOR, ".login"))


def _reloaded(browser: Any) -> Any:
    browser.refresh()
    return browser


def _decide(browser: Any, what: str) -> None:
    """Press the button and the one of its dialog."""
    _until(browser, "main .decide", "").click()
    _until(browser, ".q-dialog", what).find_element(By.XPATH, f".//button[contains(., '{what}')]").click()


def _press(browser: Any, *keys: str) -> None:
    for key in keys:
        browser.switch_to.active_element.send_keys(key)


def _until(browser: Any, where: str, text: str) -> Any:
    """The first element there, once it shows the text."""

    def shown(page: Any) -> Any:
        found = page.find_elements(By.CSS_SELECTOR, where)
        return found[0] if found and text in " ".join(found[0].text.split()) else False

    try:
        return WebDriverWait(browser, WAIT_S, ignored_exceptions=[StaleElementReferenceException]).until(shown)
    except Exception:
        _shot(browser, "console-fault")
        pytest.fail(f"{where} does not show {text!r}: {browser.find_element(By.TAG_NAME, 'body').text[:800]}")


def _shot(browser: Any, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    browser.save_screenshot(str(SHOTS / f"{name}.png"))
