"""Whether a creator's messages can go out now, and if not why. Reads settings, rows, SQS's last answer, the heartbeat.

Every page and every answer that gives a time for a message asks here first, so that none promises what cannot be.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext, ngettext

from crm.models import Creator
from crm.recent import Recent
from crm.stored_words import in_words
from messaging import heartbeat, selectors
from messaging.errors import LimiterUnavailable
from messaging.gateways import Unready, gateway_load
from messaging.models import SendingProfile
from messaging.queue_overview import queue_counts_lately
from messaging.rate_limiter import redis_ping
from messaging.reasons import BlockCode, Blocked
from messaging.sending_needs import sending_lacks

# So long past its slot a message is said to be late; until then it is about to go out.
LATE_MESSAGE_AFTER = timedelta(minutes=1)

# A receipt is written for every message that is sent, and the status is asked for often: both may rely on what was so a
# moment ago.
_unready: Recent[int, Unready | None] = Recent(seconds=2)
_late: Recent[int, datetime | None] = Recent(seconds=5)
# None, or the code with the time at which a worker was last seen.
_consumer: Recent[tuple[()], tuple[BlockCode, datetime | None] | None] = Recent(seconds=5)


def sending_blocked(*, creator: Creator) -> Blocked | None:
    """What holds back all of the creator's messages at this moment; None where nothing does.

    The first that applies of: settings, the account, a pause, SQS, Redis, the workers, messages that are late.
    SQS, Redis and the workers are as they were up to five seconds ago.
    """
    return _blocked(
        selectors.sending_profile(creator=creator),
        unready=lambda: gateway_load().unready(creator.pk),
        late_since=lambda: selectors.late_since(creator=creator),
    )


def sending_blocked_of(
    *, creator: Creator, profile: SendingProfile | None, late_since: datetime | None
) -> Blocked | None:
    """The same where the caller has just read the profile and since when something is late; the account as lately."""
    return _blocked(profile, unready=lambda: _unready_lately(creator), late_since=lambda: late_since)


def sending_blocked_lately(*, creator: Creator, profile: SendingProfile | None) -> Blocked | None:
    """The same for a receipt: the account and what is late may be some seconds old.

    SQS is not asked: it has just taken the message, or the receipt says that it did not.
    """
    return _blocked(
        profile,
        unready=lambda: _unready_lately(creator),
        late_since=lambda: _late.get(creator.pk, lambda: selectors.late_since(creator=creator)),
        ask_queue=False,
    )


def _unready_lately(creator: Creator) -> Unready | None:
    return _unready.get(creator.pk, lambda: gateway_load().unready(creator.pk))


def _blocked(
    profile: SendingProfile | None,
    *,
    unready: Callable[[], Unready | None],
    late_since: Callable[[], datetime | None],
    ask_queue: bool = True,
) -> Blocked | None:
    if not settings.RATE_LIMITER_ENABLED:
        return Blocked(BlockCode.LIMITER_OFF, gettext("Sending is switched off here: RATE_LIMITER_ENABLED is false."))
    if missing := sending_lacks():
        reason = ngettext(
            "Sending is not set up here: %(names)s is not set.",
            "Sending is not set up here: %(names)s are not set.",
            len(missing),
        )
        return Blocked(BlockCode.SENDING_DISABLED, reason % {"names": ", ".join(missing)})
    if (found := unready()) is not None:
        return Blocked(found.code, in_words(found.reason))
    if profile is not None and profile.paused_at is not None:
        code = BlockCode.PAUSED_BY_SYSTEM if profile.paused_code else BlockCode.PAUSED_BY_PERSON
        reason = in_words(profile.paused_reason) or gettext("Sending was paused by hand.")
        return Blocked(code, reason, profile.paused_at)
    if ask_queue:
        counts, _, trouble = queue_counts_lately()
        if counts is None:
            return Blocked(BlockCode.QUEUE_AWAY, in_words(trouble))
    if (silent := _consumer.get((), _consumer_trouble)) is not None:
        code, seen_at = silent
        if code is BlockCode.REDIS_AWAY:
            return Blocked(code, gettext("Redis does not answer, so no message may go out."))
        return Blocked(code, gettext("No worker is running, so nothing is taken off the queue."), seen_at)
    if (since := late_since()) is not None:
        return Blocked(BlockCode.LATE, gettext("Messages that are due do not go out."), since)
    return None


def _consumer_trouble() -> tuple[BlockCode, datetime | None] | None:
    if not heartbeat.worker_trouble():
        return None
    # The heartbeat stands in Redis: without it nothing is known of any worker.
    try:
        redis_ping()
    except LimiterUnavailable:
        return BlockCode.REDIS_AWAY, None
    return BlockCode.WORKER_SILENT, heartbeat.heartbeat_last()


@dataclass(frozen=True, slots=True)
class Outlook:
    """When a message is expected to go out; None where it cannot, and then what it is that holds it back."""

    expected_at: datetime | None
    blocked: Blocked | None


def outlook(due_at: datetime, *, blocked: Blocked | None, campaign_paused: bool = False) -> Outlook:
    """Of a message that has yet to go out. blocked: what holds back all of its creator's."""
    now = timezone.now()
    if blocked is not None and blocked.code is not BlockCode.LATE:
        return Outlook(None, blocked)
    if campaign_paused:
        return Outlook(None, Blocked(BlockCode.CAMPAIGN_PAUSED, gettext("Its campaign is paused.")))
    if due_at < now - LATE_MESSAGE_AFTER:
        return Outlook(None, Blocked(BlockCode.LATE, gettext("It should have gone out by now."), due_at))
    if blocked is not None:
        return Outlook(None, blocked)
    return Outlook(max(due_at, now), None)
