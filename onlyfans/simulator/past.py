"""Answers what the fans paid before the simulator began, so that there is something to add up. Touches its store."""

from datetime import UTC, datetime, timedelta
from random import Random

from onlyfans.simulator.life import SUBSCRIPTION_CENTS, TIP_CENTS
from onlyfans.simulator.store import Fan, Store, Transaction

# Of the fans of one account, those who pay at all; and how many payments a day brings.
PAYERS = 40
A_DAY = (2, 9)
PRICES_CENTS = (500, 900, 1_200, 1_500, 2_000, 3_000)
KINDS = ("subscribes", "tips", "chat_messages")


def past_make(store: Store, *, days: int, seed: int) -> None:
    """Give each account that was never paid so many days of payments. What a fan spent in all has them already."""
    fans = store.fans()
    if not fans or not days:
        return
    begun = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=days)
    for account in store.accounts():
        chance = Random(f"{seed} {account.id}")  # noqa: S311  the same past everywhere, no secret
        payers = chance.sample(fans, min(PAYERS, len(fans)))
        paid = [each for day in range(days) for each in _paid(chance, account.id, payers, begun + timedelta(days=day))]
        store.past_keep(account=account.id, paid=sorted(paid, key=lambda each: each.paid_at))


def _paid(chance: Random, account: str, payers: list[Fan], day: datetime) -> list[Transaction]:
    """More on the days around a weekend."""
    count = chance.randint(*A_DAY) + 3 * (day.weekday() >= 4)
    return [_payment(chance, account, payers, day) for _ in range(count)]


def _payment(chance: Random, account: str, payers: list[Fan], day: datetime) -> Transaction:
    kind = chance.choices(KINDS, weights=(5, 3, 4))[0]
    cents = {
        "subscribes": SUBSCRIPTION_CENTS,
        "tips": chance.choice(TIP_CENTS),
        "chat_messages": chance.choice(PRICES_CENTS),
    }[kind]
    at = day + timedelta(seconds=chance.randrange(86_400))
    # The first of them is the most faithful.
    fan = payers[int(len(payers) * chance.random() ** 2)]
    return Transaction(0, account, fan.id, kind, cents, None, int(at.timestamp() * 1_000))
