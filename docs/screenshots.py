"""Answers with pictures of the running demo for the README: `python -m docs.screenshots http://127.0.0.1:8000`."""  # noqa: INP001

import sys
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, sync_playwright

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


def take(browser: Browser, base_url: str, screen: str, scheme: Literal["light", "dark"]) -> None:
    """The inbox with a conversation open, as somebody who has just signed in would see it."""
    context = browser.new_context(base_url=base_url, color_scheme=scheme, locale="en-US", **SCREENS[screen])
    page = context.new_page()
    page.goto("/sign-in")
    page.get_by_label("E-mail address").fill(CREATOR_EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.locator("#conversations a.row").nth(1).click()
    page.locator("#thread").wait_for()
    page.screenshot(path=FOLDER / f"inbox-{screen}-{scheme}.png")
    context.close()


def main(base_url: str) -> None:
    FOLDER.mkdir(exist_ok=True)
    executable = str(DEBIAN_CHROMIUM) if DEBIAN_CHROMIUM.exists() else None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        for screen, scheme in SHOTS:
            take(browser, base_url, screen, scheme)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
