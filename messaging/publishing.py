"""Answers how deliveries that are `pending` get onto the queue. Touches SQS and, through transitions, deliveries."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from django.conf import settings
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext, ngettext

from crm.models import MessageStatus
from crm.payloads import media_urls
from messaging import metrics, queue, transitions
from messaging.errors import QueueError, SendingDisabled
from messaging.gateways import OutboundMessage
from messaging.models import Delivery, SendingProfile, Stage
from messaging.payloads import QueueBody
from messaging.sending_needs import sending_lacks
from messaging.together import Together
from messaging.transitions import Copy

logger = structlog.get_logger(__name__)


def sending_check() -> None:
    """Raise SendingDisabled, naming each variable, where something that sending needs is not configured."""
    if missing := sending_lacks():
        raise SendingDisabled(
            ngettext(
                "Sending is disabled: %(names)s is not set. Nothing was stored; your text can be sent again later.",
                "Sending is disabled: %(names)s are not set. Nothing was stored; your text can be sent again later.",
                len(missing),
            )
            % {"names": ", ".join(missing)}
        )


def queueing_check() -> None:
    """The same for whoever puts messages on the queue; while the rate limiter is off nothing goes there."""
    if settings.RATE_LIMITER_ENABLED:
        sending_check()


def limiter_check() -> None:
    """Raise SendingDisabled while the rate limiter is off: nothing goes out then, and what waits stays as it is."""
    if not settings.RATE_LIMITER_ENABLED:
        raise SendingDisabled(gettext("Sending is disabled: RATE_LIMITER_ENABLED is false. What waits stays as it is."))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why SQS did not take a message."""

    code: str
    reason: str


def publish(message_ids: Sequence[UUID], *, fail: bool) -> dict[UUID, Refusal]:
    """Put pending deliveries on the queue, or park those due later than SQS can delay.

    fail: mark what SQS refused `failed`, because somebody waits for the answer; otherwise it stays `pending` and the
    sweeper tries again, whether SQS has trouble or a right is missing, unless SQS does not take the message itself.
    Returns the refusals by message id.
    """
    now = timezone.now()
    ready: list[Delivery] = []
    aside: dict[MessageStatus, list[Copy]] = {}
    deliveries = Delivery.objects.filter(pk__in=message_ids, state=MessageStatus.PENDING)
    for delivery in deliveries.select_related("message", "fan", "campaign", "creator__sending_profile").order_by(
        "due_at", "pk"
    ):
        late = _delay_seconds(delivery.due_at, now) > queue.DELAY_MAX_SECONDS
        withheld = delivery.held or (MessageStatus.PARKED if late else None)
        if withheld is None:
            ready.append(delivery)
        else:
            aside.setdefault(withheld, []).append(Copy.of(delivery))
    for state, copies in aside.items():
        transitions.delivery_set_aside(copies, to=state)
    return publish_written([body_of(delivery) for delivery in ready], fail=fail)


def publish_written(
    bodies: Sequence[QueueBody], *, fail: bool, queued: dict[UUID, datetime] | None = None
) -> dict[UUID, Refusal]:
    """The same for deliveries that the caller has just read or written: none is read again.

    They were pending, due soon enough and not held. What changed since then is seen by the consumer, and here where
    the row changes by one that is still pending. A few messages share their requests with those that other threads
    publish in the same moment.

    queued: gets, for each that is on the queue, since when.
    """
    results = _ONES.do(bodies) if len(bodies) < queue.BATCH_MAX_ENTRIES else _put(bodies)
    refusals: dict[UUID, Refusal] = {}
    for body in bodies:
        error = results[body.message_id]
        if not isinstance(error, QueueError):
            if queued is not None and error is not None:
                queued[body.message_id] = error
            metrics.count("OnlyFansMessagesQueued")
            told = {"message_id": str(body.message_id), "user_id": body.user_id}
            logger.info("message queued", **told, dispatch_id=str(body.dispatch_id))
        else:
            copy = Copy(body.message_id, body.dispatch_id)
            refusals[body.message_id] = _refused(
                copy, error, fail=fail, creator_id=body.creator_id, user_id=body.user_id
            )
    return refusals


