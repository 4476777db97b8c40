"""Answers whether a person gets from signing in to a message at the fan. Drives Chromium, the worker, the simulator."""

import re
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from playwright.sync_api import Route, expect

from crm.models import Conversation, Role
from crm.services import message_receive
from crm.tests.factories import ConversationFactory, MembershipFactory, MessageFactory
from onlyfans.services import account_connect
from onlyfans.simulator.server import SAMPLE_FANS, SimulatorServer
from tests.browser import DESK, EMAIL, EVERYWHERE, PHONE, assert_accessible, choose, complaints_of, page_of, sign_in
from tests.sending import sending

WRITE = 'Write<span class="visually-hidden"> to %(called)s</span>'
OLDER = re.compile(r"/messages\?.*cursor=")
TEXT = "Hello Léa,\nhow was your weekend?"

pytestmark = pytest.mark.browser


@pytest.fixture
def simulator(settings) -> Iterator[SimulatorServer]:
    with SimulatorServer() as server:
        settings.ONLYFANS_API_BASE_URL = server.base_url
        yield server


@pytest.fixture
def creator(transactional_db, simulator):
    membership = MembershipFactory(user__email=EMAIL, creator__name="Ava Noir", role=Role.OWNER)
    account_connect(creator=membership.creator, account_id="acct_demo1", api_key="sim_key_demo1")
    return membership.creator


@EVERYWHERE
def test_a_creator_signs_in_imports_writes_and_sees_it_sent(
    creator, simulator, sqs_queues, live_server, screen, scheme, say
):
    with page_of(live_server.url, screen, scheme, say, reduced_motion="no-preference") as page:
        console = complaints_of(page)

        page.goto("/")
        assert_accessible(page)
        sign_in(page, say)
        expect(page.get_by_role("heading", name=say("No conversations yet"))).to_be_visible()
        assert_accessible(page)

        choose(page, say("Import", context="navigation"), say)
        assert_accessible(page)
        page.get_by_label(say("CSV file or Excel workbook")).set_input_files(SAMPLE_FANS)
        page.get_by_role("button", name=say("Check the file")).click()
        page.locator("[data-do-import]").click()
        expect(page.get_by_text(say("Every row of the file was taken."))).to_be_visible()
        assert_accessible(page)

        choose(page, say("Analytics"), say)
        expect(page.get_by_text(say("Lifetime value"), exact=True)).to_be_visible()
        assert_accessible(page)

        choose(page, say("Fans"), say)
        assert_accessible(page)
        page.get_by_label(say("Search")).fill("lamartin0")
        write = page.get_by_role("button", name=say(WRITE, called="Léa Martin"))
        expect(page.locator("#fans [data-tick]")).to_have_count(1)
        write.click()

        composer = page.get_by_label(say("Message to %(fan)s", fan="Léa Martin"))
        send = page.get_by_role("button", name=say("Send"))
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
        message = page.get_by_role("list", name=say("Messages")).locator(".message")
        expect(message).to_have_count(1)
        expect(message).to_contain_text(f"{say('Queued')}, {say('expected')}")
        expect(composer).to_have_value("")
        assert_accessible(page)
        assert simulator.deliveries() == []

        composer.fill("A draft that stays")
        with sending():
            expect(message.locator(".status--sent")).to_have_text(say("Sent"), timeout=45_000)
        expect(composer).to_have_value("A draft that stays")
        assert page.evaluate("window.notReloaded") is True
        assert_accessible(page)

        if screen is PHONE:
            page.get_by_role("link", name=say("Back to the conversations")).click()
        expect(page.get_by_role("list", name=say("Conversations"))).to_contain_text(f"{say('You:')} Hello Léa")
        assert_accessible(page)

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
    with page_of(live_server.url, reduced_motion="no-preference") as page:
        page.goto("/")
        sign_in(page)
        page.get_by_role("list", name="Conversations").get_by_text("Léa Martin").click()
        newest = page.get_by_text("number 129;")
        expect(newest).to_be_in_viewport()
        composer = page.get_by_label("Message to Léa Martin")
        composer.fill("A draft")

        oldest_shown = page.get_by_text("number 30;")
        held: list[Route] = []
        # Longer than append, which Playwright cannot put its own mark on.
        page.route(OLDER, lambda route: held.append(route))
        with page.expect_request(OLDER):
            page.get_by_role("link", name="Older messages").scroll_into_view_if_needed()
        before = oldest_shown.bounding_box()
        held[0].continue_()
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
        page.context.set_offline(True)
        expect(lost).to_be_visible()
        fan_writes(conversation, "Hello?")
        page.context.set_offline(False)
        expect(lost).to_be_hidden()
        expect(page.get_by_role("log").get_by_text("Hello?")).to_be_in_viewport()
        expect(composer).to_have_value("A draft")
