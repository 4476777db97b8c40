"""Answers whether a person writes to many fans, sees whom it reaches first, and stops it. Drives Chromium."""

from typing import Any

import pytest
from playwright.sync_api import expect

from crm.models import Creator, Fan, Role
from crm.tests.factories import MembershipFactory
from messaging.models import Campaign, Delivery
from messaging.tests.campaigns import launch
from onlyfans.services import account_connect
from tests.browser import EMAIL, EVERYWHERE, SCREENS, assert_accessible, choose, complaints_of, page_of, sign_in
from tests.words import Words

pytestmark = pytest.mark.browser


@pytest.fixture
def creator(transactional_db: None, sqs_queues: Any) -> Creator:
    creator = MembershipFactory.create(user__email=EMAIL, creator__name="Ava Noir", role=Role.OWNER).creator
    # Without one nothing would be said to go out.
    account_connect(creator=creator, account_id="acct_demo1", api_key="sim_key_demo1")
    Fan.objects.bulk_create(
        Fan(creator=creator, platform_id=str(n), handle=f"fan{n}", name=f"Fan {n}", tags=["vip"] if n < 14 else [])
        for n in range(30)
    )
    return creator


@EVERYWHERE
def test_a_campaign_is_written_counted_confirmed_paused_and_cancelled(
    creator: Creator, live_server: Any, screen: dict[str, Any], scheme: Any, say: Words
) -> None:
    with page_of(live_server.url, screen, scheme, say) as page:
        console = complaints_of(page)
        page.goto("/")
        sign_in(page, say)
        choose(page, say("Campaigns"), say)
        assert_accessible(page)
        page.get_by_role("link", name=say("Write a campaign")).first.click()
        unsaid = "Choose who gets it, and you see here how many fans that are and when it will be done."
        expect(page.get_by_text(say(unsaid))).to_be_visible()
        page.get_by_role("button", name=say("Review and send")).click()
        expect(page.get_by_text(say("Choose at least one condition, or all fans."))).to_be_visible()
        assert_accessible(page)
        page.get_by_label(say("All fans")).check()
        expect(page.get_by_text(say("%(total)s fans", total=30, count=30))).to_be_visible()
        page.get_by_label(say("All who match")).check()
        page.get_by_label(say("Tags")).fill("vip")
        fans = page.get_by_text(say("%(total)s fans", total=14, count=14))
        expect(fans).to_be_visible()
        assert_accessible(page)

        send = page.get_by_role("button", name=say("Review and send"))
        send.click()
        expect(page.get_by_text(say("Write a message, or add media."))).to_be_visible()
        page.get_by_label(say("Name of the campaign")).fill("Weekend")
        page.get_by_label(say("Message"), exact=True).fill("Hey ")
        page.get_by_role("button", name="{name}").click()
        expect(page.get_by_text("Hey Fan 13", exact=True)).to_be_visible()
        price = page.get_by_label(say("Price in dollars"))
        price.fill("5")
        expect(page.get_by_text(say("Only a message with media can have a price."))).to_be_visible()
        assert_accessible(page)
        # What the browser itself notes of a refusal.
        assert all("400" in line for line in console)
        console.clear()
        price.fill("")

        page.get_by_label(say("Chosen by hand")).check()
        page.get_by_role("checkbox", name="Fan 29").check()
        page.get_by_label(say("Search fans")).fill("fan7")
        page.get_by_role("checkbox", name="Fan 7").check()
        expect(page.get_by_text(say("%(total)s fans", total=2, count=2))).to_be_visible()
        assert_accessible(page)
        page.get_by_label(say("All who match")).check()
        expect(fans).to_be_visible()

        send.click()
        confirm = page.get_by_role("dialog", name=say("Send this campaign?"))
        expect(confirm).to_contain_text(say("%(total)s fans", total=14, count=14))
        expect(confirm).to_contain_text(say("Done about"))
        assert_accessible(page)
        assert page.evaluate("document.activeElement.closest('dialog') !== null")
        confirm.get_by_role("button", name=say("Send to %%s fans").replace("%s", "14")).click()

        expect(
            page.get_by_text(say("%(sent)s of %(totalRecipients)s are sent.", sent=0, totalRecipients=14))
        ).to_be_visible()
        recipients = page.get_by_role("region", name=say("Recipients"))
        expect(recipients.get_by_text(f"{say('Queued')}, {say('expected')}")).not_to_have_count(0)
        assert_accessible(page)
        page.get_by_role("button", name=say("Pause")).click()
        expect(page.get_by_role("button", name=say("Resume"))).to_be_visible()
        page.once("dialog", lambda asked: asked.accept())
        page.get_by_role("button", name=say("Cancel")).click()
        cancelled = "It was cancelled: %(sent)s of %(totalRecipients)s were sent before, and nothing more goes out."
        expect(page.get_by_text(say(cancelled, sent=0, totalRecipients=14))).to_be_visible()
        page.get_by_label(say("Show")).select_option("cancelled")
        expect(recipients.get_by_role("rowheader")).to_have_count(14)
        page.get_by_label(say("Show")).select_option("")
        with page.expect_download() as download:
            page.get_by_role("link", name=say("Export as CSV")).click()
        assert download.value.suggested_filename.startswith("campaign-")
        assert_accessible(page)
    # htmx notes a refresh that a step has ended.
    assert [line for line in console if not line.startswith("htmx:")] == []
    assert Campaign.objects.get().audience == {"tags": ["vip"]}


