"""Answers with pictures of every page of the running demo: `python -m docs.screenshots http://127.0.0.1:8000`."""  # noqa: INP001

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, Page, sync_playwright

from huntaze.demo_content import CREATOR_EMAIL, PASSWORD

FOLDER = Path(__file__).resolve().parent / "screenshots"
DEBIAN_CHROMIUM = Path("/usr/bin/chromium")
SCREENS: dict[str, dict[str, Any]] = {
    "desk": {"viewport": {"width": 1440, "height": 900}},
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "is_mobile": True,
        "has_touch": True,
        "device_scale_factor": 2,
    },
}
SHOTS: tuple[tuple[str, Literal["light", "dark"]], ...] = (("desk", "light"), ("phone", "dark"))


def conversation(page: Page) -> None:
    page.goto("/messages/onlyfans")
    page.locator("#conversations a.row").nth(1).click()
    page.locator("#thread").wait_for()


def fan(page: Page) -> None:
    page.goto("/platforms/onlyfans/fans")
    page.goto(page.locator("a[href^='/platforms/onlyfans/fans/']").first.get_attribute("href") or "")


def opened(path: str) -> Callable[[Page], Any]:
    return lambda page: page.goto(path)


# By the names of the pictures.
PAGES: dict[str, Callable[[Page], Any]] = {
    "inbox": conversation,
    "conversations": opened("/messages/onlyfans"),
    "status": opened("/messages/onlyfans/status"),
    "campaigns": opened("/messages/campaigns"),
    "campaign-new": opened("/messages/bulk"),
    "fans": opened("/platforms/onlyfans/fans"),
    "fan": fan,
    "import": opened("/platforms/onlyfans/import"),
    "analytics": opened("/platforms/onlyfans/analytics"),
    "analytics-fans": opened("/platforms/onlyfans/analytics/fans"),
    "analytics-sales": opened("/platforms/onlyfans/analytics/sales"),
    "connect": opened("/platforms/connect/onlyfans"),
    "settings": opened("/settings"),
    "sign-ins": opened("/sign-ins"),
}


def sign_in(page: Page) -> None:
    page.goto("/sign-in")
    page.locator("#id_username").fill(CREATOR_EMAIL)
    page.locator("#id_password").fill(PASSWORD)
    page.locator("#id_password").press("Enter")
    page.locator("#conversations").wait_for()


def take(
    browser: Browser, base_url: str, folder: Path, screen: str, scheme: Literal["light", "dark"], locale: str
) -> None:
    """Each page as somebody who has just signed in would see it."""
    context = browser.new_context(base_url=base_url, color_scheme=scheme, locale=locale, **SCREENS[screen])
    page = context.new_page()
    sign_in(page)
    for name, go in PAGES.items():
        go(page)
        # What the page fetches by itself; an open stream never lets the network be idle.
        page.wait_for_timeout(700)
        page.screenshot(path=folder / f"{name}-{screen}-{scheme}.png")
    context.close()


def main(base_url: str, folder: Path = FOLDER, locale: str = "en-US") -> None:
    folder.mkdir(exist_ok=True)
    executable = str(DEBIAN_CHROMIUM) if DEBIAN_CHROMIUM.exists() else None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        for screen, scheme in SHOTS:
            take(browser, base_url, folder, screen, scheme, locale)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
