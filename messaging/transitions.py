"""Answers how a delivery's state changes: each a conditional UPDATE that expects the old one. Writes deliveries alone.

Zero rows changed means that somebody else did it. A message's status is copied in the same transaction.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import IntegrityError, transaction
from django.db.models import F, Value
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from crm.models import MessageStatus, uuid7
from crm.services import message_status_set
from messaging.models import Delivery, SendingProfile, Stage
from messaging.slots import capacity, slot_next

logger = structlog.get_logger(__name__)
# As long as Delivery.reason and Delivery.reason_code.
REASON_MAX = 300
CODE_MAX = 50


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy of a message on the queue: the only one that counts while the row has this dispatch id."""

    message_id: UUID
    dispatch_id: UUID


def _change(
    copy: Copy,
    *,
    expected: Collection[MessageStatus],
    to: MessageStatus,
    message: dict[str, Any] | None = None,
    **fields: Any,
) -> bool:
    with transaction.atomic():
        changed = Delivery.objects.filter(pk=copy.message_id, dispatch_id=copy.dispatch_id, state__in=expected).update(
            state=to, state_changed_at=Now(), **fields
        )
        if changed:
            message_status_set(message_ids=[copy.message_id], status=to, **(message or {}))
    return bool(changed)


def sending_profile_lock(*, creator_id: int) -> SendingProfile:
    """The creator's limits and slots, made when there are none; locked until the caller's transaction ends."""
    profile, _ = SendingProfile.objects.select_for_update().get_or_create(creator_id=creator_id)
    return profile


def slot_reserve(
    *, creator_id: int, campaign: bool, count: int = 1, not_before: datetime | None = None
) -> list[datetime]:
    """Hand out the next slots of a creator's lane; the caller's transaction holds the creator's row until it ends.

    not_before: nothing of the creator can go out before it. What makes one message wait takes no slot, because every
    later slot would wait with it.
    """
    profile = sending_profile_lock(creator_id=creator_id)
    slots = list(profile.campaign_slots if campaign else profile.reply_slots)
    earliest = max(timezone.now(), not_before) if not_before else timezone.now()
    for _ in range(count):
        slots.append(
            slot_next(
                slots,
                not_before=earliest,
                capacity=capacity(limit=profile.limit_messages, campaign=campaign),
                window=timedelta(milliseconds=profile.window_ms),
                gap=timedelta(milliseconds=profile.min_gap_ms),
            )
        )
    lane = "campaign_slots" if campaign else "reply_slots"
    setattr(profile, lane, slots[-profile.limit_messages :])
    profile.save(update_fields=[lane])
    return slots[-count:]


def delivery_queued(copies: Sequence[Copy]) -> None:
    """SQS took these. Where a consumer was quicker and claimed one already, nothing changes."""
    for copy in copies:
        _change(
            copy,
            expected=[MessageStatus.PENDING],
            to=MessageStatus.QUEUED,
            queued_at=Coalesce(F("queued_at"), Now()),
            reason="",
            reason_code="",
            stage="",
        )


def delivery_parked(copy: Copy) -> bool:
    """It waits in PostgreSQL: its slot is further than SQS can delay, or sending is paused."""
    return _change(copy, expected=[MessageStatus.PENDING, MessageStatus.QUEUED], to=MessageStatus.PARKED)


def delivery_released(copy: Copy) -> bool:
    """Its slot is near enough for SQS."""
    return _change(copy, expected=[MessageStatus.PARKED], to=MessageStatus.PENDING)


def delivery_claimed(copy: Copy, *, creator_id: int, lease: timedelta) -> bool:
    """From now until the lease ends this caller, and nobody else, may send it."""
    with transaction.atomic():
        claimed = _change(
            copy,
            # `pending` where the consumer is quicker than the producer's own note that SQS took it.
            expected=[MessageStatus.PENDING, MessageStatus.QUEUED],
            to=MessageStatus.SENDING,
            lease_expires_at=Now() + Value(lease),
            first_attempt_at=Coalesce(F("first_attempt_at"), Now()),
            queued_at=Coalesce(F("queued_at"), Now()),
        )
        if claimed:
            SendingProfile.objects.filter(pk=creator_id).update(last_claimed_at=Now())
    return claimed


