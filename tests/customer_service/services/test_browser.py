"""The widget and the chat page in a real browser, against the real server."""

from __future__ import annotations

import functools
import http.server
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys as Key

from tests.browsing import shot, wait
from tests.services import free_port


class Site:
    """The service, and a page of a shop on another origin that has the widget in it."""

    def __init__(self, service: str, shop: str, keys: dict[str, str]) -> None:
        self.service, self.shop, self.keys = service, shop, keys

    def call(self, path: str, role: str, body: dict[str, Any] | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.keys[role]}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(self.service + path, data, headers)) as answer:
            return json.load(answer)


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
    serve = [*command, "serve", "--port", str(port), "--error-rate", "0.99"]
    with subprocess.Popen(serve, env=environment) as server:
        try:
            _wait_for(f"{service}/healthz", server)
            yield Site(service, shop, keys)
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

    root.find_element(By.CSS_SELECTOR, ".human").click()
    _items(browser, root, 4)
    waiting = site.call("/v1/inbox", "agent")
    id = waiting[-1]["id"]
    site.call(f"/v1/inbox/{id}/take", "agent", {"agent": "Ana"})
    site.call(f"/v1/inbox/{id}/messages", "agent", {"agent": "Ana", "text": "<b>Hello</b>, Ana here"})
    assert "<b>Hello</b>, Ana here" in _items(browser, root, 6)[-1]  # text, never HTML
    shot(browser, "widget-agent")
    root.find_element(By.CSS_SELECTOR, "textarea").send_keys(Key.ESCAPE)
    assert root.find_element(By.CSS_SELECTOR, ".launch").is_displayed()
    browser.refresh()  # the conversation is still there
    root = browser.find_element(By.TAG_NAME, "keel-chat").shadow_root
    root.find_element(By.CSS_SELECTOR, ".launch").click()
    _items(browser, root, 6)


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
