"""Answers whether money is counted once, whichever way it was told and in whichever order."""

import threading
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from crm.models import Creator, Fan, Transaction, TransactionKind, TransactionSource, TransactionStatus
from crm.tests.factories import CreatorFactory, FanFactory, TransactionFactory
from crm.transaction_services import TransactionOutcome, TransactionRow, transaction_bulk_record

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
LEDGER, EVENT, NOTICE, FILE = TransactionSource


def tip(fan: Fan | None, source: TransactionSource, key: str = "", seconds: float = 0, **fields: Any) -> TransactionRow:
    values: dict[str, Any] = {"kind": TransactionKind.TIP, "gross_cents": 1_000, "fee_cents": 200, "net_cents": 800}
    return TransactionRow(
        source=source,
        key=key,
        occurred_at=NOON + timedelta(seconds=seconds),
        fan_id=fan.pk if fan else None,
        **values | fields,
    )


def record(creator: Creator, *rows: TransactionRow, **options: Any) -> TransactionOutcome:
    return transaction_bulk_record(creator=creator, rows=rows, **options)


def test_the_same_report_again_changes_nothing() -> None:
    fan = FanFactory()
    first = record(fan.creator, tip(fan, LEDGER, "a"), tip(fan, LEDGER, "b"))
    stored = list(Transaction.objects.values())
    assert first == TransactionOutcome(inserted=2)
    assert record(fan.creator, tip(fan, LEDGER, "a"), tip(fan, LEDGER, "b")) == TransactionOutcome(unchanged=2)
    assert list(Transaction.objects.values()) == stored


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_a_tip_told_in_four_ways_is_one_in_every_order(order: tuple[int, ...]) -> None:
    fan = FanFactory()
    told = [
        tip(fan, NOTICE, "tip:1", seconds=40),
        tip(fan, EVENT, "event-id"),
        tip(fan, LEDGER, "ledger-id", seconds=1),
        tip(fan, FILE, seconds=-30),
    ]
    for place in order:
        record(fan.creator, told[place])
    [stored] = Transaction.objects.all()
    assert (stored.source, stored.occurred_at) == (LEDGER, NOON + timedelta(seconds=1))
    assert (stored.platform_transaction_id, stored.event_id, stored.notice_id) == ("ledger-id", "event-id", "tip:1")


def test_two_equal_tips_minutes_apart_stay_two_when_the_list_tells_them_again() -> None:
    fan = FanFactory()
    record(fan.creator, tip(fan, NOTICE, "1"))
    record(fan.creator, tip(fan, NOTICE, "2", seconds=90))
    outcome = record(fan.creator, tip(fan, LEDGER, "a"), tip(fan, LEDGER, "b", seconds=90))
    assert outcome == TransactionOutcome(updated=2)
    assert set(Transaction.objects.values_list("notice_id", "platform_transaction_id")) == {("1", "a"), ("2", "b")}


def test_a_late_notification_does_not_hide_a_second_tip() -> None:
    fan = FanFactory()
    record(fan.creator, tip(fan, NOTICE, "1"))
    record(fan.creator, tip(fan, LEDGER, "a"), tip(fan, LEDGER, "b", seconds=90))
    assert record(fan.creator, tip(fan, NOTICE, "2", seconds=95)) == TransactionOutcome(updated=1)
    assert Transaction.objects.count() == 2


def test_two_transactions_of_the_list_are_never_one() -> None:
    fan = FanFactory()
    record(fan.creator, tip(fan, LEDGER, "a"))
    assert record(fan.creator, tip(fan, LEDGER, "b")) == TransactionOutcome(inserted=1)


def test_an_event_with_the_lists_own_id_is_the_same_whenever_it_is_dated() -> None:
    fan = FanFactory()
    record(fan.creator, tip(fan, EVENT, "same", seconds=3_600))
    assert record(fan.creator, tip(fan, LEDGER, "same")) == TransactionOutcome(updated=1)


def test_equal_rows_of_one_file_are_two_and_the_file_again_adds_none() -> None:
    creator = CreatorFactory()
    rows = [tip(None, FILE, fan_name="Ada"), tip(None, FILE, fan_name="Ada")]
    assert record(creator, *rows) == TransactionOutcome(inserted=2)
    assert record(creator, *rows) == TransactionOutcome(unchanged=2)


