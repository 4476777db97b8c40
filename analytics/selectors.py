"""Answers what a creator's fans are worth and what they paid, in the shapes the dashboard shows. Only reads."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache

from django.conf import settings
from django.utils import timezone
from django.utils.module_loading import import_string

from analytics.basis import CURRENCY, Basis, basis_of, today_of, zone_of
from analytics.figures import SUMS, Figures, Period, period_of, sums_by_period
from analytics.periods import Days, Interval, days_asked
from crm import selectors as crm_selectors
from crm.models import Creator, Fan
from crm.selectors import ACTIVE_WITHIN
from crm.statements import statement_run

TOP_FANS = 10
OVERVIEW_DAYS = 30


@dataclass(frozen=True, slots=True)
class TopFan:
    """A fan and the length of their bar: value in percent of the highest value."""

    fan: Fan
    percent: float


@dataclass(frozen=True, slots=True)
class TopFans:
    """The highest value first."""

    basis: Basis
    results: list[TopFan]


@dataclass(frozen=True, slots=True)
class Change:
    """From the days before to these, in percent with one decimal; None where there was nothing before."""

    gross_percent: float | None
    net_percent: float | None


@dataclass(frozen=True, slots=True)
class Revenue:
    """`periods` has each day, week or month of `whole`, those without money too; `before` is of as many days before.

    as_of: the sums are kept as money arrives, so they are of this moment. last_sync_at: what happened before is stored
    for sure; None where no account is synced.
    """

    interval: Interval
    time_zone: str
    currency: str
    other_currencies: list[str]
    whole: Period
    before: Period
    change: Change
    periods: list[Period]
    as_of: datetime
    last_sync_at: datetime | None


@dataclass(frozen=True, slots=True)
class RecentRevenue:
    """What came in over the last OVERVIEW_DAYS days, today with them, beside as many days before."""

    time_zone: str
    currency: str
    whole: Period
    change: Change


@dataclass(frozen=True, slots=True)
class FanTotals:
    """`value_cents` is the sum of the fans' values; `active` counts those seen within 30 days of `as_of`."""

    total: int
    active: int
    value_cents: int
    as_of: datetime


@dataclass(frozen=True, slots=True)
class Overview:
    fans: FanTotals
    revenue: RecentRevenue


# Totals of the fans, and of the money of two stretches of days by kind, in one trip to the database.
_OVERVIEW = f"""
WITH fans AS MATERIALIZED (
    SELECT count(*) AS total, count(*) FILTER (WHERE last_seen_at >= %s) AS active,
           coalesce(sum(value_cents), 0)::bigint AS value_cents
    FROM crm_fan WHERE creator_id = %s AND deleted_at IS NULL
), money AS (
    SELECT day >= %s AS recent, {SUMS}
    FROM analytics_keptday WHERE creator_id = %s AND currency = %s AND day BETWEEN %s AND %s GROUP BY 1
)
SELECT fans.*, money.* FROM fans LEFT JOIN money ON true
"""  # noqa: S608  names of our own


def overview(*, creator: Creator) -> Overview:
    """All of it in one statement."""
    basis, today = basis_of(creator), today_of(creator)
    days = Days(today - timedelta(days=OVERVIEW_DAYS - 1), today)
    values = [basis.as_of - ACTIVE_WITHIN, creator.pk, days.begin, creator.pk, CURRENCY, days.before().begin, days.end]
    rows = statement_run(_OVERVIEW, values)
    money = {recent: sums for _, _, _, recent, *sums in rows if recent is not None}
    whole = period_of(days, money.get(True, []))
    before = period_of(days.before(), money.get(False, []))
    total, active, value_cents, *_ = rows[0]
    return Overview(
        fans=FanTotals(total=total, active=active, value_cents=value_cents, as_of=basis.as_of),
        revenue=RecentRevenue(basis.time_zone, basis.currency, whole, _change(before.total, whole.total)),
    )


def top_fans(*, creator: Creator, limit: int = TOP_FANS) -> TopFans:
    """The fans of the highest value, those who never spent anything left out."""
    fans = [fan for fan in crm_selectors.fan_top(creator=creator, limit=limit) if fan.value_cents > 0]
    highest = fans[0].value_cents if fans else 0
    shown = [TopFan(fan=fan, percent=round(100 * fan.value_cents / highest, 1)) for fan in fans]
    return TopFans(basis=basis_of(creator), results=shown)


def revenue(
    *,
    creator: Creator,
    interval: Interval = Interval.DAY,
    begin: date | None = None,
    end: date | None = None,
    currency: str = CURRENCY,
) -> Revenue:
    """Revenue by days, weeks or months of the creator's own calendar, and beside the days before.

    Raises InvalidInput as days_asked does.
    """
    days = days_asked(interval=interval, begin=begin, end=end, today=today_of(creator))
    found = sums_by_period(creator=creator, currency=currency, days=days, interval=interval)
    whole = period_of(days, found.whole)
    before = period_of(days.before(), found.before)
    return Revenue(
        interval=interval,
        time_zone=zone_of(creator).key,
        currency=currency,
        other_currencies=[each for each in found.currencies if each != currency],
        whole=whole,
        before=before,
        change=_change(before.total, whole.total),
        periods=[period_of(each, found.periods.get(interval.begin(each.begin), [])) for each in days.split(interval)],
        as_of=timezone.now(),
        last_sync_at=_last_sync(settings.ANALYTICS_LAST_SYNC)(creator.pk),
    )


@cache
def _last_sync(path: str) -> Callable[[int], datetime | None]:
    """By whom the platform's money is synced is not known here; the settings name who can tell."""
    found: Callable[[int], datetime | None] = import_string(path)
    return found


def _change(before: Figures, now: Figures) -> Change:
    return Change(_percent(before.gross_cents, now.gross_cents), _percent(before.net_cents, now.net_cents))


def _percent(before: int, now: int) -> float | None:
    return round(100 * (now - before) / before, 1) if before else None
