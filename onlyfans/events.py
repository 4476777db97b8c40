"""Answers what an event of the vendor changes: conversations, money, who was seen, whether sending pauses.
Writes through the services of crm, messaging and this app, one transaction per event."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from crm.errors import HuntazeError
from crm.models import Fan, TransactionSource
from crm.services import fan_meet, message_mark_deleted
from crm.transaction_services import transaction_bulk_record
from onlyfans import event_payloads as payloads
from onlyfans.event_payloads import Envelope, EventKind, MoneyFacts
from onlyfans.intake import bought_message_id, fan_news, message_take, transaction_row
from onlyfans.models import AccountState, WebhookEvent
from onlyfans.selectors import deletion_known, webhook_event_list, webhook_event_next
from onlyfans.services import account_state_set, webhook_event_applied, webhook_event_failed

logger = structlog.get_logger(__name__)
ATTEMPTS_MAX = 6
RETRY_FIRST = timedelta(seconds=15)
# A row that somebody else holds for longer makes the event wait and not the events behind it.
LOCK_TIMEOUT = "5s"


@dataclass(frozen=True, slots=True)
class EventsReport:
    """How many events were applied, and how many could not be; each of those says why in its row."""

    applied: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Occasion:
    """One event while it is applied. What it does not date happened when it came."""

    event: WebhookEvent
    envelope: Envelope

    @property
    def at(self) -> datetime:
        return self.event.received_at

    @property
    def said_at(self) -> datetime:
        said = self.envelope.payload
        # A clock that is ahead must not keep somebody present for days.
        return min(payloads.moment(said.get("createdAt") or said.get("observed_at"), default=self.at), self.at)

    def fan(self, *, seen_at: datetime | None = None, subscribed: bool | None = None) -> Fan:
        """The fan that it is about; made where there is none."""
        facts = payloads.fan_of(self.envelope)
        return fan_meet(
            creator=self.event.account.creator,
            news=fan_news(facts, as_of=self.said_at, seen_at=seen_at, subscribed=subscribed),
        )


def events_apply(*, limit: int | None = None, each: Callable[[int], None] = lambda done: None) -> EventsReport:
    """Apply all events whose turn it is. Others may do so at the same time: an event is taken by one of them.

    each: called with the number done so far.
    """
    applied = failed = 0
    while limit is None or applied + failed < limit:
        outcome = _next_apply()
        if outcome is None:
            break
        applied, failed = applied + outcome, failed + (not outcome)
        each(applied + failed)
    return EventsReport(applied=applied, failed=failed)


def events_apply_again(
    *, failed: bool, event_id: str = "", each: Callable[[int], None] = lambda done: None
) -> EventsReport:
    """Apply events that wait for a person, or one by its id, now and whatever their turn; what is applied stays so."""
    done = missed = 0
    for pk in list(webhook_event_list(failed=failed, event_id=event_id).values_list("pk", flat=True)):
        outcome = _one_apply(pk)
        if outcome is not None:
            done, missed = done + outcome, missed + (not outcome)
            each(done + missed)
    return EventsReport(applied=done, failed=missed)


def _next_apply() -> bool | None:
    """Whether the next event could be applied; None where none waits."""
    with transaction.atomic():
        event = webhook_event_next()
        return None if event is None else _apply(event)


def _one_apply(pk: int) -> bool | None:
    with transaction.atomic():
        event = (
            WebhookEvent.objects.filter(pk=pk, applied_at=None)
            .select_for_update(skip_locked=True, of=("self",), no_key=True)
            .select_related("account__creator")
            .first()
        )
        return None if event is None else _apply(event)


def _apply(event: WebhookEvent) -> bool:
    """Do what a locked event asks for, in the caller's transaction; its trouble is written down and goes no further."""
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])
            envelope = payloads.envelope_of(event.body.encode())
            if envelope.kind in EventKind.__members__.values():
                EFFECTS[EventKind(envelope.kind)](Occasion(event, envelope))
            webhook_event_applied(event=event)
    except HuntazeError as error:
        # The same words will say the same tomorrow.
        webhook_event_failed(event=event, error=error.detail, retry_at=None)
        logger.warning("event not applied", event_id=event.event_id, kind=event.kind, code=error.code)
        return False
    except Exception as error:
        retry_at = _retry_at(event.attempts) if isinstance(error, DatabaseError) else None
        webhook_event_failed(event=event, error=f"{type(error).__name__} while it was applied.", retry_at=retry_at)
        logger.exception("event not applied", event_id=event.event_id, kind=event.kind)
        return False
    return True


