"""Answers what is on its way, what is stuck and how sending goes, from a creator's side. Only reads tables."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import close_old_connections, connection
from django.db.models import DateTimeField, F, Max, Min, Q, QuerySet, TextField, UUIDField
from django.db.models.functions import Cast, Now
from django.utils import timezone
from django.utils.translation import gettext

from crm.errors import NotFound
from crm.listing import Key, Listing
from crm.models import Conversation, Creator, Fan, Message, MessageStatus
from crm.statements import rows_read, statement_run
from messaging.models import (
    OPEN_STATES,
    ORDERED_STATES,
    TROUBLE_STATES,
    UNSENT_STATES,
    Campaign,
    CampaignStatus,
    Delivery,
    Kind,
    SendingProfile,
)
from messaging.slots import ungrouped

# A doubt that no sweep has ended for so long (none runs, the platform forgot the key) holds nobody up any more.
DOUBT_HOLDS = timedelta(hours=1)
# A message that is so long past its slot waits for something that should be running.
LATE_AFTER = timedelta(minutes=10)


def database_ping() -> None:
    """Raise Django's DatabaseError or InterfaceError where PostgreSQL does not answer; keeps no connection."""
    close_old_connections()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        connection.close()


def delivery_in_trouble_list(*, creator: Creator) -> QuerySet[Delivery]:
    """Failed and unknown messages with fan, unordered: a paginator orders them. Deleted fans have no say in it."""
    deliveries = Delivery.objects.filter(creator=creator, state__in=TROUBLE_STATES, fan__deleted_at=None)
    return deliveries.select_related("message", "fan")


def delivery_waiting_list(*, creator: Creator) -> QuerySet[Delivery]:
    """All that waits to be sent for the creator, paused and scheduled campaigns too; unordered."""
    return Delivery.objects.filter(creator=creator, state__in=UNSENT_STATES)


def fan_delivery_list(*, fan: Fan) -> QuerySet[Delivery]:
    """Every delivery to one fan with its campaign, the oldest first."""
    return Delivery.objects.filter(fan=fan).select_related("campaign").order_by("pk")


def delivery_get(*, creator: Creator, message_id: UUID) -> Delivery:
    delivery = (
        Delivery.objects.filter(creator=creator, pk=message_id)
        .select_related("message__conversation", "fan", "campaign")
        .first()
    )
    if delivery is None:
        raise NotFound(gettext("There is no such message."), code="message_not_found")
    return delivery


def thread_list(*, conversation: Conversation) -> QuerySet[Message]:
    """The messages of a conversation with their deliveries, unordered: a paginator orders them."""
    return Message.objects.filter(conversation=conversation).select_related(
        "delivery__campaign", "delivery__decided_by"
    )


class ThreadRow(NamedTuple):
    """A message with its delivery and, of a campaign's, how that stands.

    Once it is sent, and without a delivery, `due_at`, `reason` and all that follows `campaign_status` are None; what a
    person wrote to this fan has no campaign. No attachments are None too.
    """

    id: str
    direction: str
    text: str
    price_cents: int
    read: bool
    attachments: list[dict[str, str]] | None
    status: str
    created_at: datetime
    sent_at: datetime | None
    deleted_at: datetime | None
    due_at: datetime | None
    reason: str | None
    campaign_id: int | None
    campaign_name: str | None
    campaign_status: str | None
    scheduled_at: datetime | None
    in_doubt: bool | None
    decision: str | None
    decided_by_id: int | None
    decided_by_name: str | None
    decided_at: datetime | None
    read_back_found: str | None
    read_back_at: datetime | None
    read_back_count: int | None


# As ThreadRow. Most messages have no attachments, and their empty list need not be read as JSON.
_THREAD_COLUMNS = """m.id::text, m.direction, m.text, m.price_cents, m.read, NULLIF(m.attachments, '[]'), m.status,
    m.created_at, m.sent_at, m.deleted_at, d.due_at, d.reason, m.campaign_id, c.name, c.status, d.scheduled_at,
    d.key_in_doubt, d.decision, d.decided_by_id, (SELECT name FROM crm_user WHERE id = d.decided_by_id), d.decided_at,
    d.read_back_found, d.read_back_at, d.read_back_count"""
