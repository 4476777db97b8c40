"""Answers whether analytics tells until when the platform's money is stored. Touches the test database."""

from datetime import UTC, datetime

import pytest
from rest_framework.test import APIClient

from crm.tests.factories import MembershipFactory
from onlyfans.models import Resource, SyncState
from onlyfans.services import account_connect

pytestmark = pytest.mark.django_db


def test_revenue_says_when_the_creators_money_was_last_synced() -> None:
    membership, client = MembershipFactory(), APIClient()
    client.force_authenticate(membership.user)
    assert client.get("/api/analytics/revenue").json()["lastSyncAt"] is None
    account = account_connect(creator=membership.creator, account_id="acct_1", api_key="key")
    for resource, day in ((Resource.FANS, 2), (Resource.TRANSACTIONS, 1)):
        SyncState.objects.create(account=account, resource=resource, finished_at=datetime(2026, 11, day, tzinfo=UTC))
    assert client.get("/api/analytics/revenue").json()["lastSyncAt"] == "2026-11-01T00:00:00Z"
