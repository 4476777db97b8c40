"""Answers how messages that are to go out are written: message and delivery, pending, before SQS hears of them.
Writes deliveries, in the transaction of whoever calls."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from crm.models import Creator, MessageStatus, User, uuid7
from crm.services import OutboundDraft, message_bulk_create_outbound
from crm.statements import statement_run
from messaging import queue, transitions
from messaging.models import Campaign, Delivery, Kind

# Recipients of a campaign that are written at once.
CHUNK = 1_000
DELAY_MAX = timedelta(seconds=queue.DELAY_MAX_SECONDS)


@dataclass(frozen=True, slots=True)
class Draft:
    """One message to one fan and the slot that it has. `scheduled_at` is the time that somebody asked for."""

    fan_id: int
    text: str
    due_at: datetime
    attachments: Sequence[dict[str, str]] = ()
    price_cents: int = 0
    priority: int = 5
    scheduled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Addressed:
    """One recipient of a campaign, with the text for this fan."""

    fan_id: int
    text: str


_CREATE = """
INSERT INTO messaging_delivery (
    message_id, fan_id, state, dispatch_id, due_at, priority, scheduled_at, creator_id, campaign_id, kind, trace_id,
    created_at, state_changed_at, finished_at, attempts, hops, repeatable, stage, reason_code, reason
)
SELECT draft.*, %s::bigint, %s::bigint, %s, %s, %s::timestamptz, %s::timestamptz, %s::timestamptz,
    0, 0, false, '', '', ''
FROM unnest(
    %s::uuid[], %s::bigint[], %s::text[], %s::uuid[], %s::timestamptz[], %s::smallint[], %s::timestamptz[]
) AS draft
"""


def delivery_bulk_create(
    *,
    creator: Creator,
    user: User | None,
    drafts: Sequence[Draft],
    kind: Kind,
    campaign: Campaign | None = None,
    trace_id: str = "",
    paused: bool = False,
) -> list[Delivery]:
    """Messages and deliveries of one creator, in two statements however many they are.

    They start as `pending`, to be published after the commit; as `parked` where the slot is further away than SQS can
    delay or the creator is paused; as `bypassed` while the rate limiter is off.
    """
    now = timezone.now()
    states = [_first_state(draft.due_at, now=now, paused=paused) for draft in drafts]
    messages = message_bulk_create_outbound(
        creator=creator,
        sender=user,
        drafts=[
            OutboundDraft(
                fan_id=draft.fan_id,
                text=draft.text,
                status=state,
                attachments=draft.attachments,
                price_cents=draft.price_cents,
            )
            for draft, state in zip(drafts, states, strict=True)
        ],
        reopen=campaign is None,
    )
    finished_at = None if settings.RATE_LIMITER_ENABLED else now
    deliveries = [
        Delivery(
            message=message,
            creator_id=creator.pk,
            fan_id=draft.fan_id,
            campaign=campaign,
            kind=kind,
            priority=draft.priority,
            state=state,
            dispatch_id=uuid7(),
            due_at=draft.due_at,
            scheduled_at=draft.scheduled_at,
            trace_id=trace_id,
            created_at=now,
            state_changed_at=now,
            finished_at=finished_at,
        )
        for draft, message, state in zip(drafts, messages, states, strict=True)
    ]
    statement_run(
        _CREATE,
        [
            *(creator.pk, campaign.pk if campaign else None, kind.value, trace_id, now, now, finished_at),
            [delivery.message_id for delivery in deliveries],
            [draft.fan_id for draft in drafts],
            [state.value for state in states],
            [delivery.dispatch_id for delivery in deliveries],
            [draft.due_at for draft in drafts],
            [draft.priority for draft in drafts],
            [draft.scheduled_at for draft in drafts],
        ],
    )
    for delivery in deliveries:
        delivery._state.adding = False  # noqa: SLF001  as in message_bulk_create_outbound
    return deliveries


def campaign_bulk_create(
    *, campaign: Campaign, user: User | None, recipients: Sequence[Addressed], trace_id: str = ""
) -> list[UUID]:
    """Messages, deliveries and slots for all recipients of a campaign; called in the transaction that makes it.

    Returns the ids of those to publish after the commit.
    """
    count = len(recipients)
    enabled = settings.RATE_LIMITER_ENABLED
    slots = transitions.slot_block_reserve(campaign=campaign, count=count) if enabled else [timezone.now()] * count
    pending: list[UUID] = []
    for start in range(0, count, CHUNK):
        deliveries = delivery_bulk_create(
            creator=campaign.creator,
            user=user,
            drafts=[
                Draft(
                    fan_id=each.fan_id,
                    text=each.text,
                    due_at=slot,
                    attachments=campaign.attachments,
                    price_cents=campaign.price_cents,
                    scheduled_at=campaign.scheduled_at,
                )
                for each, slot in zip(recipients[start : start + CHUNK], slots[start : start + CHUNK], strict=True)
            ],
            kind=Kind.CAMPAIGN,
            campaign=campaign,
            trace_id=trace_id,
        )
        pending += [delivery.pk for delivery in deliveries if delivery.state == MessageStatus.PENDING]
    return pending


def _first_state(due_at: datetime, *, now: datetime, paused: bool) -> MessageStatus:
    if not settings.RATE_LIMITER_ENABLED:
        return MessageStatus.BYPASSED
    near = due_at <= now + DELAY_MAX and not paused
    return MessageStatus.PENDING if near else MessageStatus.PARKED
