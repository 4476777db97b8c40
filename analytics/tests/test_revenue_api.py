"""Answers whether revenue is told by the creator's own calendar, whole and to the cent. Touches the test database."""

import csv
import io
from datetime import UTC, date, datetime
from typing import Any

import pytest

from analytics.api import FiguresSerializer, PeriodSerializer
from analytics.selectors import revenue
from analytics.tests.conftest import NOW
from analytics.tests.test_api import api
from crm.models import Membership, TransactionKind, TransactionStatus
from crm.tests.factories import FanFactory, TransactionFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("a_day")]


def pay(membership: Membership, *when: int, **fields: Any) -> None:
    TransactionFactory(
        fan=FanFactory(creator=membership.creator),
        occurred_at=datetime(*when, tzinfo=UTC),
        **fields,  # type: ignore[misc]
    )


def ask(membership: Membership, **query: str) -> Any:
    return api(membership.user).get("/api/analytics/revenue", query)


def test_days_without_money_are_there_and_a_day_is_the_creators(membership):
    pay(membership, 2026, 11, 16, 15)  # midnight in Tokyo
    answer = ask(membership, **{"from": "2026-11-16", "to": "2026-11-18"}).json()
    assert [(row["from"], row["to"], row["total"]["netCents"]) for row in answer["results"]] == [
        ("2026-11-16", "2026-11-16", 0),
        ("2026-11-17", "2026-11-17", 800),
        ("2026-11-18", "2026-11-18", 0),
    ]
    assert (answer["timeZone"], answer["currency"], answer["asOf"]) == ("Asia/Tokyo", "USD", "2026-11-18T20:00:00Z")


def test_unasked_it_ends_with_the_creators_today(membership):
    answer = ask(membership).json()
    assert (answer["period"]["from"], answer["period"]["to"]) == ("2026-10-21", "2026-11-19")
    assert len(answer["results"]) == 30


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ("week", [("2026-10-28", "2026-11-01", 2), ("2026-11-02", "2026-11-08", 0), ("2026-11-09", "2026-11-10", 1)]),
        ("month", [("2026-10-28", "2026-10-31", 1), ("2026-11-01", "2026-11-10", 2)]),
    ],
)
def test_weeks_and_months_are_cut_where_the_range_is(membership, interval, expected):
    for day in ((10, 26), (10, 29), (11, 1), (11, 9), (11, 11)):
        pay(membership, 2026, *day)
    answer = ask(membership, interval=interval, **{"from": "2026-10-28", "to": "2026-11-10"}).json()
    assert [(row["from"], row["to"], row["total"]["count"]) for row in answer["results"]] == expected
    assert answer["period"]["total"]["count"] == 3


def test_it_tells_kinds_and_what_is_on_its_way_or_taken_back(membership):
    pay(membership, 2026, 11, 18, kind=TransactionKind.TIP)
    pay(membership, 2026, 11, 18, kind=TransactionKind.MESSAGE, status=TransactionStatus.LOADING)
    pay(membership, 2026, 11, 18, kind=TransactionKind.MESSAGE, status=TransactionStatus.UNDO)
    period = ask(membership).json()["period"]
    assert [(each["kind"], each["grossCents"], each["feeCents"]) for each in period["kinds"]] == [
        ("tip", 1000, 200),
        ("message", 1000, 200),
    ]
    total = period["total"]
    assert (total["netCents"], total["loadingNetCents"], total["takenBackNetCents"]) == (1600, 800, 800)


def test_the_change_is_beside_as_many_days_before(membership):
    pay(membership, 2026, 11, 9)
    for net in (800, 400):
        pay(membership, 2026, 11, 12, net_cents=net)
    answer = ask(membership, **{"from": "2026-11-11", "to": "2026-11-13"}).json()
    assert (answer["previous"]["from"], answer["previous"]["to"]) == ("2026-11-08", "2026-11-10")
    assert answer["change"] == {"grossPercent": 100.0, "netPercent": 50.0}
    assert ask(membership, **{"from": "2026-11-09", "to": "2026-11-09"}).json()["change"]["netPercent"] is None


def test_currencies_are_never_added_up(membership):
    pay(membership, 2026, 11, 18)
    pay(membership, 2026, 11, 18, currency="EUR", gross_cents=900)
    dollars, euros = ask(membership).json(), ask(membership, currency="EUR").json()
    assert (dollars["period"]["total"]["grossCents"], dollars["otherCurrencies"]) == (1000, ["EUR"])
    assert (euros["period"]["total"]["grossCents"], euros["otherCurrencies"]) == (900, ["USD"])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"interval": "year"}, "interval"),
        ({"from": "yesterday"}, "from"),
        ({"to": "2026-13-01"}, "to"),
        ({"from": "2026-11-02", "to": "2026-11-01"}, "from"),
        ({"from": "2010-01-01"}, "from"),
        ({"to": "9999-12-31"}, "to"),
        ({"currency": "dollars"}, "currency"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_named(membership, query, field):
    answer = ask(membership, **query)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_another_creators_money_is_not_counted(membership):
    TransactionFactory(occurred_at=NOW)
    assert ask(membership).json()["period"]["total"]["count"] == 0


def test_as_csv_each_period_is_a_line_in_whole_units(membership):
    pay(membership, 2026, 11, 17)
    answer = api(membership.user).get(
        "/api/analytics/revenue", {"from": "2026-11-16", "to": "2026-11-17"}, headers={"Accept": "text/csv"}
    )
    assert answer["Content-Disposition"] == 'attachment; filename="revenue-2026-11-16-2026-11-17-by-day.csv"'
    empty, paid = csv.DictReader(io.StringIO(answer.content.decode()))
    assert (empty["from"], empty["gross"], empty["tip_net"]) == ("2026-11-16", "0.00", "0.00")
    assert (paid["to"], paid["gross"], paid["fee"], paid["tip_net"]) == ("2026-11-17", "10.00", "2.00", "8.00")


def test_a_problem_is_told_to_who_asked_for_csv_too(membership):
    answer = api(membership.user).get("/api/analytics/revenue?interval=year", headers={"Accept": "text/csv"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "interval")


def test_the_overview_tells_thirty_days_beside_the_thirty_before(membership):
    pay(membership, 2026, 11, 18)
    pay(membership, 2026, 10, 19)
    pay(membership, 2026, 9, 1)
    revenue = api(membership.user).get("/api/analytics/overview").json()["revenue"]
    assert (revenue["period"]["from"], revenue["period"]["total"]["netCents"]) == ("2026-10-21", 800)
    assert revenue["change"] == {"grossPercent": 0.0, "netPercent": 0.0}
    assert date.fromisoformat(revenue["period"]["to"]) == date(2026, 11, 19)


def test_figures_that_are_named_at_once_are_those_that_the_description_tells(membership):
    for kind in (TransactionKind.TIP, TransactionKind.POST):
        pay(membership, 2026, 11, 18, kind=kind)
    found = revenue(creator=membership.creator).whole
    described = PeriodSerializer().fields
    shown = PeriodSerializer(found).data
    assert list(shown) == list(described)
    assert shown["total"] == FiguresSerializer(found.total).data
    assert [each.keys() for each in shown["kinds"]] == [described["kinds"].child.fields.keys()] * 2