# Of most messages, sent or received, nothing of a delivery is shown; looking none up takes a third off the query.
_THREAD_SOURCE = """crm_message m LEFT JOIN messaging_delivery d
    ON d.message_id = CASE WHEN m.status NOT IN ('received', 'sent') THEN m.id END
    LEFT JOIN messaging_campaign c ON c.id = m.campaign_id"""
_THREAD_KEYS = {
    "created_at": Key("m.created_at", "timestamptz", DateTimeField(), "-infinity"),
    "id": Key("m.id", "uuid", UUIDField(), str(UUID(int=0))),
}


# Asked once for a statement, and then as good as the id itself.
_CREATORS_CONVERSATION = """m.conversation_id = (SELECT c.id FROM crm_conversation c JOIN crm_fan f ON f.id = c.fan_id
    WHERE c.id = %s AND c.creator_id = %s AND f.deleted_at IS NULL)"""


def thread_rows(*, creator: Creator, conversation_id: int) -> Listing[ThreadRow]:
    """As thread_list, for a list that is asked for every few seconds; no rows where conversation_get would raise."""
    return Listing(
        row=ThreadRow._make,
        columns=_THREAD_COLUMNS,
        source=_THREAD_SOURCE,
        conditions=[_CREATORS_CONVERSATION],
        values=[conversation_id, creator.pk],
        keys=_THREAD_KEYS,
    )


def delivery_for_dispatch(*, message_id: UUID) -> Delivery | None:
    """All that the consumer needs of one message, in one query; of any creator, since the queue is shared.

    `quiet` is how long ago the creator last claimed a send, by the database's clock; None for never.
    """
    return (
        Delivery.objects.filter(pk=message_id)
        .annotate(quiet=Now() - F("creator__sending_profile__last_claimed_at"))
        .select_related("message", "fan", "campaign", "creator__sending_profile")
        .first()
    )


def dispatch_state(*, message_id: UUID, dispatch_id: UUID) -> str | None:
    """The message's state; None where this dispatch of it counts no more."""
    rows = Delivery.objects.filter(pk=message_id, dispatch_id=dispatch_id)
    return rows.values_list("state", flat=True).first()


def earlier_open(*, delivery: Delivery) -> datetime | None:
    """When the message that goes first is due: an earlier one to the same fan that is still on its way.

    So is one whose outcome is unknown while the sweeper will send it again by itself: it may not have arrived yet.
    A reply waits for replies alone: a campaign may have hours to go. Nothing waits for a campaign that is paused.
    """
    kinds = (Kind.REPLY,) if delivery.kind == Kind.REPLY else Kind.values
    earlier = (
        Delivery.objects.filter(fan_id=delivery.fan_id, pk__lt=delivery.pk, state__in=ORDERED_STATES, kind__in=kinds)
        .filter(~Q(state=MessageStatus.UNKNOWN) | _resolved_soon())
        .filter(Q(scheduled_at=None) | Q(scheduled_at__lte=Now()))
        .exclude(campaign__status=CampaignStatus.PAUSED)
        .order_by("pk")
        .values_list("state", "due_at")
        .first()
    )
    if earlier is None:
        return None
    state, due_at = earlier
    if state != MessageStatus.UNKNOWN:
        return due_at
    # Its own time has passed; by the next sweep it may have another.
    return timezone.now() + timedelta(seconds=settings.SWEEP_EVERY_SECONDS)


def _resolved_soon() -> Q:
    """Whether a message in doubt is sent again by itself (messaging.sweeper): then the others wait until it is."""
    return Q(
        repeatable=True,
        attempts__lt=settings.SEND_MAX_ATTEMPTS,
        finished_at__gt=timezone.now() - DOUBT_HOLDS,
    ) & (Q(campaign=None) | ~Q(campaign__status=CampaignStatus.CANCELLED))


def sending_profile(*, creator: Creator) -> SendingProfile | None:
    return next(iter(rows_read(SendingProfile, "creator_id = %s", [creator.pk])), None)


def sent_lately_count(*, creator: Creator, within_ms: int) -> int:
    """How many of the creator's messages went out, or may have, since so many milliseconds ago."""
    since = timezone.now() - timedelta(milliseconds=within_ms)
    gone = (MessageStatus.SENT, MessageStatus.UNKNOWN)
    return Delivery.objects.filter(creator=creator, finished_at__gte=since, state__in=gone).count()


