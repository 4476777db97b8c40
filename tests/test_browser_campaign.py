"""Answers whether a person writes to many fans, sees whom it reaches first, and stops it. Drives Chromium."""

from typing import Any

import pytest
from playwright.sync_api import expect

from crm.models import Creator, Fan, Role
from crm.tests.factories import MembershipFactory
from messaging.models import Campaign
from messaging.tests.campaigns import launch
from tests.browser import EMAIL, SCREENS, assert_accessible, choose, chromium, sign_in

pytestmark = pytest.mark.browser


@pytest.fixture
def creator(transactional_db: None, sqs_queues: Any) -> Creator:
    creator = MembershipFactory.create(user__email=EMAIL, creator__name="Ava Noir", role=Role.OWNER).creator
    Fan.objects.bulk_create(
        Fan(creator=creator, platform_id=str(n), handle=f"fan{n}", name=f"Fan {n}", tags=["vip"] if n < 14 else [])
        for n in range(30)
    )
    return creator


@SCREENS
def test_a_campaign_is_written_counted_confirmed_paused_and_cancelled(
    creator: Creator, live_server: Any, screen: dict[str, Any], scheme: Any
) -> None:
    console: list[str] = []
    with chromium() as browser:
        context = browser.new_context(color_scheme=scheme, reduced_motion="reduce", base_url=live_server.url, **screen)
        page = context.new_page()
        page.on("console", lambda line: console.append(line.text) if line.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: console.append(str(error)))
        page.goto("/")
        sign_in(page)
        choose(page, "Campaigns")
        assert_accessible(page)
        page.get_by_role("link", name="Write a campaign").first.click()
        expect(page.get_by_text("30 fans")).to_be_visible()
        page.get_by_label("Tags").fill("vip")
        expect(page.get_by_text("14 fans")).to_be_visible()
        assert_accessible(page)

        send = page.get_by_role("button", name="Review and send")
        send.click()
        expect(page.get_by_text("Write a message, or add media.")).to_be_visible()
        page.get_by_label("Name of the campaign").fill("Weekend")
        page.get_by_label("Message", exact=True).fill("Hey ")
        page.get_by_role("button", name="{name}").click()
        expect(page.get_by_text("Hey Fan 13", exact=True)).to_be_visible()
        page.get_by_label("Price in dollars").fill("5")
        expect(page.get_by_text("Only a message with media can have a price.")).to_be_visible()
        assert_accessible(page)
        # What the browser itself notes of a refusal.
        assert all("400" in line for line in console)
        console.clear()
        page.get_by_label("Price in dollars").fill("")

        page.get_by_label("Chosen by hand").check()
        page.get_by_role("checkbox", name="Fan 29").check()
        page.get_by_label("Search fans").fill("fan7")
        page.get_by_role("checkbox", name="Fan 7").check()
        expect(page.get_by_text("2 fans")).to_be_visible()
        assert_accessible(page)
        page.get_by_label("All who match").check()
        expect(page.get_by_text("14 fans")).to_be_visible()

        send.click()
        confirm = page.get_by_role("dialog", name="Send this campaign?")
        expect(confirm).to_contain_text("14 fans get this. Done about")
        assert_accessible(page)
        assert page.evaluate("document.activeElement.closest('dialog') !== null")
        confirm.get_by_role("button", name="Send to 14 fans").click()

        expect(page.get_by_text("0 of 14 are sent.")).to_be_visible()
        expect(page.get_by_role("region", name="Recipients").get_by_text("Queued, expected")).not_to_have_count(0)
        assert_accessible(page)
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_text("It is paused")).to_be_visible()
        page.once("dialog", lambda asked: asked.accept())
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_text("nothing more goes out")).to_be_visible()
        page.get_by_label("Show").select_option("cancelled")
        expect(page.get_by_role("region", name="Recipients").get_by_role("rowheader")).to_have_count(14)
        page.get_by_label("Show").select_option("")
        with page.expect_download() as download:
            page.get_by_role("link", name="Export as CSV").click()
        assert download.value.suggested_filename.startswith("campaign-")
        assert_accessible(page)
        context.close()
    # htmx notes a refresh that a step has ended.
    assert [line for line in console if not line.startswith("htmx:")] == []
    assert Campaign.objects.get().audience == {"tags": ["vip"]}


@SCREENS
def test_a_long_ledger_is_read_page_by_page_and_stays_where_it_is(
    creator: Creator, live_server: Any, screen: dict[str, Any], scheme: Any
) -> None:
    Fan.objects.bulk_create(Fan(creator=creator, platform_id=f"x{n}", name=f"Extra {n}") for n in range(75))
    campaign = launch(creator, name="All")
    with chromium() as browser:
        context = browser.new_context(color_scheme=scheme, reduced_motion="reduce", base_url=live_server.url, **screen)
        page = context.new_page()
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
        context.close()
