"""Answers a wish to send: validates it, writes the rows, publishes after the commit. Writes deliveries."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from crm.errors import Conflict, FieldError, InvalidInput
from crm.models import Creator, Fan, Message, MessageStatus, User
from crm.payloads import check_content, media_attachments
from crm.selectors import fan_get_by_recipient
from crm.services import (
    OutboundDraft,
    conversation_open,
    message_bulk_create_outbound,
    message_create_outbound,
    message_status_set,
)
from messaging import publishing, queue, selectors, transitions
from messaging.errors import QueueError, QueueRefused, SendingDisabled
from messaging.models import OPEN_STATES, Campaign, CampaignStatus, Delivery, Kind
from messaging.transitions import Copy

logger = structlog.get_logger(__name__)
SCHEDULE_MAX = timedelta(days=365)
# How far the platform's clock and ours may differ.
CLOCKS_APART = timedelta(minutes=1)
# Recipients of a campaign that are written at once.
CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class MessageRequest:
    """A message that somebody wants sent. `recipient_id` is the fan's id at the platform, or `fan_<our id>`."""

    recipient_id: str
    content: str
    media_urls: Sequence[str] = ()
    price_cents: int = 0
    priority: int = 5
    scheduled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SendReceipt:
    """What became of it: queued, parked, failed (with the reason), bypassed, or pending inside a transaction."""

    message_id: UUID
    status: MessageStatus
    accepted_at: datetime
    estimated_send_at: datetime
    reason_code: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """SQS's approximate numbers (None where SQS does not answer) and the creator's day."""

    counts: queue.QueueCounts | None
    dlq_count: int | None
    today: selectors.SendingToday


@dataclass(frozen=True, slots=True)
class OnlyFansRateLimiterService:
    """Sends messages of one creator at the pace that the platform allows.

    A message is a row first (the outbox), committed before SQS hears of it, so that it cannot be lost between the two.
    """

    creator: Creator
    trace_id: str = ""
    kind: Kind = field(default=Kind.REPLY)

    def send_message(self, *, user: User | None, request: MessageRequest) -> SendReceipt:
        """Store one message and put it on the queue.

        Raises InvalidInput naming the fields, NotFound for an unknown recipient, SendingDisabled naming the variable.
        """
        [receipt] = self.send_batch(user=user, requests=[request])
        return receipt

    def send_batch(self, *, user: User | None, requests: Sequence[MessageRequest]) -> list[SendReceipt]:
        """Store all of them in one transaction, or none, and put them on the queue in batches of ten."""
        if settings.RATE_LIMITER_ENABLED:
            publishing.sending_check()
        fans = self._check(requests)
        with transaction.atomic():
            deliveries = self._create(user=user, requests=requests, fans=fans)
            refusals: dict[UUID, publishing.Refusal] = {}
            if settings.RATE_LIMITER_ENABLED:
                ids = [delivery.pk for delivery in deliveries]
                transaction.on_commit(lambda: refusals.update(publishing.publish(ids, fail=True)))
        return self._receipts(deliveries, refusals)

    def get_queue_status(self) -> QueueStatus:
        """How deep the queue is and how the day went."""
        counts: queue.QueueCounts | None = None
        dlq_count: int | None = None
        try:
            if settings.SQS_RATE_LIMITER_QUEUE_URL and settings.AWS_REGION:
                counts = queue.counts()
                if settings.SQS_RATE_LIMITER_DLQ_URL:
                    dlq_count = queue.counts(queue_url=settings.SQS_RATE_LIMITER_DLQ_URL).waiting
        except QueueError as error:
            logger.warning("queue status not available", code=error.code)
        return QueueStatus(counts=counts, dlq_count=dlq_count, today=selectors.sending_today(creator=self.creator))

    def _check(self, requests: Sequence[MessageRequest]) -> list[Fan]:
        errors: list[FieldError] = []
        fans: list[Fan] = []
        for index, request in enumerate(requests):
            prefix = f"[{index}]." if len(requests) > 1 else ""
            found = check_content(
                content=request.content, media_urls=request.media_urls, price_cents=request.price_cents
            )
            if not request.recipient_id:
                found.append(FieldError("recipientId", "required", "Say whom the message is for."))
            if not 1 <= request.priority <= 10:
                found.append(FieldError("priority", "out_of_range", "A priority is a number from 1 to 10."))
            if request.scheduled_at and request.scheduled_at > timezone.now() + SCHEDULE_MAX:
                found.append(FieldError("scheduledAt", "too_far", "A message can be scheduled at most a year ahead."))
            errors += [FieldError(prefix + error.field, error.code, error.detail) for error in found]
        if errors:
            raise InvalidInput("The message cannot be sent as it is.", errors=tuple(errors))
        for request in requests:
            fans.append(fan_get_by_recipient(creator=self.creator, recipient_id=request.recipient_id))
        return fans

    def _create(self, *, user: User | None, requests: Sequence[MessageRequest], fans: Sequence[Fan]) -> list[Delivery]:
        enabled = settings.RATE_LIMITER_ENABLED
        state = MessageStatus.PENDING if enabled else MessageStatus.BYPASSED
        deliveries = []
        # Before any conversation, so that two callers who write to the same fans wait in line and not for each other.
        transitions.sending_profile_lock(creator_id=self.creator.pk)
        for request, fan in zip(requests, fans, strict=True):
            message = message_create_outbound(
                conversation=conversation_open(fan=fan),
                sender=user,
                text=request.content,
                attachments=media_attachments(request.media_urls),
                price_cents=request.price_cents,
                status=state,
            )
            deliveries.append(
                Delivery.objects.create(
                    message=message,
                    creator=self.creator,
                    fan=fan,
                    kind=self.kind,
                    priority=request.priority,
                    state=state,
                    due_at=self._due_at(request),
                    scheduled_at=request.scheduled_at,
                    trace_id=self.trace_id,
                    finished_at=None if enabled else timezone.now(),
                )
            )
            if not enabled:
                logger.info("message bypassed: the rate limiter is off", message_id=str(message.pk))
        return deliveries

    def _due_at(self, request: MessageRequest) -> datetime:
        """The next slot; the time asked for, where it is to come; now, where nothing will be sent."""
        now = timezone.now()
        if request.scheduled_at and request.scheduled_at > now:
            return request.scheduled_at
        if not settings.RATE_LIMITER_ENABLED:
            return now
        [slot] = transitions.slot_reserve(creator_id=self.creator.pk, campaign=self.kind == Kind.CAMPAIGN)
        return slot

    def _receipts(self, deliveries: Sequence[Delivery], refusals: dict[UUID, publishing.Refusal]) -> list[SendReceipt]:
        states = dict(Delivery.objects.filter(pk__in=[d.pk for d in deliveries]).values_list("pk", "state"))
        return [
            SendReceipt(
                message_id=delivery.pk,
                status=MessageStatus(states[delivery.pk]),
                accepted_at=delivery.message.created_at,
                estimated_send_at=publishing.expected_at(delivery.due_at),
                reason_code=refusals[delivery.pk].code if delivery.pk in refusals else "",
                reason=refusals[delivery.pk].reason if delivery.pk in refusals else "",
            )
            for delivery in deliveries
        ]


