"""Answers how the CRM's tables change: the only writer of users, creators, fans, conversations and messages."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.contrib.auth.password_validation import validate_password
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from crm.errors import Conflict
from crm.models import (
    Conversation,
    Creator,
    Direction,
    Fan,
    Membership,
    Message,
    MessageStatus,
    Role,
    User,
    uuid7,
)
from crm.payloads import PRICE_MAX_CENTS, PRICE_MIN_CENTS
from crm.statements import json_text, statement_run
from crm.wake_ups import ANYTHING, wake


def user_create(*, email: str, password: str, name: str = "", staff: bool = False) -> User:
    """Raises Conflict when the address is taken and django's ValidationError for a weak password."""
    if User.objects.filter(email=email.lower()).exists():
        raise Conflict("There is a user with this e-mail address already.", code="email_taken")
    validate_password(password, User(email=email, name=name))
    create = User.objects.create_superuser if staff else User.objects.create_user
    return create(email, password, name=name)


@transaction.atomic
def creator_create(*, name: str, owner: User, time_zone: str = "UTC") -> Creator:
    creator = Creator.objects.create(name=name, time_zone=time_zone)
    Membership.objects.create(user=owner, creator=creator, role=Role.OWNER)
    return creator


def membership_set(*, user: User, creator: Creator, role: Role) -> Membership:
    membership, _ = Membership.objects.update_or_create(user=user, creator=creator, defaults={"role": role})
    return membership


def fan_identify(*, fan: Fan, platform_id: str) -> None:
    """Replace the handle that stood in for the fan's id by the id itself, once it is known.

    Does nothing where another row has the id already: joining two fans is a decision that keeps both rows until then.
    """
    known = Fan.objects.filter(creator_id=fan.creator_id, platform=fan.platform, platform_id=platform_id)
    if fan.platform_id != platform_id and not known.exists():
        Fan.objects.filter(pk=fan.pk, platform_id=fan.platform_id).update(
            platform_id=platform_id, updated_at=timezone.now()
        )


@dataclass(frozen=True, slots=True)
class FanNews:
    """What the platform said of one fan; empty and None for what it did not say.

    `value_cents` is all that the fan paid up to `value_as_of`, fees included.
    """

    platform_id: str
    handle: str = ""
    name: str = ""
    avatar: str = ""
    seen_at: datetime | None = None
    subscribed: bool | None = None
    value_cents: int | None = None
    value_as_of: datetime | None = None


SHOWN_IN_THE_INBOX = {"handle", "name", "avatar", "value_cents"}


@transaction.atomic
def fan_meet(*, creator: Creator, news: FanNews) -> Fan:
    """The creator's fan with this id, with what is new about them; made where there is none.

    One who came by handle alone is found by it and gets the id. The handle follows the platform; a name that somebody
    gave here stays; last seen and the value's date only move forward.
    """
    handle = news.handle.removeprefix("@")
    fans = Fan.objects.filter(creator=creator, platform=creator.platform)
    fan = fans.filter(platform_id=news.platform_id).first()
    if fan is None and handle and (stand_in := fans.filter(platform_id=handle.lower()).first()) is not None:
        fan_identify(fan=stand_in, platform_id=news.platform_id)
        fan = fans.filter(platform_id=news.platform_id).first()
    if fan is None:
        fan, _ = Fan.objects.get_or_create(
            creator=creator,
            platform=creator.platform,
            platform_id=news.platform_id,
            defaults={"handle": handle, "name": news.name, "avatar": news.avatar},
        )
    fan = fans.select_for_update(no_key=True).get(pk=fan.pk)
    changes: dict[str, Any] = {}
    if handle and handle.lower() != fan.handle.lower():
        changes["handle"] = handle
    if news.name and not fan.name:
        changes["name"] = news.name
    if news.avatar and not fan.avatar:
        changes["avatar"] = news.avatar
    if news.seen_at is not None and (fan.last_seen_at is None or news.seen_at > fan.last_seen_at):
        changes["last_seen_at"] = news.seen_at
    if news.subscribed is not None and news.subscribed != fan.subscribed:
        changes["subscribed"] = news.subscribed
    if (
        news.value_cents is not None
        and news.value_as_of is not None
        and (fan.value_as_of is None or news.value_as_of > fan.value_as_of)
    ):
        changes |= {"value_cents": news.value_cents, "value_as_of": news.value_as_of}
    if changes:
        for name, value in changes.items():
            setattr(fan, name, value)
        fan.save(update_fields=[*changes, "updated_at"])
        # Not for each time that a fan was seen, which is all day long.
        if changes.keys() & SHOWN_IN_THE_INBOX:
            wake(ANYTHING, creator_id=creator.pk)
    return fan


def conversation_open(*, fan: Fan) -> Conversation:
    """The fan's conversation, begun when there is none and back in the inbox when it was archived."""
    conversation, created = Conversation.objects.get_or_create(fan=fan, defaults={"creator_id": fan.creator_id})
    if not created and conversation.archived:
        Conversation.objects.filter(pk=conversation.pk).update(archived=False)
        conversation.archived = False
    return conversation


