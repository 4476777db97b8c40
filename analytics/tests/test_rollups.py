"""Answers whether the rollups are the plain sum of the transactions, however those were written.
Touches the test database."""

import json
import threading
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.models import KeptDay, RevenueDay
from crm.models import Creator, Transaction, TransactionKind, TransactionSource, TransactionStatus
from crm.tests.factories import CreatorFactory, FanFactory, TransactionFactory
from crm.transaction_services import TransactionRow, transaction_bulk_record

pytestmark = pytest.mark.django_db
FIGURES = [field.attname for field in RevenueDay._meta.concrete_fields if field.attname.endswith(("_cents", "count"))]
Key = tuple[int, str, date, str]


def kept() -> dict[Key, dict[str, int]]:
    rows = RevenueDay.objects.values("creator_id", "currency", "day", "kind", *FIGURES)
    return {(r.pop("creator_id"), r.pop("currency"), r.pop("day"), r.pop("kind")): r for r in rows}


def plain_sum() -> dict[Key, dict[str, int]]:
    """By Python's own calendar, one transaction after the other."""
    found: dict[Key, dict[str, int]] = defaultdict(lambda: dict.fromkeys(FIGURES, 0))
    for each in Transaction.objects.select_related("creator"):
        day = each.occurred_at.astimezone(ZoneInfo(each.creator.time_zone)).date()
        figures = found[each.creator_id, each.currency, day, each.kind]
        parts = ["taken_back_"]
        if each.status in {TransactionStatus.LOADING, TransactionStatus.DONE}:
            parts = ["", "loading_"] if each.status == TransactionStatus.LOADING else [""]
            figures["fee_cents"] += each.fee_cents
        for part in parts:
            figures[f"{part}count"] += 1
            figures[f"{part}gross_cents"] += each.gross_cents
            figures[f"{part}net_cents"] += each.net_cents
    return dict(found)


NUMBERS = count(1)
# Around both changes of the clock in Europe and America, and where a zone skipped a whole day.
MOMENTS = st.builds(
    lambda begin, minutes: begin + timedelta(minutes=minutes),
    st.sampled_from(
        [
            datetime(*day, tzinfo=UTC)
            for day in ((2011, 12, 29), (2026, 3, 7), (2026, 3, 28), (2026, 10, 24), (2026, 10, 31))
        ]
    ),
    st.integers(0, 3 * 24 * 60),
)
ZONES = st.sampled_from(
    ["UTC", "Europe/Paris", "America/New_York", "Asia/Kathmandu", "Pacific/Apia", "Australia/Lord_Howe"]
)
FIELDS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(TransactionKind.values[:3]),
        "status": st.sampled_from(TransactionStatus.values),
        "currency": st.sampled_from(["USD", "EUR"]),
        "occurred_at": MOMENTS,
        "gross_cents": st.integers(100, 10**9),
        "fee_cents": st.integers(0, 100),
        "net_cents": st.integers(0, 100),
    }
)
# Which rows a change is about: a slice of those that are stored.
SOME = st.tuples(st.integers(0, 30), st.integers(1, 10))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.lists(st.tuples(st.integers(0, 1), FIELDS), min_size=1, max_size=6)),
        st.tuples(st.just("update"), SOME, FIELDS),
        st.tuples(st.just("each"), SOME, FIELDS),
        st.tuples(st.just("creator"), SOME, st.integers(0, 1)),
        st.tuples(st.just("delete"), SOME),
        st.tuples(st.just("zone"), st.integers(0, 1), ZONES),
    ),
    min_size=1,
    max_size=12,
)


