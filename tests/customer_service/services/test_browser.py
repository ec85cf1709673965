"""The widget and the chat page in a real browser, against the real server."""

from __future__ import annotations

import functools
import http.server
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys as Key

from tests.browsing import shot, wait
from tests.services import free_port

PER_MINUTE = 200


class Site:
    """The service, and a page of a shop on another origin that has the widget in it."""

    def __init__(self, service: str, shop: str, keys: dict[str, str], home: Path) -> None:
        self.service, self.shop, self.keys, self.home = service, shop, keys, home

    def call(self, path: str, role: str, body: dict[str, Any] | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.keys[role]}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(self.service + path, data, headers)) as answer:
            return json.load(answer)

    def conversations(self) -> int:
        with closing(sqlite3.connect(self.home / "keel.db")) as database:
            return int(database.execute("SELECT count(*) FROM support_conversations").fetchone()[0])

    def votes(self) -> list[tuple[str, float]]:
        """What was asked and how the answer was judged, in order."""
        with closing(sqlite3.connect(self.home / "keel.db")) as database:
            return database.execute("SELECT text, verdict FROM feedback WHERE kind = 'vote' ORDER BY time").fetchall()

    def seen(self, address: str) -> int:
        """The status of the chat page for someone behind a proxy on this machine."""
        asked = urllib.request.Request(f"{self.service}/chat/", headers={"X-Forwarded-For": address})
        try:
            with urllib.request.urlopen(asked) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as fault:
            with fault:
                return fault.code


