"""Answers how a delivery's state changes: each a conditional UPDATE that expects the old one. Writes deliveries alone.

Zero rows changed means that somebody else did it. A message's status is copied in the same transaction.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import IntegrityError, connection, transaction
from django.db.models import F, QuerySet, Value
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from crm.models import MessageStatus, uuid7
from crm.services import message_status_set
from messaging import selectors
from messaging.models import Campaign, CampaignStatus, Delivery, SendingProfile, Stage
from messaging.slots import capacity, slot_next

logger = structlog.get_logger(__name__)
# As long as Delivery.reason and Delivery.reason_code.
REASON_MAX = 300
CODE_MAX = 50
# Rows that one statement names.
SET_MAX = 2_000


WAITING = (MessageStatus.PENDING, MessageStatus.QUEUED)


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


def _change_set(
    rows: QuerySet[Delivery], *, dispatches: Collection[Copy] | None = None, to: MessageStatus, **fields: Any
) -> list[UUID]:
    """The same change for many rows at once; `rows` says which state is expected. Returns those that were changed.

    dispatches: change only the rows of which one of these copies is the one that counts.
    """
    with transaction.atomic():
        # Locked in one order, so that two sets that overlap wait in line and not for each other.
        locked = list(rows.order_by("pk").select_for_update(of=("self",), no_key=True).values_list("pk", "dispatch_id"))
        ids = [pk for pk, dispatch_id in locked if dispatches is None or Copy(pk, dispatch_id) in dispatches]
        for start in range(0, len(ids), SET_MAX):
            some = ids[start : start + SET_MAX]
            Delivery.objects.filter(pk__in=some).update(state=to, state_changed_at=Now(), **fields)
            message_status_set(message_ids=some, status=to)
    return ids


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
    earliest = max(timezone.now(), not_before) if not_before else timezone.now()
    slots = slots_plan(profile, campaign=campaign, count=count, earliest=earliest)
    lane = "campaign_slots" if campaign else "reply_slots"
    setattr(profile, lane, [*getattr(profile, lane), *slots][-profile.limit_messages :])
    profile.save(update_fields=[lane])
    return slots


def slots_plan(
    profile: SendingProfile,
    *,
    campaign: bool,
    count: int,
    earliest: datetime,
    busy: Sequence[tuple[datetime, datetime]] = (),
) -> list[datetime]:
    """The next slots of a lane from `earliest` on, around the stretches that are `busy` (oldest first)."""
    slots = list(profile.campaign_slots if campaign else profile.reply_slots)
    window = timedelta(milliseconds=profile.window_ms)
    fit = capacity(limit=profile.limit_messages, campaign=campaign)
    gap = timedelta(milliseconds=profile.min_gap_ms)
    for _ in range(count):
        slot = slot_next(slots, not_before=earliest, capacity=fit, window=window, gap=gap)
        for begin, end in busy:
            # A whole window away on both sides, so that neither counts the other's messages.
            if begin - window < slot < end + window:
                slot = slot_next(slots, not_before=end + window, capacity=fit, window=window, gap=gap)
        slots.append(slot)
    return slots[len(slots) - count :]


def slot_block_reserve(*, campaign: Campaign, count: int) -> list[datetime]:
    """Slots of the campaign lane for all of a campaign; the caller's transaction holds the creator's row until it ends.

    One that is scheduled for later than the lane's end leaves the lane as it is, because a campaign that is written
    after it may go before it; later campaigns are planned around it.
    """
    profile = sending_profile_lock(creator_id=campaign.creator_id)
    now = timezone.now()
    earliest = max(now, campaign.scheduled_at or now)
    busy = selectors.campaign_stretches(creator_id=campaign.creator_id, without_campaign_id=campaign.pk)
    slots = slots_plan(profile, campaign=True, count=count, earliest=earliest, busy=busy)
    lane = profile.campaign_slots
    if earliest == now or (lane and earliest <= lane[-1]):
        profile.campaign_slots = [*lane, *slots][-profile.limit_messages :]
        profile.save(update_fields=["campaign_slots"])
    return slots


def lane_regain(*, creator_id: int) -> None:
    """Give back the slots of a campaign that does not go out: the lane ends where the others' slots end."""
    profile = sending_profile_lock(creator_id=creator_id)
    profile.campaign_slots = selectors.campaign_slots_taken(profile=profile)
    profile.save(update_fields=["campaign_slots"])


def delivery_queued(copies: Collection[Copy]) -> None:
    """SQS took these. Where a consumer was quicker and claimed one already, nothing changes."""
    if copies:
        _change_set(
            Delivery.objects.filter(pk__in=[copy.message_id for copy in copies], state=MessageStatus.PENDING),
            dispatches=set(copies),
            to=MessageStatus.QUEUED,
            queued_at=Coalesce(F("queued_at"), Now()),
            reason="",
            reason_code="",
            stage="",
        )


