"""Answers whether a large creator's report may be some minutes old, and says so. Touches the test database."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from analytics import recent_answers
from analytics.tests.conftest import NOW, ask
from crm.models import Fan, Membership
from crm.tests.factories import FanFactory, TransactionFactory

pytestmark = pytest.mark.django_db
REPORTS = ("cohorts", "churn", "hours", "campaign-revenue", "chatters")


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """A clock that stands still."""
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """One transaction is many."""
    monkeypatch.setattr(recent_answers, "MANY", 0)


def fans_begun(membership: Membership) -> tuple[int, str]:
    answer: Any = ask(membership, "cohorts")
    return answer["results"][-1]["fans"], answer["asOf"]


def pay(fan: Fan) -> None:
    TransactionFactory(fan=fan, occurred_at=datetime(2026, 11, 18, tzinfo=UTC))


@pytest.mark.usefixtures("large")
def test_a_large_creators_answer_is_a_quarter_of_an_hour_old_at_most_and_says_so(clock, membership, fan):
    pay(fan)
    assert fans_begun(membership) == (1, "2026-11-18T20:00:00Z")
    pay(FanFactory(creator=membership.creator))
    clock.shift(timedelta(minutes=14))
    assert fans_begun(membership) == (1, "2026-11-18T20:00:00Z")
    clock.shift(timedelta(minutes=2))
    assert fans_begun(membership) == (2, "2026-11-18T20:16:00Z")


def test_another_creators_answer_is_of_now(clock, membership, fan):
    pay(fan)
    assert fans_begun(membership) == (1, "2026-11-18T20:00:00Z")
    pay(FanFactory(creator=membership.creator))
    clock.shift(timedelta(minutes=1))
    assert fans_begun(membership) == (2, "2026-11-18T20:01:00Z")


@pytest.mark.usefixtures("large")
def test_a_new_time_zone_is_answered_at_once(clock, membership, fan):
    pay(fan)
    fans_begun(membership)
    clock.shift(timedelta(minutes=1))
    membership.creator.time_zone = "Europe/Paris"
    membership.creator.save()
    assert fans_begun(membership) == (1, "2026-11-18T20:01:00Z")


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("report", REPORTS)
def test_every_slow_report_tells_the_age_of_its_answer(clock, membership, fan, report):
    pay(fan)
    first = ask(membership, report)
    clock.shift(timedelta(minutes=5))
    assert ask(membership, report) == first
    assert first["asOf"] == "2026-11-18T20:00:00Z"
