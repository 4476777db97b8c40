"""Answers whether a person writes with drafts, quick replies and a price, and keeps a fan's card. Drives Chromium."""

import threading
from typing import Any

import pytest
from django.db import connection
from playwright.sync_api import Page, expect

from crm.models import Conversation, Fan, Message, Role
from crm.placeholders import placeholder_values, placeholders_check, placeholders_fill
from crm.tests.factories import (
    ConversationFactory,
    FanFactory,
    MembershipFactory,
    QuickReplyFactory,
    TransactionFactory,
)
from crm.tests.placeholder_cases import FILLED, REFUSED
from tests.browser import DESK, EMAIL, EVERYWHERE, PHONE, assert_accessible, complaints_of, page_of, sign_in
from tests.words import Words

pytestmark = pytest.mark.browser
PRICE = "A price is 0 or from $%(least)s to $%(most)s (%(least_cents)s to %(most_cents)s cents)."


@pytest.fixture
def conversation(transactional_db: None, sqs_queues: Any) -> Conversation:
    creator = MembershipFactory.create(user__email=EMAIL, creator__name="Ava Noir", role=Role.OWNER).creator
    QuickReplyFactory.create(creator=creator, shortcut="welcome", text="Hey {firstName}, nice to have you here")
    conversation = ConversationFactory.create(fan__creator=creator, fan__name="Léa Martin", fan__tags=["vip"])
    TransactionFactory.create(fan=conversation.fan, gross_cents=4_200)
    return conversation


def in_thread(write: Any) -> None:
    """Playwright's event loop runs in this thread, where Django allows no query."""

    def run() -> None:
        write()
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def opened(page: Page, conversation: Conversation, say: Words) -> None:
    page.goto(f"/sign-in?next=/messages/onlyfans/{conversation.pk}")
    sign_in(page, say)


@EVERYWHERE
def test_a_message_is_drafted_filled_by_a_shortcut_priced_and_sent(
    conversation: Conversation, live_server: Any, screen: dict[str, Any], scheme: Any, say: Words
) -> None:
    with page_of(live_server.url, screen, scheme, say) as page:
        complaints = complaints_of(page, "Security Policy")
        opened(page, conversation, say)
        composer = page.get_by_label(say("Message to %(fan)s", fan="Léa Martin"))
        composer.press_sequentially("/wel")
        expect(page.get_by_role("button", name="/welcome")).to_be_visible()
        assert_accessible(page)
        composer.press("Enter")
        expect(composer).to_have_value("Hey Léa, nice to have you here")
        expect(page.get_by_text(say("Draft kept in this browser"))).to_be_visible()
        page.reload()
        expect(composer).to_have_value("Hey Léa, nice to have you here")

        page.get_by_role("button", name=say("Price and media")).click()
        page.get_by_label(say("Price in dollars")).fill("2")
        page.get_by_role("button", name=say("Send")).click()
        expect(page.get_by_text(say(PRICE).partition("%(least)s")[0])).to_be_visible()
        expect(page.get_by_label(say("Price in dollars"))).to_be_focused()
        assert_accessible(page)
        page.get_by_label(say("Price in dollars")).fill("5")
        page.get_by_label(say("Media")).fill("ofapi_media_1")
        page.get_by_role("button", name=say("Send")).click()
        message = page.get_by_role("list", name=say("Messages")).locator(".message")
        expect(message).to_contain_text(say.money(500))
        expect(message).to_contain_text(say("%(number)s media", number=1))
        expect(composer).to_have_value("")
        expect(page.get_by_text(say("Draft kept in this browser"))).to_be_hidden()
        page.reload()
        expect(composer).to_have_value("")
        assert_accessible(page)
    assert complaints == []
    assert Message.objects.get().price_cents == 500


@EVERYWHERE
def test_a_fan_is_changed_beside_somebody_else_deleted_and_brought_back(
    conversation: Conversation, live_server: Any, screen: dict[str, Any], scheme: Any, say: Words
) -> None:
    theirs = Fan.objects.filter(pk=conversation.fan_id)
    theirs_now = say("%s: %s").replace("%s", say("Notes"), 1).replace("%s", "Their second note")
    with page_of(live_server.url, screen, scheme, say) as page:
        opened(page, conversation, say)
        if screen is PHONE:
            page.get_by_role("link", name="Léa Martin").first.click()
        expect(page.get_by_text(say.money(4_200))).to_be_visible()
        assert_accessible(page)

        page.get_by_label(say("Tags")).fill("vip, whale")
        in_thread(lambda: theirs.update(notes="Their note"))
        page.get_by_role("button", name=say("Save"), exact=True).click()
        expect(page.get_by_text(say("Saved"), exact=True)).to_be_visible()
        expect(page.get_by_label(say("Notes"))).to_have_value("Their note")

        page.get_by_label(say("Notes")).fill("My note")
        in_thread(lambda: theirs.update(notes="Their second note"))
        page.get_by_role("button", name=say("Save"), exact=True).click()
        expect(page.get_by_text(theirs_now)).to_be_visible()
        expect(page.get_by_label(say("Notes"))).to_have_value("My note")
        assert_accessible(page)
        page.get_by_role("button", name=say("Save mine over it")).click()
        expect(page.get_by_text(say("Saved"), exact=True)).to_be_visible()

        if screen is DESK:
            page.get_by_role("link", name=say("All purchases")).click()
        page.once("dialog", lambda asked: asked.accept())
        page.get_by_role("button", name=say("Delete")).click()
        expect(page.get_by_role("heading", name=say("%(called)s was deleted", called="Léa Martin"))).to_be_visible()
        assert_accessible(page)
        page.get_by_role("button", name=say("Undo")).click()
        expect(page.get_by_label(say("Notes"))).to_have_value("My note")
    fan = theirs.get()
    assert (fan.tags, fan.notes, fan.deleted_at) == (["vip", "whale"], "My note", None)