@pytest.fixture(scope="module")
def site(trained_bot: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder, port, shop_port = tmp_path_factory.mktemp("shop"), free_port(), free_port()
    service, shop = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{shop_port}"
    environment = {**os.environ, "KEEL_HOME": str(trained_bot)}
    command = [str(Path(sys.executable).parent / "support-bot")]
    keys = {}
    for role in ("widget", "agent"):
        made = [*command, "keys", "add", f"browser-{role}", "--role", role, "--json"]
        made += ["--origin", shop] if role == "widget" else []
        done = subprocess.run(made, env=environment, capture_output=True, text=True, check=True)
        keys[role] = json.loads(done.stdout)["key"]
    (folder / "index.html").write_text(
        f"""<!doctype html><html lang="en"><title>Shop</title><h1>A shop</h1>
        <script src="{service}/widget.js" data-key="{keys["widget"]}" data-title="Ask us" async></script></html>""",
        encoding="utf-8",
    )
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    pages = http.server.ThreadingHTTPServer(("127.0.0.1", shop_port), handler)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    serve = [*command, "serve", "--port", str(port), "--error-rate", "0.99", "--per-minute", str(PER_MINUTE)]
    with subprocess.Popen(serve, env=environment) as server:
        try:
            _wait_for(f"{service}/healthz", server)
            yield Site(service, shop, keys, trained_bot)
        finally:
            server.terminate()
            server.wait(20)
            pages.shutdown()
            pages.server_close()


def test_a_customer_asks_in_the_widget_by_keyboard_alone_and_is_handed_over(browser: Any, site: Site) -> None:
    browser.get(site.shop)
    widget = wait(browser, lambda page: page.find_element(By.TAG_NAME, "keel-chat"))
    root = widget.shadow_root
    launch = root.find_element(By.CSS_SELECTOR, ".launch")
    assert launch.get_attribute("aria-expanded") == "false"
    launch.send_keys(Key.ENTER)
    active = "return document.querySelector('keel-chat').shadowRoot.activeElement.tagName"
    assert browser.execute_script(active) == "TEXTAREA"
    root.find_element(By.CSS_SELECTOR, "textarea").send_keys("what is fee F-24?", Key.ENTER)
    said = _items(browser, root, 3)
    assert said[1].startswith("You\nwhat is fee F-24?")
    assert "Sources" in said[2]
    root.find_element(By.CSS_SELECTOR, "summary").click()
    assert root.find_element(By.CSS_SELECTOR, "blockquote").text
    root.find_element(By.CSS_SELECTOR, ".judge button").click()
    wait(browser, lambda _: "Thank you." in root.find_element(By.CSS_SELECTOR, ".judge").text)
    shot(browser, "widget")

    human, back = (root.find_element(By.CSS_SELECTOR, one) for one in (".human", ".back"))
    assert not back.is_displayed()
    human.click()
    _items(browser, root, 4)
    wait(browser, lambda _: back.is_displayed() and not human.is_displayed())
    shot(browser, "widget-waiting")
    back.click()
    assert "I am here again" in _items(browser, root, 5)[-1]
    wait(browser, lambda _: human.is_displayed())
    human.click()
    _items(browser, root, 6)
    waiting = site.call("/v1/inbox", "agent")
    id = waiting[-1]["id"]
    site.call(f"/v1/inbox/{id}/take", "agent", {"agent": "Ana"})
    site.call(f"/v1/inbox/{id}/messages", "agent", {"agent": "Ana", "text": "<b>Hello</b>, Ana here"})
    assert "<b>Hello</b>, Ana here" in _items(browser, root, 8)[-1]  # text, never HTML
    shot(browser, "widget-agent")
    root.find_element(By.CSS_SELECTOR, "textarea").send_keys(Key.ESCAPE)
    assert root.find_element(By.CSS_SELECTOR, ".launch").is_displayed()
    browser.refresh()  # the conversation is still there
    root = browser.find_element(By.TAG_NAME, "keel-chat").shadow_root
    root.find_element(By.CSS_SELECTOR, ".launch").click()
    _items(browser, root, 8)
    assert not root.find_element(By.CSS_SELECTOR, ".back").is_displayed()


def test_a_closed_or_erased_conversation_is_followed_by_another_in_the_widget(browser: Any, site: Site) -> None:
    browser.get(site.shop)
    root = wait(browser, lambda page: page.find_element(By.TAG_NAME, "keel-chat")).shadow_root
    root.find_element(By.CSS_SELECTOR, ".launch").click()

    def say(text: str, count: int) -> list[str]:
        root.find_element(By.CSS_SELECTOR, "textarea").send_keys(text, Key.ENTER)
        return _items(browser, root, count)

    def id() -> str:
        return str(browser.execute_script("return sessionStorage.getItem('keel-chat')"))

    say("what is fee F-24?", 3)
    first = id()
    site.call(f"/v1/conversations/{first}/close", "agent", {})
    told = say("does a frozen card refuse payments?", 6)
    assert "closed" in told[3]
    assert told[4] == "You\ndoes a frozen card refuse payments?"
    assert id() != first
    _judge(browser, root, 0, good=False)
    _judge(browser, root, 1, good=True)
    assert site.votes()[-2:] == [("what is fee F-24?", 0.0), ("does a frozen card refuse payments?", 1.0)]

    second = id()
    _erase(site, second)
    assert say("what is fee F-24?", 8)[6] == "You\nwhat is fee F-24?"
    third = id()
    root.find_element(By.CSS_SELECTOR, ".human").click()
    _items(browser, root, 9)
    site.call(f"/v1/conversations/{third}/close", "agent", {})
    assert "closed" in _items(browser, root, 10)[9], "whoever waits sees it without asking"
    browser.refresh()
    root = wait(browser, lambda page: page.find_element(By.TAG_NAME, "keel-chat")).shadow_root
    root.find_element(By.CSS_SELECTOR, ".launch").click()
    assert "F-24" in say("what is fee F-24?", 3)[2]


def test_the_key_is_worth_nothing_in_another_page(browser: Any, site: Site) -> None:
    browser.get(f"{site.service}/docs")  # another origin than the shop's
    call = """
        const done = arguments[arguments.length - 1];
        fetch(arguments[0] + "/v1/conversations", {method: "POST", body: "{}",
            headers: {Authorization: "Bearer " + arguments[1], "Content-Type": "application/json"}})
            .then((answer) => done(answer.status), (fault) => done(String(fault)));"""
    assert browser.execute_async_script(call, site.service, site.keys["widget"]) == 403


def test_the_chat_page_answers_with_its_evidence(browser: Any, site: Site) -> None:
    browser.get(f"{site.service}/chat/")
    field = wait(browser, lambda page: page.find_element(By.CSS_SELECTOR, "input"))
    time.sleep(1)  # until its socket is open
    field.send_keys("what is fee F-24?", Key.ENTER)
    wait(browser, lambda page: "sources:" in page.find_element(By.TAG_NAME, "body").text)
    said = browser.find_element(By.TAG_NAME, "body").text
    assert "F-24 the trace of a transfer" in said
    assert "% sure" in said
    shot(browser, "chat-page")
    browser.find_element(By.XPATH, "//*[text()='Talk to a person']").click()
    wait(browser, lambda page: "handing you over" in page.find_element(By.TAG_NAME, "body").text)
    assert "waiting" in {one["side"] for one in site.call("/v1/inbox", "agent")}
    wait(browser, lambda page: page.find_element(By.XPATH, "//*[text()='Back to the assistant']").click() is None)
    _told(browser, "I am here again", 1)


def test_the_chat_page_begins_a_conversation_when_something_is_said_and_again_when_it_was_closed(
    browser: Any, site: Site
) -> None:
    before, waiting = site.conversations(), {one["id"] for one in site.call("/v1/inbox", "agent")}
    browser.get(f"{site.service}/chat/")
    field = wait(browser, lambda page: page.find_element(By.CSS_SELECTOR, "input"))
    time.sleep(1)  # until its socket is open
    assert site.conversations() == before
    assert field.get_attribute("maxlength") == "2000"
    field.send_keys("what is fee F-24?", Key.ENTER)
    _told(browser, "sources:", 1)
    field.send_keys("does a frozen card refuse payments?", Key.ENTER)
    _told(browser, "sources:", 2)
    browser.find_elements(By.CSS_SELECTOR, ".q-expansion-item .q-item")[0].click()
    wait(browser, lambda page: page.find_element(By.XPATH, "//*[text()='Bad']").click() is None)
    _told(browser, "Thank you.", 1)
    assert site.votes()[-1] == ("what is fee F-24?", 0.0)
    browser.find_element(By.XPATH, "//*[text()='Talk to a person']").click()
    _told(browser, "handing you over", 1)
    assert site.conversations() == before + 1
    (id,) = {one["id"] for one in site.call("/v1/inbox", "agent")} - waiting
    site.call(f"/v1/conversations/{id}/close", "agent", {})
    field.send_keys("what is fee F-24?", Key.ENTER)
    _told(browser, "sources:", 3)
    _told(browser, "closed", 1)
    assert site.conversations() == before + 2


def test_one_address_sees_the_chat_page_so_often_and_others_still(site: Site) -> None:
    before = site.conversations()
    seen = [site.seen("192.0.2.1") for _ in range(PER_MINUTE + 1)]
    assert seen == [200] * PER_MINUTE + [429]
    assert site.seen("192.0.2.2") == 200
    assert site.conversations() == before


def _judge(browser: Any, root: Any, place: int, *, good: bool) -> None:
    """Judge the answer at a place among those with sources."""
    row = root.find_elements(By.CSS_SELECTOR, ".judge")[place]
    row.find_elements(By.CSS_SELECTOR, "button")[0 if good else 1].send_keys(Key.ENTER)
    wait(browser, lambda _: row.text == "Thank you.")


def _erase(site: Site, id: str) -> None:
    command = [str(Path(sys.executable).parent / "support-bot"), "forget", "--conversation", id]
    subprocess.run(command, env={**os.environ, "KEEL_HOME": str(site.home)}, check=True)


def _told(browser: Any, text: str, times: int) -> None:
    wait(browser, lambda page: page.find_element(By.TAG_NAME, "body").text.count(text) >= times)


def _items(browser: Any, root: Any, count: int) -> list[str]:
    """The texts of the log, once it has so many."""

    def ready(_: object) -> list[str] | bool:
        found = [item.text for item in root.find_elements(By.CSS_SELECTOR, "li")]
        return found if len(found) >= count else False

    found = wait(browser, ready)
    assert isinstance(found, list)
    return found


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert server.poll() is None, "the server ended"
        try:
            urllib.request.urlopen(url).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"{url} does not answer")
