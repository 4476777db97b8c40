"""Answers whether `make run` starts, delivers through a crash and stops clean. Touches real processes, a folder."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from huntaze import demo_content
from huntaze.local.ports import answers
from tests.browser import complaints_of, page_of
from tests.stack import ROOT, Stack, ask, folder_of_a_stack, running, wait_for

pytestmark = pytest.mark.stack
# The same machinery with short times: a lease, a limit and a sweep of seconds, not minutes.
QUICK = {
    "RATE_LIMIT_WINDOW_SECONDS": "2",
    "RATE_LIMIT_MIN_GAP_SECONDS": "0.05",
    "SEND_TIMEOUT_SECONDS": "2",
    "SEND_LEASE_SECONDS": "3",
    "SQS_VISIBILITY_TIMEOUT_SECONDS": "5",
    "SWEEP_EVERY_SECONDS": "0.5",
    "SWEEP_PENDING_AFTER_SECONDS": "1",
    "SWEEP_OVERDUE_AFTER_SECONDS": "3",
}


@pytest.fixture
def local() -> Iterator[Path]:
    with folder_of_a_stack() as path:
        yield path


@pytest.fixture
def stack(local: Path) -> Iterator[Stack]:
    with running(local, QUICK) as found:
        yield found


def test_a_killed_worker_loses_nothing_and_repeats_nothing(stack):
    web, simulator = stack.value("Pages").rstrip("/"), stack.value("Simulator").rstrip("/")
    credentials = {"email": demo_content.CREATOR_EMAIL, "password": demo_content.PASSWORD}
    access = ask(f"{web}/api/auth/token", credentials)["access"]
    bearer = {"Authorization": f"Bearer {access}"}
    fans = ask(f"{web}/api/crm/fans", **bearer)["results"][:4]
    texts = [f"message {number} to {fan['handle']}" for number in range(4) for fan in fans]

    # Slow enough that some are on their way when the worker dies.
    ask(f"{simulator}/_control", {"latency_ms": 400})
    for text in texts:
        recipient = next(fan for fan in fans if text.endswith(f" {fan['handle']}"))
        sent = ask(
            f"{web}/api/onlyfans/messages/send", {"recipientId": f"fan_{recipient['id']}", "content": text}, **bearer
        )
        assert sent["status"] in {"queued", "parked"}

    def log() -> list[dict[str, Any]]:
        return ask(f"{simulator}/log.json")

    wait_for(lambda: len(log()) >= 2 and stack.sending(), 20, lambda: stack.lines[-20:])
    for pid in stack.processes("run_worker"):
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: stack.says("worker    | ended with code -9"), 5, lambda: stack.lines[-20:])
    arrived = Counter[str]()

    def all_arrived() -> bool:
        arrived.clear()
        arrived.update(entry["text"] for entry in log())
        return set(texts) <= set(arrived)

    wait_for(all_arrived, 60, lambda: (sorted(set(texts) - set(arrived)), stack.lines[-30:]))

    def status() -> dict[str, Any]:
        return ask(f"{web}/api/onlyfans/messages/status", **bearer)

    def queue_is_empty() -> bool:
        time.sleep(1)  # the answer is kept for some seconds, and so many a minute are answered
        found = status()
        return not any(found[name] for name in ("queueDepth", "messagesInFlight", "messagesDelayed"))

    # Whatever might still repeat a message has had its turn when the queue is empty.
    wait_for(queue_is_empty, 30, status)
    all_arrived()
    assert arrived == Counter(texts)
    assert status()["dlqCount"] == 0
    assert ask(f"{web}/api/onlyfans/messages/failed", **bearer)["results"] == []


def signed_in(page: Page) -> None:
    page.goto("/")
    page.get_by_label("E-mail address").fill(demo_content.CREATOR_EMAIL)
    page.get_by_label("Password").fill(demo_content.PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#conversations a.row").first).to_be_visible()


def test_pages_are_as_in_production_and_an_error_stands_in_its_place(stack):
    web = stack.value("Pages").rstrip("/")
    with page_of(web) as page:
        complaints = complaints_of(page, "Security Policy")
        page.goto("/nothing-here")
        expect(page.get_by_role("heading", name="Nothing is here")).to_be_visible()
        assert "urlpatterns" not in page.content().lower()
        signed_in(page)
        page.locator("#conversations a.row").first.click()
        composer = page.get_by_role("textbox", name="Message to")
        expect(composer).to_be_focused()
        thread = page.get_by_role("list", name="Messages")
        page.evaluate("window.notReloaded = true")

        # 400: said at the field.
        page.get_by_role("button", name="Price and media").click()
        page.get_by_label("Price in dollars").fill("1")
        page.get_by_label("Media").fill("ofapi_media_1")
        composer.fill("hello from the page")
        page.get_by_role("button", name="Send", exact=True).click()
        expect(page.get_by_text("A price is 0 or from $3")).to_be_visible()
        page.get_by_label("Price in dollars").fill("")
        page.get_by_label("Media").fill("")

        # It arrives.
        page.get_by_role("button", name="Send", exact=True).click()
        expect(thread.locator(".message", has_text="hello from the page").get_by_text("Sent")).to_be_visible()
        expect(composer).to_have_value("")

        # 404: somebody else deletes the fan.
        fan = page.locator("[data-fan]").get_attribute("data-api")
        answer = page.evaluate(
            "(fan) => fetch(fan, {method: 'DELETE', headers: JSON.parse(document.body.getAttribute('hx-headers'))})"
            ".then((answer) => answer.status)",
            fan,
        )
        assert answer == 200, answer
        composer.fill("too late")
        page.get_by_role("button", name="Send", exact=True).click()
        expect(page.locator("#problem").get_by_text("There is no such conversation")).to_be_visible()
        expect(composer).to_have_value("too late")
        assert page.evaluate("window.notReloaded")
        assert complaints == []


def test_a_second_stack_in_the_same_checkout_is_refused(stack):
    second = subprocess.run(
        [sys.executable, "-m", "huntaze.local", "up"],
        cwd=ROOT,
        env=stack.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    assert "runs already" in second.stdout
    assert f"http://127.0.0.1:{stack.web}" in second.stdout
    reset = subprocess.run(
        [sys.executable, "-m", "huntaze.local", "reset", "--yes"],
        cwd=ROOT,
        env=stack.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert reset.returncode == 1
    assert (stack.local / "postgres").exists()
    assert stack.ctrl_c() < 5
    assert stack.processes() == []
    assert not (stack.local / "stack.env").exists()
    assert not answers(stack.web)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's death")
def test_a_killed_supervisor_leaves_no_process_and_the_next_start_has_the_data(stack, local):
    os.kill(stack.supervisor(), signal.SIGKILL)
    wait_for(lambda: stack.processes() == [], 10, stack.processes)
    again = Stack(local, QUICK)
    try:
        again.wait_until_up()
        credentials = {"email": demo_content.AGENCY_EMAIL, "password": demo_content.PASSWORD}
        assert ask(f"http://127.0.0.1:{again.web}/api/auth/token", credentials)["access"]
    finally:
        assert again.ctrl_c() < 5