def conversation_mark_read(*, conversation: Conversation) -> None:
    """Everything the fan wrote up to now is read.

    The count goes first and so locks the conversation: a message that arrives meanwhile is either read here or counted
    after it.
    """
    with transaction.atomic():
        Conversation.objects.filter(pk=conversation.pk).update(unread_count=0)
        if Message.objects.filter(conversation=conversation, direction=Direction.IN, read=False).update(read=True):
            wake(conversation.pk, creator_id=conversation.creator_id)


@transaction.atomic
def message_receive(
    *,
    fan: Fan,
    text: str,
    received_at: datetime,
    platform_message_id: str | None = None,
    price_cents: int = 0,
    attachments: Sequence[dict[str, str]] = (),
    read: bool = False,
) -> Message | None:
    """Store what a fan wrote and count it as unread; None when this platform message is stored already.

    The conversation's row is locked first, so that two who tell of one message store it once, and counts of messages
    that arrive together add up. read: it was answered or read at the platform.
    """
    conversation = _conversation_hold(fan=fan)
    if (
        platform_message_id is not None
        and Message.objects.filter(creator_id=fan.creator_id, platform_message_id=platform_message_id).exists()
    ):
        return None
    message = Message.objects.create(
        creator_id=fan.creator_id,
        conversation=conversation,
        direction=Direction.IN,
        text=text,
        price_cents=price_cents,
        attachments=list(attachments),
        status=MessageStatus.RECEIVED,
        read=read,
        platform_message_id=platform_message_id,
        created_at=received_at,
    )
    if not read:
        Conversation.objects.filter(pk=conversation.pk).update(unread_count=F("unread_count") + 1)
    _conversation_advance(conversation=conversation, message=message)
    wake(conversation.pk, creator_id=fan.creator_id)
    return message


@transaction.atomic
def message_record_sent(
    *,
    fan: Fan,
    text: str,
    sent_at: datetime,
    platform_message_id: str,
    sender: User | None = None,
    price_cents: int = 0,
    attachments: Sequence[dict[str, str]] = (),
) -> Message | None:
    """Store a message that went out already, from elsewhere than here; None when it is stored already.

    A price outside the bounds of our own messages is left out.
    """
    conversation = _conversation_hold(fan=fan)
    if Message.objects.filter(creator_id=fan.creator_id, platform_message_id=platform_message_id).exists():
        return None
    message = Message.objects.create(
        creator_id=fan.creator_id,
        conversation=conversation,
        sender=sender,
        direction=Direction.OUT,
        text=text,
        price_cents=price_cents if PRICE_MIN_CENTS <= price_cents <= PRICE_MAX_CENTS else 0,
        attachments=list(attachments),
        status=MessageStatus.SENT,
        platform_message_id=platform_message_id,
        created_at=sent_at,
        sent_at=sent_at,
    )
    _conversation_advance(conversation=conversation, message=message)
    wake(conversation.pk, creator_id=fan.creator_id)
    return message


@transaction.atomic
def message_mark_deleted(*, creator: Creator, platform_message_id: str, deleted_at: datetime) -> bool:
    """Note that a message was taken back at the platform; one that nobody had read counts as unread no more.

    Whether it is stored here and was not marked yet.
    """
    message = Message.objects.filter(creator=creator, platform_message_id=platform_message_id, deleted_at=None).first()
    if message is None:
        return False
    # The conversation before its messages, as those who read them do.
    Conversation.objects.select_for_update(no_key=True).get(pk=message.conversation_id)
    unread = Message.objects.filter(pk=message.pk, direction=Direction.IN, read=False).update(read=True)
    Message.objects.filter(pk=message.pk).update(deleted_at=deleted_at)
    if unread:
        Conversation.objects.filter(pk=message.conversation_id, unread_count__gt=0).update(
            unread_count=F("unread_count") - 1
        )
    wake(message.conversation_id, creator_id=creator.pk)
    return True


@dataclass(frozen=True, slots=True)
class OutboundDraft:
    """One message that is to go out: what it says to this fan, and how it starts."""

    fan_id: int
    text: str
    status: MessageStatus
    attachments: Sequence[dict[str, str]] = ()
    price_cents: int = 0


class OutboundRow(NamedTuple):
    """A message that was written. Not a `Message`: to make one takes longer than to store it."""

    id: UUID
    conversation_id: int
    created_at: datetime