def delivery_sent(copy: Copy, *, platform_message_id: str) -> bool:
    """Certain, so it also ends the doubt of a sender that was taken for dead."""

    def change(**known: str) -> bool:
        return _change(
            copy,
            expected=[MessageStatus.SENDING, MessageStatus.UNKNOWN],
            to=MessageStatus.SENT,
            message={"sent_at": timezone.now(), **known},
            finished_at=Now(),
            lease_expires_at=None,
            reason="",
            reason_code="",
            stage="",
        )

    if not platform_message_id:
        return change()
    try:
        return change(platform_message_id=platform_message_id)
    except IntegrityError:
        # The platform told of it in another way (a webhook, a sync) before its answer came.
        logger.warning("the platform's id of a sent message is stored already", message_id=str(copy.message_id))
        return change()


def delivery_failed(copy: Copy, *, stage: Stage, code: str, reason: str, attempted: bool) -> bool:
    return _change(
        copy,
        expected=[MessageStatus.PENDING, MessageStatus.SENDING],
        to=MessageStatus.FAILED,
        stage=stage,
        reason_code=code[:CODE_MAX],
        reason=reason[:REASON_MAX],
        attempts=F("attempts") + int(attempted),
        finished_at=Now(),
        lease_expires_at=None,
    )


def delivery_unknown(copy: Copy, *, code: str, reason: str, repeatable: bool = False) -> bool:
    """Nobody can say whether the fan has it; it is never sent again blindly."""
    return _change(
        copy,
        expected=[MessageStatus.SENDING],
        to=MessageStatus.UNKNOWN,
        stage=Stage.SEND,
        reason_code=code[:CODE_MAX],
        reason=reason[:REASON_MAX],
        repeatable=repeatable,
        attempts=F("attempts") + 1,
        finished_at=Now(),
        lease_expires_at=None,
    )


def delivery_rescheduled(
    copy: Copy,
    *,
    expected: Collection[MessageStatus],
    creator_id: int,
    campaign: bool,
    not_before: datetime | None = None,
    alone_until: datetime | None = None,
    attempted: bool = False,
    hopped: bool = False,
    code: str = "",
    reason: str = "",
) -> Copy | None:
    """Give it a new slot and a new dispatch id, back at `pending`; the copy that was on the queue is stale from now on.

    not_before: the creator may not send before it (see slot_reserve).
    alone_until: this message alone waits until then, and takes no slot.
    attempted: a send was begun, so it counts against SEND_MAX_ATTEMPTS.
    Returns the copy to publish, None where somebody else changed the row first.
    """
    fresh = Copy(message_id=copy.message_id, dispatch_id=uuid7())
    with transaction.atomic():
        # Taken first, so that a row that somebody else changed costs no slot.
        changed = _change(
            copy,
            expected=expected,
            to=MessageStatus.PENDING,
            dispatch_id=fresh.dispatch_id,
            attempts=F("attempts") + int(attempted),
            hops=F("hops") + int(hopped),
            lease_expires_at=None,
            finished_at=None,
            reason_code=code[:CODE_MAX],
            reason=reason[:REASON_MAX],
            stage=Stage.SEND if code else "",
        )
        if not changed:
            return None
        due_at = alone_until
        if due_at is None:
            [due_at] = slot_reserve(creator_id=creator_id, campaign=campaign, not_before=not_before)
        Delivery.objects.filter(pk=copy.message_id).update(due_at=due_at)
    return fresh


def sending_paused(*, creator_id: int, reason: str) -> None:
    """Nothing of this creator goes out until somebody resumes it; the first reason stays."""
    SendingProfile.objects.filter(pk=creator_id, paused_at=None).update(paused_at=Now(), paused_reason=reason[:200])


def sending_resumed(*, creator_id: int) -> bool:
    """Whether it had been paused; the sweeper publishes what waited."""
    return bool(
        SendingProfile.objects.filter(pk=creator_id, paused_at__isnull=False).update(paused_at=None, paused_reason="")
    )
