"""Answers what the tests of reports share: a moment that stands still, and a creator whose day is not UTC's.
Touches the clock and the test database."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

from analytics.tests.test_api import api
from crm.models import Fan, Membership
from crm.tests.factories import FanFactory, MembershipFactory

NOW = datetime(2026, 11, 18, 20, tzinfo=UTC)


@pytest.fixture
def a_day() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def membership() -> Membership:
    return MembershipFactory.create(creator__time_zone="Asia/Tokyo")


@pytest.fixture
def fan(membership: Membership) -> Fan:
    return FanFactory.create(creator=membership.creator)


def ask(membership: Membership, report: str, **query: Any) -> Any:
    answer = api(membership.user).get(f"/api/analytics/{report}", query)
    assert answer.status_code == 200, answer.content
    return answer.json()
