"""Answers whether the analytics page shows its bars on a phone and on a desk. Drives Chromium."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect

from crm.models import TransactionKind
from crm.tests.factories import FanFactory, MembershipFactory, TransactionFactory
from tests.test_browser_path import DESK, EMAIL, PHONE, assert_accessible, chromium, sign_in

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("screen", "scheme"), [(PHONE, "light"), (DESK, "dark")], ids=["phone", "desk"])
def test_revenue_stands_as_bars_and_as_a_table(transactional_db, settings, live_server, screen, scheme):
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = False
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