def step_take(creators: list[Creator], step: tuple[Any, ...]) -> None:
    name, *values = step
    if name == "insert":
        Transaction.objects.bulk_create(
            Transaction(creator=creators[at], source=TransactionSource.FILE, file_key=str(next(NUMBERS)), **fields)
            for at, fields in values[0]
        )
        return
    if name == "zone":
        Creator.objects.filter(pk=creators[values[0]].pk).update(time_zone=values[1])
        return
    start, length = values[0]
    pks = list(Transaction.objects.order_by("pk").values_list("pk", flat=True)[start : start + length])
    some = Transaction.objects.filter(pk__in=pks)
    if name == "update":
        some.update(**values[1])
    elif name == "each":
        rows = list(some)
        for row in rows:
            row.status, row.occurred_at = values[1]["status"], values[1]["occurred_at"] + timedelta(hours=row.pk % 48)
        Transaction.objects.bulk_update(rows, ["status", "occurred_at"])
    elif name == "creator":
        some.update(creator=creators[values[1]])
    else:
        some.delete()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(zones=st.tuples(ZONES, ZONES), steps=STEPS)
def test_rollups_are_the_plain_sum_after_any_history(zones: tuple[str, str], steps: list[tuple[Any, ...]]) -> None:
    with transaction.atomic():
        creators = [CreatorFactory(time_zone=zone) for zone in zones]
        for step in steps:
            step_take(creators, step)
            assert kept() == plain_sum()
        before = kept()
        call_command("rebuild_rollups", stdout=StringIO())
        assert kept() == before
        transaction.set_rollback(True)


def test_a_day_is_the_creators_own() -> None:
    fan = FanFactory(creator__time_zone="America/Los_Angeles")
    TransactionFactory(fan=fan, occurred_at=datetime(2026, 11, 2, 7, 59, tzinfo=UTC))
    TransactionFactory(fan=fan, occurred_at=datetime(2026, 11, 2, 8, tzinfo=UTC))
    assert [key[2] for key in sorted(kept())] == [date(2026, 11, 1), date(2026, 11, 2)]


def test_what_is_on_its_way_is_told_apart_and_what_is_taken_back_is_taken_off() -> None:
    fan = FanFactory()
    for status in TransactionStatus.values:
        TransactionFactory(fan=fan, status=status)
    [figures] = kept().values()
    assert (figures["count"], figures["gross_cents"], figures["fee_cents"], figures["net_cents"]) == (
        2,
        2000,
        400,
        1600,
    )
    assert (figures["loading_count"], figures["loading_net_cents"]) == (1, 800)
    assert (figures["taken_back_count"], figures["taken_back_gross_cents"]) == (2, 2000)


def test_every_kind_is_counted_one_by_one_and_together() -> None:
    fan = FanFactory()
    for kind in TransactionKind.values * 2:
        TransactionFactory(fan=fan, kind=kind)
    Transaction.objects.bulk_create(
        TransactionFactory.build(fan=fan, creator=fan.creator, kind=kind) for kind in TransactionKind.values
    )
    assert {key[3]: figures["count"] for key, figures in kept().items()} == dict.fromkeys(TransactionKind.values, 3)
    assert kept() == plain_sum()


def test_a_fee_that_does_not_follow_from_gross_and_net_is_kept() -> None:
    TransactionFactory(gross_cents=1_000, fee_cents=150, net_cents=800)
    [figures] = kept().values()
    assert (figures["gross_cents"], figures["fee_cents"], figures["net_cents"]) == (1_000, 150, 800)


def test_a_report_told_again_by_another_source_is_counted_once() -> None:
    fan = FanFactory()
    row = TransactionRow(
        TransactionKind.TIP, 1000, 800, datetime(2026, 11, 1, tzinfo=UTC), TransactionSource.NOTICE, "n"
    )
    ledger = TransactionRow(TransactionKind.TIP, 1000, 750, row.occurred_at, TransactionSource.LEDGER, "l")
    for each in (row, ledger, row):
        transaction_bulk_record(creator=fan.creator, rows=[each])
    [figures] = kept().values()
    assert (figures["count"], figures["net_cents"]) == (1, 750)


def test_a_time_zone_that_nobody_knows_refuses_no_money() -> None:
    TransactionFactory(
        fan=FanFactory(creator__time_zone="Mars/Olympus"), occurred_at=datetime(2026, 11, 1, 23, tzinfo=UTC)
    )
    assert [key[2] for key in kept()] == [date(2026, 11, 1)]


