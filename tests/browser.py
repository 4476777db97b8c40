"""Answers how tests drive a browser: screens and languages, signing in, what every page must hold. Drives Chromium."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from crm.tests.factories import PASSWORD
from tests.words import ENGLISH, FRENCH, Words

# Debian's Chromium where there is one, else the one that `playwright install chromium` brings.
DEBIAN_CHROMIUM = Path("/usr/bin/chromium")
EMAIL = "ava@example.com"
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
DESK = {"viewport": {"width": 1440, "height": 900}}
SCREENS = pytest.mark.parametrize(("screen", "scheme"), [(PHONE, "light"), (DESK, "dark")], ids=["phone", "desk"])
# For the tasks that the product is about: both languages on both screens, and so both themes on each.
EVERYWHERE = pytest.mark.parametrize(
    ("screen", "scheme", "say"),
    [(PHONE, "light", ENGLISH), (DESK, "dark", ENGLISH), (PHONE, "dark", FRENCH), (DESK, "light", FRENCH)],
    ids=["phone-en", "desk-en", "phone-fr", "desk-fr"],
)
# A machine that runs many tests at once is slow to paint.
expect.set_options(timeout=15_000)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Not pytest-playwright's session fixture: its event loop would stay in the way of every later test's database."""
    path = str(DEBIAN_CHROMIUM) if DEBIAN_CHROMIUM.exists() else None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def page_of(
    base_url: str, screen: Mapping[str, Any] = DESK, scheme: str = "light", say: Words = ENGLISH, **options: Any
) -> Iterator[Page]:
    """An empty page in a browser of its own, as somebody with this screen, theme and language sees the server."""
    asked = {"locale": say.locale, "color_scheme": scheme, "reduced_motion": "reduce", **screen, **options}
    with chromium() as browser, browser.new_context(base_url=base_url, **asked) as context:
        yield context.new_page()


def complaints_of(page: Page, about: str = "") -> list[str]:
    """What goes wrong from now on: errors of the page's scripts, and what the console has of `about`."""
    found: list[str] = []
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on(
        "console",
        lambda line: found.append(line.text) if line.type in {"error", "warning"} and about in line.text else None,
    )
    return found


def assert_accessible(page: Page) -> None:
    """axe finds nothing, and the page is no wider than the screen."""
    # A click that leads elsewhere may have brought no more of the next page yet than its beginning.
    page.wait_for_load_state()
    found = Axe().run(page).response["violations"]
    assert [(v["id"], [node["target"] for node in v["nodes"]]) for v in found] == [], page.url
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url


def sign_in(page: Page, say: Words = ENGLISH) -> None:
    assert page.evaluate("document.documentElement.lang") == say.language
    page.get_by_label(say("E-mail address")).fill(EMAIL)
    page.get_by_label(say("Password")).fill(PASSWORD)
    page.get_by_role("button", name=say("Sign in")).click()


def choose(page: Page, name: str, say: Words = ENGLISH) -> None:
    page.get_by_role("navigation", name=say("Main")).get_by_role("link", name=name).click()
