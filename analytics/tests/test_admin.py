"""Answers whether operators see each creator's money as it is, and nobody else does. Touches the test database."""

import csv
import io
from datetime import UTC, datetime

import pytest
from django.test import Client
from django.urls import reverse

from crm.models import TransactionSource, TransactionStatus
from crm.tests.factories import FanFactory, TransactionFactory, UserFactory
from crm.transaction_services import TransactionRow, transaction_bulk_record

pytestmark = pytest.mark.django_db
LIST = "/admin/analytics/revenuemonth/"


def client(**fields: bool) -> Client:
    found = Client()
    found.force_login(UserFactory(**fields))
    return found


@pytest.fixture
def operator() -> Client:
    return client(is_staff=True, is_superuser=True)


def rows(answer) -> list[tuple[str, ...]]:
    return [
        (
            str(row.creator),
            f"{row.month:%Y-%m}",
            row.count,
            row.net_cents,
            row.loading_net_cents,
            row.taken_back_net_cents,
        )
        for row in answer.context["cl"].result_list
    ]


def test_operators_see_months_with_what_is_on_its_way_and_taken_back_told_apart(operator):
    fan = FanFactory(creator__name="Ava")
    for day, status in enumerate(TransactionStatus.values, 1):
        TransactionFactory(fan=fan, status=status, occurred_at=datetime(2026, 11, day, tzinfo=UTC))
    TransactionFactory(fan=fan, occurred_at=datetime(2026, 9, 30, tzinfo=UTC))
    assert rows(operator.get(LIST)) == [("Ava", "2026-11", 2, 1_600, 800, 1_600), ("Ava", "2026-09", 1, 800, 0, 0)]


def test_money_that_is_taken_back_later_is_taken_off(operator):
    fan = FanFactory(creator__name="Ava")
    paid = TransactionFactory(fan=fan, occurred_at=datetime(2026, 11, 1, tzinfo=UTC))
    report = TransactionRow(
        kind=paid.kind,
        gross_cents=1_000,
        net_cents=800,
        fee_cents=200,
        occurred_at=paid.occurred_at,
        source=TransactionSource.LEDGER,
        key=paid.platform_transaction_id,
        status=TransactionStatus.UNDO,
    )
    transaction_bulk_record(creator=fan.creator, rows=[report])
    assert rows(operator.get(LIST)) == [("Ava", "2026-11", 0, 0, 0, 800)]


def test_a_month_leads_to_its_report_day_by_day(operator):
    paid = TransactionFactory(occurred_at=datetime(2026, 11, 3, tzinfo=UTC))
    address = reverse("admin:analytics_revenuemonth_report", args=[f"{paid.creator_id}-USD-2026-11"])
    assert address in operator.get(LIST).content.decode()
    lines = list(csv.DictReader(io.StringIO(operator.get(address).content.decode())))
    assert (len(lines), lines[2]["net"]) == (30, "8.00")
    assert operator.get(address.replace("2026-11", "2026-12")).status_code == 404


def test_nothing_can_be_changed_there(operator):
    paid = TransactionFactory()
    assert operator.get(f"{LIST}add/").status_code == 403
    assert operator.post(f"{LIST}{paid.creator_id}-USD-2026-11/delete/", {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("fields", [{}, {"is_staff": True}], ids=["no operator", "without the permission"])
def test_who_may_not_sees_no_money(fields):
    paid = TransactionFactory()
    stranger = client(**fields)
    for address in (LIST, reverse("admin:analytics_revenuemonth_report", args=[f"{paid.creator_id}-USD-2026-11"])):
        answer = stranger.get(address)
        assert answer.status_code in {302, 403}
        assert b"8.00" not in answer.content


def test_the_list_asks_as_often_however_many_months(operator, django_assert_max_num_queries):
    for month in range(1, 12):
        TransactionFactory(occurred_at=datetime(2026, month, 3, tzinfo=UTC))
    with django_assert_max_num_queries(8):
        operator.get(LIST)
