"""Answers what sells: at which hours, through which campaign, by whose messages, and how fast those come. Only reads.

Each is one statement over the creator's own rows, whose answer for a large creator may be some minutes old: the basis
says as of when. Messages are messaging's and crm's, and are only looked at here.
docs/analytics.md has the definitions.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from analytics.basis import CURRENCY, Basis, basis_of, moments_of, today_of
from analytics.periods import Days, days_asked
from analytics.recent_answers import rows_recent
from crm.models import Creator

HOURS_DAYS = 90
CAMPAIGN_DAYS = 90
CHATTER_DAYS = 30
# A purchase so many days after a campaign's message is the campaign's, unless somebody asks for another number.
WITHIN_DAYS = 7
WITHIN_DAYS_MAX = 30
CAMPAIGNS_MAX = 100

_EARNED = "currency = %s AND status IN ('loading', 'done')"
_HOURS = f"""
SELECT extract(isodow FROM at)::int, extract(hour FROM at)::int, count(*), sum(gross_cents)::bigint,
       sum(net_cents)::bigint
FROM (
    SELECT occurred_at AT TIME ZONE (SELECT analytics_zone(%s)) AS at, gross_cents, net_cents FROM crm_transaction
    WHERE creator_id = %s AND {_EARNED} AND occurred_at >= %s AND occurred_at < %s
) AS paid GROUP BY 1, 2
"""  # noqa: S608  names of our own
# Each purchase is one campaign's: that of the very message it paid for, else of the last one before it.
_CAMPAIGNS = """
WITH sent AS (
    SELECT campaign_id, fan_id, message_id, finished_at AS at FROM messaging_delivery
    WHERE creator_id = %s AND campaign_id IS NOT NULL AND state = 'sent' AND finished_at >= %s
), bought AS (
    SELECT DISTINCT ON (t.id) sent.campaign_id, t.fan_id, t.gross_cents, t.net_cents
    FROM sent JOIN crm_transaction AS t
        ON t.fan_id = sent.fan_id AND t.occurred_at >= sent.at AND t.occurred_at < sent.at + %s::interval
    -- That of the fans and of the time is in the join already; said here, it leaves out all that was paid before.
    WHERE t.creator_id = %s AND t.occurred_at >= %s AND t.currency = %s
        AND t.status IN ('loading', 'done') AND t.kind NOT IN ('subscription', 'recurring')
    ORDER BY t.id, coalesce(t.message_id = sent.message_id, false) DESC, sent.at DESC
)
SELECT c.id, c.name, c.created_at, c.price_cents, coalesce(s.sent, 0), coalesce(b.purchases, 0), coalesce(b.buyers, 0),
       coalesce(b.gross, 0)::bigint, coalesce(b.net, 0)::bigint
FROM messaging_campaign AS c
LEFT JOIN (SELECT campaign_id, count(*) AS sent FROM sent GROUP BY 1) AS s ON s.campaign_id = c.id
LEFT JOIN (
    SELECT campaign_id, count(*) AS purchases, count(DISTINCT fan_id) AS buyers, sum(gross_cents) AS gross,
           sum(net_cents) AS net
    FROM bought GROUP BY 1
) AS b ON b.campaign_id = c.id
WHERE c.creator_id = %s AND c.created_at >= %s AND c.created_at < %s
ORDER BY c.created_at DESC, c.id DESC LIMIT %s
"""
# A turn is what a fan wrote without an answer, and the message that answered it. Campaigns answer nobody.
_CHATTERS = """
WITH talk AS (
    SELECT m.id, m.conversation_id, m.direction = 'out' AS ours, m.created_at AS at, m.sender_id
    FROM crm_conversation AS c JOIN crm_message AS m ON m.conversation_id = c.id
    LEFT JOIN messaging_delivery AS d ON d.message_id = m.id
    WHERE c.creator_id = %s AND c.last_message_at >= %s AND m.created_at >= %s AND m.created_at < %s
        AND m.status IN ('received', 'sent') AND d.campaign_id IS NULL
), turns AS (
    SELECT talk.*, count(*) FILTER (WHERE ours) OVER (
        PARTITION BY conversation_id ORDER BY at, id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS turn FROM talk
), answers AS (
    SELECT max(sender_id) AS sender, min(at) FILTER (WHERE NOT ours) AS asked, max(at) FILTER (WHERE ours) AS answered
    FROM turns GROUP BY conversation_id, turn HAVING bool_or(ours)
), written AS (
    SELECT coalesce(sender, 0) AS sender, count(*) AS messages, count(asked) AS replies,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM answered - asked))
               FILTER (WHERE asked IS NOT NULL) AS median
    FROM answers GROUP BY 1
), sold AS (
    SELECT coalesce(m.sender_id, 0) AS sender, count(*) AS sales, sum(t.gross_cents) AS gross, sum(t.net_cents) AS net
    FROM crm_transaction AS t JOIN crm_message AS m ON m.id = t.message_id
    LEFT JOIN messaging_delivery AS d ON d.message_id = m.id
    WHERE t.creator_id = %s AND t.occurred_at >= %s AND t.occurred_at < %s AND t.currency = %s
        AND t.status IN ('loading', 'done') AND m.direction = 'out' AND d.campaign_id IS NULL
    GROUP BY 1
)
SELECT u.id, coalesce(nullif(u.name, ''), u.email, ''), coalesce(messages, 0), coalesce(replies, 0), round(median)::int,
       coalesce(sales, 0), coalesce(gross, 0)::bigint, coalesce(net, 0)::bigint
