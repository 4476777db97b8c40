"""Answers whether the analytics page shows its bars on a phone and on a desk. Drives Chromium."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from crm.models import TransactionKind
from crm.tests.factories import (
    ConversationFactory,
    FanFactory,
    MembershipFactory,
    MessageFactory,
    TransactionFactory,
)
from messaging.models import Campaign
from tests.browser import DESK, EMAIL, EVERYWHERE, PHONE, assert_accessible, complaints_of, page_of, sign_in

pytestmark = pytest.mark.browser


@EVERYWHERE
def test_revenue_stands_as_bars_and_as_a_table_and_is_exported(transactional_db, live_server, screen, scheme, say):
    membership = MembershipFactory(user__email=EMAIL, creator__time_zone="Europe/Paris")
    fan = FanFactory(creator=membership.creator, value_cents=90_000)
    for day in range(0, 60, 2):
        TransactionFactory(
            fan=fan,
            kind=list(TransactionKind)[day % 3],
            occurred_at=datetime.now(UTC) - timedelta(days=day),
            gross_cents=1_000 + day * 100,
        )
    with page_of(live_server.url, screen, scheme, say) as page:
        console = complaints_of(page)
        page.goto("/platforms/onlyfans/analytics")
        sign_in(page, say)
        by_day = say("Revenue by day; the table below has the same numbers")
        expect(page.get_by_role("img", name=by_day)).to_be_visible()
        assert_accessible(page)
        page.get_by_label(say("Show"), exact=True).select_option("month")
        page.get_by_label(say("Amount")).select_option("gross")
        page.get_by_role("button", name=say("Show")).click()
        by_month = say("Revenue by month; the table below has the same numbers")
        expect(page.get_by_role("img", name=by_month)).to_be_visible()
        assert page.locator(".chart g").count() == 12
        table = page.get_by_role("region", name=say("Table of revenue"), exact=True)
        expect(table.get_by_role("row")).to_have_count(13)
        assert_accessible(page)
        with page.expect_download() as download:
            page.get_by_role("region", name=say("Revenue")).get_by_role("link", name=say("Download as CSV")).click()
        assert download.value.suggested_filename.startswith("revenue-")
    assert console == []


@pytest.mark.parametrize(("screen", "scheme"), [(PHONE, "dark"), (DESK, "light")], ids=["phone", "desk"])
def test_each_part_of_analytics_opens_by_its_tab(transactional_db, live_server, screen, scheme):
    membership, now = MembershipFactory(user__email=EMAIL, creator__time_zone="Europe/Paris"), datetime.now(UTC)
    for number in range(30):
        fan = FanFactory(creator=membership.creator, value_cents=900 * number)
        for month in range(number % 6 + 1):
            at = now - timedelta(days=30 * month, hours=number)
            TransactionFactory(fan=fan, occurred_at=at, kind=TransactionKind.RECURRING, gross_cents=1_000 + number)
    Campaign.objects.create(creator=membership.creator, name="The autumn set for everybody who asked", content="hi")
    conversation = ConversationFactory(fan=fan)
    MessageFactory(conversation=conversation, created_at=now - timedelta(minutes=40))
    MessageFactory(conversation=conversation, outbound=True, sender=membership.user, created_at=now)
    with page_of(live_server.url, screen, scheme) as page:
        console = complaints_of(page)
        page.goto("/platforms/onlyfans/analytics")
        sign_in(page)
        for tab in ("Fans over time", "What sells", "Definitions"):
            page.get_by_role("navigation", name="Analytics").get_by_role("link", name=tab).click()
            expect(page.get_by_role("navigation", name="Analytics").locator("[aria-current]")).to_have_text(tab)
            assert_accessible(page)
        page.goto("/platforms/onlyfans/analytics/sales")
        page.get_by_text("The same as a table").first.click()
        expect(page.get_by_role("row").filter(has_text="23:00")).to_be_visible()
        with page.expect_download() as download:
            page.get_by_role("region", name="Campaigns").get_by_role("link", name="Download as CSV").click()
        assert download.value.suggested_filename.startswith("campaigns-")
    assert console == []
