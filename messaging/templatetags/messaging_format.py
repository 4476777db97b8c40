"""Answers how a message and a campaign are getting on, for a page. Touches nothing."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from django import template
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from crm.models import MessageStatus
from messaging.models import OPEN_STATES, CampaignStatus

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
    expected = parse_datetime(message["expectedAt"]) if message["expectedAt"] else None
    return expected is None or expected - timezone.now() < FAR


@register.filter
def campaign_status(status: str) -> str:
    """The status of a campaign in words."""
    return str(CampaignStatus(status).label)


@register.filter
def message_status(status: str) -> str:
    """The status of a message in words."""
    return str(MessageStatus(status).label)


@register.filter
def left_over(progress: Mapping[str, int]) -> int:
    """How many of a campaign's recipients still have their turn before them."""
    return sum(progress[state] for state in OPEN_STATES)