def message_send(*, creator: Creator, user: User | None, request: MessageRequest, trace_id: str = "") -> SendReceipt:
    """Send one reply; what the API and the pages call.

    Raises QueueRefused, with the id of the stored message, where SQS did not take it: it stands there as `failed` and
    can be sent again.
    """
    receipt = OnlyFansRateLimiterService(creator=creator, trace_id=trace_id).send_message(user=user, request=request)
    _refused_raise(receipt)
    return receipt


def message_retry(*, creator: Creator, message_id: UUID) -> SendReceipt:
    """Send a failed or unknown message once more: the same idempotency key, a new dispatch.

    Raises Conflict where it is neither, and QueueRefused as message_send does.
    """
    if not settings.RATE_LIMITER_ENABLED:
        raise SendingDisabled("Sending is disabled: RATE_LIMITER_ENABLED is false. The message stays as it is.")
    publishing.sending_check()
    delivery = selectors.delivery_get(creator=creator, message_id=message_id)
    if delivery.campaign is not None and delivery.campaign.status == CampaignStatus.CANCELLED:
        raise Conflict("The campaign of this message was cancelled.", code="campaign_cancelled")
    fresh = transitions.delivery_rescheduled(
        Copy(message_id=delivery.pk, dispatch_id=delivery.dispatch_id),
        expected=selectors.TROUBLE,
        creator_id=creator.pk,
        campaign=delivery.kind == Kind.CAMPAIGN,
    )
    if fresh is None:
        delivery.refresh_from_db(fields=["state"])
        raise Conflict(
            f"Only a failed or unknown message can be sent again; this one is {delivery.get_state_display().lower()}.",
            code="not_retryable",
        )
    refusals = publishing.publish([message_id], fail=True)
    delivery = selectors.delivery_get(creator=creator, message_id=message_id)
    refusal = refusals.get(message_id, publishing.Refusal(code="", reason=""))
    receipt = SendReceipt(
        message_id=message_id,
        status=MessageStatus(delivery.state),
        accepted_at=timezone.now(),
        estimated_send_at=publishing.expected_at(delivery.due_at),
        reason_code=refusal.code,
        reason=refusal.reason,
    )
    _refused_raise(receipt)
    return receipt


