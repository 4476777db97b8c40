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


def campaign(page: Page) -> None:
    """One that the demo sends to its own simulator; begun where there is none yet."""
    page.goto("/messages/campaigns")
    if not page.locator("#campaigns a[href^='/messages/campaigns/']").count():
        page.goto("/messages/bulk")
        page.locator("#tags").fill("VIP")
        page.locator("#name").fill("Weekend")
        page.locator("#words").fill("Hey {firstName}, something new is here for you!")
        page.wait_for_timeout(1_500)
        page.locator("main button[type=submit].button--primary").click()
        page.get_by_role("dialog").locator(".button--primary").click()
        page.locator("#recipients").wait_for()
        return
    page.goto(page.locator("#campaigns a[href^='/messages/campaigns/']").first.get_attribute("href") or "")


def choose_file(page: Page, content: bytes) -> None:
    """In the import, which looks into it at once."""
    page.goto("/platforms/onlyfans/import")
    page.locator("#file").set_input_files(files=[{"name": "fans.csv", "mimeType": "text/csv", "buffer": content}])
    page.locator("[data-columns]").wait_for()


def import_columns(page: Page) -> None:
    """No column names the fan by itself."""
    choose_file(page, b"Who,Alias,Worth,Last Seen\nlea,Lea,12.50,2026-04-03\nmax,Max,7,2026-05-03\n")


def import_outcome(page: Page) -> None:
    """What the import would do, with rows that it would reject."""
    choose_file(page, b"Username,Total Spend\nlea,12.50\nm x,7\nsam,much\n")
    page.locator("[data-check]").click()
    page.locator("[data-outcome]").wait_for()


def opened(path: str) -> Callable[[Page], Any]:
    return lambda page: page.goto(path)


# By the names of the pictures.
PAGES: dict[str, Callable[[Page], Any]] = {
    "inbox": conversation,
    "conversations": opened("/messages/onlyfans"),
    "status": opened("/messages/onlyfans/status"),
    # Before the list, so that one is on it.
    "campaign": campaign,
    "campaigns": opened("/messages/campaigns"),
    "campaign-new": opened("/messages/bulk"),
    "fans": opened("/platforms/onlyfans/fans"),
    "fan": fan,
    "import": opened("/platforms/onlyfans/import"),
    "import-columns": import_columns,
    "import-outcome": import_outcome,
    "analytics": opened("/platforms/onlyfans/analytics"),
    "analytics-fans": opened("/platforms/onlyfans/analytics/fans"),
    "analytics-sales": opened("/platforms/onlyfans/analytics/sales"),
    "analytics-definitions": opened("/platforms/onlyfans/analytics/definitions"),
    "connect": opened("/platforms/connect/onlyfans"),
    "settings": opened("/settings"),
    "changes": opened("/settings/changes"),
    "security": opened("/security/"),
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
