"""Answers how soon the inbox with 10,000 conversations is painted, what it transfers and whether it jumps.
Touches a stand, a server as in production, and Chromium.

Beside it in the same run: a page of the same server that asks the database nothing (the sign-in), which is what the
machine, the browser and the style sheet take by themselves.
"""

import os
import statistics
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from bench import stand
from bench.api import server

CONVERSATIONS = int(os.environ.get("CONVERSATIONS", "10000"))
THREAD = 10_100
ROUNDS = 7
PAINT_GOAL_MS, BYTES_GOAL, SHIFT_GOAL = 1_000, 120_000, 0.0
PASSWORD = "only-for-a-measurement"  # noqa: S105  of a stand that forgets
DEBIAN_CHROMIUM = Path("/usr/bin/chromium")
SCREENS: dict[str, dict[str, Any]] = {
    "desk": {"viewport": {"width": 1440, "height": 900}},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
}
# Buffered, so that what happened before the script ran is told too.
OBSERVE = """() => new Promise((resolve) => {
  let shift = 0;
  new PerformanceObserver((list) => list.getEntries().forEach((entry) => { shift += entry.value; }))
    .observe({ type: "layout-shift", buffered: true });
  setTimeout(() => resolve({
    paint: performance.getEntriesByName("first-contentful-paint")[0].startTime,
    bytes: ["navigation", "resource"].flatMap((kind) => performance.getEntriesByType(kind))
      .reduce((sum, entry) => sum + entry.transferSize, 0),
    shift,
  }), 1000);
})"""


def _opened(browser: Browser, base_url: str, path: str, screen: str, state: Any) -> dict[str, float]:
    """Milliseconds to the first paint, bytes over the wire and layout shift of a page opened with nothing cached."""
    context = browser.new_context(base_url=base_url, storage_state=state, **SCREENS[screen])
    page = context.new_page()
    page.goto(path, wait_until="load")
    found: dict[str, float] = page.evaluate(OBSERVE)
    context.close()
    return found


def _signed_in(browser: Browser, base_url: str, email: str) -> Any:
    context = browser.new_context(base_url=base_url)
    page = context.new_page()
    page.goto("/sign-in")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.locator("#conversations").wait_for()
    state = context.storage_state()
    context.close()
    return state


def main() -> None:
    with stand.product(
        SECRET_KEY="only-for-a-measurement-" + "0" * 32,
        ALLOWED_HOSTS="127.0.0.1",
        DEBUG="false",
        SECURE_SSL_REDIRECT="false",
    ):
        from django.core.management import call_command

        from bench import api_data  # its models can be imported once the stand is up
        from crm.models import User

        call_command("collectstatic", interactive=False, verbosity=0)
        [tenant] = api_data.tenants_make(creators=1, conversations=CONVERSATIONS, thread=THREAD, threads=1)
        user = User.objects.get()
        user.set_password(PASSWORD)
        user.save()
        with ExitStack() as stack:
            base_url = f"http://127.0.0.1:{stack.enter_context(server('huntaze.asgi:application')).port}"
            playwright = stack.enter_context(sync_playwright())
            path = str(DEBIAN_CHROMIUM) if DEBIAN_CHROMIUM.exists() else None
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
            state = _signed_in(browser, base_url, user.email)
            for screen in SCREENS:
                _show(browser, base_url, screen, state, tenant.conversation_id)
            browser.close()


def _show(browser: Browser, base_url: str, screen: str, state: Any, conversation_id: int) -> None:
    pages = {
        "the sign-in page, which asks the database nothing": ("/sign-in", None),
        f"the inbox with {CONVERSATIONS:,} conversations": ("/messages/onlyfans", state),
        f"one of {THREAD:,} messages open": (f"/messages/onlyfans/{conversation_id}", state),
    }
    stand.title(f"{screen}: from the address to the first paint, nothing cached")
    for name, (path, stored) in pages.items():
        runs = [_opened(browser, base_url, path, screen, stored) for _ in range(ROUNDS)]
        paint, sent, shift = (statistics.median(run[key] for run in runs) for key in ("paint", "bytes", "shift"))
        stand.row(name, f"{paint:,.0f} ms", f"{sent / 1000:,.0f} KB over the wire, layout shift {shift:.3f}")
        stand.goal(f"{name}: first paint in ms", found=paint, wanted=PAINT_GOAL_MS, at_most=True)
        stand.goal(f"{name}: bytes", found=sent, wanted=BYTES_GOAL, at_most=True)
        stand.goal(f"{name}: layout shift", found=shift, wanted=SHIFT_GOAL, at_most=True)


if __name__ == "__main__":
    main()
