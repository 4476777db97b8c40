"""Answers who the fans are and what was said, always from a user's or a creator's side. Only reads tables."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import BigIntegerField, BooleanField, DateTimeField, Exists, OuterRef, QuerySet, Sum, TextField
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext

from crm.errors import Forbidden, NotFound
from crm.listing import Key, Listing
from crm.models import (
    Conversation,
    Creator,
    Direction,
    Fan,
    Membership,
    Message,
    MessageStatus,
    QuickReply,
    Role,
    Transaction,
    User,
)
from crm.statements import rows_read, statement_run

# A fan seen within this time counts as active (the definition that the analytics pages state).
ACTIVE_WITHIN = timedelta(days=30)
# For so long a deleted fan can be restored; then fan_services.fans_purge erases them.
RESTORABLE_FOR = timedelta(days=30)

LEAST_BIGINT = str(-(2**63))

WRITERS = frozenset({Role.OWNER, Role.MANAGER, Role.CHATTER})
MANAGERS = frozenset({Role.OWNER, Role.MANAGER})
# Who may take tables along as files.
EXPORTERS = MANAGERS | {Role.ANALYST}


def membership_list(*, user: User) -> QuerySet[Membership]:
    """The user's creators with the role at each, by name."""
    return Membership.objects.filter(user=user).select_related("creator").order_by("creator__name", "creator_id")


def reaches_every_creator(*, user: User) -> bool:
    """Whether all creators of this installation are the user's own, so that its totals are theirs."""
    return not Creator.objects.exclude(memberships__user=user).exists()


def member_list(*, creator: Creator) -> QuerySet[Membership]:
    """Who works for the creator, with their users, by name."""
    return Membership.objects.filter(creator=creator).select_related("user").order_by("user__name", "user__email")


def owned_alone_list(*, user_ids: Collection[int]) -> QuerySet[Membership]:
    """The ownerships, with user and creator, of creators that nobody but these users owns."""
    others = Membership.objects.filter(creator=OuterRef("creator"), role=Role.OWNER).exclude(user__in=user_ids)
    alone = Membership.objects.filter(~Exists(others), user__in=user_ids, role=Role.OWNER)
    return alone.select_related("user", "creator").order_by("creator__name", "creator_id", "user__email")


def membership_get(*, user: User, creator_id: int | None) -> Membership:
    """The user's membership at the creator; without a creator, their only one.

    Raises NotFound for a creator that is not theirs or that does not exist (the two look alike to a stranger), and
    where none was named though the user has several or none.
    """
    if creator_id is not None:
        found = rows_read(Membership, "user_id = %s AND creator_id = %s", [user.pk, creator_id], related="creator")
        if not found:
            raise NotFound(gettext("There is no such creator."), code="creator_not_found")
    else:
        found = rows_read(Membership, "user_id = %s ORDER BY creator_id LIMIT 2", [user.pk], related="creator")
    if len(found) == 1:
        return found[0]
    if not found:
        raise NotFound(gettext("You have no creator yet. Ask an owner to add you to one."), code="creator_missing")
    raise NotFound(
        gettext("You have several creators: name one with the X-Creator header or ?creator=."), code="creator_not_named"
    )


def membership_require(membership: Membership, roles: frozenset[Role]) -> None:
    """Raise Forbidden unless the membership has one of the roles."""
    if membership.role not in roles:
        raise Forbidden(
            gettext("Your role (%(role)s) may not do this.") % {"role": membership.get_role_display()},
            code="role_not_allowed",
        )


def _fans(creator: Creator) -> QuerySet[Fan]:
    """The creator's fans as everybody sees them: without those who were deleted."""
    return Fan.objects.filter(creator=creator, deleted_at=None)


def fans_restorable() -> QuerySet[Fan]:
    """Deleted fans, of any creator, whose time is not over."""
    return Fan.objects.filter(deleted_at__gte=timezone.now() - RESTORABLE_FOR, erased_at=None)


def fans_due_to_be_erased() -> QuerySet[Fan]:
    """Deleted fans, of any creator, whose time is over."""
    return Fan.objects.filter(deleted_at__lt=timezone.now() - RESTORABLE_FOR, erased_at=None)


