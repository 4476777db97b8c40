"""Answers what a creator earned in which period, by kind, from the kept days. Only reads."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from analytics.periods import Days, Interval
from crm.models import Creator, TransactionKind
from crm.statements import statement_run


# Not frozen, because thousands of them are made for a year of days, and that would take three times as long.
@dataclass(slots=True)
class Figures:
    """Money in cents. `gross`: what fans paid, without tax; `fee`: what the platform keeps; `net`: the creator's.

    Of transactions that are done or on their way (`loading_…`: the latter's part); what was taken back or is being
    returned is only in `taken_back_…`.
    """

    count: int = 0
    gross_cents: int = 0
    fee_cents: int = 0
    net_cents: int = 0
    loading_count: int = 0
    loading_gross_cents: int = 0
    loading_net_cents: int = 0
    taken_back_count: int = 0
    taken_back_gross_cents: int = 0
    taken_back_net_cents: int = 0


@dataclass(frozen=True, slots=True)
class Period:
    """The money of some days: all of it, and by kind where there is any."""

    days: Days
    total: Figures
    kinds: Mapping[TransactionKind, Figures]


# The values of a Figures, of each kind that there is.
Kinds = Mapping[TransactionKind, Sequence[int]]

_NAMES = [field.name for field in fields(Figures)]
_TAKEN_BACK = _NAMES.index("taken_back_count")
_PLACES = [(kind, place * len(_NAMES)) for place, kind in enumerate(TransactionKind)]


def _columns(read: str) -> str:
    """Every figure of every kind in the order of TransactionKind and Figures; read: how a column is, as `sum({})`."""
    columns = []
    for kind in TransactionKind.values:
        gross, net, gap = (f"coalesce({read.format(f'{kind}_{name}_cents')}, 0)" for name in ("gross", "net", "gap"))
        fee = f"{gross} - {net} - {gap}"
        columns += [fee if name == "fee_cents" else read.format(f"{kind}_{name}") for name in _NAMES]
    return ", ".join(columns)


SUMS = _columns("sum({})::bigint")
_OF_DAYS = "FROM analytics_keptday WHERE creator_id = %s AND day BETWEEN %s AND %s"
_BEFORE = f"UNION ALL SELECT NULL, currency, {SUMS} {_OF_DAYS} GROUP BY currency"
_BY_PERIOD = {
    Interval.DAY: f"SELECT day, currency, {_columns('{}')} {_OF_DAYS} {_BEFORE}",
    **{
        interval: f"SELECT date_trunc('{interval}', day::timestamp)::date, currency, {SUMS} {_OF_DAYS} GROUP BY 1, 2 {_BEFORE}"  # noqa: E501  names of our own
        for interval in (Interval.WEEK, Interval.MONTH)
    },
}


@dataclass(frozen=True, slots=True)
class PeriodKinds:
    """`periods` under the first day of each whole week or month, those without money left out; `before` of as many days
    right before. `currencies`: all that have money in the periods."""

    periods: Mapping[date, Kinds]
    before: Kinds
    currencies: Sequence[str]


def kinds_by_period(*, creator: Creator, currency: str, days: Days, interval: Interval) -> PeriodKinds:
    """All that a trend shows in one statement, which reads a row for each day."""
    before, currencies = days.before(), set()
    periods: dict[date, Kinds] = {}
    kinds_before: Kinds = {}
    values = [creator.pk, days.begin, days.end, creator.pk, before.begin, before.end]
    for begin, its_currency, *figures in statement_run(_BY_PERIOD[interval], values):
        if begin is not None:
            currencies.add(its_currency)
        if its_currency != currency:
            continue
        if begin is None:
            kinds_before = kinds_read(figures)
        else:
            periods[begin] = kinds_read(figures)
    return PeriodKinds(periods, kinds_before, sorted(currencies))


def kinds_read(figures: Sequence[Any]) -> Kinds:
    """From the columns of SUMS; a kind that has neither earned nor taken back money is left out."""
    return {
        kind: [value or 0 for value in figures[at : at + len(_NAMES)]]
        for kind, at in _PLACES
        if figures[at] or figures[at + _TAKEN_BACK]
    }


def kinds_together(several: Iterable[Kinds]) -> Kinds:
    found: dict[TransactionKind, list[Sequence[int]]] = {}
    for kinds in several:
        for kind, values in kinds.items():
            found.setdefault(kind, []).append(values)
    return {kind: _added(found[kind]) for kind in TransactionKind if kind in found}


def period_of(days: Days, kinds: Kinds) -> Period:
    total = Figures(*_added(kinds.values())) if kinds else Figures()
    return Period(days, total, {kind: Figures(*values) for kind, values in kinds.items()})


def _added(several: Iterable[Sequence[int]]) -> list[int]:
    return list(map(sum, zip(*several, strict=True)))
