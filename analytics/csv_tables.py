"""Answers each table of analytics as a CSV file: amounts in whole units of the currency, no cell a formula.
Touches nothing."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from analytics.basis import Basis
from analytics.fan_selectors import Churn, Cohorts, Tiers
from analytics.figures import Figures
from analytics.sales_selectors import CampaignsSales, Chatters, Hours
from analytics.selectors import Overview, Revenue, TopFans
from crm.csv_lines import csv_lines
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
_MONEY_HEADER = [name.removesuffix("_cents") for name in _MONEY]
_BASIS_HEADER = ["as_of", "time_zone", "currency"]


@dataclass(frozen=True, slots=True)
class CsvTable:
    """`name` is the file's, without its ending. A row has a cell for each of the header."""

    name: str
    header: Sequence[str]
    rows: Iterable[Sequence[Any]]

    @property
    def filename(self) -> str:
        return f"{self.name}.csv"

    def lines(self) -> Iterator[str]:
        """The file line by line."""
        return csv_lines(self.header, self.rows)


def decimal(cents: int) -> str:
    """1234 is 12.34; no amount is negative."""
    return f"{cents // 100}.{cents % 100:02}"


def overview_table(found: Overview) -> CsvTable:
    recent = found.revenue
    days, total = recent.whole.days, recent.whole.total
    header = [*_BASIS_HEADER, "fans", "active_fans", "lifetime_value_gross", "from", "to", *_MONEY_HEADER]
    row = [
        found.fans.as_of.isoformat(),
        recent.time_zone,
        recent.currency,
        found.fans.total,
        found.fans.active,
        decimal(found.fans.value_cents),
        days.begin,
        days.end,
        *_money(total),
        *(_blank(percent) for percent in (recent.change.gross_percent, recent.change.net_percent)),
    ]
    return CsvTable(f"overview-{days.end}", [*header, "gross_change_percent", "net_change_percent"], [row])


def revenue_table(found: Revenue) -> CsvTable:
    """A line per period, with every kind."""
    kinds = [f"{kind}_{figure}" for kind in TransactionKind.values for figure in ("gross", "net")]
    days = found.whole.days
    return CsvTable(
        f"revenue-{days.begin}-{days.end}-by-{found.interval}",
        ["from", "to", *_BASIS_HEADER, "transactions", *_MONEY_HEADER, *kinds],
        (
            [
                period.days.begin,
                period.days.end,
                found.as_of.isoformat(),
                found.time_zone,
                found.currency,
                period.total.count,
                *_money(period.total),
                *(
                    decimal(cents)
                    for each in (period.kinds.get(kind, Figures()) for kind in TransactionKind)
                    for cents in (each.gross_cents, each.net_cents)
                ),
            ]
            for period in found.periods
        ),
    )


def top_fans_table(found: TopFans) -> CsvTable:
    rows = (
        [
            place,
            row.fan.platform_id,
            row.fan.handle,
            row.fan.name,
            decimal(row.fan.value_cents),
            *_basis(found.basis),
            "" if row.fan.last_seen_at is None else row.fan.last_seen_at.isoformat(),
        ]
        for place, row in enumerate(found.results, 1)
    )
    header = ["place", "platform_id", "handle", "name", "lifetime_value_gross", *_BASIS_HEADER, "last_seen"]
    return CsvTable(_dated("top-fans", found.basis), header, rows)


def tiers_table(found: Tiers) -> CsvTable:
    rows = (
        [
            each.percent,
            each.fans,
            decimal(each.from_cents),
            decimal(each.value_cents),
            each.share_percent,
            *_basis(found.basis),
        ]
        for each in found.results
    )
    header = ["top_percent", "fans", "from_gross", "lifetime_value_gross", "share_percent", *_BASIS_HEADER]
    return CsvTable(_dated("spend-tiers", found.basis), header, rows)


def cohorts_table(found: Cohorts) -> CsvTable:
    """A line per cohort and month since."""
    rows = (
        [
            cohort.begin,
            cohort.fans,
            each.month,
            each.fans,
            each.percent,
            decimal(each.gross_cents),
            decimal(each.net_cents),
            *_basis(found.basis),
        ]
        for cohort in found.results
        for each in cohort.months
    )
    header = ["first_month", "fans", "months_later", "paying_fans", "percent", "gross", "net", *_BASIS_HEADER]
    return CsvTable(_dated("cohorts", found.basis), header, rows)


def churn_table(found: Churn) -> CsvTable:
    rows = (
        [
            each.begin,
            each.subscribers,
            each.joined,
            each.kept,
            _blank(each.lapsed),
            _blank(each.churn_percent),
            each.renewals,
            decimal(each.gross_cents),
            decimal(each.net_cents),
            *_basis(found.basis),
        ]
        for each in found.results
    )
    header = ["month", "subscribers", "joined", "kept", "lapsed", "churn_percent", "renewals", "gross", "net"]
    return CsvTable(_dated("churn", found.basis), [*header, *_BASIS_HEADER], rows)


def hours_table(found: Hours) -> CsvTable:
    rows = (
        [each.weekday, each.hour, each.count, decimal(each.gross_cents), decimal(each.net_cents), *_basis(found.basis)]
        for each in found.results
    )
    header = ["weekday", "hour", "transactions", "gross", "net", *_BASIS_HEADER]
    return CsvTable(f"hours-{found.days.begin}-{found.days.end}", header, rows)


def campaigns_table(found: CampaignsSales) -> CsvTable:
    rows = (
        [
            each.id,
            each.name,
            each.created_at.isoformat(),
            decimal(each.price_cents),
            each.sent,
            each.buyers,
            each.buyers_percent,
            each.purchases,
            decimal(each.gross_cents),
            decimal(each.net_cents),
            found.within_days,
            *_basis(found.basis),
        ]
        for each in found.results
    )
    header = ["campaign", "name", "created", "price", "sent", "buyers", "buyers_percent", "purchases", "gross", "net"]
    name = f"campaigns-{found.days.begin}-{found.days.end}"
    return CsvTable(name, [*header, "within_days", *_BASIS_HEADER], rows)


def chatters_table(found: Chatters) -> CsvTable:
    rows = (
        [
            _blank(each.id),
            each.name,
            each.messages,
            each.replies,
            _blank(each.median_seconds),
            each.sales,
            decimal(each.gross_cents),
            decimal(each.net_cents),
            *_basis(found.basis),
        ]
        for each in found.results
    )
    header = ["chatter", "name", "messages", "replies", "median_seconds", "sales", "gross", "net", *_BASIS_HEADER]
    return CsvTable(f"chatters-{found.days.begin}-{found.days.end}", header, rows)


def _money(figures: Figures) -> list[str]:
    return [decimal(getattr(figures, name)) for name in _MONEY]


def _basis(basis: Basis) -> list[str]:
    return [basis.as_of.isoformat(), basis.time_zone, basis.currency]


def _dated(name: str, basis: Basis) -> str:
    return f"{name}-{basis.day}"


def _blank(value: Any) -> Any:
    return "" if value is None else value
