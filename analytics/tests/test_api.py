"""Answers whether the analytics API counts a creator's own fans, and nobody else's. Touches the test database."""

from datetime import timedelta
from unittest.mock import patch

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from crm.models import Role, User
from crm.statements import statement_run
from crm.tests.factories import FanFactory, MembershipFactory

pytestmark = pytest.mark.django_db


def api(user: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.fixture
def membership():
    return MembershipFactory()


def test_the_overview_counts_the_creators_own_fans(membership):
    FanFactory(creator=membership.creator, value_cents=100, last_seen_at=timezone.now() - timedelta(days=29))
    FanFactory(creator=membership.creator, value_cents=50, last_seen_at=timezone.now() - timedelta(days=31))
    FanFactory(creator=membership.creator, value_cents=0, last_seen_at=None)
    FanFactory(value_cents=10_000, last_seen_at=timezone.now())
    FanFactory(creator=membership.creator, value_cents=7, last_seen_at=timezone.now(), deleted_at=timezone.now())
    answer = api(membership.user).get("/api/analytics/overview").json()
    assert answer.pop("asOf")
    assert answer.pop("revenue")["period"]["total"]["count"] == 0
    assert answer == {"totalFans": 3, "activeFans": 1, "lifetimeValueCents": 150}


def test_the_overview_counts_fans_without_reading_their_rows(membership):
    with patch("analytics.selectors.statement_run", wraps=statement_run) as asked:
        api(membership.user).get("/api/analytics/overview")
    [(sql, values)] = [call.args for call in asked.call_args_list]
    with connection.cursor() as cursor:
        # A few rows are read faster by other ways.
        cursor.execute(
            "SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off"
        )
    plan = statement_run(f"EXPLAIN {sql}", values)
    assert any("Index Only Scan using fan_present_by_value" in line for (line,) in plan), plan


def test_a_creator_without_fans_has_zeros(membership):
    answer = api(membership.user).get("/api/analytics/overview").json()
    assert (answer["totalFans"], answer["activeFans"], answer["lifetimeValueCents"]) == (0, 0, 0)


def test_top_fans_come_by_value_at_most_as_many_as_asked(membership):
    for value in (10, 30, 20, 0):
        FanFactory(creator=membership.creator, value_cents=value)
    client = api(membership.user)
    everyone = client.get("/api/analytics/top-fans").json()["results"]
    assert [fan["valueCents"] for fan in everyone] == [30, 20, 10]
    assert set(everyone[0]) == {"id", "name", "handle", "avatar", "valueCents", "lastSeenAt"}
    assert len(client.get("/api/analytics/top-fans?limit=2").json()["results"]) == 2


@pytest.mark.parametrize("limit", ["0", "101", "many"])
def test_a_limit_out_of_range_is_refused(membership, limit):
    response = api(membership.user).get(f"/api/analytics/top-fans?limit={limit}")
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "limit"


@pytest.mark.parametrize("path", ["overview", "top-fans", "revenue"])
def test_an_analyst_of_the_team_reads(membership, path):
    analyst = MembershipFactory(creator=membership.creator, role=Role.ANALYST)
    assert api(analyst.user).get(f"/api/analytics/{path}").status_code == 200


@pytest.mark.parametrize("path", ["overview", "top-fans", "revenue"])
def test_a_stranger_learns_nothing(membership, path):
    stranger = MembershipFactory()
    response = api(stranger.user).get(f"/api/analytics/{path}", headers={"X-Creator": str(membership.creator_id)})
    assert response.status_code == 404


@pytest.mark.parametrize("path", ["overview", "top-fans", "revenue"])
def test_nobody_reads_without_signing_in(path):
    assert APIClient().get(f"/api/analytics/{path}").status_code == 401
