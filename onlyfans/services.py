"""Answers how vendor accounts, events and syncs change; the only writer of their tables. Touches the database alone."""

import hashlib
import re
from datetime import datetime, timedelta

from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop

from crm.errors import Conflict, FieldError, InvalidInput
from crm.models import Creator
from crm.wake_ups import STATE, wake
from messaging.account_change import account_left
from messaging.services import sending_pause, sending_resume_after
from onlyfans.event_payloads import Envelope, line_of, storable
from onlyfans.models import (
    Account,
    AccountState,
    Resource,
    SyncState,
    WebhookEvent,
)

# Of OnlyFansAPI, or a connection of OFAuth.
ACCOUNT_ID = re.compile(r"(acct|conn)_[A-Za-z0-9_-]{1,59}")
# What an HTTP header can carry, without blanks.
API_KEY = re.compile(r"[!-~]{1,500}")
# The pauses that end when the account is connected again: our own, and those of the gateway's refusals.
PAUSED_BY_ACCOUNT = (
    AccountState.DISCONNECTED,
    AccountState.SESSION_EXPIRED,
    "account_missing",
    "unauthorized",
    "session_ended",
)
PAUSE_REASONS = {
    AccountState.DISCONNECTED: gettext_noop("The OnlyFans account is disconnected. Connect it again."),
    AccountState.SESSION_EXPIRED: gettext_noop("The OnlyFans session ended. Sign in again at the vendor."),
}
# An event without an id that says the same again within this time is the same delivery, repeated.
REPEAT_WINDOW = timedelta(minutes=10)
# Who waits for events hears of a new one by PostgreSQL's NOTIFY.
CHANNEL = "onlyfans_events"


def account_connect(*, creator: Creator, account_id: str, api_key: str, cancel_waiting: bool = False) -> Account:
    """Connect the creator to the vendor, or put a new id or key in the place of the old; the state is connected after.

    A pause that the account's trouble made ends; what waited goes out in its turn, but never from another account.
    Raises InvalidInput, or Conflict: `account_taken` where another creator holds the vendor account, and what
    messaging.account_change raises where another account is to take the place of this one (`cancel_waiting`).
    """
    account_id, api_key = account_id.strip(), api_key.strip()
    errors: list[FieldError] = []
    if not ACCOUNT_ID.fullmatch(account_id):
        errors.append(
            FieldError(
                "account_id", "invalid", gettext("The vendor's account ids look like acct_1a2b3c (or conn_1a2b3c).")
            )
        )
    if not API_KEY.fullmatch(api_key):
        errors.append(
            FieldError("api_key", "invalid", gettext("A key is 1 to 500 printable ASCII characters without blanks."))
        )
    if errors:
        raise InvalidInput(gettext("The account cannot be connected with these details."), errors=tuple(errors))
    values: dict[str, str | None] = {"account_id": account_id, "api_key": api_key}
    try:
        with transaction.atomic():
            account, _ = Account.objects.get_or_create(creator=creator, defaults=values)
            if account.account_id != account_id:
                account_left(creator=creator, account_id=account.account_id, cancel_waiting=cancel_waiting)
                # What was known of the other account says nothing of this one.
                SyncState.objects.filter(account=account).delete()
                values |= {"webhook_secret": None, "webhook_secret_previous": None, "webhook_registered_at": None}
            if account.api_key == api_key:
                # Stored anew it would read as a key that somebody stored; and one that no SECRET_KEY opens any more
                # reads as its ciphertext, which would be encrypted once more.
                del values["api_key"]
            for name, value in values.items():
                setattr(account, name, value)
            account.save(update_fields=list(values))
            account_state_set(account=account, state=AccountState.CONNECTED)
    except IntegrityError as error:
        raise Conflict(
            gettext("Another creator is or was connected to this OnlyFans account. Choose another account."),
            code="account_taken",
        ) from error
    return account


