"""Answers revenue as a CSV file: a line per period. Touches nothing."""

from collections.abc import Iterator

from defusedcsv import csv

from analytics.selectors import Figures, Revenue
from crm.models import TransactionKind

_MONEY = [
    "gross_cents",
    "fee_cents",
    "net_cents",
    "loading_gross_cents",
    "loading_net_cents",
    "taken_back_gross_cents",
    "taken_back_net_cents",
]
HEADER = [
    "from",
    "to",
    "time_zone",
    "currency",
    "transactions",
    *(name.removesuffix("_cents") for name in _MONEY),
    *(f"{kind}_{figure}" for kind in TransactionKind.values for figure in ("gross", "net")),
]


class _Echo:
    """What csv writes to: hands the line back."""

    def write(self, line: str) -> str:
        return line


def revenue_csv(revenue: Revenue) -> Iterator[str]:
    """The file line by line: amounts in whole units of the currency with two decimals, every period and every kind."""
    writer = csv.writer(_Echo())
    yield writer.writerow(HEADER)
    for period in revenue.periods:
        by_kind = [period.kinds.get(kind, Figures()) for kind in TransactionKind]
        yield writer.writerow(
            [
                period.days.begin,
                period.days.end,
                revenue.time_zone,
                revenue.currency,
                period.total.count,
                *(decimal(getattr(period.total, name)) for name in _MONEY),
                *(decimal(cents) for each in by_kind for cents in (each.gross_cents, each.net_cents)),
            ]
        )


def revenue_filename(revenue: Revenue) -> str:
    return f"revenue-{revenue.whole.days.begin}-{revenue.whole.days.end}-by-{revenue.interval}.csv"


def decimal(cents: int) -> str:
    """1234 is 12.34; no amount is negative."""
    return f"{cents // 100}.{cents % 100:02}"
