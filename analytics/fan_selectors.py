"""Answers how fans' money is spread: over the best of them, over the months since their first, over renewals.
Only reads.

Each is one statement over the creator's own rows, whose answer for a large creator may be some minutes old: the basis
says as of when. Money that is taken back, or whose fan nobody told, is in none.
docs/analytics.md has the definitions.
"""

from dataclasses import dataclass
from datetime import date

from analytics.basis import CURRENCY, Basis, basis_of, moments_of, today_of
from analytics.periods import Days, months_between, months_until
from analytics.recent_answers import rows_recent
from crm.models import Creator
from crm.statements import statement_run

TIERS = (1, 5, 20)
MONTHS = 12
MONTHS_MAX = 24

_TIERS = """
WITH ranked AS (
    SELECT value_cents, row_number() OVER (ORDER BY value_cents DESC, id DESC) AS place, count(*) OVER () AS fans
    FROM crm_fan WHERE creator_id = %s AND deleted_at IS NULL AND value_cents > 0
)
SELECT percent, count(*), min(value_cents), sum(value_cents)::bigint
FROM ranked JOIN unnest(%s::int[]) AS percent ON place <= ceil(fans * percent / 100.0) GROUP BY percent ORDER BY percent
"""
# The zone is looked up once, and not for every row.
_MONTH = "date_trunc('month', occurred_at AT TIME ZONE (SELECT analytics_zone(%s)))::date"
_EARNED = "creator_id = %s AND currency = %s AND status IN ('loading', 'done') AND fan_id IS NOT NULL"
_COHORTS = f"""
WITH paid AS (
    SELECT fan_id, {_MONTH} AS month, sum(gross_cents) AS gross, sum(net_cents) AS net
    FROM crm_transaction WHERE {_EARNED} GROUP BY 1, 2
), begun AS (
    SELECT min(month) OVER (PARTITION BY fan_id) AS cohort, month, gross, net FROM paid
)
SELECT cohort, month, count(*), sum(gross)::bigint, sum(net)::bigint
FROM begun WHERE cohort >= %s GROUP BY 1, 2 ORDER BY 1, 2
"""  # noqa: S608  names of our own
_SUBSCRIBERS = f"""
WITH paid AS (
    SELECT fan_id, {_MONTH} AS month, count(*) FILTER (WHERE kind = 'recurring') AS renewals,
           sum(gross_cents) AS gross, sum(net_cents) AS net
    FROM crm_transaction
    WHERE {_EARNED} AND kind IN ('subscription', 'recurring') AND occurred_at >= %s GROUP BY 1, 2
), stayed AS (
    SELECT *, lag(month) OVER (PARTITION BY fan_id ORDER BY month) = month - interval '1 month' AS kept FROM paid
)
SELECT month, count(*), count(*) FILTER (WHERE kept), sum(renewals)::bigint, sum(gross)::bigint, sum(net)::bigint
FROM stayed GROUP BY 1
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Tier:
    """The `percent` of the paying fans who spent the most, at least one of them; `share_percent` of all that was spent.

    from_cents: what the last of them spent.
    """

    percent: int
    fans: int
    from_cents: int
    value_cents: int
    share_percent: float


@dataclass(frozen=True, slots=True)
class Tiers:
    """By the fans' lifetime value, gross. `paying_fans` have spent something."""

    basis: Basis
    paying_fans: int
    value_cents: int
    results: list[Tier]


@dataclass(frozen=True, slots=True)
class CohortMonth:
    """What the fans of a cohort did in the n-th month after their first (0): how many of them paid, and what."""

    month: int
    fans: int
    percent: float
    gross_cents: int
    net_cents: int


@dataclass(frozen=True, slots=True)
class Cohort:
    """The fans whose first payment was in the month that begins with `begin`; `months` has each one until now."""

    begin: date
    fans: int
    gross_cents: int
    net_cents: int
    months: list[CohortMonth]


