"""Answers whether the report of a month is the month's, in each form. Touches the test database."""

import csv
import json
from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from crm.models import Creator, TransactionStatus
from crm.tests.factories import FanFactory, TransactionFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def creator() -> Creator:
    fan = FanFactory(creator__name="Ava", creator__time_zone="America/New_York")
    # In New York the first of these is of October.
    for day in ((11, 1, 3), (11, 1, 5), (11, 30, 12)):
        TransactionFactory(fan=fan, occurred_at=datetime(2026, *day, tzinfo=UTC))
    TransactionFactory(fan=fan, status=TransactionStatus.UNDO)
    return fan.creator


def report(creator: Creator, *options: str) -> str:
    out = StringIO()
    call_command("analytics_report", "--creator", str(creator.pk), "--month", "2026-11", *options, stdout=out)
    return out.getvalue()


def test_the_table_has_each_day_the_sum_and_the_kinds(creator: Creator) -> None:
    lines = [line.split() for line in report(creator).splitlines()]
    assert lines[0] == ["Ava:", "2026-11-01", "to", "2026-11-30,", "America/New_York,", "USD"]
    assert lines[2] == ["2026-11-01", "10.00", "2.00", "8.00", "1"]
    assert lines[32] == ["all", "days", "20.00", "4.00", "16.00", "2"]
    assert lines[33] == ["tip", "20.00", "4.00", "16.00", "2"]
    assert lines[-3][:2] == ["As", "of"]
    assert lines[-1][-1] == "8.00"


def test_as_json_and_as_csv_it_says_the_same(creator: Creator) -> None:
    told = json.loads(report(creator, "--json"))
    lines = list(csv.DictReader(StringIO(report(creator, "--csv"), newline="")))
    assert (told["creator"], told["whole"]["total"]["net_cents"], len(told["periods"])) == (creator.pk, 1600, 30)
    assert (len(lines), lines[0]["net"], lines[1]["net"], lines[-1]["net"]) == (30, "8.00", "0.00", "8.00")


@pytest.mark.parametrize(("creator_id", "month"), [("0", "2026-11"), ("own", "2026-13"), ("own", "0001-01")])
def test_what_makes_no_sense_is_an_error(creator: Creator, creator_id: str, month: str) -> None:
    with pytest.raises(CommandError, match=r"There is no creator 0|month"):
        call_command("analytics_report", "--creator", creator_id.replace("own", str(creator.pk)), "--month", month)


def test_a_currency_that_is_none_is_an_error(creator: Creator) -> None:
    with pytest.raises(CommandError, match="usd is no currency such as USD"):
        report(creator, "--currency", "usd")
