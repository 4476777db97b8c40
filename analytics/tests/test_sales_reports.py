"""Answers whether hours, campaigns and chatters are told to the cent, and a purchase once.
Touches the test database."""

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from analytics.tests.conftest import NOW, ask
from analytics.tests.test_api import api
from crm.models import Message, MessageStatus, TransactionKind, TransactionStatus
from crm.tests.factories import (
    ConversationFactory,
    FanFactory,
    MembershipFactory,
    MessageFactory,
    TransactionFactory,
    UserFactory,
)
from messaging.models import Campaign, Delivery, Kind
from messaging.tests.factories import delivery_make

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("a_day")]
DAY = timedelta(days=1)


def pay(fan, at: datetime, **fields: Any) -> None:
    TransactionFactory(fan=fan, occurred_at=at, **fields)  # type: ignore[misc]


def campaign(membership, *, name: str = "Autumn", begun: datetime = NOW - 10 * DAY) -> Campaign:
    made = Campaign.objects.create(creator=membership.creator, name=name, content="hi", price_cents=900)
    Campaign.objects.filter(pk=made.pk).update(created_at=begun)
    return made


def sent(campaign: Campaign, fan, at: datetime, state: MessageStatus = MessageStatus.SENT) -> Delivery:
    return delivery_make(fan=fan, state=state, kind=Kind.CAMPAIGN, campaign=campaign, finished_at=at)


def results(membership, **query: Any) -> list[tuple[str, int, int, int]]:
    rows = ask(membership, "campaign-revenue", **query)["results"]
    return [(row["name"], row["sent"], row["buyers"], row["netCents"]) for row in rows]


def test_an_hour_is_one_of_the_creators_week(membership, fan):
    pay(fan, datetime(2026, 11, 15, 15, 59, tzinfo=UTC))  # Monday, a minute to one in Tokyo
    pay(fan, datetime(2026, 11, 8, 15, tzinfo=UTC))
    pay(fan, datetime(2026, 11, 16, 12, tzinfo=UTC), net_cents=900)
    answer = ask(membership, "hours")
    assert len(answer["results"]) == 168
    assert answer["results"][0] == {"weekday": 1, "hour": 0, "count": 2, "grossCents": 2_000, "netCents": 1_600}
    assert (answer["best"], answer["to"]) == (answer["results"][0], "2026-11-19")
    assert sum(row["count"] for row in answer["results"]) == 3


def test_hours_count_whole_days_of_the_creators(membership, fan):
    for at in ((14, 14, 59), (14, 15, 0), (15, 14, 59), (15, 15, 0)):
        pay(fan, datetime(2026, 11, *at, tzinfo=UTC))
    answer = ask(membership, "hours", **{"from": "2026-11-15", "to": "2026-11-15"})
    assert sum(row["count"] for row in answer["results"]) == 2


def test_without_money_no_hour_is_the_best(membership, fan):
    pay(fan, NOW, status=TransactionStatus.UNDO)
    TransactionFactory(occurred_at=NOW)
    assert ask(membership, "hours")["best"] is None


def test_a_campaign_has_what_its_fans_bought_within_the_days(membership, fan):
    autumn, begun = campaign(membership), NOW - 10 * DAY
    sent(autumn, fan, begun)
    sent(autumn, FanFactory(creator=membership.creator), begun)
    sent(autumn, FanFactory(creator=membership.creator), begun, MessageStatus.FAILED)
    pay(fan, begun - timedelta(seconds=1))
    pay(fan, begun)
    pay(fan, begun + 2 * DAY)
    pay(fan, begun + 7 * DAY)
    pay(FanFactory(creator=membership.creator), begun)
    assert results(membership) == [("Autumn", 2, 1, 1_600)]
    assert results(membership, withinDays=8) == [("Autumn", 2, 1, 2_400)]
    assert results(membership, withinDays=1) == [("Autumn", 2, 1, 800)]


def test_a_purchase_is_the_last_campaigns_before_it_unless_it_paid_for_anothers_message(membership, fan):
    first, second = campaign(membership, name="First"), campaign(membership, name="Second", begun=NOW - 9 * DAY)
    paid_for = sent(first, fan, NOW - 8 * DAY)
    sent(second, fan, NOW - 7 * DAY)
    pay(fan, NOW - 6 * DAY)
    pay(fan, NOW - 6 * DAY, kind=TransactionKind.MESSAGE, message=paid_for.message, net_cents=500)
    assert results(membership) == [("Second", 1, 1, 800), ("First", 1, 1, 500)]


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": TransactionKind.RECURRING},
        {"kind": TransactionKind.SUBSCRIPTION},
        {"status": TransactionStatus.UNDO},
        {"status": TransactionStatus.PENDING_RETURN},
        {"currency": "EUR"},
    ],
)
def test_what_is_no_purchase_counts_for_no_campaign(membership, fan, fields):
    sent(campaign(membership), fan, NOW - 10 * DAY)
    pay(fan, NOW - 9 * DAY, **fields)
    assert results(membership) == [("Autumn", 1, 0, 0)]


def test_campaigns_of_other_days_and_of_others_are_not_shown(membership, fan):
    campaign(membership, begun=NOW - 200 * DAY)
    campaign(MembershipFactory())
    assert results(membership) == []


