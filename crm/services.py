"""Answers how users and creators come, and how fans, conversations and messages follow what is said of them.
Touches those tables; what people do to a fan is in fan_services, what goes out in outbound_services.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.db import transaction
from django.db.models import Case, F, OuterRef, Q, Subquery, UUIDField, Value, When
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
)
from crm.payloads import PRICE_MAX_CENTS, PRICE_MIN_CENTS
from crm.wake_ups import ANYTHING, wake


def user_create(*, email: str, password: str, name: str = "", staff: bool = False) -> User:
    """Raises Conflict when the address is taken and django's ValidationError for a weak password."""
    if User.objects.filter(email=email.lower()).exists():
        raise Conflict("There is a user with this e-mail address already.", code="email_taken")
    validate_password(password, User(email=email, name=name))
    create = User.objects.create_superuser if staff else User.objects.create_user
    return create(email, password, name=name)


def user_language_set(*, user: User, language: str) -> None:
    """What the pages speak to them from now on, in whichever browser they sign in next."""
    User.objects.filter(pk=user.pk).exclude(language=language).update(language=language)


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
        changes |= {"value_cents": news.value_cents, "value_as_of": news.value_as_of, "value_lift_cents": 0}
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
    if message.direction == Direction.IN:
        # The conversation before its messages, as those who read them do. Of what went out the message comes first:
        # a campaign's is taken for the conversation's last one in the statement that stores it as sent.
        Conversation.objects.select_for_update(no_key=True).get(pk=message.conversation_id)
    unread = Message.objects.filter(pk=message.pk, direction=Direction.IN, read=False).update(read=True)
    Message.objects.filter(pk=message.pk).update(deleted_at=deleted_at)
    if unread:
        Conversation.objects.filter(pk=message.conversation_id, unread_count__gt=0).update(
            unread_count=F("unread_count") - 1
        )
    wake(message.conversation_id, creator_id=creator.pk)
    return True


def _conversation_hold(*, fan: Fan) -> Conversation:
    """The fan's open conversation, locked until the caller's transaction ends."""
    conversation = conversation_open(fan=fan)
    return Conversation.objects.select_for_update(no_key=True).get(pk=conversation.pk)


def _conversation_advance(*, conversation: Conversation, message: Message) -> None:
    """Let `message` count in the conversation's order, and make it the last one unless a later one is there.

    Later may be a campaign's message, which counts in the order only where nothing else was written.
    """
    last = Message.objects.filter(pk=OuterRef("last_message"))
    shown_at = Subquery(last.values(at=Case(When(campaign_id=None, then="created_at"), default="sent_at")))
    counts = Q(last_message=None) | Q(personal=False)
    Conversation.objects.annotate(shown_at=shown_at).filter(pk=conversation.pk).update(
        last_message=Case(
            When(Q(shown_at=None) | Q(shown_at__lte=message.created_at), then=Value(message.pk)),
            default="last_message",
            output_field=UUIDField(),
        ),
        last_message_at=Case(
            When(counts | Q(last_message_at__lte=message.created_at), then=Value(message.created_at)),
            default="last_message_at",
        ),
        personal=True,
    )