def _retry_at(attempts: int) -> datetime | None:
    return timezone.now() + RETRY_FIRST * 2**attempts if attempts + 1 < ATTEMPTS_MAX else None


def _message_received(occasion: Occasion) -> None:
    facts = payloads.message_of(occasion.envelope.payload, default_at=occasion.at, sent_by_me=False)
    fan = occasion.fan(seen_at=occasion.said_at)
    message_take(fan=fan, facts=facts)
    _deletion_carry_out(occasion, facts.platform_id)


def _message_sent(occasion: Occasion) -> None:
    facts = payloads.message_of(occasion.envelope.payload, default_at=occasion.at, sent_by_me=True)
    message_take(fan=occasion.fan(), facts=facts)
    _deletion_carry_out(occasion, facts.platform_id)


def _deletion_carry_out(occasion: Occasion, message_id: str) -> None:
    """Deliveries come in any order: this message may have been taken back before it was told of."""
    if deletion_known(account=occasion.event.account, message_id=message_id):
        message_mark_deleted(
            creator=occasion.event.account.creator, platform_message_id=message_id, deleted_at=occasion.at
        )


def _message_deleted(occasion: Occasion) -> None:
    message_id = payloads.platform_id(occasion.envelope.payload.get("id"))
    message_mark_deleted(creator=occasion.event.account.creator, platform_message_id=message_id, deleted_at=occasion.at)


def _money(occasion: Occasion, facts: MoneyFacts, *, source: TransactionSource, fan: Fan) -> None:
    row = transaction_row(facts, source=source, fan=fan, message_id=bought_message_id(fan, facts))
    transaction_bulk_record(creator=occasion.event.account.creator, rows=[row], raise_values=True)


def _tip_received(occasion: Occasion) -> None:
    facts = payloads.tip_of(
        occasion.envelope.payload, default_at=occasion.at, default_key=f"tip:{occasion.event.event_id}"
    )
    _money(occasion, facts, source=TransactionSource.NOTICE, fan=occasion.fan(seen_at=occasion.said_at))


def _ppv_unlocked(occasion: Occasion) -> None:
    facts = payloads.purchase_of(
        occasion.envelope.payload, default_at=occasion.at, default_key=f"message:{occasion.event.event_id}"
    )
    _money(occasion, facts, source=TransactionSource.NOTICE, fan=occasion.fan(seen_at=occasion.said_at))


def _transaction_new(occasion: Occasion) -> None:
    facts = payloads.transaction_of(occasion.envelope.payload, default_at=occasion.at)
    _money(occasion, facts, source=TransactionSource.EVENT, fan=occasion.fan())


def _subscribed(occasion: Occasion) -> None:
    occasion.fan(seen_at=occasion.said_at, subscribed=True)


def _subscription_expired(occasion: Occasion) -> None:
    # It ends by itself: the fan need not have been there.
    occasion.fan(subscribed=False)


def _seen(occasion: Occasion) -> None:
    occasion.fan(seen_at=occasion.said_at)


def _account_is(state: AccountState) -> Callable[[Occasion], None]:
    return lambda occasion: account_state_set(account=occasion.event.account, state=state)


EFFECTS: dict[EventKind, Callable[[Occasion], None]] = {
    EventKind.MESSAGE_RECEIVED: _message_received,
    EventKind.MESSAGE_SENT: _message_sent,
    EventKind.MESSAGE_DELETED: _message_deleted,
    EventKind.PPV_UNLOCKED: _ppv_unlocked,
    EventKind.TIP_RECEIVED: _tip_received,
    EventKind.TRANSACTION_NEW: _transaction_new,
    EventKind.SUBSCRIPTION_NEW: _subscribed,
    EventKind.SUBSCRIPTION_RENEWED: _subscribed,
    EventKind.SUBSCRIPTION_EXPIRED: _subscription_expired,
    EventKind.POST_LIKED: _seen,
    EventKind.USER_TYPING: _seen,
    EventKind.USER_ONLINE: _seen,
    EventKind.USER_OFFLINE: _seen,
    EventKind.ACCOUNT_CONNECTED: _account_is(AccountState.CONNECTED),
    EventKind.ACCOUNT_RECONNECTED: _account_is(AccountState.CONNECTED),
    EventKind.ACCOUNT_DISCONNECTED: _account_is(AccountState.DISCONNECTED),
    EventKind.ACCOUNT_SESSION_EXPIRED: _account_is(AccountState.SESSION_EXPIRED),
    EventKind.ACCOUNT_AUTHENTICATION_FAILED: _account_is(AccountState.SESSION_EXPIRED),
}
