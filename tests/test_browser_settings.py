"""Answers whether an owner looks after the team and the quick replies, and mends what failed. Drives Chromium."""

from typing import Any

import pytest
from playwright.sync_api import expect

from crm.models import Creator, Membership, MessageStatus, QuickReply, Role
from crm.tests.factories import FanFactory, MembershipFactory, UserFactory
from messaging.tests.factories import delivery_make
from tests.browser import EMAIL, SCREENS, assert_accessible, chromium, sign_in

pytestmark = pytest.mark.browser


@pytest.fixture
def creator(transactional_db: None, sqs_queues: Any) -> Creator:
    return MembershipFactory.create(user__email=EMAIL, creator__name="Ava Noir", role=Role.OWNER).creator


@SCREENS
def test_an_owner_looks_after_the_team_and_the_quick_replies(
    creator: Creator, live_server: Any, screen: dict[str, Any], scheme: Any
) -> None:
    UserFactory.create(email="mia@example.com", name="Mia Chat")
    with chromium() as browser:
        context = browser.new_context(color_scheme=scheme, reduced_motion="reduce", base_url=live_server.url, **screen)
        page = context.new_page()
        page.on("dialog", lambda asked: asked.accept())
        page.goto("/")
        sign_in(page)
        page.locator("summary").click()
        page.get_by_role("link", name="Settings").click()
        add, email = page.get_by_role("button", name="Add to the team"), page.get_by_label("E-mail address of somebody")
        email.fill("nobody@example.com")
        add.click()
        expect(page.get_by_text("Nobody signs in here with this address")).to_be_visible()
        expect(email).to_be_focused()
        assert_accessible(page)
        email.fill("mia@example.com")
        add.click()
        role = page.get_by_label("Role of Mia Chat")
        role.select_option("manager")
        page.get_by_role("button", name="Save the role of Mia Chat").click()
        expect(page.get_by_text("Saved", exact=True)).to_be_visible()
        page.get_by_role("button", name="Remove User").click()
        expect(page.get_by_role("alert").get_by_text("This is the last owner.")).to_be_visible()
        assert_accessible(page)

        page.get_by_label("New shortcut").fill("Big One")
        page.get_by_label("Its text").fill("Hey {name}")
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.get_by_text("small letters, digits and hyphens")).to_be_visible()
        page.get_by_label("New shortcut").fill("hello")
        page.get_by_role("button", name="Add", exact=True).click()
        page.get_by_label("Text", exact=True).fill("Hello {name}")
        page.get_by_role("button", name="Save /hello").click()
        expect(page.get_by_label("New shortcut")).to_have_value("")
        assert_accessible(page)
        page.reload()
        expect(page.get_by_label("Text", exact=True)).to_have_value("Hello {name}")
        page.get_by_role("button", name="Delete /hello").click()
        expect(page.get_by_label("Text", exact=True)).to_have_count(0)
        context.close()
    assert Membership.objects.get(user__email="mia@example.com").role == Role.MANAGER
    assert not QuickReply.objects.exists()


@SCREENS
def test_what_failed_is_found_on_the_status_page_and_sent_again(
    creator: Creator, live_server: Any, screen: dict[str, Any], scheme: Any
) -> None:
    fan = FanFactory.create(creator=creator, name="Léa Martin")
    delivery_make(fan=fan, state=MessageStatus.FAILED, reason="The fan cannot be reached.")
    with chromium() as browser:
        context = browser.new_context(color_scheme=scheme, reduced_motion="reduce", base_url=live_server.url, **screen)
        page = context.new_page()
        page.goto("/")
        sign_in(page)
        page.locator("summary").click()
        page.get_by_role("link", name="Is sending working?").click()
        expect(page.get_by_text("One message needs you")).to_be_visible()
        assert_accessible(page)
        page.get_by_role("button", name="Retry Léa Martin").click()
        expect(page.get_by_text("Everything that was due has gone out.")).to_be_visible()
        expect(page.get_by_text("What waits goes out in its turn.")).to_be_visible()
        assert_accessible(page)
        context.close()
