"""Answers a wish to send: validates it, writes the rows, publishes after the commit. Writes deliveries."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext

from crm.errors import Conflict, FieldError, InvalidInput, NotFound
from crm.models import Creator, Fan, Message, MessageStatus, User
from crm.outbound_services import message_status_set
from crm.payloads import check_content, media_attachments
from crm.placeholders import placeholders_check, placeholders_fill, placeholders_fill_shortest
from crm.selectors import fan_map_by_recipient
from crm.stored_words import in_words
from messaging import outbox, publishing, queue, readiness, selectors, set_transitions, slot_book, transitions
from messaging.decisions import decided
from messaging.errors import QueueRefused
from messaging.message_selectors import message_refused_like, repeat_possible
from messaging.models import (
    OPEN_STATES,
    RETRYABLE_STATES,
    TROUBLE_STATES,
    UNSENT_STATES,
    CampaignStatus,
    Decision,
    Delivery,
    Kind,
    SendingProfile,
    Stage,
)
from messaging.queue_overview import queue_counts_lately
from messaging.readiness import Outlook
from messaging.reasons import Blocked
from messaging.transitions import Copy

SCHEDULE_MAX = timedelta(days=365)
# How far the platform's clock and ours may differ.
CLOCKS_APART = timedelta(minutes=1)
# Of a message that was put on SQS; in the other states it never was, or is not there any more.
PUT_STATES = frozenset({MessageStatus.QUEUED, MessageStatus.SENDING, MessageStatus.SENT, MessageStatus.UNKNOWN})


class _StoredBefore(Exception):
    """The same message stands there already, and SQS did not take it."""

    def __init__(self, message_id: UUID) -> None:
        super().__init__(str(message_id))
        self.message_id = message_id


@dataclass(frozen=True, slots=True)
class MessageRequest:
    """A message that somebody wants sent. `recipient_id` is the fan's id at the platform, or `fan_<our id>`.

    Placeholders in the content are filled in (crm.placeholders).
    """

    recipient_id: str
    content: str
    media_urls: Sequence[str] = ()
    price_cents: int = 0
    priority: int = 5
    scheduled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SendReceipt:
    """What became of it: queued, parked, failed (with the reason), bypassed, or pending inside a transaction.

    queued_at: when it was put on SQS; None where it is not there.
    estimated_send_at: None where it has had its turn, or cannot go out now; `blocked` says why it cannot.
    """

    message_id: UUID
    status: MessageStatus
    queued_at: datetime | None
    estimated_send_at: datetime | None
    reason_code: str = ""
    reason: str = ""
    blocked: Blocked | None = None


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """SQS's approximate numbers (None where SQS does not answer: `trouble` says why) and the creator's day."""

    counts: queue.QueueCounts | None
    dlq_count: int | None
    trouble: str
    today: selectors.SendingToday


@dataclass(frozen=True, slots=True)
class OnlyFansRateLimiterService:
    """Sends messages of one creator at the pace that the platform allows.

    A message is a row first (the outbox), committed before SQS hears of it, so that it cannot be lost between the two.
    """

    creator: Creator
    trace_id: str = ""
    kind: Kind = field(default=Kind.REPLY)

    def send_message(self, *, user: User | None, request: MessageRequest) -> SendReceipt:
        """Store one message and put it on the queue.

        Raises InvalidInput naming the fields, NotFound for an unknown recipient, SendingDisabled naming the variable.
        """
        [receipt] = self.send_batch(user=user, requests=[request])
        return receipt

    def send_batch(
        self,
        *,
        user: User | None,
        requests: Sequence[MessageRequest],
        on_stored: Callable[[UUID], None] | None = None,
        repeatable: bool = False,
    ) -> list[SendReceipt]:
        """Store all of them in one transaction, or none, and put them on the queue in batches of ten.

        on_stored: called with each message's id in that transaction; what it raises takes all of it back.
        repeatable: raise _StoredBefore, and store nothing, where SQS has just refused the very same.
        """
        publishing.queueing_check()
        addressed = self._check(requests)
        with transaction.atomic():
            # Before any conversation, so that two callers who write to the same fans wait in line, not for each other.
            profile = slot_book.sending_profile_lock(creator_id=self.creator.pk)
            if repeatable and repeat_possible(profile):
                self._check_repeated(user=user, request=requests[0], addressed=addressed[0])
            written = self._create(profile, user=user, requests=requests, addressed=addressed)
            if on_stored is not None:
                for each in written:
                    on_stored(each.body.message_id)
            refusals: dict[UUID, publishing.Refusal] | None = None
            queued: dict[UUID, datetime] = {}
            pending = [each.body for each in written if each.state is MessageStatus.PENDING]

            def publish() -> None:
                nonlocal refusals
                refusals = publishing.publish_written(pending, fail=True, queued=queued)

            # What breaks here broke nothing that was promised: the rows are stored, and the sweeper publishes them.
            transaction.on_commit(publish, robust=True)
        return self._receipts(written, refusals, queued, profile)

    def get_queue_status(self) -> QueueStatus:
        """How deep the queue is and how the day went."""
        counts, dlq, trouble = queue_counts_lately()
        return QueueStatus(
            counts=counts,
            dlq_count=dlq.waiting if dlq else None,
            trouble=trouble,
            today=selectors.sending_today(creator=self.creator),
        )

    def _check(self, requests: Sequence[MessageRequest]) -> list[tuple[Fan, str]]:
        """For each request its fan, and its text as this fan reads it."""
        known = fan_map_by_recipient(creator=self.creator, recipient_ids=[request.recipient_id for request in requests])
        errors: list[FieldError] = []
        texts: list[str] = []
        for index, request in enumerate(requests):
            prefix = f"[{index}]." if len(requests) > 1 else ""
            fan = known.get(request.recipient_id)
            texts.append(
                placeholders_fill(request.content, name=fan.name, handle=fan.handle)
                if fan
                else placeholders_fill_shortest(request.content)
            )
            found = check_content(content=texts[-1], media_urls=request.media_urls, price_cents=request.price_cents)
            found += placeholders_check(request.content)
            if not request.recipient_id:
                found.append(FieldError("recipient_id", "required", gettext("Say whom the message is for.")))
            found += check_priority(request.priority)
            found += check_schedule(request.scheduled_at)
            errors += [FieldError(prefix + error.field, error.code, error.detail) for error in found]
        if errors:
            raise InvalidInput(gettext("The message cannot be sent as it is."), errors=tuple(errors))
        for index, request in enumerate(requests):
            if request.recipient_id not in known:
                detail = gettext("There is no such fan.")
                if len(requests) > 1:
                    detail = gettext("There is no such fan (message %(number)s).") % {"number": index}
                raise NotFound(detail, code="recipient_not_found")
        return [(known[request.recipient_id], text) for request, text in zip(requests, texts, strict=True)]

    def _check_repeated(self, *, user: User | None, request: MessageRequest, addressed: tuple[Fan, str]) -> None:
        """Raise _StoredBefore where SQS has just refused the very same."""
        fan, text = addressed
        before = message_refused_like(
            user=user,
            fan=fan,
            text=text,
            attachments=media_attachments(request.media_urls),
            price_cents=request.price_cents,
            priority=request.priority,
            scheduled_at=request.scheduled_at,
        )
        if before is not None:
            raise _StoredBefore(before)

    def _create(
        self,
        profile: SendingProfile,
        *,
        user: User | None,
        requests: Sequence[MessageRequest],
        addressed: Sequence[tuple[Fan, str]],
    ) -> list[outbox.Written]:
        return outbox.delivery_bulk_create(
            creator=self.creator,
            user=user,
            drafts=[
                outbox.Draft(
                    fan_id=fan.pk,
                    recipient_id=fan.platform_id,
                    text=text,
                    due_at=due_at,
                    attachments=media_attachments(request.media_urls),
                    price_cents=request.price_cents,
                    priority=request.priority,
                    scheduled_at=request.scheduled_at,
                )
                for request, (fan, text), due_at in zip(
                    requests, addressed, self._due_at(profile, requests), strict=True
                )
            ],
            kind=self.kind,
            trace_id=self.trace_id,
            profile=profile,
        )

    def _due_at(self, profile: SendingProfile, requests: Sequence[MessageRequest]) -> list[datetime]:
        """The next slots; the time asked for, where it is to come; now, where nothing will be sent."""
        now = timezone.now()
        times = [request.scheduled_at or now for request in requests]
        if not settings.RATE_LIMITER_ENABLED:
            return [max(at, now) for at in times]
        unplanned = sum(at <= now for at in times)
        slots = iter(slot_book.slot_take(profile, campaign=self.kind == Kind.CAMPAIGN, count=unplanned))
        return [at if at > now else next(slots) for at in times]

    def _receipts(
        self,
        written: Sequence[outbox.Written],
        refusals: dict[UUID, publishing.Refusal] | None,
        queued: Mapping[UUID, datetime],
        profile: SendingProfile,
    ) -> list[SendReceipt]:
        """refusals: what SQS did not take; None where a transaction around this one has not ended yet."""
        refused = refusals or {}
        states: dict[UUID, str] = {}
        if refused:
            # SQS may have taken one although every answer was lost: then it is not failed.
            states.update(Delivery.objects.filter(pk__in=refused).values_list("pk", "state"))
        taken = MessageStatus.PENDING if refusals is None else MessageStatus.QUEUED
        blocked = readiness.sending_blocked_lately(creator=self.creator, profile=profile)
        receipts = []
        for state, body in written:
            message_id = body.message_id
            known = taken if state is MessageStatus.PENDING else state
            refusal = refused.get(message_id)
            status = MessageStatus(states[message_id]) if refusal else known
            found = _outlook(status, body.due_at, blocked)
            receipts.append(
                SendReceipt(
                    message_id=message_id,
                    status=status,
                    # Without a time a consumer was quicker than our own note.
                    queued_at=queued.get(message_id, timezone.now()) if status in PUT_STATES else None,
                    estimated_send_at=found.expected_at,
                    reason_code=refusal.code if refusal else "",
                    reason=refusal.reason if refusal else "",
                    blocked=found.blocked,
                )
            )
        return receipts


def check_priority(priority: int) -> list[FieldError]:
    if 1 <= priority <= 10:
        return []
    return [FieldError("priority", "out_of_range", gettext("A priority is a number from 1 to 10."))]


def check_schedule(at: datetime | None) -> list[FieldError]:
    """What is wrong with the time that something is to go out at; None means as soon as it can."""
    if at is None:
        return []
    if timezone.is_naive(at):
        wrong = ("no_offset", gettext("Give the time with its offset from UTC."))
    elif at <= (now := timezone.now()):
        wrong = ("past", gettext("This time has passed. Choose one to come, or leave it out to send now."))
    elif at > now + SCHEDULE_MAX:
        wrong = ("too_far", gettext("A message can be scheduled at most a year ahead."))
    else:
        return []
    return [FieldError("scheduled_at", *wrong)]


def _outlook(
    status: MessageStatus, due_at: datetime, blocked: Blocked | None, *, campaign_paused: bool = False
) -> Outlook:
    """Of what has had its turn nothing is expected; of a bypassed message it is said why."""
    if status in UNSENT_STATES:
        return readiness.outlook(due_at, blocked=blocked, campaign_paused=campaign_paused)
    return Outlook(None, blocked if status is MessageStatus.BYPASSED else None)


def message_send(
    *,
    creator: Creator,
    user: User | None,
    request: MessageRequest,
    trace_id: str = "",
    on_stored: Callable[[UUID], None] | None = None,
) -> SendReceipt:
    """Send one reply; what the API and the pages call. `on_stored` is called in the transaction that stores it.

    Raises QueueRefused, with the id of the stored message, where SQS did not take it: it stands there as `failed` and
    can be sent again. The same wish repeated takes up that message (message_take_up) while it stands so, for
    message_selectors.REPEATED_WITHIN: another one beside it would reach the fan as well.
    """
    service = OnlyFansRateLimiterService(creator=creator, trace_id=trace_id)
    try:
        [receipt] = service.send_batch(user=user, requests=[request], on_stored=on_stored, repeatable=True)
    except _StoredBefore as before:
        if on_stored is not None:
            on_stored(before.message_id)
        return message_take_up(creator=creator, message_id=before.message_id, trace_id=trace_id)
    if receipt.status is MessageStatus.FAILED:
        raise _refused(receipt)
    return receipt


def message_receipt(*, creator: Creator, message_id: UUID) -> SendReceipt:
    """What became of a message that was stored before. Raises as message_send does, where SQS did not take it."""
    delivery = selectors.delivery_get(creator=creator, message_id=message_id)
    found = _outlook(
        MessageStatus(delivery.state),
        delivery.due_at,
        readiness.sending_blocked(creator=creator),
        campaign_paused=delivery.campaign is not None and delivery.campaign.status == CampaignStatus.PAUSED,
    )
    receipt = SendReceipt(
        message_id=message_id,
        status=MessageStatus(delivery.state),
        queued_at=delivery.queued_at if delivery.state in PUT_STATES else None,
        estimated_send_at=found.expected_at,
        reason_code=delivery.reason_code,
        reason=delivery.reason,
        blocked=found.blocked,
    )
    if delivery.stage == Stage.ENQUEUE and receipt.status in TROUBLE_STATES:
        raise _refused(receipt)
    return receipt


def message_take_up(*, creator: Creator, message_id: UUID, doubted: bool = False, trace_id: str = "") -> SendReceipt:
    """Go on with a stored message that SQS did not take; of any other, how it stands. Raises as message_send does.

    doubted: also where an earlier attempt may have reached the fan, because a person wanted it sent again.
    trace_id: of the request that repeats itself.
    """
    delivery = selectors.delivery_get(creator=creator, message_id=message_id)
    states = TROUBLE_STATES if doubted else (MessageStatus.FAILED,)
    if delivery.stage == Stage.ENQUEUE and delivery.state in states:
        try:
            return message_retry(creator=creator, message_id=message_id, trace_id=trace_id)
        except Conflict as error:
            if error.code != "not_retryable":
                raise
            # Another request took it up in this moment.
    return message_receipt(creator=creator, message_id=message_id)


def message_retry(
    *,
    creator: Creator,
    message_id: UUID,
    user: User | None = None,
    trace_id: str = "",
    on_stored: Callable[[UUID], None] | None = None,
) -> SendReceipt:
    """Send a failed, unknown or dismissed message once more.

    user: who decided it, which the row keeps; nobody where a program repeats itself.
    trace_id: of the request that asks for it.
    on_stored: called with its id in the transaction that makes it pending again.
    Raises Conflict where it is none of them, and QueueRefused as message_send does.
    """
    publishing.limiter_check()
    publishing.sending_check()
    message_reopen(creator=creator, message_id=message_id, user=user, trace_id=trace_id, on_stored=on_stored)
    publishing.publish([message_id], fail=True)
    return message_receipt(creator=creator, message_id=message_id)


def message_reopen(
    *,
    creator: Creator,
    message_id: UUID,
    user: User | None = None,
    trace_id: str = "",
    on_stored: Callable[[UUID], None] | None = None,
) -> None:
    """Make a failed, unknown or dismissed message `pending`, with a new slot and dispatch; the caller publishes it.

    on_stored: called with its id in the transaction that does it.
    Raises Conflict where it is none of them, or its campaign was cancelled, or its fan deleted.
    """
    delivery = selectors.delivery_get(creator=creator, message_id=message_id)
    if delivery.campaign is not None and delivery.campaign.status == CampaignStatus.CANCELLED:
        raise Conflict(gettext("The campaign of this message was cancelled."), code="campaign_cancelled")
    if delivery.fan.deleted_at is not None:
        raise Conflict(gettext("The fan of this message was deleted."), code="fan_deleted")
    later = delivery.scheduled_at is not None and delivery.scheduled_at > timezone.now()
    with transaction.atomic():
        fresh = transitions.delivery_rescheduled(
            Copy.of(delivery),
            # Not before the time that was asked for.
            alone_until=delivery.scheduled_at if later else None,
            expected=RETRYABLE_STATES,
            creator_id=creator.pk,
            campaign=delivery.kind == Kind.CAMPAIGN,
            by_hand=True,
            decided=decided(Decision.RESENT, user=user) if user else None,
            trace_id=trace_id,
        )
        if fresh is not None and on_stored is not None:
            on_stored(message_id)
    if fresh is None:
        delivery.refresh_from_db(fields=["state"])
        raise Conflict(
            gettext("Only a failed or unknown message can be sent again; this one is %(status)s.")
            % {"status": delivery.get_state_display().lower()},
            code="not_retryable",
        )


def _refused(receipt: SendReceipt) -> QueueRefused:
    return QueueRefused(
        gettext("The message is stored but could not be queued: %(reason)s You can send it again.")
        % {"reason": in_words(receipt.reason)},
        extra={"messageId": str(receipt.message_id), "status": receipt.status},
        retry_after=30,
    )


def sending_pause(*, creator: Creator, reason: str, code: str = "") -> None:
    """Hold back everything of this creator, in words that its people read, until somebody resumes it.

    code: for a pause that its cause may end by itself (sending_resume_after).
    """
    transitions.sending_paused(creator_id=creator.pk, reason=reason, code=code)


def sending_resume_after(*, creator: Creator, codes: Collection[str]) -> bool:
    """End a pause that has one of these codes, and no other; whether there was one."""
    return _resume(creator, codes=codes)


@transaction.atomic
def _resume(creator: Creator, *, codes: Collection[str] | None = None) -> bool:
    """Whether there was such a pause. What fell behind in a campaign is planned anew with all that follows it: put
    between the rest, one by one, it would take their turns, and the campaign's estimate would be true no more."""
    profile = selectors.sending_profile(creator=creator)
    if profile is None or profile.paused_at is None or (codes is not None and profile.paused_code not in codes):
        return False
    behind = selectors.campaign_list_behind(creator=creator)
    # The rows before the profile, as delivery_rescheduled locks them.
    for number, campaign in enumerate(behind, start=1):
        set_transitions.campaign_respaced(campaign, replanned=[later.pk for later in behind[number:]])
    return transitions.sending_resumed(creator_id=creator.pk, codes=codes)