@dataclass(frozen=True, slots=True)
class SendingToday:
    """Counts since midnight in the creator's time zone. `failure_rate` is failed ÷ (sent + failed), 0 with none."""

    queued: int
    processed: int
    failure_rate: float
    last_processed_at: datetime | None


# What is not over has no end; so nothing is read of earlier days, however much that is. Midnight is a subquery, or it
# would be planned each time (crm/listing.py).
_TODAY = """
SELECT count(*) FILTER (WHERE queued_at >= %s) + (
        SELECT count(*) FROM messaging_delivery WHERE creator_id = %s AND finished_at IS NULL AND queued_at >= %s
    ), count(*) FILTER (WHERE state = 'sent'), count(*) FILTER (WHERE state IN ('failed', 'unknown')),
    (SELECT max(finished_at) FROM messaging_delivery WHERE creator_id = %s AND state = 'sent')
FROM messaging_delivery WHERE creator_id = %s AND finished_at >= (SELECT %s::timestamptz)
"""


def sending_today(*, creator: Creator) -> SendingToday:
    midnight = timezone.now().astimezone(ZoneInfo(creator.time_zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    values = [midnight, creator.pk, midnight, creator.pk, creator.pk, midnight]
    [(queued, sent, failed, last)] = statement_run(_TODAY, values, binary=True)
    return SendingToday(
        queued=queued,
        processed=sent,
        failure_rate=round(failed / (sent + failed), 4) if sent + failed else 0.0,
        last_processed_at=last,
    )


@dataclass(frozen=True, slots=True)
class SendingWaiting:
    """What a creator's people wrote and has yet to go out; `until` is the last of its slots, paused campaigns apart.

    `late` are those that should have gone out LATE_AFTER ago, the first of them at `late_since`; `in_trouble` are the
    failed and unknown ones. `states` counts them all by state.
    """

    messages: int
    until: datetime | None
    late: int
    late_since: datetime | None
    in_trouble: int
    states: dict[str, int]


COUNTED_STATES = (*OPEN_STATES, *TROUBLE_STATES)
_COUNTS = ", ".join(f"count(*) FILTER (WHERE state = '{state}')" for state in COUNTED_STATES)
# Read off the index delivery_unsettled_by_creator.
_WAITING = f"""
SELECT max(due_at) FILTER (WHERE open AND runs), count(*) FILTER (WHERE open AND runs AND due_at < %s),
    min(due_at) FILTER (WHERE open AND runs), {_COUNTS}
FROM (
    SELECT d.due_at, d.state, d.state NOT IN ('failed', 'unknown') AS open, c.status IS DISTINCT FROM 'paused' AS runs
    FROM messaging_delivery d JOIN crm_fan f ON f.id = d.fan_id LEFT JOIN messaging_campaign c ON c.id = d.campaign_id
    WHERE d.creator_id = %s AND f.deleted_at IS NULL
        AND d.state IN ('pending', 'queued', 'parked', 'sending', 'failed', 'unknown')
) AS unsettled
"""  # noqa: S608  names of states


def sending_waiting(*, creator: Creator) -> SendingWaiting:
    [(until, late, first, *counts)] = statement_run(_WAITING, [timezone.now() - LATE_AFTER, creator.pk], binary=True)
    states = {state.value: count for state, count in zip(COUNTED_STATES, counts, strict=True)}
    return SendingWaiting(
        messages=sum(states[state] for state in OPEN_STATES),
        until=until,
        late=late,
        late_since=first if late else None,
        in_trouble=sum(states[state] for state in TROUBLE_STATES),
        states=states,
    )


_LATE_SINCE = """
SELECT d.due_at FROM messaging_delivery d JOIN crm_fan f ON f.id = d.fan_id
    LEFT JOIN messaging_campaign c ON c.id = d.campaign_id
WHERE d.creator_id = %s AND f.deleted_at IS NULL AND d.due_at < %s AND c.status IS DISTINCT FROM 'paused'
    AND d.state IN ('pending', 'queued', 'parked', 'sending', 'failed', 'unknown')
    AND d.state NOT IN ('failed', 'unknown')
ORDER BY d.due_at LIMIT 1
"""


def late_since(*, creator: Creator) -> datetime | None:
    """When the first message that is late by LATE_AFTER should have gone out, as in SendingWaiting; None for none."""
    rows = statement_run(_LATE_SINCE, [creator.pk, timezone.now() - LATE_AFTER], binary=True)
    return rows[0][0] if rows else None


def campaign_stretches(*, creator_id: int, without_campaign_id: int | None = None) -> list[tuple[datetime, datetime]]:
    """From when to when the creator's scheduled campaigns go out, oldest first; their slots are not in the lane."""
    scheduled = Delivery.objects.filter(
        creator_id=creator_id,
        state__in=OPEN_STATES,
        campaign__status=CampaignStatus.RUNNING,
        campaign__scheduled_at__isnull=False,
    )
    if without_campaign_id is not None:
        scheduled = scheduled.exclude(campaign=without_campaign_id)
    return list(
        scheduled.values("campaign")
        .annotate(begin=Min("due_at"), end=Max("due_at"))
        .order_by("begin")
        .values_list("begin", "end")
    )


def campaign_slots_taken(*, profile: SendingProfile, without_parked_of: Collection[int] = ()) -> list[datetime]:
    """The last slots of campaigns that are in use, or were within the last window; oldest first.

    without_parked_of: campaigns whose parked messages are about to get other slots.
    """
    now = timezone.now()
    taken = (
        Delivery.objects.filter(creator_id=profile.pk, kind=Kind.CAMPAIGN)
        .filter(due_at__gte=now - timedelta(milliseconds=profile.window_ms))
        .filter(state__in=[*OPEN_STATES, MessageStatus.SENT, MessageStatus.UNKNOWN])
        .exclude(campaign__status=CampaignStatus.PAUSED)
        .exclude(campaign__scheduled_at__gt=now)
    )
    if without_parked_of:
        taken = taken.exclude(campaign__in=without_parked_of, state=MessageStatus.PARKED)
    last = taken.order_by("-due_at").values_list("due_at", flat=True)[: profile.limit_messages]
    return ungrouped(sorted(last), gap=timedelta(milliseconds=profile.min_gap_ms))


def campaign_list(*, creator: Creator) -> QuerySet[Campaign]:
    """The creator's campaigns, unordered: a paginator orders them."""
    return Campaign.objects.filter(creator=creator)


def campaign_list_behind(*, creator: Creator) -> list[Campaign]:
    """The running campaigns of which something is parked, in the order of their turns; none where none of it is late.

    Not those that are scheduled for later, which have their time.
    """
    now = timezone.now()
    parked = Delivery.objects.filter(
        Q(campaign__scheduled_at=None) | Q(campaign__scheduled_at__lte=now),
        creator=creator,
        campaign__status=CampaignStatus.RUNNING,
        state=MessageStatus.PARKED,
    )
    first = dict(parked.values_list("campaign").annotate(Min("due_at")).order_by())
    if not any(due_at < now for due_at in first.values()):
        return []
    return sorted(Campaign.objects.filter(pk__in=first), key=lambda campaign: first[campaign.pk])


def campaign_get(*, creator: Creator, campaign_id: int) -> Campaign:
    campaign = Campaign.objects.filter(creator=creator, pk=campaign_id).first()
    if campaign is None:
        raise NotFound(gettext("There is no such campaign."), code="campaign_not_found")
    return campaign


def recipient_names(fan: Fan) -> set[str]:
    """Every way in which a caller may name the fan as a recipient."""
    names = {fan.platform_id, f"fan_{fan.pk}"}
    return names | {fan.handle, f"@{fan.handle}"} if fan.handle else names


def campaign_list_naming(*, fan: Fan) -> QuerySet[Campaign]:
    """The campaigns whose stored audience may name the fan: all that do, in any case, and some that do not."""
    found = Q(pk__in=[])
    for name in recipient_names(fan):
        found |= Q(audience_text__icontains=name)
    campaigns = Campaign.objects.filter(creator_id=fan.creator_id)
    return campaigns.annotate(audience_text=Cast("audience", TextField())).filter(found).order_by("pk")


def campaign_ledger(*, campaign: Campaign, state: str = "") -> QuerySet[Delivery]:
    """A row per recipient with message and fan, unordered: a paginator orders them."""
    ledger = Delivery.objects.filter(campaign=campaign).select_related("message", "fan")
    return ledger.filter(state=state) if state else ledger
