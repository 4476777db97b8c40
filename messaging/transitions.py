"""Answers how a delivery's state changes: each a conditional UPDATE that expects the old one. Writes deliveries alone.

Zero rows changed means that somebody else did it. A message's status is copied in the same transaction.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any
from uuid import UUID

import structlog
from django.db import IntegrityError, connection, transaction
from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Coalesce, Now
from django.utils import timezone
from django.utils.translation import gettext_noop

from crm.models import MessageStatus, uuid7
from crm.outbound_services import MESSAGE_STATUS_COPY, message_status_set, pages_wake
from crm.statements import statement_run
from crm.wake_ups import STATE, wake
from messaging import slot_book
from messaging.models import Decision, Delivery, ReadBack, SendingProfile, Stage

logger = structlog.get_logger(__name__)
# As long as Delivery.reason and Delivery.reason_code.
REASON_MAX = 300
CODE_MAX = 50
# Rows that one statement names.
SET_MAX = 2_000


WAITING = (MessageStatus.PENDING, MessageStatus.QUEUED)


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy of a message on the queue: the only one that counts while the row has this dispatch id."""

    message_id: UUID
    dispatch_id: UUID

    @classmethod
    def of(cls, delivery: Delivery) -> "Copy":
        """The copy that counted when the row was read."""
        return cls(message_id=delivery.pk, dispatch_id=delivery.dispatch_id)


def change(
    copy: Copy,
    *,
    expected: Collection[MessageStatus],
    to: MessageStatus,
    message: dict[str, Any] | None = None,
    only: Q | None = None,
    savepoint: bool = True,
    **fields: Any,
) -> bool:
    """The one way in which one delivery changes its state; `only` narrows what is expected further.

    message: what is written to the message beside its status, as message_status_set takes it.
    """
    # Without a savepoint where the caller's transaction fails with it anyway: two requests less.
    with transaction.atomic(savepoint=savepoint):
        rows = Delivery.objects.filter(
            only or Q(), pk=copy.message_id, dispatch_id=copy.dispatch_id, state__in=expected
        )
        changed = rows.update(state=to, state_changed_at=Now(), **fields)
        if changed:
            message_status_set(message_ids=[copy.message_id], status=to, **(message or {}))
    return bool(changed)


def change_set(
    rows: QuerySet[Delivery], *, dispatches: Collection[Copy] | None = None, to: MessageStatus, **fields: Any
) -> list[UUID]:
    """The same change for many rows at once; `rows` says which state is expected. Returns those that were changed.

    dispatches: change only the rows of which one of these copies is the one that counts.
    """
    with transaction.atomic():
        # Locked in one order, so that two sets that overlap wait in line and not for each other.
        locked = list(rows.order_by("pk").select_for_update(of=("self",), no_key=True).values_list("pk", "dispatch_id"))
        ids = [pk for pk, dispatch_id in locked if dispatches is None or Copy(pk, dispatch_id) in dispatches]
        for start in range(0, len(ids), SET_MAX):
            some = ids[start : start + SET_MAX]
            Delivery.objects.filter(pk__in=some).update(state=to, state_changed_at=Now(), **fields)
            message_status_set(message_ids=some, status=to)
    return ids


def cancel_set(
    rows: QuerySet[Delivery],
    *,
    dispatches: Collection[Copy] | None = None,
    also: Mapping[str, Any] | None = None,
    **fields: Any,
) -> int:
    """These never go out any more. One that was to be sent again because an earlier attempt is in doubt stays in doubt:
    nobody can say that its fan has not got it.

    also: what is written to all of them; `fields` to those that are cancelled.
    """
    also = also or {}
    doubted = change_set(
        rows.filter(key_in_doubt=True),
        dispatches=dispatches,
        to=MessageStatus.UNKNOWN,
        finished_at=Now(),
        repeatable=False,
        read_back_at=None,
        stage=Stage.SEND,
        reason_code="stopped_in_doubt",
        reason=gettext_noop(
            "It was stopped before it was sent again, and an earlier attempt may have reached the fan."
            " Look in the chat."
        ),
        **also,
    )
    cancelled = change_set(
        rows.filter(key_in_doubt=False),
        dispatches=dispatches,
        to=MessageStatus.CANCELLED,
        finished_at=Now(),
        **also,
        **fields,
    )
    return len(doubted) + len(cancelled)


