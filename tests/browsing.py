"""Browsing: what a person does at a page that draws itself anew while they look."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    NoSuchElementException,
    StaleElementReferenceException,
    TimeoutException,
)
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

SHOTS = Path(os.environ.get("KEEL_SCREENSHOTS", ".keel/screenshots"))
WAIT_S = 30
GONE = (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    NoSuchElementException,
    StaleElementReferenceException,
)
"""Of an element that is drawn anew just then."""


def wait(browser: Any, holds: Callable[[Any], Any]) -> Any:
    """What that gives of the page, once it is true."""
    return WebDriverWait(browser, WAIT_S, ignored_exceptions=GONE).until(holds)


def until(browser: Any, where: str, text: str) -> Any:
    """The first element there, once it shows the text."""

    def shown(page: Any) -> Any:
        found = page.find_elements(By.CSS_SELECTOR, where)
        return found[0] if found and text in " ".join(found[0].text.split()) else False

    try:
        return wait(browser, shown)
    except TimeoutException:
        shot(browser, "fault")
        pytest.fail(f"{where} does not show {text!r}: {browser.find_element(By.TAG_NAME, 'body').text[:800]}")


def press(browser: Any, where: str, *keys: str) -> None:
    """Keys on the first element there; Enter by default."""
    wait(browser, lambda page: page.find_element(By.CSS_SELECTOR, where).send_keys(*(keys or (Keys.ENTER,))) is None)


def click(browser: Any, where: str, named: str = "") -> None:
    """The first element there, or within it the first button of that name."""

    def clicked(page: Any) -> bool:
        found = page.find_element(By.CSS_SELECTOR, where)
        if named:
            found = found.find_element(By.XPATH, f".//button[contains(., '{named}')]")
        found.click()
        return True

    wait(browser, clicked)


def shot(browser: Any, name: str) -> None:
    """A picture, to be looked at."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    browser.save_screenshot(str(SHOTS / f"{name}.png"))
