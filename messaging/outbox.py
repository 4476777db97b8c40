"""Answers how messages that are to go out are written: message and delivery, pending, before SQS hears of them.
Writes deliveries and the slots that replies booked, in the transaction of whoever calls."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from crm.models import Creator, MessageStatus, User, uuid7
from crm.outbound_services import (
    OutboundDraft,
    conversations_begin,
    message_bulk_create_outbound,
)
from crm.payloads import media_urls
from crm.statements import json_text
from messaging import queue, slot_book
from messaging.models import Campaign, Kind, SendingProfile
from messaging.payloads import QueueBody

logger = structlog.get_logger(__name__)
# Recipients of a campaign that are written at once.
CHUNK = 1_000
DELAY_MAX = timedelta(seconds=queue.DELAY_MAX_SECONDS)


@dataclass(frozen=True, slots=True)
class Draft:
    """One message to one fan and the slot that it has. `scheduled_at` is the time that somebody asked for.

    recipient_id: the fan's id at the platform.
    """

    fan_id: int
    recipient_id: str
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
    recipient_id: str
    text: str


class Written(NamedTuple):
    """A message whose rows are written: how it starts, and what goes on the queue where that is `pending`.

    Not a `Delivery`: to make one, and a `Message` with it, takes longer than to store it.
    """

    state: MessageStatus
    body: QueueBody


# Beside the messages, in one statement with them. No creator's slots are written where none is named.
_ALONG = f"""
, delivery AS (
    INSERT INTO messaging_delivery (
        message_id, fan_id, state, dispatch_id, due_at, priority, scheduled_at, creator_id, campaign_id, kind,
        trace_id, created_at, state_changed_at, finished_at, attempts, hops, repeatable, stage, reason_code, reason
    )
    SELECT outgoing.*, %s::bigint, %s::bigint, %s, %s, %s::timestamptz, %s::timestamptz, %s::timestamptz,
        0, 0, false, '', '', ''
    FROM json_to_recordset(%s::json) AS outgoing (
        message_id uuid, fan_id bigint, state text, dispatch_id uuid, due_at timestamptz, priority smallint,
        scheduled_at timestamptz
    )
), booked AS ({slot_book.REPLY_SLOTS_SET})
"""  # noqa: S608  a constant


def delivery_bulk_create(
    *,
    creator: Creator,
    user: User | None,
    drafts: Sequence[Draft],
    kind: Kind,
    campaign: Campaign | None = None,
    trace_id: str = "",
    profile: SendingProfile | None = None,
) -> list[Written]:
    """Messages and deliveries of one creator, in one statement however many they are.

    They start as `pending`, to be published after the commit; as `parked` where the slot is further away than SQS can
    delay or the creator is paused; as `bypassed` while the rate limiter is off.

    profile: the creator's locked row, in which replies booked their slots; it is written with them.
    """
    now = timezone.now()
    finished_at = None if settings.RATE_LIMITER_ENABLED else now
    paused = profile is not None and profile.paused_at is not None
    states = [_first_state(draft.due_at, now=now, paused=paused) for draft in drafts]
    dispatches = [uuid7() for _ in drafts]

    def along(message_ids: list[UUID]) -> tuple[str, list[Any]]:
        return _ALONG, [
            *(creator.pk, campaign.pk if campaign else None, kind.value, trace_id, now, now, finished_at),
            json_text(
                {
                    "message_id": message_id,
                    "fan_id": draft.fan_id,
                    "state": state,
                    "dispatch_id": dispatch_id,
                    "due_at": draft.due_at,
                    "priority": draft.priority,
                    "scheduled_at": draft.scheduled_at,
                }
                for message_id, draft, state, dispatch_id in zip(message_ids, drafts, states, dispatches, strict=True)
            ),
            *((profile.reply_slots, profile.pk) if profile else (None, None)),
        ]

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
        campaign_id=campaign.pk if campaign else None,
        # What is pending goes on the queue after the commit, and whether it got there wakes the same pages.
        wake_pages=campaign is not None or set(states) != {MessageStatus.PENDING},
        along=along,
    )
    written = [
        Written(
            state=state,
            body=QueueBody(
                message_id=message.id,
                user_id=str(user.pk) if user else "",
                recipient_id=draft.recipient_id,
                content=draft.text,
                media_urls=media_urls(draft.attachments),
                conversation_id=message.conversation_id,
                campaign_id=campaign.pk if campaign else None,
                priority=draft.priority,
                timestamp=message.created_at,
                creator_id=creator.pk,
                dispatch_id=dispatch_id,
                kind=kind.value,
                due_at=draft.due_at,
                hops=0,
                trace_id=trace_id,
            ),
        )
        for draft, message, state, dispatch_id in zip(drafts, messages, states, dispatches, strict=True)
    ]
    if not settings.RATE_LIMITER_ENABLED:
        # Once they are stored: what is rolled back was never accepted.
        transaction.on_commit(partial(_bypassed_log, [each.body for each in written]), robust=True)
    return written


def _bypassed_log(bodies: Sequence[QueueBody]) -> None:
    """One line for each message: the log is all that it becomes. Ids alone, no text and no name."""
    for body in bodies:
        logger.info(
            "message bypassed: the rate limiter is off",
            message_id=str(body.message_id),
            user_id=body.user_id,
            creator_id=body.creator_id,
            campaign_id=body.campaign_id,
        )


def campaign_bulk_create(
    *, campaign: Campaign, user: User | None, recipients: Sequence[Addressed], priority: int = 5, trace_id: str = ""
) -> list[UUID]:
    """Messages, deliveries and slots for all recipients of a campaign; called in the transaction that makes it.

    Returns the ids of those to publish after the commit.
    """
    count = len(recipients)
    enabled = settings.RATE_LIMITER_ENABLED
    slots = slot_book.slot_block_reserve(campaign=campaign, count=count) if enabled else [timezone.now()] * count
    pending: list[UUID] = []
    conversations_begin(creator=campaign.creator, fan_ids=[each.fan_id for each in recipients])
    for start in range(0, count, CHUNK):
        written = delivery_bulk_create(
            creator=campaign.creator,
            user=user,
            drafts=[
                Draft(
                    fan_id=each.fan_id,
                    recipient_id=each.recipient_id,
                    text=each.text,
                    due_at=slot,
                    attachments=campaign.attachments,
                    price_cents=campaign.price_cents,
                    priority=priority,
                    scheduled_at=campaign.scheduled_at,
                )
                for each, slot in zip(recipients[start : start + CHUNK], slots[start : start + CHUNK], strict=True)
            ],
            kind=Kind.CAMPAIGN,
            campaign=campaign,
            trace_id=trace_id,
        )
        pending += [each.body.message_id for each in written if each.state is MessageStatus.PENDING]
    return pending


def _first_state(due_at: datetime, *, now: datetime, paused: bool) -> MessageStatus:
    if not settings.RATE_LIMITER_ENABLED:
        return MessageStatus.BYPASSED
    near = due_at <= now + DELAY_MAX and not paused
    return MessageStatus.PENDING if near else MessageStatus.PARKED
