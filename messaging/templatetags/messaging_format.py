"""Answers how often a thread on a page should ask for news. Touches nothing."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from django import template
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from crm.models import MessageStatus

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
