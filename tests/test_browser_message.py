"""Tests that a person undoes, cancels and settles messages in a browser. Drives Chromium."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from crm.models import Conversation, Message, MessageStatus, Role
from crm.tests.factories import ConversationFactory, MembershipFactory
from messaging.models import Decision, Delivery
from messaging.tests.factories import delivery_make
from tests.browser import EMAIL, EVERYWHERE, SCREENS, assert_accessible, page_of, sign_in
from tests.test_browser_inbox import in_thread, opened
from tests.words import ENGLISH, Words

# The thread asks anew every 15 s where nothing wakes it, as here, where a refresh and an answer may cross.
POLLED = 40_000
pytestmark = pytest.mark.browser


@pytest.fixture
def conversation(transactional_db: None, sqs_queues: Any) -> Conversation:
    creator = MembershipFactory.create(user__email=EMAIL, user__name="Ava", role=Role.OWNER).creator
    return ConversationFactory.create(fan__creator=creator, fan__name="Léa Martin")


@EVERYWHERE
def test_a_queued_message_is_undone_and_its_words_are_back_in_the_composer(
    conversation: Conversation, live_server: Any, screen: dict[str, Any], scheme: Any, say: Words
) -> None:
    with page_of(live_server.url, screen, scheme, say) as page:
        opened(page, conversation, say)
        composer = page.get_by_label(say("Message to %(fan)s", fan="Léa Martin"))
        composer.fill("Not yet!")
        page.get_by_role("button", name=say("Send")).click()
        undo = page.get_by_role("button", name=say("Undo"))
        expect(undo).to_be_visible()
        expect(composer).to_have_value("")
        assert_accessible(page)
        composer.fill("and more")
        undo.focus()
        page.keyboard.press("Enter")
        expect(composer).to_have_value("Not yet!\nand more")
        expect(composer).to_be_focused()
        expect(page.locator(".message")).to_contain_text(say("Cancelled by %(name)s", name="Ava"), timeout=POLLED)
        expect(undo).to_have_count(0)

    def check() -> None:
        assert Delivery.objects.get().state == MessageStatus.CANCELLED

    in_thread(check)


@SCREENS
def test_an_undo_that_comes_too_late_says_so_and_shows_how_it_stands(
    conversation: Conversation, live_server: Any, screen: dict[str, Any], scheme: Any
) -> None:
    delivery = delivery_make(fan=conversation.fan, text="Gone")
    with page_of(live_server.url, screen, scheme) as page:
        opened(page, conversation, ENGLISH)
        undo = page.get_by_role("button", name="Undo")
        expect(undo).to_be_visible()

        def meanwhile() -> None:
            Delivery.objects.filter(pk=delivery.pk).update(state=MessageStatus.SENT)
            Message.objects.filter(pk=delivery.pk).update(status=MessageStatus.SENT)

        in_thread(meanwhile)
        undo.click()
        expect(page.get_by_text("Only a message that has not begun to go out can be cancelled")).to_be_visible()
        expect(page.get_by_label("Message to Léa Martin")).to_have_value("")
        expect(page.locator(".message")).to_contain_text("Sent", timeout=POLLED)


@SCREENS
def test_a_scheduled_message_is_cancelled_once_that_is_confirmed(
    conversation: Conversation, live_server: Any, screen: dict[str, Any], scheme: Any
) -> None:
    at = timezone.now() + timedelta(days=1)
    delivery_make(fan=conversation.fan, state=MessageStatus.PARKED, scheduled_at=at, due_in=timedelta(days=1))
    with page_of(live_server.url, screen, scheme) as page:
        opened(page, conversation, ENGLISH)
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator(".message")).to_contain_text("Cancelled by Ava", timeout=POLLED)


@SCREENS
def test_troubles_are_settled_one_after_the_other_until_none_is_left(
    conversation: Conversation, live_server: Any, screen: dict[str, Any], scheme: Any
) -> None:
    delivery_make(fan=conversation.fan, text="Maybe", state=MessageStatus.UNKNOWN, key_in_doubt=True)
    delivery_make(fan=conversation.fan, text="No", state=MessageStatus.FAILED, reason="The fan left.", stage="send")
    with page_of(live_server.url, screen, scheme) as page:
        page.goto("/sign-in?next=/messages/onlyfans/status")
        sign_in(page)
        expect(page.get_by_role("button", name="It arrived Léa Martin")).to_be_visible()
        assert_accessible(page)
        page.get_by_role("button", name="It arrived Léa Martin").click()
        expect(page.get_by_role("button", name="It arrived Léa Martin")).to_have_count(0)
        page.get_by_role("button", name="Dismiss Léa Martin").click()
        expect(page.get_by_text("No message failed or is in doubt.")).to_be_visible()

    def check() -> None:
        found = set(Delivery.objects.values_list("state", "decision"))
        assert found == {("sent", Decision.ARRIVED), ("dismissed", Decision.DISMISSED)}

    in_thread(check)
