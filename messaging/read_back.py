"""Answers whether a message whose outcome nobody knows is in its chat. Reads the platform, writes through transitions.

What the same key cannot repeat safely is looked for where the fan would see it. Only a message that can be no other
counts as found; all else stays `unknown`, with what was seen, for a person to decide.
"""

import time
from datetime import datetime, timedelta

import structlog
from django.db.models import Q, QuerySet
from django.utils import timezone

from crm.models import Message, MessageStatus
from messaging import metrics, transitions
from messaging.gateways import CannotSay, Found, Gateway
from messaging.models import Delivery, ReadBack
from messaging.publishing import outbound_of
from messaging.reasons import ACCOUNT_CHANGED, NOT_IN_CHAT, NOT_SURELY_IN_CHAT
from messaging.transitions import Copy

logger = structlog.get_logger(__name__)
# The platform's own list may lag behind what it took.
AFTER = timedelta(minutes=2)
# A chat that could not be read is tried again after a while, for a day.
AGAIN_AFTER = timedelta(minutes=30)
GIVEN_UP_AFTER = timedelta(hours=24)
# Between our clock and the platform's, which writes whole seconds.
CLOCK_SKEW = timedelta(minutes=2)
# Of one sweep, so that the other steps keep their pace.
CHATS_A_SWEEP = 10
SECONDS_A_SWEEP = 15

NOT_THERE, UNCLEAR = "not_in_chat", "chat_unclear"


def read_back_rows(now: datetime, *, repeated: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """Messages to look for: in doubt for a while, not yet looked for, and not among those `repeated` by their key."""
    return (
        Delivery.objects.filter(state=MessageStatus.UNKNOWN)
        .filter(finished_at__lt=now - AFTER, finished_at__gt=now - GIVEN_UP_AFTER)
        .filter(Q(read_back_at=None) | Q(read_back_at__lt=now - AGAIN_AFTER))
        .exclude(reason_code__in=[NOT_THERE, UNCLEAR, ACCOUNT_CHANGED])
        .exclude(pk__in=repeated.values("pk"))
    )


def read_back(rows: QuerySet[Delivery], *, gateway: Gateway) -> int:
    """Look for some of them, one chat after the other; answers of how many the outcome is known now.

    No transaction is open while the platform is asked.
    """
    found = 0
    until = time.monotonic() + SECONDS_A_SWEEP
    for delivery in rows.select_related("message", "fan").order_by("finished_at")[:CHATS_A_SWEEP]:
        copy = Copy.of(delivery)
        if transitions.delivery_read_begun(copy, last=delivery.read_back_at):
            found += _look(delivery, copy, gateway)
        if time.monotonic() > until:
            break
    return found


def _look(delivery: Delivery, copy: Copy, gateway: Gateway) -> bool:
    log = logger.bind(message_id=str(delivery.pk), creator_id=delivery.creator_id)
    begun = delivery.first_attempt_at or delivery.created_at
    seen = gateway.find_message(outbound_of(delivery), since=begun - CLOCK_SKEW)
    if isinstance(seen, CannotSay):
        transitions.delivery_unread(copy)
        log.warning("chat not read back", reason=seen.reason)
        return False
    free = _not_ours(delivery, seen.found)
    at = f"{timezone.now():%Y-%m-%d %H:%M} UTC"
    if not free:
        reason = NOT_IN_CHAT % {"at": at}
        transitions.delivery_still_unknown(
            copy, found=ReadBack.NOT_THERE, count=seen.read, code=NOT_THERE, reason=reason
        )
        log.info("message not in the chat")
        return False
    if (
        len(free) == 1
        and not _has_twin(delivery)
        and transitions.delivery_found(copy, platform_message_id=free[0].platform_message_id, sent_at=free[0].sent_at)
    ):
        metrics.count("OnlyFansMessagesSent")
        log.info("message found in the chat")
        return True
    reason = NOT_SURELY_IN_CHAT % {"at": at}
    transitions.delivery_still_unknown(copy, found=ReadBack.UNCLEAR, count=seen.read, code=UNCLEAR, reason=reason)
    log.info("message in the chat is not surely this one")
    return False


def _not_ours(delivery: Delivery, seen: tuple[Found, ...]) -> list[Found]:
    """Those that are no other message of ours. One that was only told of (it has no delivery) could be this one."""
    ids = [found.platform_message_id for found in seen]
    ours = set(
        Message.objects.filter(creator_id=delivery.creator_id, platform_message_id__in=ids)
        .exclude(delivery=None)
        .values_list("platform_message_id", flat=True)
    )
    return [found for found in seen if found.platform_message_id not in ours]


def _has_twin(delivery: Delivery) -> bool:
    """Whether another message of the same text to the same fan could be the one that was found."""
    twins = Delivery.objects.filter(fan_id=delivery.fan_id, message__text=delivery.message.text).exclude(pk=delivery.pk)
    in_doubt = Q(state__in=[MessageStatus.SENDING, MessageStatus.UNKNOWN]) | Q(
        state=MessageStatus.DISMISSED, key_in_doubt=True
    )
    return twins.filter(in_doubt | Q(state=MessageStatus.SENT, message__platform_message_id=None)).exists()