def delivery_set_aside(copies: Collection[Copy], *, to: MessageStatus) -> None:
    """These may not go out, now (`parked`) or ever (`cancelled`); Delivery.held says which."""
    if copies:
        _change_set(
            Delivery.objects.filter(pk__in=[copy.message_id for copy in copies], state__in=WAITING),
            dispatches=set(copies),
            to=to,
            **_finish(to),
        )


def delivery_released(copy: Copy) -> bool:
    """Its slot is near enough for SQS."""
    return _change(copy, expected=[MessageStatus.PARKED], to=MessageStatus.PENDING)


def delivery_claimed(copy: Copy, *, creator_id: int, lease: timedelta) -> bool:
    """From now until the lease ends this caller, and nobody else, may send it."""
    with transaction.atomic():
        claimed = _change(
            copy,
            # `pending` where the consumer is quicker than the producer's own note that SQS took it.
            expected=WAITING,
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
    """It ended without reaching the fan. A producer that gives up does not end what a worker is sending: SQS may have
    taken the message although every answer was lost."""
    return _change(
        copy,
        expected=[MessageStatus.PENDING] if stage is Stage.ENQUEUE else [MessageStatus.SENDING],
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


def campaign_changed(campaign: Campaign, *, expected: Collection[CampaignStatus], to: CampaignStatus) -> bool:
    return bool(Campaign.objects.filter(pk=campaign.pk, status__in=expected).update(status=to))


def campaign_parked(campaign: Campaign) -> int:
    """What has not gone out waits in PostgreSQL; its copies on the queue are stale, because they find it parked."""
    return len(_change_set(campaign.deliveries.filter(state__in=WAITING), to=MessageStatus.PARKED))


def campaign_cancelled(campaign: Campaign) -> int:
    """What has not gone out never will; what is being sent in this moment is sent."""
    rows = campaign.deliveries.filter(state__in=[*WAITING, MessageStatus.PARKED])
    return len(_change_set(rows, to=MessageStatus.CANCELLED, **_finish(MessageStatus.CANCELLED)))


def _finish(to: MessageStatus) -> dict[str, Any]:
    return {"finished_at": Now()} if to is MessageStatus.CANCELLED else {}


def campaign_respaced(campaign: Campaign, *, publish_before: timedelta) -> list[UUID]:
    """New slots and new dispatches for all that is parked, in the old order; the caller's transaction goes on.

    Returns those due within `publish_before`: they are `pending` and the caller publishes them after the commit.
    """
    # The rows before the profile, as delivery_rescheduled locks them.
    rows = list(
        campaign.deliveries.filter(state=MessageStatus.PARKED)
        .order_by("pk")
        .select_for_update(of=("self",), no_key=True)
        .values_list("due_at", "pk")
    )
    if not rows:
        return []
    slots = slot_block_reserve(campaign=campaign, count=len(rows))
    due = dict(zip((pk for _, pk in sorted(rows)), slots, strict=True))
    for start in range(0, len(rows), SET_MAX):
        some = [pk for _, pk in rows[start : start + SET_MAX]]
        with connection.cursor() as cursor:
            # A value of its own for each row, which the ORM writes as one CASE per row.
            cursor.execute(
                "UPDATE messaging_delivery SET due_at = fresh.due_at, dispatch_id = fresh.dispatch_id"
                " FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[]) AS fresh (message_id, dispatch_id, due_at)"
                " WHERE messaging_delivery.message_id = fresh.message_id",
                [some, [uuid7() for _ in some], [due[pk] for pk in some]],
            )
    near = timezone.now() + publish_before
    return _change_set(
        campaign.deliveries.filter(state=MessageStatus.PARKED, due_at__lte=near), to=MessageStatus.PENDING
    )


def sending_paused(*, creator_id: int, reason: str, code: str = "") -> None:
    """Nothing of this creator goes out until somebody resumes it; the first reason stays."""
    SendingProfile.objects.get_or_create(creator_id=creator_id)
    SendingProfile.objects.filter(pk=creator_id, paused_at=None).update(
        paused_at=Now(), paused_reason=reason[:200], paused_code=code[:CODE_MAX]
    )


def sending_resumed(*, creator_id: int, codes: Collection[str] | None = None) -> bool:
    """Whether it had been paused; the sweeper publishes what waited.

    codes: end only a pause with one of these.
    """
    paused = SendingProfile.objects.filter(pk=creator_id, paused_at__isnull=False)
    if codes is not None:
        paused = paused.filter(paused_code__in=codes)
    return bool(paused.update(paused_at=None, paused_reason="", paused_code=""))