class FanRow(NamedTuple):
    """A fan as a list shows them, and what it may be ordered by."""

    id: int
    platform: str
    platform_id: str
    handle: str
    name: str
    email: str
    avatar: str
    tags: list[str]
    notes: str
    value_cents: int
    last_seen_at: datetime | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    seen_order: datetime
    name_order: str


# As the indexes have it (crm.models.FAN_SEEN_ORDER, FAN_NAME_ORDER).
_SEEN_ORDER = "COALESCE(f.last_seen_at, '1970-01-01 00:00:00+00'::timestamptz)"
_NAME_ORDER = "LOWER(COALESCE(NULLIF(f.name, ''), NULLIF(f.handle, ''), f.platform_id))"
_FAN_COLUMNS = f"""f.id, f.platform, f.platform_id, f.handle, f.name, f.email, f.avatar, f.tags, f.notes, f.value_cents,
    f.last_seen_at, f.created_at, f.updated_at, f.deleted_at, {_SEEN_ORDER}, {_NAME_ORDER}"""
_FAN_KEYS = {
    "value_cents": Key("f.value_cents", "bigint", BigIntegerField(), LEAST_BIGINT),
    "seen_order": Key(_SEEN_ORDER, "timestamptz", DateTimeField(), "-infinity"),
    "name_order": Key(_NAME_ORDER, "text", TextField(), ""),
    "created_at": Key("f.created_at", "timestamptz", DateTimeField(), "-infinity"),
    "id": Key("f.id", "bigint", BigIntegerField(), LEAST_BIGINT),
}


