"""Answers what a test's deliveries, limits and platforms are made of. Touches tables as a test asks."""

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from crm.models import Creator, Fan, Message, MessageStatus
from crm.outbound_services import OutboundDraft, message_bulk_create_outbound
from crm.tests.factories import CreatorFactory, FanFactory
from messaging import publishing, queue
from messaging.delivery import Consumer, Disposition, Later
from messaging.gateways import (
    CannotSay,
    Found,
    Looked,
    OutboundMessage,
    Outcome,
    Rejected,
    Scope,
    Sent,
    Unknown,
    Unready,
)
from messaging.models import Delivery, Kind, SendingProfile

PERMANENT = Rejected(code="bad_request", reason="The fan cannot be reached.", permanent=True)
PASSING = Rejected(code="not_sent", reason="The platform had trouble.")
AMBIGUOUS = Unknown(code="timeout", reason="No answer came in time.", repeatable=True)
SESSION_DEAD = Rejected(code="unauthorized", reason="Connect the account again.", scope=Scope.CREATOR)


def profile_make(
    creator: Creator | None = None, *, messages: int = 10, window_ms: int = 60_000, gap_ms: int = 0, **fields: Any
) -> SendingProfile:
    """A creator's limits; without a gap, so that a test need not wait."""
    values = {"limit_messages": messages, "window_ms": window_ms, "min_gap_ms": gap_ms, **fields}
    profile, _ = SendingProfile.objects.update_or_create(creator=creator or CreatorFactory(), defaults=values)
    return profile


def delivery_make(
    *,
    fan: Fan | None = None,
    state: MessageStatus = MessageStatus.QUEUED,
    kind: Kind = Kind.REPLY,
    due_in: timedelta = timedelta(),
    text: str = "Hello",
    **fields: Any,
) -> Delivery:
    """An outbound message and its delivery, due now unless `due_in` says otherwise."""
    fan = fan or FanFactory()
    if not SendingProfile.objects.filter(creator=fan.creator).exists():
        profile_make(fan.creator)
    draft = OutboundDraft(fan_id=fan.pk, text=text, status=state)
    [message] = message_bulk_create_outbound(creator=fan.creator, sender=None, drafts=[draft])
    if state == MessageStatus.SENDING:
        fields.setdefault("lease_expires_at", timezone.now() + timedelta(seconds=30))
    if campaign := fields.get("campaign"):
        Message.objects.filter(pk=message.id).update(campaign_id=campaign.pk)
    return Delivery.objects.create(
        message_id=message.id,
        creator=fan.creator,
        fan=fan,
        kind=kind,
        state=state,
        due_at=timezone.now() + due_in,
        **fields,
    )


def aged(delivery: Delivery, seconds: float, *names: str) -> Delivery:
    """The same delivery with these times, by default its last change, moved into the past."""
    moment = timezone.now() - timedelta(seconds=seconds)
    Delivery.objects.filter(pk=delivery.pk).update(**dict.fromkeys(names or ("state_changed_at",), moment))
    return delivery


def due_in(delivery: Delivery) -> float:
    """Seconds until it is due, as its row says now."""
    return (Delivery.objects.get(pk=delivery.pk).due_at - timezone.now()).total_seconds()


def copy_of(delivery: Delivery, *, receive_count: int = 1) -> queue.Received:
    """The queue's copy of a delivery, as the consumer gets it."""
    body = publishing.body_of(delivery).to_json()
    return queue.Received(body=body, receipt_handle="handle", receive_count=receive_count)


def handle_in_time(consumer: Consumer, delivery: Delivery) -> Disposition:
    """Handle a delivery's copy as a door does that can keep it for two seconds."""
    until = time.monotonic() + 2
    while True:
        result = consumer.handle(copy_of(delivery), patience_seconds=max(0, until - time.monotonic()))
        if not isinstance(result, Later):
            return result
        time.sleep(result.seconds)


class ScriptedGateway:
    """A platform that answers what the test says, then that it sent; `reached` is what fans got, once per message.

    honours: the same message id sent again reaches the fan once.
    """

    key_lifetime_seconds = 24 * 3600

    def __init__(self, *outcomes: Outcome | Callable[[OutboundMessage], Outcome], honours: bool = True) -> None:
        self.honours_idempotency_key = honours
        self.calls: list[OutboundMessage] = []
        self.reached: list[UUID] = []
        # What the fan's chat shows when it is read back; None while it cannot be read.
        self.chat: list[tuple[str, Found]] | None = None
        self.looked_for: list[UUID] = []
        self._outcomes = list(outcomes)
        self._lock = threading.Lock()

    def send_message(self, message: OutboundMessage) -> Outcome:
        with self._lock:
            self.calls.append(message)
            outcome = self._outcomes.pop(0) if self._outcomes else Sent(f"platform-{message.message_id}")
        if callable(outcome):
            outcome = outcome(message)
        if isinstance(outcome, Sent) and not (self.honours_idempotency_key and message.message_id in self.reached):
            self.reached.append(message.message_id)
        return outcome

    def find_message(self, message: OutboundMessage, *, since: datetime) -> Looked | CannotSay:
        """What `chat` holds, by the message's text."""
        self.looked_for.append(message.message_id)
        if self.chat is None:
            return CannotSay(reason="The platform is away.")
        seen = [(text, found) for text, found in self.chat if found.sent_at >= since]
        return Looked(tuple(found for text, found in seen if text == message.text), len(seen))

    def unready(self, creator_id: int) -> Unready | None:
        return None

    def probe(self) -> None:
        """Always within reach."""