@dataclass(frozen=True, slots=True)
class Cohorts:
    """The oldest first; months in which nobody began are there."""

    basis: Basis
    results: list[Cohort]


@dataclass(frozen=True, slots=True)
class ChurnMonth:
    """Who paid for a subscription in the month: `kept` had done so in the month before, `joined` had not.

    `lapsed` paid in the month before and not in this one, `churn_percent` of those of the month before. Both are None
    while the month goes on, and the percent where nobody was there to leave. `renewals` counts payments.
    """

    begin: date
    subscribers: int
    joined: int
    kept: int
    renewals: int
    gross_cents: int
    net_cents: int
    lapsed: int | None
    churn_percent: float | None


@dataclass(frozen=True, slots=True)
class Churn:
    """The oldest month first, this one the last."""

    basis: Basis
    results: list[ChurnMonth]


def tiers(*, creator: Creator) -> Tiers:
    rows = statement_run(_TIERS, [creator.pk, [*TIERS, 100]])
    _, fans, _, value = rows[-1] if rows else (100, 0, 0, 0)
    return Tiers(
        basis=basis_of(creator),
        paying_fans=fans,
        value_cents=value,
        results=[Tier(percent, count, least, part, _percent(part, value)) for percent, count, least, part in rows[:-1]],
    )


def cohorts(*, creator: Creator, months: int = MONTHS, currency: str = CURRENCY) -> Cohorts:
    """Who began in each of the last months, and how many of them came back in each month since."""
    basis, begins = basis_of(creator, currency=currency), months_until(today_of(creator), months)
    found: dict[date, dict[int, tuple[int, int, int]]] = {begin: {} for begin in begins}
    values = [basis.time_zone, creator.pk, currency, begins[0]]
    rows, basis = rows_recent(creator=creator, basis=basis, sql=_COHORTS, values=values)
    for begin, month, *figures in rows:
        # What lies in the future is a mistake of its source.
        if begin in found and month <= begins[-1]:
            found[begin][months_between(begin, month)] = (figures[0], figures[1], figures[2])
    results = [_cohort(begin, found[begin], months_between(begin, begins[-1])) for begin in begins]
    return Cohorts(basis, results)


def churn(*, creator: Creator, months: int = MONTHS, currency: str = CURRENCY) -> Churn:
    """Who paid for a subscription in each of the last months, and who of the month before did not."""
    basis = basis_of(creator, currency=currency)
    before, *begins = months_until(today_of(creator), months + 1)
    since, _ = moments_of(creator, Days(before, before))
    values = [basis.time_zone, creator.pk, currency, since]
    rows, basis = rows_recent(creator=creator, basis=basis, sql=_SUBSCRIBERS, values=values)
    found = {month: tuple(figures) for month, *figures in rows}
    results, there = [], found.get(before, (0,))[0]
    for begin in begins:
        fans, kept, renewals, gross, net = found.get(begin, (0, 0, 0, 0, 0))
        over = begin != begins[-1]
        results.append(
            ChurnMonth(
                begin=begin,
                subscribers=fans,
                joined=fans - kept,
                kept=kept,
                renewals=renewals,
                gross_cents=gross,
                net_cents=net,
                lapsed=there - kept if over else None,
                churn_percent=_percent(there - kept, there) if over and there else None,
            )
        )
        there = fans
    return Churn(basis, results)


def _cohort(begin: date, found: dict[int, tuple[int, int, int]], last: int) -> Cohort:
    fans = found.get(0, (0, 0, 0))[0]
    rows = [(number, *found.get(number, (0, 0, 0))) for number in range(last + 1)]
    return Cohort(
        begin=begin,
        fans=fans,
        gross_cents=sum(row[2] for row in rows),
        net_cents=sum(row[3] for row in rows),
        months=[CohortMonth(number, came, _percent(came, fans), gross, net) for number, came, gross, net in rows],
    )


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 1) if whole else 0.0