def test_a_second_file_with_a_tip_minutes_later_adds_it() -> None:
    creator = CreatorFactory()
    record(creator, tip(None, FILE, fan_name="Ada"))
    assert record(creator, tip(None, FILE, fan_name="Ada", seconds=120)) == TransactionOutcome(inserted=1)


def test_a_file_with_the_platforms_ids_meets_the_list() -> None:
    fan = FanFactory()
    record(fan.creator, tip(fan, FILE, platform_id="a", seconds=86_400))
    assert record(fan.creator, tip(fan, LEDGER, "a")) == TransactionOutcome(updated=1)
    assert record(fan.creator, tip(fan, FILE, platform_id="b")) == TransactionOutcome(inserted=1)


@pytest.mark.parametrize(
    "other",
    [
        {"gross_cents": 1_500, "net_cents": 1_200},
        {"kind": TransactionKind.POST},
        {"currency": "EUR"},
        {"seconds": 601},
    ],
)
def test_what_differs_is_other_money(other: dict[str, Any]) -> None:
    fan = FanFactory()
    record(fan.creator, tip(fan, NOTICE, "1"))
    assert record(fan.creator, tip(fan, LEDGER, "a", **other)) == TransactionOutcome(inserted=1)


def test_another_fans_tip_is_other_money() -> None:
    fan = FanFactory()
    record(fan.creator, tip(fan, NOTICE, "1"))
    record(fan.creator, tip(FanFactory(creator=fan.creator), LEDGER, "a"))
    record(fan.creator, tip(None, FILE, fan_name="Ada"))
    record(fan.creator, tip(None, LEDGER, "b", fan_name="Bea"))
    assert Transaction.objects.count() == 3


def test_another_creators_rows_are_never_touched() -> None:
    fan, creator = FanFactory(), CreatorFactory()
    record(fan.creator, tip(None, LEDGER, "a"))
    assert record(creator, tip(None, LEDGER, "a")) == TransactionOutcome(inserted=1)


def test_the_list_corrects_an_estimate_and_an_estimate_corrects_nothing() -> None:
    fan = FanFactory()
    record(fan.creator, tip(fan, NOTICE, "1", net_cents=800, fee_cents=200))
    listed = tip(fan, LEDGER, "a", net_cents=790, fee_cents=210, status=TransactionStatus.LOADING)
    record(fan.creator, listed)
    record(fan.creator, tip(fan, NOTICE, "1"))
    stored = Transaction.objects.get()
    assert (stored.net_cents, stored.fee_cents, stored.status) == (790, 210, TransactionStatus.LOADING)
    record(fan.creator, listed._replace(status=TransactionStatus.UNDO))
    assert Transaction.objects.get().status == TransactionStatus.UNDO


def test_a_fan_who_becomes_known_is_filled_in() -> None:
    fan = FanFactory(name="Ada")
    record(fan.creator, tip(None, FILE, fan_name="Ada"))
    record(fan.creator, tip(fan, LEDGER, "a"))
    assert Transaction.objects.get().fan == fan


def value(fan: Fan) -> int:
    return Fan.objects.get(pk=fan.pk).value_cents


def test_live_money_raises_the_value_once() -> None:
    fan = FanFactory(value_cents=5_000)
    record(fan.creator, tip(fan, NOTICE, "1"), raise_values=True)
    record(fan.creator, tip(fan, EVENT, "a", seconds=1), raise_values=True)
    record(fan.creator, tip(fan, LEDGER, "l", seconds=1))
    assert value(fan) == 6_000


@pytest.mark.parametrize(("given", "expected"), [(0, 2_000), (1_500, 2_000), (2_500, 2_500)])
def test_a_value_that_nobody_dated_is_at_least_what_is_stored(given: int, expected: int) -> None:
    fan = FanFactory(value_cents=given)
    record(fan.creator, tip(fan, LEDGER, "a"), tip(fan, LEDGER, "b", seconds=9_000))
    assert value(fan) == expected


