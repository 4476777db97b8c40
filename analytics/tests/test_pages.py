"""Answers whether the analytics page tells numbers with their meaning. Touches the test database."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from crm.models import Role
from crm.tests.factories import FanFactory, MembershipFactory, TransactionFactory

pytestmark = pytest.mark.django_db
PAGE = "/platforms/onlyfans/analytics"


@pytest.fixture
def membership():
    return MembershipFactory()


def page(membership, query: str = "") -> str:
    client = Client()
    client.force_login(membership.user)
    response = client.get(PAGE + query)
    assert response.status_code == 200
    return response.content.decode()


def test_a_visitor_is_asked_to_sign_in():
    assert Client().get(PAGE).headers["Location"] == f"/sign-in?next={PAGE}"


def test_numbers_stand_with_their_definitions(membership):
    FanFactory(creator=membership.creator, value_cents=150_00, last_seen_at=timezone.now())
    FanFactory(creator=membership.creator, value_cents=50_00, last_seen_at=timezone.now() - timedelta(days=31))
    FanFactory(value_cents=999_00)
    html = page(membership)
    for words in ("$200.00", "Seen in the last 30 days, 50.0% of all", "What all fans together have spent"):
        assert words in html
    assert "$999.00" not in html


def test_a_bar_is_as_long_as_the_value_beside_the_highest(membership):
    FanFactory(creator=membership.creator, value_cents=200)
    FanFactory(creator=membership.creator, value_cents=50)
    html = page(membership)
    assert 'aria-label="100.0% of the highest value"' in html
    assert '<rect width="25.0"' in html


def test_without_fans_it_leads_to_the_import(membership):
    html = page(membership)
    assert "Nothing to count yet" in html
    assert 'href="/platforms/onlyfans/import"' in html


def test_fans_who_spent_nothing_are_no_top_fans(membership):
    FanFactory(creator=membership.creator, value_cents=0)
    assert "Nobody has spent anything yet" in page(membership)


def test_an_analyst_reads_and_is_not_offered_to_write(membership):
    FanFactory(creator=membership.creator, value_cents=100)
    assert "/write" in page(membership)
    assert "/write" not in page(MembershipFactory(creator=membership.creator, role=Role.ANALYST))


def test_revenue_stands_as_bars_with_its_zone_and_definitions(membership):
    membership.creator.time_zone = "Asia/Tokyo"
    membership.creator.save()
    TransactionFactory(fan=FanFactory(creator=membership.creator), occurred_at=timezone.now())
    TransactionFactory(occurred_at=timezone.now(), gross_cents=99_900)
    html = page(membership)
    for words in ("$8.00 net", "Days are those of Asia/Tokyo, amounts in USD", "Not synced with the platform yet"):
        assert words in html
    assert html.count('class="chart__hit"') == 30
    assert "$999.00" not in html


def test_the_page_switches_to_gross_and_months(membership):
    TransactionFactory(fan=FanFactory(creator=membership.creator), occurred_at=timezone.now())
    html = page(membership, "?interval=month&figure=gross")
    assert "$10.00 gross" in html
    assert html.count('class="chart__hit"') == 12


@pytest.mark.parametrize("query", ["?from=soon", "?interval=year", "?from=2026-02-01&to=2026-01-01", "?to=9999-12-31"])
def test_a_range_that_makes_no_sense_is_said_on_the_page(membership, query):
    FanFactory(creator=membership.creator)
    assert 'role="alert"' in page(membership, query)


def test_the_file_has_what_the_page_shows(membership):
    TransactionFactory(fan=FanFactory(creator=membership.creator), occurred_at=timezone.now())
    client = Client()
    client.force_login(membership.user)
    answer = client.get(f"{PAGE}/revenue.csv?interval=month")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert (len(answer.content.splitlines()), b",10.00,2.00,8.00," in answer.content) == (13, True)
    assert client.get(f"{PAGE}/revenue.csv?from=soon").status_code == 400
