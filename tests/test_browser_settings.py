"""Answers whether an owner looks after the team and the quick replies, and mends what failed. Drives Chromium."""

from typing import Any

import pytest
from playwright.sync_api import expect

from crm.models import Creator, Membership, MessageStatus, QuickReply, Role
from crm.tests.factories import FanFactory, MembershipFactory, UserFactory
from messaging.models import SendingProfile
from messaging.tests.factories import delivery_make
from onlyfans.services import account_connect
from tests.browser import EMAIL, EVERYWHERE, SCREENS, assert_accessible, complaints_of, page_of, sign_in
from tests.words import ENGLISH, FRENCH, Words

pytestmark = pytest.mark.browser


@pytest.fixture
def creator(transactional_db: None, sqs_queues: Any) -> Creator:
    creator = MembershipFactory.create(user__email=EMAIL, creator__name="Ava Noir", role=Role.OWNER).creator
    # Without one nothing would be said to go out.
    account_connect(creator=creator, account_id="acct_demo1", api_key="sim_key_demo1")
    return creator


@EVERYWHERE
def test_an_owner_looks_after_the_team_and_the_quick_replies(
    creator: Creator, live_server: Any, screen: dict[str, Any], scheme: Any, say: Words
) -> None:
    UserFactory.create(email="mia@example.com", name="Mia Chat")
    with page_of(live_server.url, screen, scheme, say) as page:
        page.on("dialog", lambda asked: asked.accept())
        complaints = complaints_of(page, "Security Policy")
        page.goto("/")
        sign_in(page, say)
        page.locator("summary").click()
        page.get_by_role("link", name=say("Settings")).click()
        add = page.get_by_role("button", name=say("Add to the team"))
        email = page.get_by_label(say("E-mail address of somebody new"))
        email.fill("nobody@example.com")
        add.click()
        expect(page.get_by_text(say("Nobody signs in here with this address; they need an account."))).to_be_visible()
        expect(email).to_be_focused()
        assert_accessible(page)
        email.fill("mia@example.com")
        add.click()
        role = page.get_by_label(say("Role of %(called)s", called="Mia Chat"))
        role.select_option("manager")
        save = f"{say('Save')} {say('the role of %(called)s', called='Mia Chat')}"
        page.get_by_role("button", name=save).click()
        saved = page.get_by_role("status").get_by_text(say("Saved"), exact=True)
        expect(saved).to_be_visible()
        page.get_by_role("button", name=f"{say('Remove')} User").click()
        last = say("This is the last owner. Make somebody else an owner first.")
        expect(page.get_by_role("alert").get_by_text(last)).to_be_visible()
        assert_accessible(page)

        shortcut, add = page.get_by_label(say("New shortcut")), page.get_by_role("button", name=say("Add"), exact=True)
        shortcut.fill("Big One")
        page.get_by_label(say("Its text")).fill("Hey {name}")
        add.click()
        expect(page.get_by_text(say("A shortcut is 1 to 30 small letters, digits and hyphens."))).to_be_visible()
        shortcut.fill("hello")
        add.click()
        text = page.get_by_label(say("Text"), exact=True)
        text.fill("Hello {name}")
        page.get_by_role("button", name=f"{say('Save')} /hello").click()
        expect(shortcut).to_have_value("")
        assert_accessible(page)
        page.reload()
        expect(text).to_have_value("Hello {name}")
        page.get_by_role("button", name=f"{say('Delete')} /hello").click()
        expect(text).to_have_count(0)
    assert complaints == []
    assert Membership.objects.get(user__email="mia@example.com").role == Role.MANAGER
    assert not QuickReply.objects.exists()


@EVERYWHERE
def test_an_owner_sends_slower_and_counts_by_other_days(
    creator: Creator, live_server: Any, screen: dict[str, Any], scheme: Any, say: Words
) -> None:
    with page_of(live_server.url, screen, scheme, say) as page:
        page.goto("/sign-in?next=/settings")
        sign_in(page, say)
        messages = page.get_by_label(say("Messages in any %(seconds)s seconds", seconds=60))
        save = page.get_by_role("button", name=f"{say('Save')} {say('the sending limit')}")
        messages.fill("11")
        save.click()
        expect(page.get_by_text(say("From 1 to %(most)s: the platform allows no more.", most=10))).to_be_visible()
        expect(messages).to_be_focused()
        assert_accessible(page)
        messages.fill("6")
        page.get_by_label(say("Seconds between two")).fill("4.5")
        save.click()
        expect(page.get_by_text(say("%(messages)s in any %(seconds)s seconds", messages=6, seconds=60))).to_be_visible()

        page.get_by_label(say("Time zone")).select_option("Asia/Tokyo")
        page.get_by_role("button", name=f"{say('Save')} {say('the time zone')}").click()
        expect(page.get_by_role("status").get_by_text(say("Saved"), exact=True)).to_have_count(2)
        expect(page.get_by_label(say("Time zone"))).to_have_value("Asia/Tokyo")
        assert_accessible(page)

        other = ENGLISH if say is FRENCH else FRENCH
        language = page.get_by_role("region", name=say("Language"))
        language.get_by_role("button", name={"en": "English", "fr": "Français"}[other.language]).click()
        expect(page.get_by_role("heading", name=other("Settings"))).to_be_visible()

    # Another browser asks for its own language until it knows who is there.
    with page_of(live_server.url, screen, scheme, say) as page:
        page.goto("/sign-in?next=/settings")
        sign_in(page, say)
        expect(page.get_by_role("heading", name=other("Settings"))).to_be_visible()
    profile = SendingProfile.objects.get(creator=creator)
    assert (profile.limit_messages, profile.min_gap_ms) == (6, 4_500)
    assert Creator.objects.get(pk=creator.pk).time_zone == "Asia/Tokyo"


@SCREENS
def test_what_failed_is_found_on_the_status_page_and_sent_again(
    creator: Creator, live_server: Any, screen: dict[str, Any], scheme: Any
) -> None:
    fan = FanFactory.create(creator=creator, name="Léa Martin")
    delivery_make(fan=fan, state=MessageStatus.FAILED, reason="The fan cannot be reached.")
    with page_of(live_server.url, screen, scheme) as page:
        page.goto("/")
        sign_in(page)
        page.locator("summary").click()
        page.get_by_role("link", name="Is sending working?").click()
        expect(page.get_by_text("One message needs you")).to_be_visible()
        assert_accessible(page)
        page.get_by_role("button", name="Retry Léa Martin").click()
        expect(page.get_by_text("No message failed or is in doubt.")).to_be_visible()
        expect(page.get_by_text("What waits goes out in its turn.")).to_be_visible()
        assert_accessible(page)