# One statement, because it runs for every message. Locked in one order, as in change_set, and found one by one by
# their ids: else a plan that was made while the table was small reads all that is pending for each of them. Each array
# stands in a SELECT, so that PostgreSQL knows no length to plan for and keeps one plan: to make one for each message
# takes longer than to carry it out.
#
# Nobody waits until it is on the disk (0.6 ms and more), as everybody does for the message itself: where PostgreSQL
# crashes within that second the row is `pending` again, the sweeper publishes it, and one of the two copies finds
# nothing to do. https://www.postgresql.org/docs/current/wal-async-commit.html
_QUEUED = f"""
WITH pending AS (
    SELECT found.message_id, CASE WHEN %s::boolean THEN set_config('synchronous_commit', 'off', true) END
    FROM unnest((SELECT %s::uuid[]), (SELECT %s::uuid[])) AS copy (message_id, dispatch_id)
    CROSS JOIN LATERAL (
        SELECT message_id, dispatch_id, state FROM messaging_delivery
        WHERE message_id = copy.message_id LIMIT 1 FOR NO KEY UPDATE
    ) AS found
    WHERE found.dispatch_id = copy.dispatch_id AND found.state = 'pending'
), changed AS (
    UPDATE messaging_delivery AS delivery SET
        state = 'queued', state_changed_at = statement_timestamp(),
        queued_at = coalesce(queued_at, statement_timestamp()), reason = '', reason_code = '', stage = ''
    FROM pending WHERE delivery.message_id = pending.message_id
    RETURNING delivery.message_id, delivery.state, delivery.queued_at
)
{MESSAGE_STATUS_COPY}, changed.message_id, changed.queued_at
"""  # noqa: S608  two constants


def delivery_queued(copies: Collection[Copy]) -> dict[UUID, datetime]:
    """SQS took these; since when each is queued. Nothing changes where a consumer was quicker and claimed one."""
    if not copies:
        return {}
    ordered = sorted(copies, key=attrgetter("message_id"))
    # A caller's transaction may hold more than this, so that one is waited for.
    alone = not connection.in_atomic_block
    values = [alone, [copy.message_id for copy in ordered], [copy.dispatch_id for copy in ordered]]
    rows = statement_run(_QUEUED, values)
    pages_wake((creator_id, conversation_id) for creator_id, conversation_id, _, _ in rows)
    return {message_id: queued_at for _, _, message_id, queued_at in rows}


def delivery_set_aside(copies: Collection[Copy], *, to: MessageStatus) -> None:
    """These may not go out, now (`parked`) or ever (`cancelled`); Delivery.held says which."""
    if not copies:
        return
    rows = Delivery.objects.filter(pk__in=[copy.message_id for copy in copies], state__in=WAITING)
    if to is MessageStatus.CANCELLED:
        cancel_set(rows, dispatches=set(copies))
    else:
        change_set(rows, dispatches=set(copies), to=to)


def delivery_released(copy: Copy) -> bool:
    """Its slot is near enough for SQS."""
    return change(copy, expected=[MessageStatus.PARKED], to=MessageStatus.PENDING)


def delivery_claimed(copy: Copy, *, creator_id: int, lease: timedelta) -> bool:
    """From now until the lease ends this caller, and nobody else, may send it."""
    with transaction.atomic():
        claimed = change(
            copy,
            # `pending` where the consumer is quicker than the producer's own note that SQS took it.
            expected=WAITING,
            to=MessageStatus.SENDING,
            savepoint=False,
            lease_expires_at=Now() + Value(lease),
            first_attempt_at=Coalesce(F("first_attempt_at"), Now()),
            queued_at=Coalesce(F("queued_at"), Now()),
        )
        if claimed:
            SendingProfile.objects.filter(pk=creator_id).update(last_claimed_at=Now())
    return claimed


def delivery_sent(copy: Copy, *, platform_message_id: str) -> bool:
    """Certain, so it also ends the doubt of a sender that was taken for dead."""

    # What a person settled by hand as well: it is certain now.
    by_hand = Q(state=MessageStatus.SENT, decision=Decision.ARRIVED) | Q(
        state=MessageStatus.DISMISSED, key_in_doubt=True
    )

    def noted(**known: str) -> bool:
        return change(
            copy,
            expected=[MessageStatus.SENDING, MessageStatus.UNKNOWN, MessageStatus.SENT, MessageStatus.DISMISSED],
            only=Q(state__in=[MessageStatus.SENDING, MessageStatus.UNKNOWN]) | by_hand,
            to=MessageStatus.SENT,
            message={"sent_at": timezone.now(), **known},
            finished_at=Now(),
            lease_expires_at=None,
            reason="",
            reason_code="",
            stage="",
        )

    if not platform_message_id:
        return noted()
    try:
        return noted(platform_message_id=platform_message_id)
    except IntegrityError:
        # The platform told of it in another way (a webhook, a sync) before its answer came.
        logger.warning("the platform's id of a sent message is stored already", message_id=str(copy.message_id))
        return noted()