def _put(bodies: Sequence[QueueBody]) -> dict[UUID, QueueError | datetime | None]:
    """Send them and note which ones SQS took: since when, or None where a consumer was quicker, else the reason."""
    now = timezone.now()
    results = queue.send([_outgoing(body, _delay_seconds(body.due_at, now)) for body in bodies])
    errors = {body.message_id: results[str(body.message_id)] for body in bodies}
    queued = transitions.delivery_queued(
        [Copy(body.message_id, body.dispatch_id) for body in bodies if errors[body.message_id] is None]
    )
    return {**errors, **queued}


# Eight callers at once put 1.7 times as many messages on the queue as without it, in a third of the requests.
_ONES: Together[QueueBody, dict[UUID, QueueError | datetime | None]] = Together(_put)


def _refused(copy: Copy, error: QueueError, *, fail: bool, creator_id: int, user_id: str) -> Refusal:
    given_up = fail or error.of_message
    told = {"message_id": str(copy.message_id), "user_id": user_id}
    logger.error("message not queued", **told, code=error.code, given_up=given_up)
    if given_up:
        if fail:
            SendingProfile.objects.filter(pk=creator_id).update(queue_refused_at=Now())
        transitions.delivery_failed(copy, stage=Stage.ENQUEUE, code=error.code, reason=error.reason, attempted=False)
        metrics.count("OnlyFansMessagesFailed")
    return Refusal(code=error.code, reason=error.reason)


def _outgoing(body: QueueBody, delay_seconds: int) -> queue.Outgoing:
    return queue.Outgoing(
        key=str(body.message_id),
        body=body.to_json(),
        delay_seconds=delay_seconds,
        group=str(body.creator_id),
        attributes={"userId": body.user_id, "messageType": body.kind, "priority": str(body.priority)},
    )


def _delay_seconds(due_at: datetime, now: datetime) -> int:
    return max(0, math.ceil((due_at - now).total_seconds()))


def republish(delivery: Delivery, *, delay_seconds: int | None) -> Refusal | None:
    """One more copy of the same dispatch, due at its slot or after `delay_seconds`; the row stays as it is."""
    delay = _delay_seconds(delivery.due_at, timezone.now()) if delay_seconds is None else delay_seconds
    [error] = queue.send([_outgoing(body_of(delivery), min(delay, queue.DELAY_MAX_SECONDS))]).values()
    return None if error is None else Refusal(code=error.code, reason=error.reason)


def outbound_of(delivery: Delivery) -> OutboundMessage:
    """The row as the platform's adapter takes it."""
    return OutboundMessage(
        message_id=delivery.pk,
        creator_id=delivery.creator_id,
        fan_platform_id=delivery.fan.platform_id,
        fan_handle=delivery.fan.handle,
        text=delivery.message.text,
        media=media_urls(delivery.message.attachments),
        price_cents=delivery.message.price_cents,
        key_generation=delivery.key_generation,
    )


def body_of(delivery: Delivery) -> QueueBody:
    message = delivery.message
    return QueueBody(
        message_id=delivery.pk,
        user_id=str(message.sender_id or ""),
        recipient_id=delivery.fan.platform_id,
        content=message.text,
        media_urls=media_urls(message.attachments),
        conversation_id=message.conversation_id,
        campaign_id=delivery.campaign_id,
        priority=delivery.priority,
        timestamp=message.created_at,
        creator_id=delivery.creator_id,
        dispatch_id=delivery.dispatch_id,
        kind=delivery.kind,
        due_at=delivery.due_at,
        hops=delivery.hops,
        trace_id=delivery.trace_id,
    )
