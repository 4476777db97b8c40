"""Answers what the demo's fans have paid so far: for each as much as their value says. Touches nothing.

Who spends more subscribed earlier, renews, tips and buys, mostly in the evening; the last week is still on its way.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import count
from random import Random

from crm.models import Fan, Message, TransactionKind, TransactionSource, TransactionStatus
from crm.transaction_services import TransactionRow

# A year, so that months can be compared, and a month to subscribe in before today.
FIRST_DAYS, LAST_DAYS = 360, 5
MONTH = timedelta(days=30)
SUBSCRIPTION_CENTS = 499
# Below this the rest of a fan's value goes into one payment.
LEAST_CENTS = 300
PRICES = (500, 700, 900, 1_200, 1_500, 2_000, 3_000, 5_000)
KINDS = (TransactionKind.MESSAGE, TransactionKind.TIP, TransactionKind.POST, TransactionKind.STREAM)
KIND_WEIGHTS = (50, 32, 12, 6)
# How likely an hour of a day is, by the clock of UTC: evenings in Europe, and a late second one in America.
HOURS = (5, 6, 5, 4, 2, 1, 1, 2, 2, 3, 3, 4, 5, 4, 4, 5, 6, 8, 10, 13, 14, 12, 9, 7)
# The platform's part.
FEE_PERCENT = 20
ON_ITS_WAY = timedelta(days=7)
# Of a hundred fans who paid, those who had a payment taken back, which is in nobody's value.
TAKEN_BACK_PERCENT = 2


def demo_money(
    *, fans: Sequence[Fan], bought: Sequence[tuple[Message, Fan]], now: datetime, chance: Random
) -> list[TransactionRow]:
    """All that these fans paid, to the cent of their values; bought: paid messages, and by whom they were unlocked."""
    numbers = count(1)
    spent: dict[int, int] = {}
    rows: list[TransactionRow] = []
    for message, fan in bought:
        spent[fan.pk] = spent.get(fan.pk, 0) + message.price_cents
        at = min(message.created_at + timedelta(minutes=chance.randint(1, 90)), now)
        rows.append(_row(fan, TransactionKind.MESSAGE, message.price_cents, at, now, numbers, message=message))
    for fan in fans:
        left = fan.value_cents - spent.get(fan.pk, 0)
        if left > 0:
            rows += _history(fan, left, now, chance, numbers)
            if chance.randrange(100) < TAKEN_BACK_PERCENT:
                at = _evening(now - timedelta(days=chance.randint(10, 60)), chance)
                taken = TransactionStatus.UNDO
                rows.append(_row(fan, TransactionKind.TIP, 1_000, at, now, numbers, status=taken))
    return rows


def _history(fan: Fan, left: int, now: datetime, chance: Random, numbers: Iterator[int]) -> Iterator[TransactionRow]:
    """Payments that come to `left` cents: a subscription, some months of it, and what the fan bought meanwhile."""
    # The square root makes more of them begin lately: an audience that grows.
    begun = now - timedelta(days=FIRST_DAYS - (FIRST_DAYS - LAST_DAYS) * chance.random() ** 0.5)
    kind, at = TransactionKind.SUBSCRIPTION, begun
    while left >= SUBSCRIPTION_CENTS + LEAST_CENTS and at < now and (at == begun or chance.random() < 0.75):
        yield _row(fan, kind, SUBSCRIPTION_CENTS, at, now, numbers)
        left -= SUBSCRIPTION_CENTS
        kind, at = TransactionKind.RECURRING, at + MONTH
    while left:
        price = chance.choice(PRICES)
        # No rest that is too small to be a payment of its own.
        cents = price if left - price >= LEAST_CENTS else left
        at = _evening(begun + (now - begun) * chance.random(), chance)
        yield _row(fan, chance.choices(KINDS, KIND_WEIGHTS)[0], cents, min(max(at, begun), now), now, numbers)
        left -= cents


def _evening(day: datetime, chance: Random) -> datetime:
    hour = chance.choices(range(24), HOURS)[0]
    return day.replace(hour=hour, minute=chance.randrange(60), second=chance.randrange(60), microsecond=0)


def _row(
    fan: Fan,
    kind: TransactionKind,
    cents: int,
    at: datetime,
    now: datetime,
    numbers: Iterator[int],
    *,
    message: Message | None = None,
    status: TransactionStatus | None = None,
) -> TransactionRow:
    fee = cents * FEE_PERCENT // 100
    usual = TransactionStatus.LOADING if now - at < ON_ITS_WAY else TransactionStatus.DONE
    return TransactionRow(
        kind=kind,
        status=status or usual,
        gross_cents=cents,
        fee_cents=fee,
        net_cents=cents - fee,
        occurred_at=at,
        source=TransactionSource.LEDGER,
        key=f"demo-{next(numbers)}",
        fan_id=fan.pk,
        fan_name=fan.name,
        message_id=message.pk if message else None,
    )