FROM written FULL JOIN sold USING (sender) LEFT JOIN crm_user AS u ON u.id = sender
ORDER BY coalesce(net, 0) DESC, coalesce(messages, 0) DESC, sender
"""


@dataclass(frozen=True, slots=True)
class Hour:
    """All that was paid in one hour (0 to 23) of one day of the week (1 is Monday) over the days."""

    weekday: int
    hour: int
    count: int = 0
    gross_cents: int = 0
    net_cents: int = 0


@dataclass(frozen=True, slots=True)
class Hours:
    """`results` has all 168 hours of a week in their order; `best` has the highest net, None without money."""

    basis: Basis
    days: Days
    best: Hour | None
    results: list[Hour]


@dataclass(frozen=True, slots=True)
class CampaignSales:
    """Of one campaign: messages that went out, fans who then bought something, and for how much."""

    id: int
    name: str
    created_at: datetime
    price_cents: int
    sent: int
    purchases: int
    buyers: int
    gross_cents: int
    net_cents: int

    @property
    def buyers_percent(self) -> float:
        return round(100 * self.buyers / self.sent, 1) if self.sent else 0.0


@dataclass(frozen=True, slots=True)
class CampaignsSales:
    """Those of the campaigns that were begun on these days, the newest first, at most CAMPAIGNS_MAX."""

    basis: Basis
    days: Days
    within_days: int
    results: list[CampaignSales]


@dataclass(frozen=True, slots=True)
class Chatter:
    """Of one who wrote: `messages` that went out, `replies` of them to a fan who waited, and for how long (the median).

    `sales` are paid messages of theirs. Without `id` it is what was written at the platform itself, or by somebody
    whose account is gone.
    """

    id: int | None
    name: str
    messages: int
    replies: int
    median_seconds: int | None
    sales: int
    gross_cents: int
    net_cents: int


@dataclass(frozen=True, slots=True)
class Chatters:
    """Who sold the most is first."""

    basis: Basis
    days: Days
    results: list[Chatter]


def hours(*, creator: Creator, begin: date | None = None, end: date | None = None, currency: str = CURRENCY) -> Hours:
    """When fans pay, by the hours of a week. Raises InvalidInput as days_asked does."""
    basis, days = basis_of(creator, currency=currency), _days(creator, begin, end, HOURS_DAYS)
    values = [basis.time_zone, creator.pk, currency, *moments_of(creator, days)]
    rows, basis = rows_recent(creator=creator, basis=basis, sql=_HOURS, values=values)
    found = {(weekday, hour): Hour(weekday, hour, *figures) for weekday, hour, *figures in rows}
    best = max(found.values(), key=lambda each: each.net_cents, default=None)
    week = [(weekday, hour) for weekday in range(1, 8) for hour in range(24)]
    return Hours(basis, days, best, [found.get(each, Hour(*each)) for each in week])


def campaigns(
    *,
    creator: Creator,
    begin: date | None = None,
    end: date | None = None,
    within_days: int = WITHIN_DAYS,
    currency: str = CURRENCY,
) -> CampaignsSales:
    """What fans bought within some days of a campaign's message. Raises InvalidInput as days_asked does."""
    basis, days = basis_of(creator, currency=currency), _days(creator, begin, end, CAMPAIGN_DAYS)
    since, until = moments_of(creator, days)
    within = timedelta(days=within_days)
    values = [creator.pk, since, within, creator.pk, since, currency, creator.pk, since, until, CAMPAIGNS_MAX]
    rows, basis = rows_recent(creator=creator, basis=basis, sql=_CAMPAIGNS, values=values)
    return CampaignsSales(basis, days, within_days, [CampaignSales(*row) for row in rows])


def chatters(
    *, creator: Creator, begin: date | None = None, end: date | None = None, currency: str = CURRENCY
) -> Chatters:
    """Who writes, how fast they answer and what they sell. Raises InvalidInput as days_asked does."""
    basis, days = basis_of(creator, currency=currency), _days(creator, begin, end, CHATTER_DAYS)
    since, until = moments_of(creator, days)
    values = [creator.pk, since, since, until, creator.pk, since, until, currency]
    rows, basis = rows_recent(creator=creator, basis=basis, sql=_CHATTERS, values=values)
    return Chatters(basis, days, [Chatter(*row) for row in rows])


def _days(creator: Creator, begin: date | None, end: date | None, usual: int) -> Days:
    return days_asked(begin=begin, end=end, today=today_of(creator), usual=usual)
