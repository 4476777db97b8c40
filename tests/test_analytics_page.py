"""Answers whether the analytics page shows its bars on a phone and on a desk. Drives Chromium."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

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
from tests.browser import DESK, EMAIL, PHONE, SCREENS, assert_accessible, chromium, sign_in

pytestmark = pytest.mark.browser


@SCREENS
def test_revenue_stands_as_bars_and_as_a_table(transactional_db, live_server, screen, scheme):
    membership = MembershipFactory(user__email=EMAIL, creator__time_zone="Europe/Paris")
    fan = FanFactory(creator=membership.creator, value_cents=90_000)
    for day in range(0, 60, 2):
        TransactionFactory(
            fan=fan,
            kind=list(TransactionKind)[day % 3],
            occurred_at=datetime.now(UTC) - timedelta(days=day),
            gross_cents=1_000 + day * 100,
        )
    console: list[str] = []
    with chromium() as browser:
        page = browser.new_context(color_scheme=scheme, base_url=live_server.url, **screen).new_page()
        page.on("console", lambda line: console.append(line.text) if line.type in {"error", "warning"} else None)
        page.goto("/platforms/onlyfans/analytics")
        sign_in(page)
        expect(page.get_by_role("img", name="Revenue by day")).to_be_visible()
        assert_accessible(page)
        if folder := os.environ.get("SHOTS"):
            page.screenshot(path=Path(folder) / f"analytics-{scheme}.png", full_page=True)
        page.get_by_label("Show", exact=True).select_option("month")
        page.get_by_label("Amount").select_option("gross")
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_role("img", name="Revenue by month")).to_be_visible()
        assert page.locator(".chart g").count() == 12
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
    console: list[str] = []
    with chromium() as browser:
        page = browser.new_context(color_scheme=scheme, base_url=live_server.url, **screen).new_page()
        page.on("console", lambda line: console.append(line.text) if line.type in {"error", "warning"} else None)
        page.goto("/platforms/onlyfans/analytics")
        sign_in(page)
        for tab in ("Fans over time", "What sells", "Definitions"):
            page.get_by_role("navigation", name="Analytics").get_by_role("link", name=tab).click()
            expect(page.get_by_role("navigation", name="Analytics").locator("[aria-current]")).to_have_text(tab)
            assert_accessible(page)
            if folder := os.environ.get("SHOTS"):
                page.screenshot(path=Path(folder) / f"analytics-{tab}-{scheme}.png", full_page=True)
        page.goto("/platforms/onlyfans/analytics/sales")
        page.get_by_text("The same as a table").first.click()
        expect(page.get_by_role("row").filter(has_text="23:00")).to_be_visible()
        with page.expect_download() as download:
            page.get_by_role("region", name="Campaigns").get_by_role("link", name="Download as CSV").click()
        assert download.value.suggested_filename.startswith("campaigns-")
    assert console == []