@EVERYWHERE
def test_fans_are_tagged_together_and_it_is_undone(
    conversation: Conversation, live_server: Any, screen: dict[str, Any], scheme: Any, say: Words
) -> None:
    FanFactory.create(creator=conversation.creator, name="Noa Petit")
    with page_of(live_server.url, screen, scheme, say) as page:
        page.goto("/sign-in?next=/platforms/onlyfans/fans")
        sign_in(page, say)
        page.get_by_label(say("Choose %(name)s", name="Léa Martin")).check()
        page.get_by_label(say("Search")).fill("Noa")
        expect(page.get_by_text("Léa Martin")).to_have_count(0)
        page.get_by_label(say("Choose %(name)s", name="Noa Petit")).check()
        expect(page.get_by_text(say("%%s fans chosen").replace("%s", "2"))).to_be_visible()
        assert_accessible(page)
        page.get_by_label(say("Tag for the chosen fans")).fill("vip")
        page.get_by_role("button", name=say("Add tag")).click()
        expect(page.get_by_text(say("1 fan changed"))).to_be_visible()
        assert_accessible(page)
        page.get_by_role("button", name=say("Undo")).click()
        expect(page.get_by_text(say("1 fan changed"))).to_be_hidden()
    assert list(Fan.objects.order_by("name").values_list("tags", flat=True)) == [["vip"], []]


def test_a_quick_reply_in_the_composer_reads_as_if_it_were_sent_as_it_stands(
    conversation: Conversation, live_server: Any
) -> None:
    names = [("Ann Lee", "ann"), ("{handle} {{", "}{name}"), ("$& $1 {", "a"), ("constructor", "a")]
    wanted = [
        (words, name, handle, placeholders_fill(words, name=name, handle=handle))
        for words, _ in FILLED
        for name, handle in names
    ]
    asked = [[words, placeholder_values(name=name, handle=handle)] for words, name, handle, _ in wanted]
    with page_of(live_server.url) as page:
        page.goto("/sign-in")
        inserted = page.evaluate(
            """async ([address, asked]) => {
              const { insertable } = await import(address);
              return asked.map(([words, values]) => insertable(words, new Map(Object.entries(values))));
            }""",
            ["/static/placeholders.js", asked],
        )
        refused = page.evaluate(
            """async ([address, asked]) => {
              const { insertable } = await import(address);
              return asked.map((words) => insertable(words, new Map([["name", "Ann"]])));
            }""",
            ["/static/placeholders.js", [words for words, *_ in REFUSED]],
        )
    for (words, name, handle, filled), put in zip(wanted, inserted, strict=True):
        assert placeholders_check(put) == [], (words, name)
        assert placeholders_fill(put, name=name, handle=handle) == filled, (words, name)
    for put, (words, found, *_) in zip(refused, REFUSED, strict=True):
        assert any(error.detail.startswith(f"{found} ") for error in placeholders_check(put)), (words, put)


@EVERYWHERE
def test_what_is_typed_is_filled_in_and_a_wrong_word_is_named_beside_the_field(
    conversation: Conversation, live_server: Any, screen: dict[str, Any], scheme: Any, say: Words
) -> None:
    with page_of(live_server.url, screen, scheme, say) as page:
        opened(page, conversation, say)
        composer = page.get_by_label(say("Message to %(fan)s", fan="Léa Martin"))
        composer.fill("Hey {fistName} :{")
        page.get_by_role("button", name=say("Send")).click()
        nearest = say("Did you mean %(nearest)s? For a brace, write it twice.", nearest="{firstName}")
        expect(page.locator("#error-text")).to_contain_text(nearest)
        composer.fill("Hey {firstName} :{ {{name}}")
        page.get_by_role("button", name=say("Send")).click()
        message = page.get_by_role("list", name=say("Messages")).locator(".message .bubble")
        expect(message).to_contain_text("Hey Léa :{ {name}")
    assert Message.objects.get().text == "Hey Léa :{ {name}"
