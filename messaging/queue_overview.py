"""Answers how sending goes over all creators: the queues, the outbox, the states, who is paused. Only reads."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Count, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_noop

from crm.models import Creator, MessageStatus
from crm.recent import InTime, Recent
from messaging import queue
from messaging.errors import QueueError
from messaging.models import UNSETTLED_STATES, Delivery, SendingProfile
from messaging.sending_needs import queue_untouched

NO_ANSWER = gettext_noop("SQS does not answer.")
# How long a page waits for SQS, which answers within milliseconds where it does.
ASKED_SECONDS = 2.0
# Long enough to be a rate, short enough to be of now.
ENDED_WITHIN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A message that is stored and not yet on the queue."""

    message_id: UUID
    creator_id: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class PausedCreator:
    creator_id: int
    name: str
    paused_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class QueueOverview:
    """SQS's approximate numbers, None where it does not answer (then `trouble` says why), and the tables' own.

    `states` counts the deliveries of all creators that are open or in trouble; every such state is named. What is over
    is not counted, because it is nearly all of the table.
    """

    counts: queue.QueueCounts | None
    dlq: queue.QueueCounts | None
    trouble: str
    states: dict[str, int]
    oldest_pending: OutboxRow | None
    paused: tuple[PausedCreator, ...]


def unsettled() -> QuerySet[Delivery]:
    """What is open or in trouble, as the index `delivery_unsettled` holds it."""
    return Delivery.objects.filter(state__in=UNSETTLED_STATES).order_by()


@dataclass(frozen=True, slots=True)
class Ended:
    """How many messages of all creators came to which end in the last hour."""

    sent: int
    failed: int

    @property
    def failure_rate(self) -> float | None:
        """failed ÷ (sent + failed), None with none."""
        ended = self.sent + self.failed
        return round(self.failed / ended, 4) if ended else None


def ended_lately() -> Ended:
    rows = (
        Delivery.objects.filter(
            # By the index that begins with the creator.
            creator__in=Creator.objects.values("pk"),
            finished_at__gte=timezone.now() - ENDED_WITHIN,
            state__in=(MessageStatus.SENT, MessageStatus.FAILED),
        )
        .order_by()
        .values_list("state")
        .annotate(number=Count("*"))
    )
    found = dict(rows)
    return Ended(sent=found.get(MessageStatus.SENT, 0), failed=found.get(MessageStatus.FAILED, 0))


def queue_overview() -> QueueOverview:
    counts, dlq, trouble = queue_counts()
    found = dict(unsettled().values_list("state").annotate(number=Count("*")))
    oldest = Delivery.objects.filter(state=MessageStatus.PENDING).order_by("created_at").first()
    paused = SendingProfile.objects.exclude(paused_at=None).select_related("creator").order_by("paused_at")
    return QueueOverview(
        counts=counts,
        dlq=dlq,
        trouble=trouble,
        states={state.value: found.get(state, 0) for state in UNSETTLED_STATES},
        oldest_pending=(
            OutboxRow(message_id=oldest.pk, creator_id=oldest.creator_id, created_at=oldest.created_at)
            if oldest
            else None
        ),
        paused=tuple(
            PausedCreator(
                creator_id=profile.pk,
                name=str(profile.creator),
                paused_at=profile.paused_at,
                reason=profile.paused_reason,
            )
            for profile in paused
            if profile.paused_at is not None
        ),
    )


Counts = tuple[queue.QueueCounts | None, queue.QueueCounts | None, str]
# Each open page asks, and each answer is two requests to SQS, whose numbers settle within a minute.
_counts: Recent[tuple[()], Counts] = Recent(seconds=5)


def queue_counts_lately() -> Counts:
    """As queue_counts, of this moment or of a few seconds ago. An SQS that hangs keeps no page for long."""
    return _counts.get((), lambda: _asked.get() or (None, None, NO_ANSWER))


def queue_counts() -> Counts:
    """Of the queue and of the one for dead letters, and why one of them is None."""
    counts: queue.QueueCounts | None = None
    dlq: queue.QueueCounts | None = None
    if reason := queue_untouched():
        return None, None, reason
    try:
        counts = queue.counts()
        if settings.SQS_RATE_LIMITER_DLQ_URL:
            dlq = queue.counts(queue_url=settings.SQS_RATE_LIMITER_DLQ_URL)
    except QueueError as error:
        return counts, dlq, error.reason
    return counts, dlq, "" if dlq else "SQS_RATE_LIMITER_DLQ_URL is not set."


# The time-outs and retries of one look at the queues add up to 17 s.
_asked: InTime[Counts] = InTime(queue_counts, seconds=ASKED_SECONDS)
