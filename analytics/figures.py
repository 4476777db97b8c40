"""Answers what a creator earned in which period, by kind, from the kept days. Only reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date

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


SUMS = _columns("coalesce(sum({}), 0)::bigint")
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
class PeriodSums:
    """Sums in the order of SUMS: `periods` under the first day of each whole week or month, those without money left
    out; `whole` of all of them, `before` of as many days right before, both empty without any.
    `currencies`: all that have money in the periods."""

    periods: Mapping[date, Sequence[int]]
    whole: Sequence[int]
    before: Sequence[int]
    currencies: Sequence[str]


def sums_by_period(*, creator: Creator, currency: str, days: Days, interval: Interval) -> PeriodSums:
    """All that a trend shows in one statement, which reads a row for each day."""
    before, currencies = days.before(), set()
    found: dict[date | None, list[int]] = {}
    values = [creator.pk, days.begin, days.end, creator.pk, before.begin, before.end]
    for begin, its_currency, *sums in statement_run(_BY_PERIOD[interval], values, binary=True):
        if begin is not None:
            currencies.add(its_currency)
        if its_currency == currency:
            found[begin] = [value or 0 for value in sums]
    sums_before = found.pop(None, [])
    whole = list(map(sum, zip(*found.values(), strict=True)))
    periods = {begin: sums for begin, sums in found.items() if begin is not None}
    return PeriodSums(periods, whole, sums_before, sorted(currencies))


def period_of(days: Days, sums: Sequence[int]) -> Period:
    """From the columns of SUMS, or from nothing; a kind that has neither earned nor taken back money is left out."""
    if not sums:
        return Period(days, Figures(), {})
    width = len(_NAMES)
    total = Figures(*[sum(sums[place::width]) for place in range(width)])
    kinds = {kind: Figures(*sums[at : at + width]) for kind, at in _PLACES if sums[at] or sums[at + _TAKEN_BACK]}
    return Period(days, total, kinds)
