"""Answers what happens to messages whose process died or whose time has come: they go on. Writes through transitions.

The row in PostgreSQL is the guarantee, and this is who keeps it: every step takes rows with SKIP LOCKED, so that
several sweepers share the work, and publishes after the rows are committed.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_noop

from crm.audit import audit_purge
from crm.fan_services import fans_purge
from crm.idempotency import keys_purge
from crm.models import MessageStatus
from crm.sign_ins import sign_ins_purge
from messaging import dead_letters, publishing, queue, read_back, transitions
from messaging.delivery import backoff
from messaging.errors import QueueError
from messaging.gateways import Gateway, repeatable_since
from messaging.models import CampaignStatus, Delivery, Kind
from messaging.transitions import Copy

logger = structlog.get_logger(__name__)
BATCH = 200
# What is left after this many batches waits for the next sweep.
ROUNDS = 50
# Parked rows are put on the queue this long before they are due; under SQS's own longest delay (900 s).
RELEASE_AHEAD = timedelta(seconds=600)
# Two sweeps at least see the dead-letter queue between SQS's last receive and a new dispatch.
GIVEN_UP_MARGIN_SECONDS = 120


@dataclass(frozen=True, slots=True)
class SweepReport:
    """How many messages each step moved.

    `dead` are those that SQS gave up, now dispatched anew or failed, and `found` those that were looked for in their
    chats and are there. `cleared` are copies in the dead-letter queue that nobody needed.
    """

    released: int = 0
    published: int = 0
    overdue: int = 0
    leases: int = 0
    unknown: int = 0
    found: int = 0
    dead: int = 0
    cleared: int = 0

    @property
    def total(self) -> int:
        return sum(asdict(self).values())


def purge() -> None:
    """Erase what is kept for a time alone: deleted fans, answers under idempotency keys, ends of sign-ins, changes."""
    fans_purge()
    keys_purge()
    sign_ins_purge()
    audit_purge()


def sweep(*, gateway: Gateway, progress: Callable[[int], None] | None = None) -> SweepReport:
    """One round over everything that is open. Raises SendingDisabled where sending is off or not configured.

    A step that breaks stops no other; what broke it is raised at the end.
    """
    publishing.limiter_check()
    publishing.sending_check()
    now = timezone.now()
    steps: dict[str, Callable[[], int]] = {
        # First, so that what SQS gave up is not put on the queue again as overdue.
        "dead": dead_letters.dead_letter_reconcile,
        "released": lambda: _release_parked(now),
        "published": lambda: _publish_pending(now),
        "overdue": lambda: _requeue_overdue(now),
        "leases": lambda: _resolve_leases(now, gateway),
        "unknown": lambda: _retry_unknown(now, gateway),
        # Last, because the platform may take its time.
        "found": lambda: read_back.read_back(_rows_to_find(now, gateway), gateway=gateway),
        "cleared": dead_letters.dead_letter_clear,
    }
    moved: dict[str, int] = {}
    broken: list[Exception] = []
    for number, (name, step) in enumerate(steps.items(), start=1):
        try:
            moved[name] = step()
        except (OperationalError, InterfaceError):
            # The database is away, for the others too.
            raise
        except Exception as error:
            logger.exception("a step of the sweep broke", step=name)
            broken.append(error)
        if progress:
            progress(number)
    report = SweepReport(**moved)
    if report.total:
        logger.info("sweep moved messages", **asdict(report))
    if broken:
        raise broken[0]
    return report


def sweep_preview(*, gateway: Gateway) -> SweepReport:
    """How many messages each step of a sweep would look at now; none is moved. Raises SendingDisabled."""
    publishing.limiter_check()
    publishing.sending_check()
    now = timezone.now()
    return SweepReport(
        dead=dead_letters.dead_letter_reconcile(dry_run=True),
        cleared=dead_letters.dead_letter_clear(dry_run=True),
        released=_parked_rows(now).count(),
        published=_pending_rows(now).count(),
        overdue=_overdue_rows(now).count(),
        leases=_expired_rows().count(),
        unknown=_repeatable_rows(now, gateway).count(),
        found=_rows_to_find(now, gateway).count(),
    )


def _each(rows: QuerySet[Delivery], step: Callable[[Delivery], UUID | None]) -> int:
    """Take rows that nobody else has, a batch at a time, do the step on each, publish what it names after the commit.

    By creator, so that two sweepers lock the creators' rows in one order.
    """
    total = 0
    for _ in range(ROUNDS):
        with transaction.atomic():
            taken = list(
                rows.select_for_update(of=("self",), skip_locked=True).order_by("creator_id", "due_at")[:BATCH]
            )
            moved = [message_id for delivery in taken if (message_id := step(delivery)) is not None]
        publishing.publish(moved, fail=False)
        total += len(moved)
        if len(taken) < BATCH:
            break
    return total


def _reschedule(
    delivery: Delivery,
    state: MessageStatus,
    *,
    attempted: bool = False,
    alone_until: datetime | None = None,
    code: str = "",
    reason: str = "",
) -> UUID | None:
    fresh = transitions.delivery_rescheduled(
        Copy.of(delivery),
        expected=[state],
        creator_id=delivery.creator_id,
        campaign=delivery.kind == Kind.CAMPAIGN,
        attempted=attempted,
        in_doubt=state is MessageStatus.SENDING,
        alone_until=alone_until,
        code=code,
        reason=reason,
    )
    return fresh.message_id if fresh else None


def _parked_rows(now: datetime) -> QuerySet[Delivery]:
    """What waits in PostgreSQL for its time alone, and for nobody's decision."""
    return Delivery.objects.filter(
        state=MessageStatus.PARKED, due_at__lte=now + RELEASE_AHEAD, creator__sending_profile__paused_at=None
    ).exclude(campaign__status=CampaignStatus.PAUSED)


