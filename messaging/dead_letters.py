"""Answers what lies in the dead-letter queue and what becomes of it, and sends failed messages once more.

Touches SQS and, through services and transitions, deliveries. The row decides, never the copy: a message that was sent,
retried or deleted since is not sent again, however old its copy is. No text of a message leaves this module.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import structlog
from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from crm.errors import Conflict, Unavailable
from crm.models import MessageStatus
from messaging import metrics, publishing, queue, services, transitions
from messaging.errors import MalformedBody, QueueError, QueueRefused
from messaging.models import Delivery, Kind, Stage
from messaging.payloads import dispatch_parse
from messaging.queue_setup import DLQ_RETENTION_SECONDS
from messaging.reasons import GIVEN_UP
from messaging.transitions import Copy

logger = structlog.get_logger(__name__)
# A walk over the whole queue hides each copy for this long at most, and hands it back at its end.
WALK_SECONDS = 300
WALK_WAIT_SECONDS = 1
# A sweep looks at so many times ten copies at most, and hides each for this long if it dies meanwhile.
LOOK_BATCHES = 10
LOOK_SECONDS = 30
# A message that is due is sent or put off within seconds; one that is not may have been given up by SQS.
SUSPECT_AFTER = timedelta(seconds=60)
# Workers that are killed let SQS give up messages that none of them had begun to send. So such a message is dispatched
# anew, so many times before it fails: then it is the message that ends its workers.
DISPATCHES_MORE = 2
IN_DOUBT = "Nobody knows whether the fan has it: look in the chat, then name its id or --unknown."
Progress = Callable[[int], None]


class Standing(StrEnum):
    """What a copy is where it has no row; otherwise its standing is the row's state."""

    MALFORMED = "malformed"
    TEST = "connectivity_test"
    GONE = "gone"


class Fate(StrEnum):
    """What became, or in a dry run would become, of a copy."""

    SENT_AGAIN = "sent_again"
    DELETED = "deleted"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One copy in the dead-letter queue beside its row. `current`: no newer copy of the message has been made since."""

    copy_id: str
    state: str
    reason: str
    reason_code: str = ""
    message_id: UUID | None = None
    dispatch_id: UUID | None = None
    creator_id: int | None = None
    fan_id: int | None = None
    current: bool = False
    receive_count: int = 1
    sent_at: datetime | None = None
    attempts: int = 0
    due_at: datetime | None = None
    trace_id: str = ""

    def named_by(self, ids: Collection[str]) -> bool:
        return self.copy_id in ids or str(self.message_id) in ids


@dataclass(frozen=True, slots=True)
class Handled:
    letter: DeadLetter
    fate: Fate
    why: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was looked at. `hidden`: copies that another reader (a sweep, another command) held at the time."""

    handled: tuple[Handled, ...]
    hidden: int

    def count(self, fate: Fate) -> int:
        return sum(handled.fate is fate for handled in self.handled)


@dataclass(slots=True)
class _Walk:
    """One look at every copy; what is not deleted in it is handed back at its end."""

    url: str
    hidden: int
    held: dict[str, str] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)

    def letters(self) -> Iterator[DeadLetter]:
        # Ends where SQS has nothing more, or only copies that came back because the walk took too long.
        while fresh := [received for received in self._receive() if self._hold(received)]:
            yield from _letters(fresh)

    def _receive(self) -> list[queue.Received]:
        return queue.receive(wait_seconds=WALK_WAIT_SECONDS, queue_url=self.url, visibility_seconds=WALK_SECONDS)

    def _hold(self, received: queue.Received) -> bool:
        """Whether it is seen for the first time; only the newest handle of a copy counts."""
        new = received.copy_id not in self.held and received.copy_id not in self.deleted
        self.held[received.copy_id] = received.receipt_handle
        return new

    def delete(self, letter: DeadLetter) -> bool:
        if queue.delete([self.held[letter.copy_id]], queue_url=self.url):
            return False
        del self.held[letter.copy_id]
        self.deleted.add(letter.copy_id)
        return True