def test_a_new_time_zone_moves_the_days_and_no_money() -> None:
    fan = FanFactory(creator__time_zone="UTC")
    for hour in (1, 9, 23):
        TransactionFactory(fan=fan, occurred_at=datetime(2026, 11, 1, hour, tzinfo=UTC))
    assert [(key[2].day, figures["count"]) for key, figures in kept().items()] == [(1, 3)]
    fan.creator.time_zone = "America/Los_Angeles"
    fan.creator.save()
    assert {key[2]: figures["count"] for key, figures in kept().items()} == {
        date(2026, 10, 31): 1,
        date(2026, 11, 1): 2,
    }
    assert kept() == plain_sum()


def test_forgetting_who_paid_leaves_the_money() -> None:
    paid = TransactionFactory()
    before = kept()
    Transaction.objects.filter(pk=paid.pk).update(fan=None)
    assert kept() == before


def test_emptying_the_transactions_empties_the_rollups() -> None:
    TransactionFactory()
    with connection.cursor() as cursor:
        # Checks that wait for the end of the transaction would stand in the way.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; TRUNCATE crm_transaction")
    assert kept() == {}


def rebuild(*arguments: str) -> dict[str, Any]:
    out = StringIO()
    call_command("rebuild_rollups", "--json", *arguments, stdout=out)
    return json.loads(out.getvalue())


def test_a_rebuilding_mends_what_is_wrong_missing_and_too_much() -> None:
    paid = [TransactionFactory(occurred_at=datetime(2026, 11, day, tzinfo=UTC)) for day in (1, 2)]
    right = kept()
    KeptDay.objects.filter(creator=paid[0].creator).update(tip_net_cents=1)
    KeptDay.objects.filter(creator=paid[1].creator).update(day=date(2026, 1, 1))
    wrong = kept()
    told = [{"creator": each.creator_id, "rows": 1, "different": n} for n, each in enumerate(paid, 1)]
    assert rebuild("--dry-run") == {"dryRun": True, "creators": told}
    assert kept() == wrong
    assert rebuild() == {"dryRun": False, "creators": told}
    assert kept() == right


def test_a_rebuilding_of_one_creator_leaves_the_others() -> None:
    mine, other = TransactionFactory(), TransactionFactory()
    KeptDay.objects.update(tip_net_cents=1)
    assert [each["creator"] for each in rebuild("--creator", str(mine.creator_id))["creators"]] == [mine.creator_id]
    assert RevenueDay.objects.get(creator=other.creator).net_cents == 1


def test_a_rebuilding_of_nobody_is_an_error_that_names_them() -> None:
    with pytest.raises(CommandError, match="There is no creator 12345"):
        call_command("rebuild_rollups", "--creator", "12345")


@pytest.mark.django_db(transaction=True)
def test_writers_in_opposite_order_and_a_new_zone_at_once_end_with_the_plain_sum() -> None:
    creator = CreatorFactory()
    errors: list[BaseException] = []
    together = threading.Barrier(3)

    def write(days: list[int]) -> None:
        try:
            for _ in range(8):
                together.wait(20)
                with transaction.atomic():
                    for day in days:
                        TransactionFactory(
                            fan=None, creator=creator, occurred_at=datetime(2026, 11, day, 23, tzinfo=UTC)
                        )
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    def move() -> None:
        try:
            for turn in range(8):
                together.wait(20)
                zone = ("Asia/Tokyo", "UTC")[turn % 2]
                Creator.objects.filter(pk=creator.pk).update(time_zone=zone)
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [
        threading.Thread(target=write, args=([1, 2, 3],)),
        threading.Thread(target=write, args=([3, 2, 1],)),
        threading.Thread(target=move),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert kept() == plain_sum()
    assert sum(each["count"] for each in kept().values()) == 48
