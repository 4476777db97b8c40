"""Answers how messages that go out are written, and how their status follows what becomes of them.
Writes conversations and messages."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.utils import timezone

from crm.models import Creator, Direction, MessageStatus, User, uuid7
from crm.statements import json_text, statement_run
from crm.wake_ups import wake


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


_DRAFTS = """
WITH draft AS (
    SELECT * FROM json_to_recordset(%s::json)
        AS draft (id uuid, fan_id bigint, text text, status text, attachments jsonb, price_cents integer)
)
"""
# A conversation is begun, or moves on to its newest message unless a later one is there; one in which campaigns alone
# have written moves on in any case. In the order of the fans, so that two statements about the same ones wait in line
# and not for each other.
_MOVED_ON = """
, conversation AS (
    INSERT INTO crm_conversation AS known
        (creator_id, fan_id, last_message_id, last_message_at, unread_count, archived, created_at)
    SELECT DISTINCT ON (fan_id) %s::bigint, fan_id, id, %s::timestamptz, 0, false, %s::timestamptz
    FROM draft ORDER BY fan_id, id DESC
    ON CONFLICT (fan_id) DO UPDATE SET
        (last_message_id, last_message_at) = (
            SELECT excluded.last_message_id, excluded.last_message_at
            WHERE known.last_message_id IS NULL OR NOT known.personal
                OR known.last_message_at <= excluded.last_message_at
            UNION ALL SELECT known.last_message_id, known.last_message_at
            LIMIT 1
        ),
        personal = true,
        archived = false
    RETURNING id, fan_id
)
"""
_AS_THEY_ARE = """
, conversation AS (
    SELECT known.id, known.fan_id FROM crm_conversation known WHERE known.fan_id IN (SELECT fan_id FROM draft)
)
"""
_MESSAGES_CREATE = """
, message AS (
    INSERT INTO crm_message (
        id, creator_id, conversation_id, sender_id, direction, text, price_cents, attachments, status, read, created_at,
        campaign_id
    )
    SELECT draft.id, %s::bigint, conversation.id, %s::bigint, %s, text, price_cents, attachments, status, false,
        %s::timestamptz, %s::bigint
    FROM draft JOIN conversation USING (fan_id)
)
"""
_CONVERSATIONS = "SELECT fan_id, id FROM conversation"


def message_bulk_create_outbound(
    *,
    creator: Creator,
    sender: User | None,
    drafts: Sequence[OutboundDraft],
    campaign_id: int | None = None,
    wake_pages: bool = True,
    along: Callable[[list[UUID]], tuple[str, Sequence[Any]]] | None = None,
) -> list[OutboundRow]:
    """The rows of messages to fans of one creator, in the order of the drafts and with ids in that order.

    In one statement however many they are, and with what messaging writes about them.

    The conversations show them as their newest, and come back from the archive to the inbox.

    campaign_id: of the campaign that they are part of. Then the conversations stay as they are until each is sent
    (message_status_set), and the caller has begun them (conversations_begin).
    wake_pages: not where the caller changes their status as soon as they are stored, which wakes (message_status_set).
    along: what the same statement writes beside the messages with these ids: further members of its WITH, each after
    a comma, and their values.
    """
    now = timezone.now()
    ids = sorted(uuid7() for _ in drafts)
    more, more_values = along(ids) if along else ("", ())
    rows = statement_run(
        _DRAFTS + (_MOVED_ON if campaign_id is None else _AS_THEY_ARE) + _MESSAGES_CREATE + more + _CONVERSATIONS,
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
            *((creator.pk, now, now) if campaign_id is None else ()),
            *(creator.pk, sender.pk if sender else None, Direction.OUT.value, now, campaign_id),
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


_BEGIN = """
INSERT INTO crm_conversation (creator_id, fan_id, personal, unread_count, archived, created_at)
SELECT %s::bigint, fan_id, false, 0, true, %s::timestamptz FROM unnest(%s::bigint[]) AS fan_id ORDER BY fan_id
ON CONFLICT (fan_id) DO NOTHING
"""


def conversations_begin(*, creator: Creator, fan_ids: Sequence[int]) -> None:
    """A conversation for each of these fans; those that are there are neither changed nor locked.

    Until a message is sent in it or written to its fan, it is in the archive: nothing was said yet.
    """
    statement_run(_BEGIN, [creator.pk, timezone.now(), list(fan_ids)])


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
# And of a campaign's message that is sent: its conversation shows it, unless something later is there, and keeps its
# place unless campaigns alone have written in it. An archived one stays archived, one that showed nothing yet
# comes to the inbox.
_SENT_SET = f"""
WITH message AS ({_STATUS_SET}, id, campaign_id, sent_at), shown AS (
    UPDATE crm_conversation known SET last_message_id = message.id,
        last_message_at = CASE WHEN known.personal THEN known.last_message_at ELSE message.sent_at END,
        archived = known.archived AND (known.personal OR known.last_message_id IS NOT NULL)
    FROM message
    WHERE known.id = message.conversation_id AND message.campaign_id IS NOT NULL AND message.sent_at >= coalesce((
        SELECT CASE WHEN later.campaign_id IS NULL THEN later.created_at ELSE later.sent_at END
        FROM crm_message later WHERE later.id = known.last_message_id
    ), '-infinity')
)
SELECT creator_id, conversation_id FROM message
"""  # noqa: S608  a constant


def message_status_set(
    *,
    message_ids: Sequence[UUID],
    status: MessageStatus,
    sent_at: datetime | None = None,
    platform_message_id: str | None = None,
) -> None:
    """Copy the state of deliveries to their messages; called in the transaction that changed the deliveries.

    What is sent is sent one by one; a conversation then shows a campaign's message.
    """
    statement = _SENT_SET if status is MessageStatus.SENT else _STATUS_SET
    pages_wake(statement_run(statement, [status.value, sent_at, platform_message_id, list(message_ids)]))


def pages_wake(rows: Iterable[tuple[int, int]]) -> None:
    """Wake whoever looks at these conversations, each with its creator before it."""
    changed: dict[int, set[int]] = {}
    for creator_id, conversation_id in rows:
        changed.setdefault(creator_id, set()).add(conversation_id)
    for creator_id, conversations in changed.items():
        wake(*conversations, creator_id=creator_id)