@contextmanager
def _walk() -> Iterator[_Walk]:
    url = settings.SQS_RATE_LIMITER_DLQ_URL
    if not (url and settings.AWS_REGION):
        name = "SQS_RATE_LIMITER_DLQ_URL" if settings.AWS_REGION else "AWS_REGION"
        raise Unavailable(f"{name} is not set, so there is no dead-letter queue to look at.", code="no_dlq")
    walk = _Walk(url=url, hidden=queue.counts(queue_url=url).in_flight)
    try:
        yield walk
    finally:
        queue.release_all(list(walk.held.values()), queue_url=url)


def _letters(copies: Collection[queue.Received]) -> list[DeadLetter]:
    """The copies beside their rows, in one query."""
    parsed: list[tuple[queue.Received, Copy | None, str, str]] = []
    for received in copies:
        try:
            dispatch = dispatch_parse(received.body)
        except MalformedBody as error:
            parsed.append((received, None, Standing.MALFORMED, error.detail))
            continue
        if dispatch is None:
            parsed.append((received, None, Standing.TEST, "A connectivity test, which nobody sends."))
        else:
            parsed.append((received, Copy(dispatch.message_id, dispatch.dispatch_id), Standing.GONE, "No such row."))
    rows = Delivery.objects.in_bulk([copy.message_id for _, copy, _, _ in parsed if copy])
    return [
        _letter(received, copy, rows.get(copy.message_id) if copy else None, state, reason)
        for received, copy, state, reason in parsed
    ]


def _letter(received: queue.Received, copy: Copy | None, row: Delivery | None, state: str, reason: str) -> DeadLetter:
    if copy is None or row is None:
        return DeadLetter(
            copy_id=received.copy_id,
            state=str(state),
            reason=reason,
            message_id=copy.message_id if copy else None,
            dispatch_id=copy.dispatch_id if copy else None,
            receive_count=received.receive_count,
            sent_at=received.sent_at,
        )
    return DeadLetter(
        copy_id=received.copy_id,
        state=row.state,
        reason=row.reason,
        reason_code=row.reason_code,
        message_id=row.pk,
        dispatch_id=copy.dispatch_id,
        creator_id=row.creator_id,
        fan_id=row.fan_id,
        current=row.dispatch_id == copy.dispatch_id,
        receive_count=received.receive_count,
        sent_at=received.sent_at,
        attempts=row.attempts,
        due_at=row.due_at,
        trace_id=row.trace_id,
    )


def dead_letter_list(*, ids: Collection[str] | None = None, progress: Progress | None = None) -> Report:
    """Every copy, or those named by a message's or a copy's id; nothing is deleted.

    Raises Unavailable where there is no dead-letter queue, QueueError where SQS does not answer.
    """
    return _handle(ids, progress, lambda walk, letter: (Fate.KEPT, ""))


def dead_letter_discard(
    *, ids: Collection[str] | None, dry_run: bool = False, progress: Progress | None = None
) -> Report:
    """Delete copies, all of them where ids is None; the rows stay as they are, to be retried from there.

    Raises what dead_letter_list does.
    """

    def discard(walk: _Walk, letter: DeadLetter) -> tuple[Fate, str]:
        return _deleted(walk, letter, "The copy alone; its row stays as it is.", dry_run=dry_run)

    return _handle(ids, progress, discard, log=not dry_run)