def test_what_was_paid_after_the_platform_told_the_value_is_added_whatever_told_it() -> None:
    fan = FanFactory(value_cents=500, value_as_of=NOON)
    record(fan.creator, tip(fan, LEDGER, "a", seconds=-5), tip(fan, LEDGER, "b", seconds=5))
    assert value(fan) == 1_500


@pytest.mark.parametrize("taken", [TransactionStatus.UNDO, TransactionStatus.PENDING_RETURN])
def test_what_is_taken_back_is_taken_off_once_and_never_below_nothing(taken: TransactionStatus) -> None:
    fan, poor = FanFactory(value_cents=700), FanFactory(value_cents=0)
    for each in (fan, poor):
        record(each.creator, tip(each, LEDGER, "a"), raise_values=True)
    Fan.objects.filter(pk=poor.pk).update(value_cents=10)
    for _ in range(2):
        for each in (fan, poor):
            record(each.creator, tip(each, LEDGER, "a", status=taken))
    assert (value(fan), value(poor)) == (700, 0)


def test_a_fan_who_is_named_later_gets_the_money_then() -> None:
    fan = FanFactory()
    record(fan.creator, tip(None, LEDGER, "a"))
    record(fan.creator, tip(fan, LEDGER, "a"))
    assert value(fan) == 1_000


def test_other_currencies_and_what_was_never_earned_add_nothing() -> None:
    fan = FanFactory()
    row = tip(fan, LEDGER, "b", currency="EUR")
    record(fan.creator, tip(fan, LEDGER, "a", status=TransactionStatus.UNDO), row, raise_values=True)
    assert value(fan) == 0


def test_a_value_that_stays_the_same_makes_no_new_version_of_the_fan() -> None:
    fan = FanFactory(value_cents=9_000)
    before = Fan.objects.get().version
    record(fan.creator, tip(fan, LEDGER, "a"))
    assert Fan.objects.get().version == before


def test_an_erased_fan_is_worth_nothing_whatever_comes() -> None:
    fan = FanFactory(deleted_at=NOON, erased_at=NOON, name="", handle="")
    record(fan.creator, tip(fan, LEDGER, "a"), raise_values=True)
    assert value(fan) == 0


def test_money_that_the_value_has_already_raises_it_not() -> None:
    fan = FanFactory(value_cents=500, value_as_of=NOON)
    record(fan.creator, tip(fan, NOTICE, "1", seconds=-5), raise_values=True)
    assert Fan.objects.get().value_cents == 500


def test_the_number_of_statements_does_not_follow_the_number_of_rows() -> None:
    creator = CreatorFactory()

    def queries(count: int) -> int:
        rows = [tip(None, LEDGER, f"{count}-{n}", seconds=n, fan_name=f"Fan {n}") for n in range(count)]
        with CaptureQueriesContext(
            connection,
        ) as captured:
            record(creator, *rows)
        return len(captured)

    assert queries(200) <= queries(10) + 1


def test_reports_of_two_sources_or_without_a_key_are_a_mistake() -> None:
    creator = CreatorFactory()
    with pytest.raises(ValueError, match="one source"):
        record(creator, tip(None, LEDGER, "a"), tip(None, EVENT, "a"))
    with pytest.raises(ValueError, match="key"):
        record(creator, tip(None, NOTICE))


@pytest.mark.django_db(transaction=True)
def test_two_who_tell_the_same_at_once_make_one_row() -> None:
    fan = FanFactory()
    reports = [tip(fan, NOTICE, "1"), tip(fan, LEDGER, "a"), tip(fan, EVENT, "e"), tip(fan, FILE)]
    outcomes: list[TransactionOutcome] = []

    def tell(report: TransactionRow) -> None:
        try:
            outcomes.append(record(fan.creator, report, raise_values=True))
        finally:
            connection.close()

    threads = [threading.Thread(target=tell, args=[report]) for report in reports * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Transaction.objects.count() == 1
    assert sum(outcome.inserted for outcome in outcomes) == 1
    assert Fan.objects.get().value_cents == 1_000


def test_the_factory_makes_a_row_that_the_database_takes() -> None:
    assert TransactionFactory().net_cents == 800
