"""The console in a real browser, against the whole house in a process of its own."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import httpx
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys as Key

from apps.customer_service import tables
from apps.customer_service.conversations import Conversations
from engine import Store
from engine.db import Database
from tests.browsing import WAIT_S, click, press, shot, until, wait
from tests.console.services.conftest import TEXTS, Site

PATHS = ("/", "/models", "/models/toy", "/chat", "/alerts", "/ranking", "/feedback", "/label", "/decisions", "/drift")


def test_the_house_is_gone_through_by_keyboard(browser: Any, site: Site) -> None:
    browser.set_window_size(1280, 900)
    browser.get(site.address)
    until(browser, "main", "finance-monitor train")
    states = [one.text for one in browser.find_elements(By.CSS_SELECTOR, "main .state")]
    assert states == ["ready", "something is missing", "ready"]
    shot(browser, "console-overview")
    _typed(browser, "?")
    assert "gm Models" in " ".join(until(browser, "#keys", "Models").text.split())
    _typed(browser, Key.ESCAPE)
    assert not browser.find_elements(By.ID, "keys")

    _typed(browser, "g", "m")
    until(browser, "main .rows", "toy")
    browser.get(f"{site.address}/models/toy")
    until(browser, "main", "@2")
    _decide(browser, "Promote")
    until(browser, ".card.champion", "@2")
    assert Store(site.home / "models").aliases("toy") == {"champion": 2}
    _decide(browser, "Roll back")
    until(browser, ".card.champion", "@1")
    assert Store(site.home / "models").aliases("toy") == {"champion": 1}
    shot(browser, "console-model")


def test_a_customers_question_is_answered_with_its_sources_and_judged(browser: Any, site: Site) -> None:
    browser.get(f"{site.address}/chat")
    until(browser, ".log", "")
    _typed(browser, "/")
    browser.switch_to.active_element.send_keys("what is fee F-24?", Key.ENTER)
    answer = until(browser, ".log li.bot", "sure")
    assert "F-24" in answer.text
    assert "sources: " in answer.text
    click(browser, ".log li.bot .sources .q-item")
    until(browser, ".log .sources", "F-24 the trace of a transfer")
    shot(browser, "console-chat")
    before = len(site.feedback())
    click(browser, ".log li.bot .links button")
    until(browser, ".log li.bot .links", "Thank you.")
    assert len(site.feedback()) == before + 1

    click(browser, "main", "Talk to a person")
    until(browser, "main article", "what is fee F-24?")
    click(browser, "main article", "Take")
    until(browser, "main article", "local")
    press(browser, "main textarea", "<b>Hello</b>, Ana here")
    click(browser, "main article", "Send")
    assert "<b>Hello</b>, Ana here" in until(browser, ".log li.agent", "Ana").text  # text, never HTML

    database = Database.open(site.url, name=tables.NAME, migrations=tables.MIGRATIONS)
    desk = Conversations(database)
    (taken,) = desk.inbox()
    desk.happen(taken.id, "take_over", agent="Ana")
    click(browser, "main article", "Take over")  # for Ana has gone home
    press(browser, "main textarea", "Still here")
    assert desk.state(taken.id).agent == "local"
    database.close()


def test_a_vote_is_on_its_answer_and_a_closed_conversation_is_followed_by_another(browser: Any, site: Site) -> None:
    def ask(text: str, answers: int) -> None:
        _typed(browser, "/")
        browser.switch_to.active_element.send_keys(text, Key.ENTER)
        wait(browser, lambda page: len(page.find_elements(By.CSS_SELECTOR, ".log li.bot .links")) == answers)

    browser.get(f"{site.address}/chat")
    until(browser, ".log", "")
    ask("what is fee F-24?", 1)
    browser.find_element(By.TAG_NAME, "h1").click()
    ask("what is fee F-21?", 2)
    click(browser, ".log li.bot .links button:last-child")
    until(browser, ".log li.bot .links", "Thank you.")
    vote = max((one for one in site.feedback() if one.kind == "vote"), key=lambda one: one.time)
    assert (vote.text, vote.verdict) == ("what is fee F-24?", 0.0)
    click(browser, "main", "Talk to a person")
    until(browser, "main article", "what is fee F-21?")
    with closing(Database.open(site.url, name=tables.NAME, migrations=tables.MIGRATIONS)) as database:
        talks = Conversations(database)
        (id,) = (one.id for one in talks.inbox() if "what is fee F-21?" in one.summary["questions"])
        talks.happen(id, "close")
    browser.find_element(By.TAG_NAME, "h1").click()
    ask("what is fee F-24?", 3)
    assert "closed" in browser.find_element(By.CSS_SELECTOR, ".log").text


def test_an_alert_is_judged(browser: Any, site: Site) -> None:
    browser.set_window_size(1280, 900)
    browser.get(f"{site.address}/alerts")
    alert = until(browser, ".alert", "cyber")
    assert "attack 0 on the firm" in alert.text
    assert "negative" in browser.find_element(By.CSS_SELECTOR, ".trend").get_attribute("aria-label")
    shot(browser, "console-news")
    click(browser, ".alert", "False alarm")
    until(browser, ".alert", "Judged: a false alarm.")
    (verdict,) = [one for one in site.feedback() if one.kind == "verdict"]
    assert (verdict.verdict, verdict.rater, verdict.app) == (0.0, "local", "finance_monitor")


def test_a_visitors_click_changes_their_list(browser: Any, site: Site) -> None:
    browser.set_window_size(1280, 900)
    browser.get(f"{site.address}/ranking")
    until(browser, ".places .item", "1")
    assert len(browser.find_elements(By.CSS_SELECTOR, ".places .item")) == 10
    shot(browser, "console-ranking")
    field = browser.find_element(By.CSS_SELECTOR, "main input")
    field.send_keys(Key.CONTROL + "a", Key.DELETE)
    field.send_keys("A visitor")
    until(browser, ".q-menu", "A visitor nobody knows")
    click(browser, ".q-menu .q-item")
    until(browser, ".places .item button", "I click this")
    title = browser.find_element(By.CSS_SELECTOR, ".places .item .title").text
    click(browser, ".places .item button")
    until(browser, "ol.rows", title)


def test_labels_are_given_by_number(browser: Any, site: Site) -> None:
    browser.get(f"{site.address}/label")
    shown = until(browser, ".label .said", "Profit").text
    shot(browser, "console-label")
    label = browser.find_elements(By.CSS_SELECTOR, ".offer div")[1].text
    _typed(browser, "1")
    until(browser, ".label", f"2 of {len(TEXTS)}")
    _typed(browser, Key.ARROW_RIGHT)
    until(browser, ".label", f"3 of {len(TEXTS)}")
    (given,) = [one for one in site.feedback() if one.kind == "label"]
    assert (given.text, given.correction, given.app) == (shown, {"sentiment": label}, "console")
    browser.get(f"{site.address}/feedback")
    until(browser, "main .rows", f"sentiment: {label}")
    shot(browser, "console-feedback")


def test_decisions_and_drift_are_told(browser: Any, site: Site) -> None:
    browser.get(f"{site.address}/decisions")
    told = until(browser, "main article", "toy@2 is refused")
    assert "−0.0120" in told.text or "-0.0120" in told.text
    shot(browser, "console-decisions")
    browser.get(f"{site.address}/drift?model=toy")
    until(browser, "main .cards", "length")
    shot(browser, "console-drift")


def test_dark_chinese_and_on_a_phone(browser: Any, site: Site) -> None:
    browser.get(site.address)
    until(browser, "h1", "Overview")
    _typed(browser, "d")
    wait(browser, lambda page: page.find_elements(By.CSS_SELECTOR, "body.body--dark"))
    _typed(browser, "l")
    until(browser, "h1", "概览")
    assert browser.find_element(By.TAG_NAME, "html").get_attribute("lang") == "zh-CN"
    shot(browser, "console-overview-dark-chinese")
    phone = {"width": 375, "height": 812, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    for path in PATHS:
        browser.get(site.address + path)
        until(browser, "h1", "")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 375, path
        shot(browser, f"console-phone{path.replace('/', '-').rstrip('-')}")
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
    until(browser, ".login h2", "Log in")
    shot(browser, "console-login")
    browser.find_element(By.NAME, "key").send_keys("nobody's", Key.ENTER)
    until(browser, ".fault", "Nobody's key.")
    browser.find_element(By.NAME, "key").send_keys(key, Key.ENTER)
    until(browser, "h1", "toy")
    assert "desk · agent" in browser.find_element(By.CSS_SELECTOR, ".who").text
    assert not [one for one in browser.find_elements(By.CSS_SELECTOR, "main button") if one.text == "Promote"]
    for path, loaded in (("/news/", "#figures dd"), ("/recommend/", "#sliders input")):
        browser.get(f"{site.address}{path}")
        until(browser, loaded, "")
        assert not browser.find_elements(By.CSS_SELECTOR, "#ask[open]"), "the session is enough"
        assert browser.execute_script("return sessionStorage.getItem('key')") is None
    browser.get(f"{site.address}/models/toy")
    until(browser, "h1", "toy")
    site.keel("keys", "revoke", "desk")
    # The socket notices within seconds, and the page, loaded anew, is the login.
    wait(browser, lambda page: _reloaded(page).find_elements(By.CSS_SELECTOR, ".login"))


def _reloaded(browser: Any) -> Any:
    browser.refresh()
    return browser


def _decide(browser: Any, what: str) -> None:
    """Press the button and the one of its dialog."""
    click(browser, "main .decide")
    until(browser, ".q-dialog", what)
    click(browser, ".q-dialog", what)


def _typed(browser: Any, *keys: str) -> None:
    for key in keys:
        browser.switch_to.active_element.send_keys(key)
