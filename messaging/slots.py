"""Answers when a message will be due: pure arithmetic over the slots handed out before. Touches nothing.

A slot is a plan, kept in PostgreSQL, that spaces messages so that they rarely find no token; the limiter is the truth.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import accumulate

# Tokens that a campaign leaves free for somebody who is typing.
REPLY_RESERVE = 2


def capacity(*, limit: int, campaign: bool) -> int:
    """How many messages of a lane fit in one window; never none, however low the limit is."""
    return max(1, limit - REPLY_RESERVE) if campaign else limit


def slot_next(
    slots: Sequence[datetime], *, not_before: datetime, capacity: int, window: timedelta, gap: timedelta
) -> datetime:
    """The earliest time from `not_before` on that keeps the gap and the window to the `slots` handed out before.

    slots: oldest first; only the last `capacity` of them matter.
    """
    slot = not_before
    if slots:
        slot = max(slot, slots[-1] + gap)
    if len(slots) >= capacity:
        slot = max(slot, slots[-capacity] + window)
    return slot


def grouped(slots: Sequence[datetime], *, most: int, span: timedelta) -> list[datetime]:
    """When each message of a campaign is handed to a consumer: up to `most` at once, so that they share requests.

    A group comes with the slot of its first and is paced where it is received, so it reaches over no more than `span`.
    The last message keeps its own slot, which says when the campaign will be complete.
    """
    due: list[datetime] = []
    first = 0
    for index, slot in enumerate(slots):
        if index - first == most or slot - slots[first] > span:
            first = index
        due.append(slots[first])
    return [*due[:-1], *slots[-1:]]


def ungrouped(due: Sequence[datetime], *, gap: timedelta) -> list[datetime]:
    """The slots that messages with these due times (oldest first) take up: those of a group follow one another."""
    return list(accumulate(due, lambda last, each: max(each, last + gap)))
