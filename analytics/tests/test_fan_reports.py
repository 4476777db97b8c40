"""Answers whether tiers, cohorts and churn are told by the creator's own months, to the cent.
Touches the test database."""

from datetime import UTC, datetime
from typing import Any

import pytest

from analytics.tests.conftest import NOW, ask
from analytics.tests.test_api import api
from crm.models import Fan, TransactionKind, TransactionStatus
from crm.tests.factories import FanFactory, TransactionFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("a_day")]


def pay(fan: Fan, *when: int, **fields: Any) -> None:
    TransactionFactory(fan=fan, occurred_at=datetime(*when, tzinfo=UTC), **fields)  # type: ignore[misc]


def subscribe(fan: Fan, *months: int, kind: TransactionKind = TransactionKind.RECURRING) -> None:
    for month in months:
        pay(fan, 2026, month, 10, kind=kind)


def churn(membership, **query: Any) -> dict[str, Any]:
    return {row.pop("month")[:7]: row for row in ask(membership, "churn", **query)["results"]}


def test_a_tier_has_its_part_of_the_paying_fans_rounded_up(membership):
    FanFactory(creator=membership.creator, value_cents=0)
    for value in (*[100] * 98, 5_000, 5_200, 10_000):
        FanFactory(creator=membership.creator, value_cents=value)
    FanFactory(value_cents=1_000_000)
    answer = ask(membership, "tiers")
    assert (answer["payingFans"], answer["valueCents"]) == (101, 30_000)
    assert answer["results"][0] == {
        "percent": 1,
        "fans": 2,
        "fromCents": 5_200,
        "valueCents": 15_200,
        "sharePercent": 50.7,
    }
    assert [row["fans"] for row in answer["results"]] == [2, 6, 21]


def test_without_a_paying_fan_there_are_no_tiers(membership, fan):
    answer = ask(membership, "tiers")
    assert (answer["payingFans"], answer["results"], answer["timeZone"]) == (0, [], "Asia/Tokyo")


def test_a_fan_stays_in_the_month_of_their_first_payment(membership, fan):
    other = FanFactory(creator=membership.creator)
    pay(fan, 2026, 8, 31, 15)  # September in Tokyo
    pay(fan, 2026, 11, 1)
    pay(fan, 2026, 11, 2, net_cents=500)
    pay(other, 2026, 9, 3)
    [september, october, november] = ask(membership, "cohorts", months=3)["results"]
    assert (september["firstMonth"], september["fans"], september["netCents"]) == ("2026-09-01", 2, 2_900)
    assert [(each["month"], each["fans"], each["percent"], each["netCents"]) for each in september["months"]] == [
        (0, 2, 100.0, 1_600),
        (1, 0, 0.0, 0),
        (2, 1, 50.0, 1_300),
    ]
    assert (october["fans"], november["fans"], len(november["months"])) == (0, 0, 1)


def test_who_began_long_ago_is_in_no_cohort_of_later(membership, fan):
    pay(fan, 2025, 1, 5)
    pay(fan, 2026, 11, 5)
    assert sum(row["fans"] for row in ask(membership, "cohorts", months=3)["results"]) == 0


def test_money_that_was_taken_back_or_is_anothers_or_nobodys_makes_no_cohort(membership, fan):
    pay(fan, 2026, 11, 5, status=TransactionStatus.UNDO)
    pay(fan, 2026, 11, 5, currency="EUR")
    TransactionFactory(fan=None, creator=membership.creator, occurred_at=NOW)
    TransactionFactory(occurred_at=NOW)
    assert sum(row["fans"] for row in ask(membership, "cohorts")["results"]) == 0
    assert ask(membership, "cohorts", currency="EUR")["results"][-1]["fans"] == 1


def test_churn_is_who_paid_the_month_before_and_does_not_now(membership, fan):
    new, gone = FanFactory.create_batch(2, creator=membership.creator)
    subscribe(fan, 8, 9, 10, 11)
    subscribe(gone, 8, 9)
    subscribe(new, 10, kind=TransactionKind.SUBSCRIPTION)
    pay(gone, 2026, 10, 3, kind=TransactionKind.TIP)
    found = churn(membership, months=2)
    assert list(found) == ["2026-10", "2026-11"]
    assert found["2026-10"] == {
        "subscribers": 2,
        "joined": 1,
        "kept": 1,
        "lapsed": 1,
        "churnPercent": 50.0,
        "renewals": 1,
        "grossCents": 2_000,
        "netCents": 1_600,
    }


def test_a_month_that_goes_on_has_no_churn_yet(membership, fan):
    subscribe(fan, 10)
    assert churn(membership)["2026-11"]["churnPercent"] is None
    assert churn(membership)["2026-11"]["lapsed"] is None


def test_who_comes_back_after_a_month_has_joined_anew(membership, fan):
    subscribe(fan, 7, 9)
    found = churn(membership)
    assert (found["2026-08"]["lapsed"], found["2026-08"]["churnPercent"]) == (1, 100.0)
    assert (found["2026-09"]["joined"], found["2026-09"]["kept"], found["2026-09"]["churnPercent"]) == (1, 0, None)


def test_months_reach_over_the_turn_of_the_year(membership):
    assert list(churn(membership, months=13))[:3] == ["2025-11", "2025-12", "2026-01"]


@pytest.mark.parametrize("report", ["cohorts", "churn"])
@pytest.mark.parametrize(("name", "value"), [("months", "0"), ("months", "25"), ("currency", "euro")])
def test_a_parameter_that_makes_no_sense_is_named(membership, report, name, value):
    answer = api(membership.user).get(f"/api/analytics/{report}", {name: value})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, name)


@pytest.mark.parametrize(
    ("report", "statements"), [("overview", 1), ("top-fans", 1), ("tiers", 1), ("cohorts", 2), ("churn", 2)]
)
def test_a_report_takes_as_many_statements_however_much_there_is(
    membership, report, statements, django_assert_num_queries
):
    client = api(membership.user)
    for fan in FanFactory.create_batch(3, creator=membership.creator, value_cents=10):
        subscribe(fan, 10, 11)
    client.get("/api/auth/me")
    client.get(f"/api/analytics/{report}")  # the caller's membership is remembered
    with django_assert_num_queries(statements):
        client.get(f"/api/analytics/{report}")
