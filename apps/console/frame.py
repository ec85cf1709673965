"""Frame: what stands around every page: where one can go, tongue, theme, keys, and who one is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from apps.console.visit import THEME
from apps.console.words import COOKIE as TONGUE

if TYPE_CHECKING:
    from apps.console.pages.page import Page
    from apps.console.visit import Visit

HEAD = '<link rel="stylesheet" href="/console.css"><script src="/console.js" defer></script>'
YEAR_S = 365 * 24 * 3600
THEMES = {None: "dark", True: "light", False: "auto"}
"""What the button goes on to."""
ICONS = {None: "brightness_auto", True: "dark_mode", False: "light_mode"}


@contextmanager
def frame(visit: Visit, page: Page, pages: tuple[Page, ...]) -> Iterator[None]:
    """The page's content goes inside."""
    from nicegui import ui

    say, title = visit.words, visit.words(f"page.{page.name}")
    ui.page_title(f"{title} · Keel")
    ui.add_head_html(HEAD)
    ui.dark_mode(visit.dark)
    with ui.header().classes("top"):
        menu = _button("menu", say("menu"), key="m").classes("menu")
        ui.link("Keel", "/").classes("brand")
        ui.element("div").classes("grow")
        _choices(visit)
    with ui.left_drawer().classes("side").props(f'width=216 aria-label="{say("menu")}"') as drawer:
        with ui.element("nav").props(f'aria-label="{say("menu")}"'):
            for one in pages:
                with ui.link(target=one.path).classes("goto").props(f'data-key="g {one.key}"') as link:
                    ui.icon(one.icon).props("aria-hidden=true")
                    ui.label(say(f"page.{one.name}"))
                if one is page:
                    link.props("aria-current=page")
        _who(visit)
    menu.on_click(drawer.toggle)
    with ui.element("main").classes("content") as main:
        yield
    ui.skip_link(say("skip"), target=main)


def _choices(visit: Visit) -> None:
    from nicegui import ui

    say = visit.words
    other = "en" if say.tongue == "zh" else "zh"
    with ui.button("English" if other == "en" else "中文").props(f'flat no-caps lang={other} data-key="l"') as tongue:
        ui.tooltip(say("tongue"))
    tongue.on("click", js_handler=_chosen(TONGUE, other))
    theme = _button(ICONS[visit.dark], say(f"theme.{THEMES[visit.dark]}"), key="d")
    theme.on("click", js_handler=_chosen(THEME, THEMES[visit.dark]))
    keys = _button("keyboard", say("keys"), key="?")
    keys.props(f'data-keys="{say("keys")}" data-close="{say("close")}"')


def _who(visit: Visit) -> None:
    from nicegui import ui

    say = visit.words
    with ui.element("div").classes("who"):
        if visit.local:
            ui.label(say("local")).classes("soft")
            return
        ui.label(f"{visit.caller.name} · {say(f'role.{visit.caller.role}')}").classes("soft")
        with ui.element("form").props('method=post action="/logout"'):
            ui.button(say("logout")).props("type=submit flat no-caps dense")


def _button(icon: str, told: str, *, key: str):  # type: ignore[no-untyped-def]
    from nicegui import ui

    with ui.button(icon=icon).props(f'flat round aria-label="{told}" data-key="{key}"') as made:
        ui.tooltip(told)
    return made


def _chosen(cookie: str, value: str) -> str:
    """A choice that stays with the browser."""
    return (
        f"() => {{ document.cookie = '{cookie}={value}; path=/; max-age={YEAR_S}; samesite=lax'; location.reload(); }}"
    )