def dead_letter_redrive(
    *,
    ids: Collection[str] | None,
    unknown: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Send the messages once more whose rows say that they were not sent, and delete the copies of all others.

    unknown: also those of which nobody knows whether the fan has them, after somebody looked in the chat.
    Raises SendingDisabled, and what dead_letter_list does.
    """
    if not dry_run:
        publishing.limiter_check()
        publishing.sending_check()
    again: set[UUID] = set()

    def redrive(walk: _Walk, letter: DeadLetter) -> tuple[Fate, str]:
        fate, why = _judge(letter, unknown=unknown)
        if letter.message_id in again:
            fate, why = Fate.DELETED, "Another copy of it was sent again."
        if fate is Fate.KEPT:
            return fate, why
        if fate is Fate.SENT_AGAIN and letter.message_id is not None:
            if not dry_run and (refused := _send_again(letter, unknown=unknown)):
                return refused if refused[0] is Fate.KEPT else _deleted(walk, letter, refused[1], dry_run=False)
            again.add(letter.message_id)
            # The copy goes after the row is queued: the other way round a crash between the two would lose it.
            _deleted(walk, letter, "", dry_run=dry_run)
            return fate, why
        return _deleted(walk, letter, why, dry_run=dry_run)

    return _handle(ids, progress, redrive, log=not dry_run)


def _handle(
    ids: Collection[str] | None,
    progress: Progress | None,
    step: Callable[[_Walk, DeadLetter], tuple[Fate, str]],
    *,
    log: bool = True,
) -> Report:
    handled: list[Handled] = []
    with _walk() as walk:
        for number, letter in enumerate(walk.letters(), start=1):
            if ids is None or letter.named_by(ids):
                fate, why = step(walk, letter)
                handled.append(Handled(letter, fate, why))
                if log and fate is not Fate.KEPT:
                    logger.info("dead letter handled", message_id=str(letter.message_id), fate=fate, why=why)
            if progress:
                progress(number)
    return Report(handled=tuple(handled), hidden=walk.hidden)


def _deleted(walk: _Walk, letter: DeadLetter, why: str, *, dry_run: bool) -> tuple[Fate, str]:
    if dry_run or walk.delete(letter):
        return Fate.DELETED, why
    return Fate.KEPT, "SQS did not delete the copy; try again."


def _judge(letter: DeadLetter, *, unknown: bool) -> tuple[Fate, str]:
    match letter.state:
        case Standing.MALFORMED:
            return Fate.KEPT, "Nobody can read it, so it can only be discarded."
        case Standing.TEST | Standing.GONE:
            return Fate.DELETED, letter.reason
        case MessageStatus.FAILED:
            return Fate.SENT_AGAIN, ""
        case MessageStatus.UNKNOWN if unknown:
            return Fate.SENT_AGAIN, ""
        case MessageStatus.UNKNOWN:
            return Fate.KEPT, IN_DOUBT
        case MessageStatus.QUEUED if letter.current:
            # No sweep has seen it yet; this is the only copy.
            return Fate.SENT_AGAIN, ""
        case MessageStatus.SENDING if letter.current:
            return Fate.KEPT, "A worker has it, or had: the next sweep settles it."
        case _:
            return (
                Fate.DELETED,
                f"Its message is {MessageStatus(letter.state).label.lower()}; this copy is of no use any more.",
            )


def _send_again(letter: DeadLetter, *, unknown: bool) -> tuple[Fate, str] | None:
    """None where it is on its way again, else what the copy is to become."""
    delivery = Delivery.objects.select_related("creator").filter(pk=letter.message_id).first()
    if delivery is None:
        return Fate.DELETED, "No such row."
    waits = delivery.state == MessageStatus.QUEUED and delivery.dispatch_id == letter.dispatch_id
    if waits and not _give_up(delivery) and not unknown:
        return Fate.KEPT, IN_DOUBT
    try:
        services.message_retry(creator=delivery.creator, message_id=delivery.pk)
    except Conflict as error:
        return Fate.DELETED, error.detail
    except QueueRefused as error:
        return Fate.KEPT, error.detail
    return None


def _suspects() -> QuerySet[Delivery]:
    """What is late enough that SQS may have given it up."""
    before = timezone.now() - SUSPECT_AFTER
    return Delivery.objects.filter(state=MessageStatus.QUEUED, due_at__lt=before, state_changed_at__lt=before)


def dead_letter_reconcile(*, dry_run: bool = False) -> int:
    """Dispatch messages anew whose only copy SQS gave up, and mark those failed where that was done before.

    Answers how many it was in all. The copies of those that failed stay for an operator. A message that was being sent
    is not decided here: its lease ends, and with it the doubt.
    """
    url = settings.SQS_RATE_LIMITER_DLQ_URL
    return _look(url, dry_run=dry_run)[0] if url and _suspects().exists() else 0


def dead_letter_clear(*, dry_run: bool = False) -> int:
    """Delete the copies that no failed message needs, where there are more than those; answers how many.

    One copy of each failed message stays. SQS gives up whatever was handed out too often, and while workers were
    killed that may have been a message that was sent, or went on as another dispatch.
    """
    url = settings.SQS_RATE_LIMITER_DLQ_URL
    if not url:
        return 0
    since = timezone.now() - timedelta(seconds=DLQ_RETENTION_SECONDS)
    failed = Delivery.objects.filter(state=MessageStatus.FAILED, stage=Stage.SEND, finished_at__gt=since)
    try:
        waiting = queue.counts(queue_url=url).waiting
        # Empty as a rule, and then nothing needs to be counted here.
        if not waiting or waiting <= failed.count():
            return 0
    except QueueError as error:
        logger.warning("dead-letter queue not counted", code=error.code)
        return 0
    return _look(url, dry_run=dry_run)[1]


def _look(url: str, *, dry_run: bool) -> tuple[int, int]:
    """How many messages SQS gave up, each now on its way again or failed, and how many copies that nobody needs were
    deleted."""
    kept: dict[str, str] = {}
    spent: list[str] = []
    lost: list[UUID] = []
    try:
        for _ in range(LOOK_BATCHES):
            received = queue.receive(wait_seconds=0, queue_url=url, visibility_seconds=LOOK_SECONDS)
            handles = {copy.copy_id: copy.receipt_handle for copy in received}
            for letter in _letters(received):
                name = str(letter.message_id or letter.copy_id)
                if _spent(letter) or (name in kept and letter.message_id is not None):
                    spent.append(handles[letter.copy_id])
                    continue
                kept[name] = handles[letter.copy_id]
                if letter.state == MessageStatus.QUEUED and letter.message_id is not None:
                    lost.append(letter.message_id)
            if len(received) < queue.BATCH_MAX_ENTRIES:
                break
    except QueueError as error:
        logger.warning("dead-letter queue not read", code=error.code)
    given_up = _suspects().filter(pk__in=lost)
    if dry_run:
        queue.release_all([*kept.values(), *spent], queue_url=url)
        return given_up.count(), len(spent)
    rows = list(given_up)
    again = [delivery.pk for delivery in rows if _dispatch_again(delivery)]
    publishing.publish(again, fail=False)
    spent += [kept.pop(str(message_id)) for message_id in again]
    stayed = queue.delete(spent, queue_url=url)
    failed = sum(_give_up(delivery) for delivery in rows if delivery.pk not in again)
    queue.release_all(list(kept.values()), queue_url=url)
    return len(again) + failed, len(spent) - len(stayed)


def _spent(letter: DeadLetter) -> bool:
    """Whether nobody needs it: its message did not fail, or failed as a later dispatch, which has a copy of its own."""
    if letter.state == Standing.MALFORMED:
        return False
    return not letter.current or _judge(letter, unknown=False)[0] is Fate.DELETED


def _dispatch_again(delivery: Delivery) -> bool:
    """Whether it is `pending` again, for the caller to publish. It is queued, so nobody has begun to send this copy."""
    if delivery.given_up_count >= DISPATCHES_MORE:
        return False
    fresh = transitions.delivery_rescheduled(
        Copy.of(delivery),
        expected=[MessageStatus.QUEUED],
        creator_id=delivery.creator_id,
        campaign=delivery.kind == Kind.CAMPAIGN,
        given_up=True,
    )
    if fresh is not None:
        logger.warning("message dispatched anew: the queue gave it up", message_id=str(delivery.pk))
    return fresh is not None


def _give_up(delivery: Delivery) -> bool:
    copy = Copy.of(delivery)
    reason = GIVEN_UP % {"times": queue.MAX_RECEIVES * (delivery.given_up_count + 1)}
    if not transitions.delivery_given_up(copy, code="given_up", reason=reason):
        return False
    metrics.count("OnlyFansMessagesFailed")
    logger.error("message given up by the queue", message_id=str(delivery.pk), creator_id=delivery.creator_id)
    return True