@transaction.atomic
def delivery_recognise(*, fan: Fan, text: str, platform_message_id: str, sent_at: datetime) -> bool:
    """Whether a message that the platform shows to this fan is known here, or one of ours whose answer has not come.

    The oldest with these words that was handed to the platform by then, and of which nobody knows the id there, is it:
    one in doubt is thereby sent; one that is about to be repeated under its key only learns its id.
    """
    by_hand = Q(state=MessageStatus.SENT, decision=Decision.ARRIVED) | Q(
        state=MessageStatus.DISMISSED, key_in_doubt=True
    )
    handed_over = Delivery.objects.filter(
        Q(state__in=(*OPEN_STATES, MessageStatus.UNKNOWN)) | by_hand,
        fan=fan,
        first_attempt_at__lte=sent_at + CLOCKS_APART,
        message__platform_message_id=None,
    )
    words = " ".join(text.split())
    # Locked first: a worker that stores the platform's answer in this moment is waited for.
    rows = list(handed_over.select_related("message").order_by("pk").select_for_update(of=("self",), no_key=True))
    if Message.objects.filter(creator_id=fan.creator_id, platform_message_id=platform_message_id).exists():
        return True
    ours = next((row for row in rows if " ".join(row.message.text.split()) == words), None)
    if ours is None:
        return False
    copy = Copy.of(ours)
    if not transitions.delivery_sent(copy, platform_message_id=platform_message_id):
        message_status_set(
            message_ids=[ours.pk], status=MessageStatus(ours.state), platform_message_id=platform_message_id
        )
    return True


def sending_resume(*, creator: Creator) -> None:
    """Let a paused creator's messages go out again. Raises Conflict where sending was not paused."""
    if not _resume(creator):
        raise Conflict(gettext("Sending is not paused."), code="not_paused")
