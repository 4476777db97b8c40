"""Answers whether a file of transactions shows up in the figures. Touches the database through the import."""

import pytest

from analytics.models import RevenueDay
from crm.tests.factories import FanFactory
from onlyfans.earnings_import import earnings_import

pytestmark = pytest.mark.django_db
TEXT = b"Date,Gross,Net,Fan ID\n2026-06-30,10.00,8.00,7\n2026-06-29,20.00,16.00,7\n"


def test_the_money_of_a_file_is_in_the_revenue_and_in_the_fans_value() -> None:
    fan = FanFactory.create(platform_id="7", value_cents=0)
    for _ in range(2):
        earnings_import(creator=fan.creator, user=None, filename="earnings.csv", content=TEXT)
    fan.refresh_from_db()
    assert fan.value_cents == 3_000
    assert sorted(RevenueDay.objects.filter(creator=fan.creator).values_list("net_cents", flat=True)) == [800, 1_600]