def said(conversation, minutes: int, *, by=None, ours: bool = False, **fields: Any) -> Message:
    trait = {"outbound": True, "sender": by} if ours else {}
    return MessageFactory(
        conversation=conversation, created_at=NOW - DAY + timedelta(minutes=minutes), **trait, **fields
    )


def talk(membership, fan) -> Any:
    return ConversationFactory(fan=fan, last_message_at=NOW)


def test_an_answer_is_as_late_as_the_first_message_that_waited(membership, fan):
    writer, conversation = membership.user, talk(membership, fan)
    said(conversation, 0)
    said(conversation, 8)
    said(conversation, 10, ours=True, by=writer)
    said(conversation, 11, ours=True, by=writer)
    said(conversation, 20)
    said(conversation, 22, ours=True, by=writer)
    [row] = ask(membership, "chatters")["results"]
    assert (row["id"], row["name"]) == (writer.pk, writer.name)
    assert (row["messages"], row["replies"], row["medianSeconds"]) == (3, 2, 360)


def test_what_did_not_go_out_and_campaigns_answer_nobody(membership, fan):
    conversation = talk(membership, fan)
    said(conversation, 0)
    said(conversation, 1, ours=True, by=membership.user, status=MessageStatus.FAILED)
    Message.objects.filter(pk=sent(campaign(membership), fan, NOW).pk).update(created_at=NOW - DAY)
    said(conversation, 5, ours=True, by=membership.user)
    [row] = ask(membership, "chatters")["results"]
    assert (row["messages"], row["medianSeconds"]) == (1, 300)


def test_sales_are_paid_messages_of_the_chatter_and_not_of_campaigns(membership, fan):
    other, conversation = UserFactory(name="=Zoe"), talk(membership, fan)
    mine, theirs = (said(conversation, 1, ours=True, by=user) for user in (membership.user, other))
    pay(fan, NOW, kind=TransactionKind.MESSAGE, message=mine)
    pay(fan, NOW, kind=TransactionKind.MESSAGE, message=mine, status=TransactionStatus.UNDO)
    pay(fan, NOW, kind=TransactionKind.MESSAGE, message=theirs, net_cents=900)
    pay(fan, NOW, kind=TransactionKind.MESSAGE, message=sent(campaign(membership), fan, NOW).message)
    pay(fan, NOW)
    rows = ask(membership, "chatters")["results"]
    assert [(row["id"], row["sales"], row["netCents"]) for row in rows] == [
        (other.pk, 1, 900),
        (membership.user.pk, 1, 800),
    ]


def test_what_has_no_writer_here_stands_apart_and_strangers_do_not(membership, fan):
    conversation = talk(membership, fan)
    said(conversation, 1, ours=True)
    said(ConversationFactory(last_message_at=NOW), 1, ours=True, by=membership.user)
    [row] = ask(membership, "chatters")["results"]
    assert (row["id"], row["name"], row["messages"], row["medianSeconds"]) == (None, "", 1, None)


@pytest.mark.parametrize(
    ("report", "name", "value"),
    [
        ("hours", "from", "soon"),
        ("hours", "to", "9999-12-31"),
        ("chatters", "from", "2001-01-01"),
        ("campaign-revenue", "withinDays", "31"),
        ("campaign-revenue", "withinDays", "0"),
        ("chatters", "currency", "euro"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_named(membership, report, name, value):
    answer = api(membership.user).get(f"/api/analytics/{report}", {name: value})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, name)


@pytest.mark.parametrize("report", ["hours", "campaign-revenue", "chatters"])
def test_a_report_takes_two_statements_however_much_there_is(membership, report, django_assert_num_queries):
    client = api(membership.user)
    for fan in FanFactory.create_batch(3, creator=membership.creator):
        sent(campaign(membership), fan, NOW - DAY)
        pay(fan, NOW)
    client.get(f"/api/analytics/{report}")  # the caller's membership is remembered
    with django_assert_num_queries(2):
        client.get(f"/api/analytics/{report}")


@pytest.mark.parametrize(
    ("report", "lines"),
    [
        ("overview", 1),
        ("top-fans", 1),
        ("tiers", 3),
        ("cohorts", 78),
        ("churn", 12),
        ("hours", 168),
        ("campaign-revenue", 1),
        ("chatters", 1),
    ],
)
def test_each_table_can_be_taken_along(membership, report, lines):
    fan = FanFactory(creator=membership.creator, value_cents=1_000, name="=1+1")
    sent(campaign(membership, name="=1+1"), fan, NOW - DAY)
    writer = UserFactory(name="=1+1")
    said(fan.conversation, 1, ours=True, by=writer)
    pay(fan, NOW)
    answer = api(membership.user).get(f"/api/analytics/{report}", headers={"Accept": "text/csv"})
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/csv; charset=utf-8")
    # By the creator's own calendar, on which it is tomorrow.
    assert re.fullmatch(r'attachment; filename=".+2026-11-19(-by-day)?\.csv"', answer["Content-Disposition"])
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert len(rows) == lines
    assert all(None not in row and "=1+1" not in row.values() for row in rows)
