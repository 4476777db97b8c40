"""Answers how fast a creator may send, and makes it slower. Writes the creator's sending profile alone."""

from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction
from django.utils.translation import gettext

from crm.errors import FieldError, InvalidInput
from crm.models import Creator
from messaging import selectors, slot_book
from messaging.models import SendingProfile, limit_default, min_gap_default
from messaging.slots import capacity


@dataclass(frozen=True, slots=True)
class SendingLimit:
    """What holds for a creator: `messages` in any window, a gap between two; `campaigns` of them for campaigns.

    `messages_most` and `gap_seconds_least` are the platform's own, which nobody can go past. `sent` went out, or may
    have, in the window that ends now.
    """

    messages: int
    window_seconds: float
    gap_seconds: float
    campaigns: int
    messages_most: int
    gap_seconds_least: float
    sent: int


def sending_limit(*, creator: Creator) -> SendingLimit:
    profile = selectors.sending_profile(creator=creator) or SendingProfile(creator=creator)
    return SendingLimit(
        messages=profile.limit_messages,
        window_seconds=profile.window_ms / 1_000,
        gap_seconds=profile.min_gap_ms / 1_000,
        campaigns=capacity(limit=profile.limit_messages, campaign=True),
        messages_most=limit_default(),
        gap_seconds_least=min_gap_default() / 1_000,
        sent=selectors.sent_lately_count(creator=creator, within_ms=profile.window_ms),
    )


def sending_limit_set(*, creator: Creator, messages: int, gap_seconds: Decimal) -> SendingLimit:
    """Send no faster than this from the next message on. Raises InvalidInput past the platform's limit.

    What is planned keeps its turn; where the plan was made for a faster pace, messages wait longer than it says.
    """
    profile = selectors.sending_profile(creator=creator) or SendingProfile(creator=creator)
    most, least, longest = limit_default(), min_gap_default() / 1_000, profile.window_ms / 1_000
    errors = []
    if not 1 <= messages <= most:
        text = gettext("From 1 to %(most)s: the platform allows no more.") % {"most": most}
        errors.append(FieldError("messages", "out_of_range", text))
    if not least <= gap_seconds <= longest:
        numbers = {"least": f"{least:g}", "longest": f"{longest:g}"}
        text = gettext("From %(least)s to %(longest)s seconds: the platform refuses what comes closer.") % numbers
        errors.append(FieldError("gap_seconds", "out_of_range", text))
    if errors:
        raise InvalidInput(errors[0].detail, errors=tuple(errors))
    with transaction.atomic():
        locked = slot_book.sending_profile_lock(creator_id=creator.pk)
        locked.limit_messages, locked.min_gap_ms = messages, round(gap_seconds * 1_000)
        locked.save(update_fields=["limit_messages", "min_gap_ms"])
    return sending_limit(creator=creator)
