"""Answers whether the analytics page tells numbers with their meaning. Touches the test database."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from crm.models import Role
from crm.tests.factories import FanFactory, MembershipFactory

pytestmark = pytest.mark.django_db
PAGE = "/platforms/onlyfans/analytics"


@pytest.fixture
def membership():
    return MembershipFactory()


def page(membership) -> str:
    client = Client()
    client.force_login(membership.user)
    response = client.get(PAGE)
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