def delivery_found(copy: Copy, *, platform_message_id: str, sent_at: datetime) -> bool:
    """The platform's chat holds it; False too where the id turns out to be another message's."""
    try:
        return change(
            copy,
            expected=[MessageStatus.UNKNOWN],
            to=MessageStatus.SENT,
            message={"sent_at": sent_at, "platform_message_id": platform_message_id},
            finished_at=Now(),
            reason="",
            reason_code="",
            stage="",
        )
    except IntegrityError:
        return False


def delivery_read_begun(copy: Copy, *, last: datetime | None) -> bool:
    """Whether this caller, and no other sweeper, reads the chat back now; `last` is when it was read before."""
    return bool(
        Delivery.objects.filter(
            pk=copy.message_id, dispatch_id=copy.dispatch_id, state=MessageStatus.UNKNOWN, read_back_at=last
        ).update(read_back_at=Now(), read_back_found="", read_back_count=None)
    )


def delivery_still_unknown(copy: Copy, *, found: ReadBack, count: int, code: str, reason: str) -> bool:
    """What reading the chat back added to the doubt; `count` messages were looked at."""
    return change(
        copy,
        expected=[MessageStatus.UNKNOWN],
        to=MessageStatus.UNKNOWN,
        read_back_found=found,
        read_back_count=count,
        reason_code=code[:CODE_MAX],
        reason=reason[:REASON_MAX],
    )


def delivery_unread(copy: Copy) -> bool:
    """Its chat could not be read; it is in doubt as before."""
    return change(copy, expected=[MessageStatus.UNKNOWN], to=MessageStatus.UNKNOWN, read_back_found=ReadBack.UNREADABLE)


def delivery_failed(copy: Copy, *, stage: Stage, code: str, reason: str, attempted: bool) -> bool:
    """It ended without reaching the fan. A producer that gives up does not end what a worker is sending: SQS may have
    taken the message although every answer was lost.

    False too where an earlier attempt is in doubt: that is no less so because this one failed.
    """
    expected = MessageStatus.PENDING if stage is Stage.ENQUEUE else MessageStatus.SENDING
    return _fail(
        copy, expected=expected, stage=stage, code=code, reason=reason, attempts=F("attempts") + int(attempted)
    )


def _fail(copy: Copy, *, expected: MessageStatus, stage: Stage, code: str, reason: str, **fields: Any) -> bool:
    """`failed` where nothing of it can be at the fan, else `unknown`; whether it is `failed`."""
    fields |= {
        "expected": [expected],
        "stage": stage,
        "reason_code": code[:CODE_MAX],
        "reason": reason[:REASON_MAX],
        "finished_at": Now(),
        "lease_expires_at": None,
    }
    if change(copy, to=MessageStatus.FAILED, only=Q(key_in_doubt=False), **fields):
        return True
    change(copy, to=MessageStatus.UNKNOWN, only=Q(key_in_doubt=True), repeatable=False, read_back_at=None, **fields)
    return False


def delivery_bypassed(copy: Copy, *, code: str, reason: str) -> bool:
    """Nobody was asked to send it, on purpose."""
    return change(
        copy,
        expected=[MessageStatus.SENDING],
        to=MessageStatus.BYPASSED,
        reason_code=code[:CODE_MAX],
        reason=reason[:REASON_MAX],
        finished_at=Now(),
        lease_expires_at=None,
    )


def delivery_given_up(copy: Copy, *, code: str, reason: str) -> bool:
    """SQS handed its copy out as often as it does and nobody came to an end with it. False as in delivery_failed."""
    return _fail(copy, expected=MessageStatus.QUEUED, stage=Stage.SEND, code=code, reason=reason)


def delivery_key_renewed(copy: Copy) -> bool:
    """The platform refused what is being sent, so the next attempt takes a key that has no answer yet.

    Not where an earlier attempt is in doubt: what went out under its key would go out again under another.
    """
    return bool(
        Delivery.objects.filter(
            pk=copy.message_id, dispatch_id=copy.dispatch_id, state=MessageStatus.SENDING, key_in_doubt=False
        ).update(key_generation=F("key_generation") + 1)
    )


def delivery_unknown(copy: Copy, *, code: str, reason: str, repeatable: bool = False) -> bool:
    """Nobody can say whether the fan has it; it is never sent again blindly."""
    return _doubted(
        copy, expected=[MessageStatus.SENDING], code=code, reason=reason, repeatable=repeatable, attempted=True
    )