def _refused_raise(receipt: SendReceipt) -> None:
    if receipt.status is MessageStatus.FAILED:
        raise QueueRefused(
            f"The message is stored but could not be queued: {receipt.reason} You can send it again.",
            extra={"messageId": str(receipt.message_id), "status": receipt.status},
            retry_after=30,
        )


@dataclass(frozen=True, slots=True)
class Addressed:
    """One recipient of a campaign, with the text for this fan."""

    fan_id: int
    text: str


def delivery_bulk_create(
    *, campaign: Campaign, user: User | None, recipients: Sequence[Addressed], trace_id: str = ""
) -> list[UUID]:
    """Messages, deliveries and slots for all recipients of a campaign; called in the transaction that makes it.

    Returns the ids of those to publish after the commit. The others are due later than SQS can delay and parked, or
    bypassed while the rate limiter is off.
    """
    enabled = settings.RATE_LIMITER_ENABLED
    count = len(recipients)
    slots = transitions.slot_block_reserve(campaign=campaign, count=count) if enabled else [timezone.now()] * count
    now = timezone.now()
    farthest = now + timedelta(seconds=queue.DELAY_MAX_SECONDS)
    pending: list[UUID] = []
    for start in range(0, len(recipients), CHUNK):
        chunk, due = recipients[start : start + CHUNK], slots[start : start + CHUNK]
        states = [_first_state(slot, farthest, enabled=enabled) for slot in due]
        messages = message_bulk_create_outbound(
            creator=campaign.creator,
            sender=user,
            drafts=[
                OutboundDraft(fan_id=each.fan_id, text=each.text, status=state)
                for each, state in zip(chunk, states, strict=True)
            ],
            attachments=campaign.attachments,
            price_cents=campaign.price_cents,
        )
        Delivery.objects.bulk_create(
            Delivery(
                message=message,
                creator_id=campaign.creator_id,
                fan_id=each.fan_id,
                campaign=campaign,
                kind=Kind.CAMPAIGN,
                state=state,
                due_at=slot,
                scheduled_at=campaign.scheduled_at,
                trace_id=trace_id,
                # Given rather than left to the database, which makes one INSERT of many rows four times as fast.
                created_at=now,
                state_changed_at=now,
                finished_at=None if enabled else now,
            )
            for each, message, state, slot in zip(chunk, messages, states, due, strict=True)
        )
        pending += [
            message.pk for message, state in zip(messages, states, strict=True) if state is MessageStatus.PENDING
        ]
    return pending


def _first_state(slot: datetime, farthest: datetime, *, enabled: bool) -> MessageStatus:
    if not enabled:
        return MessageStatus.BYPASSED
    return MessageStatus.PENDING if slot <= farthest else MessageStatus.PARKED


def sending_pause(*, creator: Creator, reason: str, code: str = "") -> None:
    """Hold back everything of this creator, in words that its people read, until somebody resumes it.

    code: for a pause that its cause may end by itself (sending_resume_after).
    """
    transitions.sending_paused(creator_id=creator.pk, reason=reason, code=code)


def sending_resume_after(*, creator: Creator, codes: Collection[str]) -> bool:
    """End a pause that has one of these codes, and no other; whether there was one."""
    return transitions.sending_resumed(creator_id=creator.pk, codes=codes)


@transaction.atomic
def delivery_recognise(*, fan: Fan, text: str, platform_message_id: str, sent_at: datetime) -> bool:
    """Whether a message that the platform shows to this fan is known here, or one of ours whose answer has not come.

    The oldest with these words that was handed to the platform by then, and of which nobody knows the id there, is it:
    one in doubt is thereby sent; one that is about to be repeated under its key only learns its id.
    """
    handed_over = Delivery.objects.filter(
        fan=fan,
        first_attempt_at__lte=sent_at + CLOCKS_APART,
        state__in=(*OPEN_STATES, MessageStatus.UNKNOWN),
        message__platform_message_id=None,
    )
    words = " ".join(text.split())
    # Locked first: a worker that stores the platform's answer in this moment is waited for.
    rows = list(handed_over.select_related("message").order_by("pk").select_for_update(of=("self",), no_key=True))
    if Message.objects.filter(creator_id=fan.creator_id, platform_message_id=platform_message_id).exists():
        return True
    ours = next((row for row in rows if " ".join(row.message.text.split()) == words), None)
    if ours is None:
        return False
    copy = Copy(message_id=ours.pk, dispatch_id=ours.dispatch_id)
    if not transitions.delivery_sent(copy, platform_message_id=platform_message_id):
        message_status_set(
            message_ids=[ours.pk], status=MessageStatus(ours.state), platform_message_id=platform_message_id
        )
    return True


def sending_resume(*, creator: Creator) -> None:
    """Let a paused creator's messages go out again. Raises Conflict where sending was not paused."""
    if not transitions.sending_resumed(creator_id=creator.pk):
        raise Conflict("Sending is not paused.", code="not_paused")
