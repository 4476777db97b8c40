"""Layout: no page wider than its window, no inbox taller, and what stands in the way of sending on every screen."""

from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from crm.models import Conversation, Role
from crm.tests.factories import ConversationFactory, MembershipFactory
from messaging.models import SendingProfile
from onlyfans.services import account_connect
from tests.browser import EMAIL, page_of, sign_in
from tests.words import ENGLISH, FRENCH, Words

pytestmark = pytest.mark.browser
WIDTHS = (390, 768, 820, 1024, 1199, 1440)
LONG = "Wilhelmina-Alexandrina Featherstonehaugh-Cholmondeley of Llanfairpwllgwyngyll"


@pytest.fixture
def conversation(transactional_db: None, sqs_queues: Any) -> Conversation:
    creator = MembershipFactory.create(user__email=EMAIL, creator__name=LONG, role=Role.OWNER).creator
    # More than any window holds, each with words that are hidden from view alone.
    rows = [
        ConversationFactory.create(
            fan__creator=creator, fan__name=f"{LONG} {number}", fan__value_cents=99_999_99, unread_count=number
        )
        for number in range(40)
    ]
    return rows[0]


def assert_fits(page: Page, *, height: bool) -> None:
    size = page.evaluate(
        "[document.documentElement.scrollWidth - innerWidth, document.documentElement.scrollHeight - innerHeight]"
    )
    assert size[0] <= 0, (page.url, page.viewport_size, size)
    assert not height or size[1] <= 0, (page.url, page.viewport_size, size)


@pytest.mark.parametrize("say", [ENGLISH, FRENCH], ids=["en", "fr"])
def test_no_page_is_wider_than_its_window_and_the_inbox_is_as_high(
    conversation: Conversation, live_server: Any, say: Words
) -> None:
    inbox = ("/messages/onlyfans", f"/messages/onlyfans/{conversation.pk}")
    others = (
        "/messages/onlyfans/status",
        "/messages/campaigns",
        "/messages/bulk",
        "/platforms/onlyfans/fans",
        f"/platforms/onlyfans/fans/{conversation.fan_id}",
        "/platforms/onlyfans/import",
        "/platforms/onlyfans/analytics",
        "/platforms/onlyfans/analytics/fans",
        "/platforms/onlyfans/analytics/sales",
        "/platforms/connect/onlyfans",
        "/settings",
        "/settings/changes",
        "/sign-ins",
        "/security/",
    )
    with page_of(live_server.url, say=say) as page:
        page.goto("/sign-in")
        sign_in(page, say)
        expect(page.locator("#conversations")).to_be_visible()
        # French needs the more room.
        for path in (*inbox, *(others if say is FRENCH else ())):
            page.goto(path)
            page.wait_for_load_state()
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 800})
                assert_fits(page, height=path in inbox)


@pytest.mark.parametrize("width", [390, 1024])
def test_a_pause_is_seen_beside_an_open_conversation(conversation: Conversation, live_server: Any, width: int) -> None:
    # Without an account the page says that first.
    account_connect(creator=conversation.creator, account_id="acct_layout", api_key="key_layout")
    SendingProfile.objects.create(
        creator=conversation.creator, paused_at=timezone.now(), paused_reason="The session ended."
    )
    with page_of(live_server.url, {"viewport": {"width": width, "height": 844}}) as page:
        page.goto(f"/sign-in?next=/messages/onlyfans/{conversation.pk}")
        sign_in(page)
        expect(page.get_by_text("Sending is paused.")).to_be_visible()
        expect(page.get_by_role("textbox", name="Message to")).to_be_in_viewport()
        assert_fits(page, height=True)
        page.get_by_role("button", name="Resume sending").click()
        expect(page.get_by_text("Sending goes on.")).to_be_visible()
        assert_fits(page, height=True)