def delivery_unrepeated(copy: Copy, *, code: str, reason: str) -> bool:
    """It was to be sent again under the key of an attempt in doubt, and cannot be: the doubt stays, for a person."""
    return _doubted(copy, expected=WAITING, code=code, reason=reason, repeatable=False, attempted=False)


def _doubted(
    copy: Copy, *, expected: Collection[MessageStatus], code: str, reason: str, repeatable: bool, attempted: bool
) -> bool:
    return change(
        copy,
        expected=expected,
        to=MessageStatus.UNKNOWN,
        stage=Stage.SEND,
        reason_code=code[:CODE_MAX],
        reason=reason[:REASON_MAX],
        repeatable=repeatable,
        key_in_doubt=True,
        read_back_at=None,
        attempts=F("attempts") + int(attempted),
        finished_at=Now(),
        lease_expires_at=None,
    )


def delivery_rescheduled(
    copy: Copy,
    *,
    expected: Collection[MessageStatus],
    creator_id: int,
    campaign: bool,
    not_before: datetime | None = None,
    alone_until: datetime | None = None,
    attempted: bool = False,
    in_doubt: bool = False,
    by_hand: bool = False,
    hopped: bool = False,
    given_up: bool = False,
    trace_id: str = "",
    code: str = "",
    reason: str = "",
    decided: Mapping[str, Any] | None = None,
) -> Copy | None:
    """Give it a new slot and a new dispatch id, back at `pending`; the copy that was on the queue is stale from now on.

    not_before: the creator may not send before it; without it the nearest slot is from now on.
    alone_until: this message alone waits until then, and takes no slot, because every later one would wait with it.
    attempted: a send was begun, so it counts against SEND_MAX_ATTEMPTS.
    in_doubt: nobody knows how that send ended, so its key stays the message's key.
    by_hand: a person wants it, so it has all its attempts again.
    decided: which person that is (messaging/decisions.py).
    given_up: SQS gave the copy up before anybody began to send it.
    trace_id: of the request that asks for it; without one the last request's stays.
    Returns the copy to publish, None where somebody else changed the row first.
    """
    fresh = Copy(message_id=copy.message_id, dispatch_id=uuid7())
    also: dict[str, Any] = {"key_in_doubt": True} if in_doubt else {}
    if trace_id:
        also["trace_id"] = trace_id
    if by_hand:
        # When it is put on the queue this time.
        also |= {"queued_at": None, **(decided or {})}
    with transaction.atomic():
        # Taken first, so that a row that somebody else changed costs no slot.
        changed = change(
            copy,
            expected=expected,
            to=MessageStatus.PENDING,
            savepoint=False,
            dispatch_id=fresh.dispatch_id,
            attempts=0 if by_hand else F("attempts") + int(attempted),
            hops=F("hops") + int(hopped),
            given_up_count=0 if by_hand else F("given_up_count") + int(given_up),
            lease_expires_at=None,
            finished_at=None,
            **also,
            reason_code=code[:CODE_MAX],
            reason=reason[:REASON_MAX],
            stage=Stage.SEND if code else "",
        )
        if not changed:
            return None
        due_at = alone_until
        if due_at is None:
            now = timezone.now()
            due_at = slot_book.slot_again(
                creator_id=creator_id, campaign=campaign, earliest=max(now, not_before or now)
            )
        Delivery.objects.filter(pk=copy.message_id).update(due_at=due_at)
    return fresh


def sending_paused(*, creator_id: int, reason: str, code: str = "") -> None:
    """Nothing of this creator goes out until somebody resumes it; the first reason stays."""
    SendingProfile.objects.get_or_create(creator_id=creator_id)
    running = SendingProfile.objects.filter(pk=creator_id, paused_at=None)
    if running.update(paused_at=Now(), paused_reason=reason[:200], paused_code=code[:CODE_MAX]):
        wake(STATE, creator_id=creator_id)


def sending_resumed(*, creator_id: int, codes: Collection[str] | None = None) -> bool:
    """Whether it had been paused; the sweeper publishes what waited.

    codes: end only a pause with one of these.
    """
    paused = SendingProfile.objects.filter(pk=creator_id, paused_at__isnull=False)
    if codes is not None:
        paused = paused.filter(paused_code__in=codes)
    resumed = bool(paused.update(paused_at=None, paused_reason="", paused_code=""))
    if resumed:
        wake(STATE, creator_id=creator_id)
    return resumed