def _release_parked(now: datetime) -> int:
    def release(delivery: Delivery) -> UUID | None:
        # Its slot is kept unless it has passed: then the creator was paused, and all that waited would be due at once.
        if delivery.due_at < now:
            return _reschedule(delivery, MessageStatus.PARKED)
        return delivery.pk if transitions.delivery_released(Copy.of(delivery)) else None

    return _each(_parked_rows(now), release)


def _pending_rows(now: datetime) -> QuerySet[Delivery]:
    before = now - timedelta(seconds=settings.SWEEP_PENDING_AFTER_SECONDS)
    return Delivery.objects.filter(state=MessageStatus.PENDING, state_changed_at__lt=before)


def _publish_pending(now: datetime) -> int:
    """Rows whose producer died between the commit and SQS, or for whom SQS had trouble."""

    def touch(delivery: Delivery) -> UUID:
        # So that the next round leaves it alone while this one publishes.
        Delivery.objects.filter(pk=delivery.pk).update(state_changed_at=Now())
        return delivery.message_id

    return _each(_pending_rows(now), touch)


def _overdue_rows(now: datetime) -> QuerySet[Delivery]:
    def late(seconds: float) -> QuerySet[Delivery]:
        before = now - timedelta(seconds=seconds)
        return Delivery.objects.filter(state=MessageStatus.QUEUED, due_at__lt=before, state_changed_at__lt=before)

    rows = late(settings.SWEEP_OVERDUE_AFTER_SECONDS)
    if not rows.exists() or _queue_is_empty():
        return rows
    # A copy that crashes every worker is handed out until SQS gives it up. A new dispatch before that would start it
    # over for ever, and it would never be seen to have failed.
    given_up_after = settings.SQS_VISIBILITY_TIMEOUT_SECONDS * queue.MAX_RECEIVES + GIVEN_UP_MARGIN_SECONDS
    return late(max(settings.SWEEP_OVERDUE_AFTER_SECONDS, given_up_after))


def _queue_is_empty() -> bool:
    """Whether SQS says that it holds nothing at all, as after a purge."""
    try:
        counts = queue.counts()
    except QueueError:
        return False
    return counts.waiting + counts.in_flight + counts.delayed == 0


def _requeue_overdue(now: datetime) -> int:
    """Rows that SQS should have handed out long ago: the queue was purged, or a copy was lost on the way."""
    return _each(_overdue_rows(now), lambda delivery: _reschedule(delivery, MessageStatus.QUEUED))


def _expired_rows() -> QuerySet[Delivery]:
    expired = Delivery.objects.filter(state=MessageStatus.SENDING, lease_expires_at__lt=Now())
    return expired.select_related("campaign", "fan")


def _resolve_leases(now: datetime, gateway: Gateway) -> int:
    """Rows whose sender died between the claim and the outcome."""
    since = repeatable_since(gateway, now=now)

    def resolve(delivery: Delivery) -> UUID | None:
        first = delivery.first_attempt_at
        known = since is not None and first is not None and first > since
        # Of a cancelled campaign, or to a deleted fan, nothing is sent again; what is in doubt stays so for a person.
        cancelled = delivery.campaign is not None and delivery.campaign.status == CampaignStatus.CANCELLED
        wanted = not cancelled and delivery.fan.deleted_at is None
        if known and wanted and delivery.attempts + 1 < settings.SEND_MAX_ATTEMPTS:
            return _reschedule(delivery, MessageStatus.SENDING, attempted=True)
        transitions.delivery_unknown(
            Copy.of(delivery),
            code="lease_expired",
            reason=gettext_noop(
                "The sender stopped before the answer came. Look in the chat before you send it again."
            ),
        )
        return None

    return _each(_expired_rows(), resolve)


def _repeatable_rows(now: datetime, gateway: Gateway) -> QuerySet[Delivery]:
    since = repeatable_since(gateway, now=now)
    if since is None:
        return Delivery.objects.none()
    return Delivery.objects.filter(
        state=MessageStatus.UNKNOWN,
        repeatable=True,
        fan__deleted_at=None,
        attempts__lt=settings.SEND_MAX_ATTEMPTS,
        first_attempt_at__gt=since,
        finished_at__lt=now - timedelta(seconds=settings.SWEEP_PENDING_AFTER_SECONDS),
    ).exclude(campaign__status=CampaignStatus.CANCELLED)


def _rows_to_find(now: datetime, gateway: Gateway) -> QuerySet[Delivery]:
    return read_back.read_back_rows(now, repeated=_repeatable_rows(now, gateway))


def _retry_unknown(now: datetime, gateway: Gateway) -> int:
    """Rows without an answer, where the same key cannot double them, after a pause."""

    def retry(delivery: Delivery) -> UUID | None:
        return _reschedule(delivery, MessageStatus.UNKNOWN, alone_until=now + backoff(delivery.attempts - 1))

    return _each(_repeatable_rows(now, gateway), retry)
