"""An alert's reasons in the console, by the model that raised it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys as Key

from apps.finance_monitor.feeds import named
from apps.finance_monitor.run import Models, monitor
from engine import load
from tests.browsing import press, shot, until, wait
from tests.console.services.conftest import KEEL, Site, wait_for
from tests.finance_monitor.test_verify import OneHot, wire  # noqa: F401
from tests.services import free_port


def test_an_alert_says_why_it_fired(browser: Any, wire: Path, home: Path) -> None:  # noqa: F811
    site = Site(f"http://127.0.0.1:{free_port()}", home, f"sqlite:///{home}/keel.db")
    monitor([named(str(wire))], Models([load("toy")], OneHot()), state=site.url)  # type: ignore[arg-type]
    serve = [*KEEL, "serve", "--app", "finance_monitor", "--port", site.address.rpartition(":")[2]]
    with (home / "log").open("w") as log, subprocess.Popen(serve, env=site.environment, stderr=log) as server:
        try:
            wait_for(site, server)
            browser.set_window_size(1280, 900)
            browser.get(f"{site.address}/alerts")
            ask = until(browser, ".alert button.why", "Why?")
            assert ask.get_attribute("aria-label") == "Why: cyber"
            press(browser, ".alert button.why")
            told = until(browser, ".q-card.why", "stories decide. Without them it does not fire.")
            assert len(told.find_elements(By.CSS_SELECTOR, ".blocks > .evidence li")) == 8
            headlines = told.find_elements(By.CSS_SELECTOR, ".words")
            assert len(headlines) == 3
            for headline in headlines:
                assert "the cyber of the bank in the quarter" in headline.text
                words = headline.find_elements(By.CSS_SELECTOR, "span[title]")
                assert max(words, key=lambda word: float(word.get_attribute("title"))).text == "cyber"
            shot(browser, "console-why")
            browser.switch_to.active_element.send_keys(Key.ESCAPE)
            wait(browser, lambda page: not page.find_elements(By.CSS_SELECTOR, ".q-card.why"))
        finally:
            server.terminate()
            assert server.wait(30) == 0, (home / "log").read_text(encoding="utf-8")


def test_reasons_that_cannot_be_had_are_told(browser: Any, site: Site) -> None:
    browser.get(f"{site.address}/alerts")
    press(browser, ".alert button.why")
    fault = until(browser, ".q-card.why .fault", "names no stored model")
    assert fault.get_attribute("role") == "alert"