@EVERYWHERE
def test_fans_ticked_on_the_list_are_written_to(
    creator: Creator, live_server: Any, screen: dict[str, Any], scheme: Any, say: Words
) -> None:
    with page_of(live_server.url, screen, scheme, say) as page:
        page.goto("/sign-in?next=/platforms/onlyfans/fans")
        sign_in(page, say)
        all_shown = page.get_by_label(say("Choose all that are shown"))
        all_shown.check()
        expect(page.get_by_text(say("%%s fans chosen").replace("%s", "30"))).to_be_visible()
        all_shown.uncheck()
        page.get_by_label(say("Choose %(name)s", name="Fan 29")).check()
        page.get_by_label(say("Search")).fill("fan7")
        expect(page.get_by_text("Fan 29")).to_have_count(0)
        page.get_by_label(say("Choose %(name)s", name="Fan 7")).check()
        assert_accessible(page)
        page.get_by_role("button", name=say("Write to them")).click()
        chosen = page.get_by_role("list", name=say("Chosen fans")).get_by_role("button")
        expect(chosen).to_have_count(2)
        expect(page.get_by_label(say("Chosen by hand"))).to_be_checked()
        expect(page.get_by_text(say("%(total)s fans", total=2, count=2))).to_be_visible()
        page.reload()
        expect(chosen).to_have_count(2)
        assert_accessible(page)
        page.get_by_label(say("Name of the campaign")).fill("Two")
        page.get_by_label(say("Message"), exact=True).fill("Hello")
        page.get_by_role("button", name=say("Review and send")).click()
        page.get_by_role("dialog").get_by_role("button", name=say("Send to %%s fans").replace("%s", "2")).click()
        expect(page.get_by_role("region", name=say("Recipients")).get_by_role("rowheader")).to_have_count(2)
    assert sorted(Delivery.objects.values_list("fan__name", flat=True)) == ["Fan 29", "Fan 7"]


@SCREENS
def test_a_long_ledger_is_read_page_by_page_and_stays_where_it_is(
    creator: Creator, live_server: Any, screen: dict[str, Any], scheme: Any
) -> None:
    Fan.objects.bulk_create(Fan(creator=creator, platform_id=f"x{n}", name=f"Extra {n}") for n in range(75))
    campaign = launch(creator, name="All")
    with page_of(live_server.url, screen, scheme) as page:
        page.goto(f"/sign-in?next=/messages/campaigns/{campaign.pk}")
        sign_in(page)
        rows = page.get_by_role("region", name="Recipients").get_by_role("rowheader")
        expect(rows).to_have_count(100)
        page.get_by_role("link", name="Later turns").click()
        expect(rows).to_have_count(5)
        with page.expect_response("**/recipients?**"):
            # What the page does when its tab comes back to the front.
            page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(page.get_by_role("link", name="Earlier turns")).to_be_visible()
        expect(rows).to_have_count(5)
        page.get_by_role("link", name="Earlier turns").click()
        expect(rows).to_have_count(100)