def fan_list(
    *,
    creator: Creator,
    search: str = "",
    tag: str = "",
    min_value_cents: int | None = None,
    active_since: datetime | None = None,
    deleted: bool = False,
) -> Listing[FanRow]:
    """The creator's fans, unordered; `search` looks in name and handle. deleted: those who can be restored instead."""
    conditions, values = ["f.creator_id = %s"], list[Any]([creator.pk])
    if deleted:
        conditions.append("f.erased_at IS NULL AND f.deleted_at >= %s")
        values.append(timezone.now() - RESTORABLE_FOR)
    else:
        conditions.append("f.deleted_at IS NULL")
    if search:
        conditions.append("(f.name ILIKE %s OR f.handle ILIKE %s)")
        values += [_containing(search), _containing(search.lstrip("@"))]
    for condition, value in (
        ("f.tags @> ARRAY[%s::text]::varchar[]", tag or None),
        ("f.value_cents >= %s", min_value_cents),
        ("f.last_seen_at >= %s", active_since),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(value)
    return Listing(
        row=FanRow._make, columns=_FAN_COLUMNS, source="crm_fan f", conditions=conditions, values=values, keys=_FAN_KEYS
    )


def fan_not_found() -> NotFound:
    return NotFound(gettext("There is no such fan."), code="fan_not_found")


def fan_get(*, creator: Creator, fan_id: int) -> Fan:
    found = rows_read(Fan, "id = %s AND creator_id = %s AND deleted_at IS NULL", [fan_id, creator.pk])
    if not found:
        raise fan_not_found()
    return found[0]


def fan_get_held(*, creator: Creator, fan_id: int) -> Fan:
    """The fan even where they were deleted, as long as anything is held on them."""
    fan = Fan.objects.filter(creator=creator, pk=fan_id, erased_at=None).first()
    if fan is None:
        raise fan_not_found()
    return fan


def fan_audience(
    *,
    creator: Creator,
    tags: Sequence[str] = (),
    min_value_cents: int | None = None,
    active_since: datetime | None = None,
    not_messaged_since: datetime | None = None,
    only_ids: Collection[int] | None = None,
    exclude_ids: Collection[int] = (),
) -> QuerySet[Fan]:
    """The fans that a campaign goes to, the most valuable first; without any condition, all of the creator's.

    tags: at least one of them. not_messaged_since: nothing was written to them since then that went out or still may.
    only_ids: of these alone; of nobody where there are none.
    """
    fans = _fans(creator)
    if min_value_cents is not None:
        fans = fans.filter(value_cents__gte=min_value_cents)
    if active_since is not None:
        fans = fans.filter(last_seen_at__gte=active_since)
    if tags:
        fans = fans.filter(tags__overlap=list(tags))
    if not_messaged_since is not None:
        written = Message.objects.filter(
            conversation__fan=OuterRef("pk"), direction=Direction.OUT, created_at__gte=not_messaged_since
        ).exclude(status__in=(MessageStatus.FAILED, MessageStatus.CANCELLED, MessageStatus.BYPASSED))
        fans = fans.filter(~Exists(written))
    if only_ids is not None:
        fans = fans.filter(pk__in=only_ids)
    if exclude_ids:
        fans = fans.exclude(pk__in=exclude_ids)
    return fans.order_by("-value_cents", "-id")


def _own_id(recipient_id: str) -> int | None:
    own_id = recipient_id.removeprefix("fan_")
    named = own_id != recipient_id and own_id.isascii() and own_id.isdigit() and len(own_id) < 19
    return int(own_id) if named else None


def fan_map_by_recipient(*, creator: Creator, recipient_ids: Sequence[str]) -> dict[str, Fan]:
    """The fans by what a caller calls them, in three queries however many they are; unknown ids are absent.

    By the id at the platform, by the handle that may have stood in for it, or as `fan_<our own id>`. A handle is a
    fan's id until the platform's own is learned, and callers may hold on to it for longer; one that two fans have
    names neither.
    """
    own = {recipient_id: own_id for recipient_id in recipient_ids if (own_id := _own_id(recipient_id)) is not None}
    by_id = _fans(creator).in_bulk(set(own.values())) if own else {}
    found = {recipient_id: by_id[own_id] for recipient_id, own_id in own.items() if own_id in by_id}
    platform_ids = [recipient_id for recipient_id in recipient_ids if recipient_id not in own]
    condition = "creator_id = %s AND platform_id = ANY(%s::text[]) AND deleted_at IS NULL"
    fans = rows_read(Fan, condition, [creator.pk, platform_ids])
    found.update({fan.platform_id: fan for fan in fans})
    handles = {
        recipient_id: recipient_id.removeprefix("@").lower()
        for recipient_id in platform_ids
        if recipient_id not in found
    }
    by_handle: dict[str, list[Fan]] = {}
    if handles:
        lowered = _fans(creator).annotate(lower=Lower("handle")).filter(lower__in=set(handles.values()))
        for fan in lowered.exclude(handle=""):
            by_handle.setdefault(fan.handle.lower(), []).append(fan)
    found.update(
        {
            recipient_id: by_handle[handle][0]
            for recipient_id, handle in handles.items()
            if len(by_handle.get(handle, ())) == 1
        }
    )
    return found


class ConversationRow(NamedTuple):
    """A conversation with its fan, and its last message where there is one.

    campaign_id: of the campaign that the last message is part of, None where a fan or a person wrote it.
    """

    id: int
    personal: bool
    last_message_at: datetime
    unread_count: int
    fan_id: int
    name: str
    handle: str
    avatar: str
    value_cents: int
    platform: str
    in_trouble: bool
    direction: str | None
    text: str | None
    status: str | None
    sent_at: datetime | None
    campaign_id: int | None


# As ConversationRow; of the last message what a list shows. The creator's messages in trouble are few, and are read
# once for a whole page, off the index message_in_trouble.
_CONVERSATION_COLUMNS = """c.id, c.personal, c.last_message_at, c.unread_count, f.id, f.name, f.handle, f.avatar,
    f.value_cents, f.platform, c.id IN (SELECT t.conversation_id FROM crm_message t
        WHERE t.creator_id = %s AND t.status IN ('failed', 'unknown')),
    m.direction, left(m.text, 140), m.status, m.sent_at, m.campaign_id"""
_CONVERSATION_SOURCE = """crm_conversation c JOIN crm_fan f ON f.id = c.fan_id
    LEFT JOIN crm_message m ON m.id = c.last_message_id"""
_CONVERSATION_KEYS = {
    "personal": Key("c.personal", "boolean", BooleanField(), "false"),
    "last_message_at": Key("c.last_message_at", "timestamptz", DateTimeField(), "-infinity"),
    "id": Key("c.id", "bigint", BigIntegerField(), LEAST_BIGINT),
}


def unread_messages_count(*, creator: Creator) -> int:
    """What the creator's fans wrote and nobody read, in conversations that are not archived."""
    unread = Conversation.objects.filter(creator=creator, archived=False, unread_count__gt=0)
    return unread.aggregate(sum=Sum("unread_count"))["sum"] or 0


def conversation_in_trouble() -> Exists:
    """The same for rows with models: whether a message of the conversation failed or is in doubt."""
    in_trouble = (MessageStatus.FAILED, MessageStatus.UNKNOWN)
    return Exists(Message.objects.filter(conversation=OuterRef("pk"), status__in=in_trouble))


_IN_TROUBLE = """
SELECT count(*) FROM crm_message m JOIN crm_conversation c ON c.id = m.conversation_id JOIN crm_fan f ON f.id = c.fan_id
WHERE m.creator_id = %s AND m.status IN ('failed', 'unknown') AND f.deleted_at IS NULL
"""


def messages_in_trouble_count(*, creator: Creator) -> int:
    """How many of the creator's messages failed or are in doubt; those to deleted fans are no trouble."""
    [(count,)] = statement_run(_IN_TROUBLE, [creator.pk], binary=True)
    return int(count)


def conversation_list(*, creator: Creator, unread: bool = False, search: str = "") -> Listing[ConversationRow]:
    """The creator's open conversations with fan and last message, unordered: a page orders them."""
    conditions = ["c.creator_id = %s", "NOT c.archived", "f.deleted_at IS NULL"]
    values: list[Any] = [creator.pk, creator.pk]
    if unread:
        conditions.append("c.unread_count > 0")
    if search:
        conditions.append("(f.name ILIKE %s OR f.handle ILIKE %s)")
        values += [_containing(search), _containing(search.lstrip("@"))]
    return Listing(
        row=ConversationRow._make,
        columns=_CONVERSATION_COLUMNS,
        source=_CONVERSATION_SOURCE,
        conditions=conditions,
        values=values,
        keys=_CONVERSATION_KEYS,
    )


def _containing(text: str) -> str:
    """As a pattern of LIKE."""
    return f"%{connection.ops.prep_for_like_query(text)}%"


def conversation_require(*, creator: Creator, conversation_id: int) -> None:
    """Raise NotFound unless conversation_get would find it."""
    found = statement_run(
        "SELECT 1 FROM crm_conversation c JOIN crm_fan f ON f.id = c.fan_id "
        "WHERE c.id = %s AND c.creator_id = %s AND f.deleted_at IS NULL",
        [conversation_id, creator.pk],
    )
    if not found:
        raise NotFound(gettext("There is no such conversation."), code="conversation_not_found")


def conversation_get(*, creator: Creator, conversation_id: int) -> Conversation:
    conversations = Conversation.objects.filter(creator=creator, fan__deleted_at=None)
    conversation = conversations.filter(pk=conversation_id).select_related("fan").first()
    if conversation is None:
        raise NotFound(gettext("There is no such conversation."), code="conversation_not_found")
    return conversation


def fan_transactions(*, fan: Fan) -> QuerySet[Transaction]:
    """What the fan paid, unordered: a paginator orders them."""
    return Transaction.objects.filter(fan=fan)


def quick_reply_list(*, creator: Creator) -> QuerySet[QuickReply]:
    """The creator's quick replies by shortcut."""
    return QuickReply.objects.filter(creator=creator).order_by("shortcut")


def quick_reply_get(*, creator: Creator, quick_reply_id: int) -> QuickReply:
    found = QuickReply.objects.filter(creator=creator, pk=quick_reply_id).first()
    if found is None:
        raise NotFound(gettext("There is no such quick reply."), code="quick_reply_not_found")
    return found


def fan_top(*, creator: Creator, limit: int = 10) -> list[Fan]:
    """The creator's fans of the highest value."""
    highest = "creator_id = %s AND deleted_at IS NULL ORDER BY value_cents DESC, id DESC LIMIT %s"
    return rows_read(Fan, highest, [creator.pk, limit])
