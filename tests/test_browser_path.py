"""Answers whether a person gets from signing in to a message at the fan. Drives Chromium, the worker, the simulator."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.db import connection
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect, sync_playwright

from crm.models import Conversation, Role
from crm.services import message_receive
from crm.tests.factories import PASSWORD, ConversationFactory, MembershipFactory, MessageFactory
from onlyfans.services import account_connect
from onlyfans.simulator.server import SAMPLE_FANS, SimulatorServer
from tests.sending import sending

# Debian's Chromium where there is one, else the one that `playwright install chromium` brings.
DEBIAN_CHROMIUM = Path("/usr/bin/chromium")
EMAIL = "ava@example.com"
TEXT = "Hello Léa,\nhow was your weekend?"
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
DESK = {"viewport": {"width": 1440, "height": 900}}

pytestmark = pytest.mark.browser
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


def assert_accessible(page: Page) -> None:
    """axe finds nothing, and the page is no wider than the screen."""
    found = Axe().run(page).response["violations"]
    assert [(v["id"], [node["target"] for node in v["nodes"]]) for v in found] == [], page.url
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url


def sign_in(page: Page) -> None:
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def choose(page: Page, name: str) -> None:
    page.get_by_role("navigation", name="Main").get_by_role("link", name=name).click()


@pytest.fixture
def simulator(settings) -> Iterator[SimulatorServer]:
    with SimulatorServer() as server:
        settings.ONLYFANS_API_BASE_URL = server.base_url
        yield server


@pytest.fixture
def creator(transactional_db, settings, simulator):
    # The test's server speaks plain HTTP.
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = False
    membership = MembershipFactory(user__email=EMAIL, creator__name="Ava Noir", role=Role.OWNER)
    account_connect(creator=membership.creator, account_id="acct_demo1", api_key="sim_key_demo1")
    return membership.creator


@pytest.mark.parametrize(("screen", "scheme"), [(PHONE, "light"), (DESK, "dark")], ids=["phone", "desk"])
def test_a_creator_signs_in_imports_writes_and_sees_it_sent(
    creator, simulator, sqs_queues, live_server, screen, scheme
):
    console: list[str] = []
    with chromium() as browser:
        context = browser.new_context(color_scheme=scheme, base_url=live_server.url, **screen)
        page = context.new_page()
        page.on("console", lambda line: console.append(line.text) if line.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: console.append(str(error)))

        page.goto("/")
        assert_accessible(page)
        sign_in(page)
        expect(page.get_by_role("heading", name="No conversations yet")).to_be_visible()
        assert_accessible(page)

        choose(page, "Import")
        assert_accessible(page)
        page.get_by_label("CSV file").set_input_files(SAMPLE_FANS)
        page.get_by_role("button", name="Check the file").click()
        page.get_by_role("button", name="Import").click()
        expect(page.get_by_text("Every row of the file was taken.")).to_be_visible()
        assert_accessible(page)

        choose(page, "Analytics")
        expect(page.get_by_text("Lifetime value", exact=True)).to_be_visible()
        assert_accessible(page)

        choose(page, "Fans")
        assert_accessible(page)
        page.get_by_label("Search").fill("lamartin0")
        write = page.get_by_role("button", name="Write to Léa Martin")
        expect(page.get_by_role("button", name="Write")).to_have_count(1)
        write.click()

        composer = page.get_by_label("Message to Léa Martin")
        send = page.get_by_role("button", name="Send")
        expect(send).to_be_disabled()
        page.evaluate("window.notReloaded = true")
        first, second = TEXT.split("\n")
        composer.press_sequentially(first)
        composer.press("Shift+Enter")
        composer.press_sequentially(second)
        if screen is DESK:
            composer.press("Enter")
        else:
            send.click()
        message = page.get_by_role("list", name="Messages").locator(".message")
        expect(message).to_have_count(1)
        expect(message).to_contain_text("Queued, expected")
        expect(composer).to_have_value("")
        assert_accessible(page)
        assert simulator.deliveries() == []

        composer.fill("A draft that stays")
        with sending():
            expect(message.locator(".status--sent")).to_have_text("Sent", timeout=45_000)
        expect(composer).to_have_value("A draft that stays")
        assert page.evaluate("window.notReloaded") is True
        assert_accessible(page)

        if screen is PHONE:
            page.get_by_role("link", name="Back to the conversations").click()
        expect(page.get_by_role("list", name="Conversations")).to_contain_text("You: Hello Léa")
        assert_accessible(page)
        context.close()

    (delivery,) = simulator.deliveries()
    assert delivery["text"] == TEXT
    assert str(delivery["fan"]) == simulator.fan_id("lamartin0")
    assert sqs_queues.depth() == 0
    assert console == []


def fan_writes(conversation: Conversation, text: str) -> None:
    """From a thread of its own: Playwright's event loop runs in this one, where Django allows no query."""

    def write() -> None:
        message_receive(fan=conversation.fan, text=text, received_at=timezone.now())
        connection.close()

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()


def test_news_neither_moves_what_is_being_read_nor_loses_the_draft(creator, live_server):
    conversation = ConversationFactory(fan__creator=creator, fan__name="Léa Martin")
    for n in range(130):
        MessageFactory(
            conversation=conversation, text=f"number {n};", created_at=timezone.now() - timedelta(minutes=200 - n)
        )
    with chromium() as browser:
        context = browser.new_context(base_url=live_server.url, **DESK)
        page = context.new_page()
        page.goto("/")
        sign_in(page)
        page.get_by_role("list", name="Conversations").get_by_text("Léa Martin").click()
        newest = page.get_by_text("number 129;")
        expect(newest).to_be_in_viewport()
        composer = page.get_by_label("Message to Léa Martin")
        composer.fill("A draft")

        oldest_shown = page.get_by_text("number 30;")
        oldest_shown.scroll_into_view_if_needed()
        page.get_by_role("link", name="Older messages").scroll_into_view_if_needed()
        before = oldest_shown.bounding_box()
        page.get_by_role("link", name="Older messages").click()
        expect(page.get_by_text("number 0;")).to_be_attached()
        expect(oldest_shown).to_be_in_viewport()
        after = oldest_shown.bounding_box()
        assert before is not None
        assert after is not None
        assert abs(after["y"] - before["y"]) < 4

        fan_writes(conversation, "Are you there?")
        # What the page does when its tab comes back to the front.
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        to_newest = page.get_by_role("button", name="New messages")
        expect(to_newest).to_be_visible()
        expect(oldest_shown).to_be_in_viewport()
        to_newest.click()
        expect(page.get_by_role("log").get_by_text("Are you there?")).to_be_in_viewport()
        expect(to_newest).to_be_hidden()

        lost = page.get_by_text("The connection is lost.")
        context.set_offline(True)
        expect(lost).to_be_visible()
        fan_writes(conversation, "Hello?")
        context.set_offline(False)
        expect(lost).to_be_hidden()
        expect(page.get_by_role("log").get_by_text("Hello?")).to_be_in_viewport()
        expect(composer).to_have_value("A draft")
        context.close()