# A conversation is begun, or moves on to its newest message unless a later one is there. In the order of the fans, so
# that two statements about the same ones wait in line and not for each other.
_MESSAGES_CREATE = """
WITH draft AS (
    SELECT * FROM json_to_recordset(%s::json)
        AS draft (id uuid, fan_id bigint, text text, status text, attachments jsonb, price_cents integer)
), conversation AS (
    INSERT INTO crm_conversation AS known
        (creator_id, fan_id, last_message_id, last_message_at, unread_count, archived, created_at)
    SELECT DISTINCT ON (fan_id) %s::bigint, fan_id, id, %s::timestamptz, 0, false, %s::timestamptz
    FROM draft ORDER BY fan_id, id DESC
    ON CONFLICT (fan_id) DO UPDATE SET
        (last_message_id, last_message_at) = (
            SELECT excluded.last_message_id, excluded.last_message_at
            WHERE known.last_message_id IS NULL OR known.last_message_at <= excluded.last_message_at
            UNION ALL SELECT known.last_message_id, known.last_message_at
            LIMIT 1
        ),
        archived = known.archived AND NOT %s
    RETURNING id, fan_id
), message AS (
    INSERT INTO crm_message (
        id, creator_id, conversation_id, sender_id, direction, text, price_cents, attachments, status, read, created_at
    )
    SELECT draft.id, %s::bigint, conversation.id, %s::bigint, %s, text, price_cents, attachments, status, false,
        %s::timestamptz
    FROM draft JOIN conversation USING (fan_id)
)
"""
_CONVERSATIONS = "SELECT fan_id, id FROM conversation"


def message_bulk_create_outbound(
    *,
    creator: Creator,
    sender: User | None,
    drafts: Sequence[OutboundDraft],
    reopen: bool,
    wake_pages: bool = True,
    along: Callable[[list[UUID]], tuple[str, Sequence[Any]]] | None = None,
) -> list[OutboundRow]:
    """The rows of messages to fans of one creator, in the order of the drafts and with ids in that order.

    In one statement however many they are, and with what messaging writes about them.

    reopen: an archived conversation comes back to the inbox. Not for a campaign: nobody has written to this fan in
    particular.
    wake_pages: not where the caller changes their status as soon as they are stored, which wakes (message_status_set).
    along: what the same statement writes beside the messages with these ids: further members of its WITH, each after
    a comma, and their values.
    """
    now = timezone.now()
    ids = sorted(uuid7() for _ in drafts)
    more, more_values = along(ids) if along else ("", ())
    rows = statement_run(
        _MESSAGES_CREATE + more + _CONVERSATIONS,
        [
            json_text(
                {
                    "id": message_id,
                    "fan_id": draft.fan_id,
                    "text": draft.text,
                    "status": draft.status,
                    "attachments": draft.attachments,
                    "price_cents": draft.price_cents,
                }
                for message_id, draft in zip(ids, drafts, strict=True)
            ),
            *(creator.pk, now, now, reopen),
            *(creator.pk, sender.pk if sender else None, Direction.OUT.value, now),
            *more_values,
        ],
    )
    conversations = dict(rows)
    if wake_pages:
        wake(*conversations.values(), creator_id=creator.pk)
    return [
        OutboundRow(id=message_id, conversation_id=conversations[draft.fan_id], created_at=now)
        for message_id, draft in zip(ids, drafts, strict=True)
    ]


# The end of a statement that has changed deliveries WITH changed (message_id, state): message_status_set in it. What
# it returns is for pages_wake.
MESSAGE_STATUS_COPY = """
UPDATE crm_message SET status = changed.state FROM changed WHERE crm_message.id = changed.message_id
RETURNING crm_message.creator_id, crm_message.conversation_id
"""
_STATUS_SET = """
UPDATE crm_message SET status = %s, sent_at = coalesce(%s::timestamptz, sent_at),
    platform_message_id = coalesce(%s::text, platform_message_id)
WHERE id = ANY(%s::uuid[]) RETURNING creator_id, conversation_id
"""


def message_status_set(
    *,
    message_ids: Sequence[UUID],
    status: MessageStatus,
    sent_at: datetime | None = None,
    platform_message_id: str | None = None,
) -> None:
    """Copy the state of deliveries to their messages; called in the transaction that changed the deliveries."""
    pages_wake(statement_run(_STATUS_SET, [status.value, sent_at, platform_message_id, list(message_ids)]))


def pages_wake(rows: Iterable[tuple[int, int]]) -> None:
    """Wake whoever looks at these conversations, each with its creator before it."""
    changed: dict[int, set[int]] = {}
    for creator_id, conversation_id in rows:
        changed.setdefault(creator_id, set()).add(conversation_id)
    for creator_id, conversations in changed.items():
        wake(*conversations, creator_id=creator_id)


def _conversation_hold(*, fan: Fan) -> Conversation:
    """The fan's open conversation, locked until the caller's transaction ends."""
    conversation = conversation_open(fan=fan)
    return Conversation.objects.select_for_update(no_key=True).get(pk=conversation.pk)


def _conversation_advance(*, conversation: Conversation, message: Message) -> None:
    """Make `message` the conversation's last one unless a later one is there."""
    Conversation.objects.filter(pk=conversation.pk, last_message=None).update(
        last_message=message, last_message_at=message.created_at
    )
    Conversation.objects.filter(pk=conversation.pk, last_message_at__lte=message.created_at).update(
        last_message=message, last_message_at=message.created_at
    )