@transaction.atomic
def account_disconnect(*, creator: Creator) -> None:
    """Nothing more is sent for the creator, and no event comes in, until the account is connected again."""
    account = Account.objects.select_related("creator").filter(creator=creator).first()
    if account is None:
        return
    Account.objects.filter(pk=account.pk).update(
        webhook_secret=None, webhook_secret_previous=None, webhook_registered_at=None
    )
    account_state_set(account=account, state=AccountState.DISCONNECTED)


@transaction.atomic
def account_state_set(*, account: Account, state: AccountState) -> None:
    """What the vendor says of the account: without a session sending pauses, with one again such a pause ends."""
    Account.objects.filter(pk=account.pk).update(state=state)
    account.state = state
    wake(STATE, creator_id=account.creator_id)
    if state is AccountState.CONNECTED:
        sending_resume_after(creator=account.creator, codes=PAUSED_BY_ACCOUNT)
    else:
        sending_pause(creator=account.creator, reason=PAUSE_REASONS[state], code=state)


def account_secret_rotate(*, account: Account, secret: str) -> None:
    """Sign events with this secret from now on; the one before counts until the next rotation."""
    Account.objects.filter(pk=account.pk).update(webhook_secret=secret, webhook_secret_previous=account.webhook_secret)
    account.webhook_secret, account.webhook_secret_previous = secret, account.webhook_secret


def account_webhook_registered(*, account: Account) -> None:
    """The vendor sends events here from now on; a time that is known stays."""
    Account.objects.filter(pk=account.pk, webhook_registered_at=None).update(webhook_registered_at=timezone.now())


def webhook_event_store(*, account: Account, event_id: str, envelope: Envelope, body: str) -> bool:
    """Keep an event and wake whoever applies events; whether it is new.

    Without an id of its own (the vendor gives `users.*` none) it is known by what it says.
    """
    now = timezone.now()
    if not event_id:
        window = int(now.timestamp() // REPEAT_WINDOW.total_seconds())
        event_id = f"{window}:{hashlib.sha256(body.encode()).hexdigest()}"
    with transaction.atomic():
        _, created = WebhookEvent.objects.get_or_create(
            account=account,
            event_id=storable(event_id)[:100],
            defaults={"kind": envelope.kind, "line": line_of(envelope), "body": body, "received_at": now},
        )
        if created:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])
    return created


def webhook_event_applied(*, event: WebhookEvent) -> None:
    """Called in the transaction that did what the event asks for."""
    WebhookEvent.objects.filter(pk=event.pk).update(
        applied_at=timezone.now(), attempts=F("attempts") + 1, retry_at=None, error=""
    )


def webhook_event_failed(*, event: WebhookEvent, error: str, retry_at: datetime | None) -> None:
    """Not done; tried again at `retry_at`, or by a person where there is none."""
    WebhookEvent.objects.filter(pk=event.pk, applied_at=None).update(
        attempts=F("attempts") + 1, retry_at=retry_at, error=error[:500]
    )


def webhook_event_prune(*, applied_before: datetime) -> int:
    """Forget events that were applied before then; they hold what fans wrote."""
    deleted, _ = WebhookEvent.objects.filter(applied_at__lt=applied_before).delete()
    return deleted


def sync_begin(*, account: Account, resource: Resource, since: datetime, whole: bool) -> SyncState:
    """Where to go on: after the last page of an unfinished sync that went as far back, else from the start.

    whole: from the start in any case.
    """
    state, _ = SyncState.objects.get_or_create(account=account, resource=resource)
    unfinished = state.cursor and state.since is not None and state.since <= since
    if whole or not unfinished:
        state.cursor, state.since, state.begun_at = "", since, timezone.now()
        state.save()
    return state


def sync_advance(*, state: SyncState, cursor: str) -> None:
    """The page before `cursor` is stored; an empty one was the last."""
    state.cursor = cursor
    if not cursor:
        state.finished_at = state.begun_at
    state.save()
