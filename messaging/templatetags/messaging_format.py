"""Answers how a message and a campaign are getting on, for a page. Touches nothing."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from django import template
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy, npgettext

from crm.models import MessageStatus
from messaging.metric_history import figure_text
from messaging.models import OPEN_STATES, CampaignStatus
from messaging.reasons import BlockCode

register = template.Library()

SOON_SECONDS = 2
CALM_SECONDS = 15
# A message that waits for longer than this cannot change before, so nobody needs to look every two seconds.
FAR = timedelta(seconds=60)


@register.filter
def poll_seconds(messages: Iterable[Mapping[str, Any]] | Mapping[str, Any] | None) -> int:
    """Two seconds while one of the messages is about to change, fifteen otherwise."""
    listed = [messages] if isinstance(messages, Mapping) else (messages or [])
    return SOON_SECONDS if any(_changes_soon(message) for message in listed) else CALM_SECONDS


def _changes_soon(message: Mapping[str, Any]) -> bool:
    status = message["status"]
    if status in {MessageStatus.PENDING, MessageStatus.SENDING}:
        return True
    if status not in {MessageStatus.QUEUED, MessageStatus.PARKED}:
        return False
    if message.get("blocked"):
        return False
    expected = parse_datetime(message["expectedAt"]) if message["expectedAt"] else None
    return expected is None or expected - timezone.now() < FAR


WAITS = gettext_lazy("What you write waits and is not lost.")
# What becomes of the messages meanwhile.
EFFECTS: dict[str, Any] = {
    BlockCode.LIMITER_OFF: gettext_lazy(
        "What you write now is kept as not sent and does not go out later. What waited stays as it is."
    ),
    BlockCode.SENDING_DISABLED: gettext_lazy("No message can be written until it is."),
    BlockCode.DRY_RUN: gettext_lazy("What you write is kept as not sent."),
    BlockCode.NO_ACCOUNT: gettext_lazy(
        "Nothing is sent and no message of a fan comes in until it is connected; what you write waits and is not lost."
    ),
    BlockCode.SESSION_EXPIRED: gettext_lazy(
        "Nothing is sent and no message of a fan comes in until it is connected; what you write waits and is not lost."
    ),
    BlockCode.QUEUE_AWAY: gettext_lazy(
        "What waits goes out once the queue is back. What you write now is kept as not sent, to be sent again then."
    ),
    BlockCode.LATE: gettext_lazy("Nothing is lost. The person who runs this installation can look at the worker."),
    BlockCode.WORKER_SILENT: gettext_lazy(
        "What you write waits and is not lost. The person who runs this installation can start one."
    ),
}


@register.filter
def blocked_effect(code: str) -> str:
    """What becomes of messages while they are held back for this reason."""
    return str(EFFECTS.get(code, WAITS))


@register.filter
def blocked_words(code: str) -> str:
    """Why a message is held back, in a few words that stand beside it."""
    return str(BlockCode(code).label)


@register.filter
def figure(value: float | None) -> str:
    """A figure of CloudWatch; a dash where it was not measured."""
    return figure_text(value)


@register.filter
def campaign_status(status: str) -> str:
    """The status of a campaign in words."""
    return str(CampaignStatus(status).label)


@register.filter
def message_status(status: str) -> str:
    """The status of a message in words."""
    return str(MessageStatus(status).label)


# After a number; French has its adjectives agree with it.
IN_STATE: dict[str, Callable[[int], str]] = {
    MessageStatus.PENDING: lambda count: npgettext("messages", "pending", "pending", count),
    MessageStatus.QUEUED: lambda count: npgettext("messages", "queued", "queued", count),
    MessageStatus.PARKED: lambda count: npgettext("messages", "scheduled", "scheduled", count),
    MessageStatus.SENDING: lambda count: npgettext("messages", "being sent", "being sent", count),
    MessageStatus.SENT: lambda count: npgettext("messages", "sent", "sent", count),
    MessageStatus.UNKNOWN: lambda count: npgettext("messages", "in doubt", "in doubt", count),
    MessageStatus.FAILED: lambda count: npgettext("messages", "failed", "failed", count),
    MessageStatus.CANCELLED: lambda count: npgettext("messages", "cancelled", "cancelled", count),
    MessageStatus.DISMISSED: lambda count: npgettext("messages", "dismissed", "dismissed", count),
    MessageStatus.BYPASSED: lambda count: npgettext(
        "messages", "not sent, sending is off", "not sent, sending is off", count
    ),
}


@register.filter
def messages_in_state(state: str, count: int) -> str:
    """What stands after the number of messages in a state: sent, in doubt."""
    return IN_STATE[state](count)


@register.filter
def left_over(progress: Mapping[str, int]) -> int:
    """How many of a campaign's recipients still have their turn before them."""
    return sum(progress[state] for state in OPEN_STATES)
