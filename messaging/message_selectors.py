"""Reads messages that were written here, one by one or page by page, each with all that is known of it. Only reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Exists, OuterRef, UUIDField
from django.utils import timezone
from django.utils.translation import gettext

from crm.errors import NotFound
from crm.listing import Key, Listing
from crm.models import OUTBOUND_STATUSES, Creator, Fan, MessageStatus, User
from crm.selectors import conversation_get, fan_get
from crm.statements import statement_run
from messaging.models import Campaign, CampaignStatus, Delivery, Kind, SendingProfile, Stage
from messaging.selectors import campaign_get


class MessageRow(NamedTuple):
    """One message with its delivery, fan, campaign and the people who wrote it and decided about it."""

    id: UUID
    kind: str
    status: str
    reason: str
    reason_code: str
    stage: str
    attempts: int
    priority: int
    conversation_id: int
    fan_id: int
    fan_platform_id: str
    fan_name: str
    fan_handle: str
    fan_deleted: bool
    campaign_id: int | None
    campaign_name: str | None
    sender_id: int | None
    sender_name: str | None
    text: str
    price_cents: int
    attachments: list[dict[str, str]]
    created_at: datetime
    scheduled_at: datetime | None
    due_at: datetime
    queued_at: datetime | None
    sent_at: datetime | None
    finished_at: datetime | None
    key_in_doubt: bool
    decision: str
    decided_by_id: int | None
    decided_by_name: str | None
    decided_at: datetime | None
    read_back_at: datetime | None
    read_back_found: str
    read_back_count: int | None
    campaign_status: str | None


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Which messages: all for which everything given holds. `since` counts, `until` does not."""

    states: Sequence[MessageStatus] = ()
    kind: str = ""
    conversation_id: int | None = None
    fan_id: int | None = None
    campaign_id: int | None = None
    sender_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None


# As MessageRow.
_COLUMNS = """d.message_id, d.kind, d.state, d.reason, d.reason_code, d.stage, d.attempts, d.priority,
    m.conversation_id, d.fan_id, f.platform_id, f.name, f.handle, f.deleted_at IS NOT NULL, d.campaign_id, c.name,
    m.sender_id, sender.name, m.text, m.price_cents, m.attachments, d.created_at, d.scheduled_at, d.due_at, d.queued_at,
    m.sent_at, d.finished_at, d.key_in_doubt, d.decision, d.decided_by_id, decider.name, d.decided_at, d.read_back_at,
    d.read_back_found, d.read_back_count, c.status"""
_BESIDE = """JOIN crm_message m ON m.id = d.message_id JOIN crm_fan f ON f.id = d.fan_id
    LEFT JOIN messaging_campaign c ON c.id = d.campaign_id LEFT JOIN crm_user sender ON sender.id = m.sender_id
    LEFT JOIN crm_user decider ON decider.id = d.decided_by_id"""
_ROW = f"SELECT {_COLUMNS} FROM messaging_delivery d {_BESIDE} WHERE d.message_id = %s AND d.creator_id = %s"  # noqa: S608
_KEYS = {"id": Key("d.message_id", "uuid", UUIDField(), str(UUID(int=0)))}
# The same wish within so long of SQS's refusal is a repeat of it; each further refusal begins the time anew.
REPEATED_WITHIN = timedelta(minutes=15)
# An id is made right beside the time that its row keeps.
_APART = timedelta(seconds=1)


def message_get(*, creator: Creator, message_id: UUID) -> MessageRow:
    """Raises NotFound for a message that is another creator's, or was not written here."""
    rows = statement_run(_ROW, [message_id, creator.pk], binary=True)
    if not rows:
        raise NotFound(gettext("There is no such message."), code="message_not_found")
    return MessageRow._make(rows[0])


def message_rows(*, creator: Creator, asked: MessageFilter) -> Listing[MessageRow]:
    """The creator's messages, for a paginator that orders them by id, which is by time.

    Raises NotFound for a conversation, fan or campaign that is not the creator's.
    """
    fan_ids = set()
    if asked.conversation_id is not None:
        fan_ids.add(conversation_get(creator=creator, conversation_id=asked.conversation_id).fan_id)
    if asked.fan_id is not None:
        fan_ids.add(fan_get(creator=creator, fan_id=asked.fan_id).pk)
    if asked.campaign_id is not None:
        campaign_get(creator=creator, campaign_id=asked.campaign_id)
    conditions, values = ["d.creator_id = %s"], [creator.pk]
    # A conversation and another fan: no message is to both.
    for fan_id in fan_ids:
        conditions.append("d.fan_id = %s")
        values.append(fan_id)
    if asked.campaign_id is not None:
        conditions.append("d.campaign_id = %s")
        values.append(asked.campaign_id)
    if asked.sender_id is not None:
        conditions += ["m.creator_id = %s", "m.sender_id = %s"]
        values += [creator.pk, asked.sender_id]
    return _Messages(
        row=MessageRow._make,
        columns=_COLUMNS,
        source=f"messaging_delivery d {_BESIDE}",
        conditions=conditions,
        values=values,
        keys=_KEYS,
        asked=asked,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Messages(Listing[MessageRow]):
    """A page is found by its ids first, each way off an index, however much the creator has sent.

    One fan, one campaign and one sender have an index each. Otherwise the next ids of each kind and state are read off
    `delivery_in_list`, and the page is the first of them all.
    """

    asked: MessageFilter

    def page(
        self, names: Sequence[str], *, descending: bool, after: Sequence[Any] | None, limit: int
    ) -> list[MessageRow]:
        order = "DESC" if descending else "ASC"
        kinds = [self.asked.kind] if self.asked.kind else [*Kind.values]
        states = [*(self.asked.states or OUTBOUND_STATUSES)]
        # The index that the order is read off is the sender's or the delivery's own.
        key = "d.message_id" if self.asked.sender_id is None else "m.id"
        place, place_values = _place(self.asked, key, descending=descending, after=after)
        where = " AND ".join([*self.conditions, *place])
        if len(self.conditions) > 1:
            found = (
                f"SELECT {key} AS id FROM messaging_delivery d JOIN crm_message m ON m.id = d.message_id"  # noqa: S608
                f" WHERE {where} AND d.kind = ANY(%s::text[]) AND d.state = ANY(%s::text[])"
                f" ORDER BY {key} {order} LIMIT {limit:d}"
            )
            values = [*self.values, *place_values, kinds, states]
        else:
            found = (
                "SELECT next.id FROM unnest(%s::text[]) AS kind CROSS JOIN unnest(%s::text[]) AS state"  # noqa: S608
                f" CROSS JOIN LATERAL (SELECT {key} AS id FROM messaging_delivery d"
                f" WHERE {where} AND d.kind = kind.kind AND d.state = state.state ORDER BY {key} {order}"
                f" LIMIT {limit:d}) AS next ORDER BY next.id {order} LIMIT {limit:d}"
            )
            values = [kinds, states, *self.values, *place_values]
        text = (
            f"SELECT {self.columns} FROM ({found}) AS found"  # noqa: S608
            f" JOIN messaging_delivery d ON d.message_id = found.id {_BESIDE} ORDER BY d.message_id {order}"
        )
        return [*map(self.row, statement_run(text, values, binary=True))]


def _place(
    asked: MessageFilter, key: str, *, descending: bool, after: Sequence[Any] | None
) -> tuple[list[str], list[Any]]:
    """What an id has to be for a page: beyond a position, within the times that were asked for."""
    conditions, values = [f"{key} {'<' if after and descending else '>'} %s::uuid"], [*(after or [UUID(int=0)])]
    if asked.since is not None:
        conditions += [f"{key} >= %s::uuid", "d.created_at >= %s"]
        values += [_first_id(asked.since - _APART), asked.since]
    if asked.until is not None:
        conditions += [f"{key} < %s::uuid", "d.created_at < %s"]
        values += [_first_id(asked.until + _APART), asked.until]
    return conditions, values


def _first_id(moment: datetime) -> UUID:
    """The lowest that a time-ordered id (RFC 9562) of this millisecond could be."""
    milliseconds = max(0, (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1))
    return UUID(int=min(milliseconds, 2**48 - 1) << 80)


def repeat_possible(profile: SendingProfile) -> bool:
    """Whether SQS lately refused a message of this creator: only then is it worth to look for one like another."""
    at = profile.queue_refused_at
    return at is not None and at > timezone.now() - REPEATED_WITHIN


def message_refused_like(
    *,
    user: User | None,
    fan: Fan,
    text: str,
    attachments: Sequence[dict[str, str]],
    price_cents: int,
    priority: int,
    scheduled_at: datetime | None,
) -> UUID | None:
    """The newest reply that is the very same (writer, fan, words, media, price, time) and that SQS lately refused."""
    rows = Delivery.objects.filter(
        fan=fan,
        kind=Kind.REPLY,
        campaign=None,
        state=MessageStatus.FAILED,
        stage=Stage.ENQUEUE,
        finished_at__gt=timezone.now() - REPEATED_WITHIN,
        priority=priority,
        scheduled_at=scheduled_at,
        message__sender=user,
        message__text=text,
        message__price_cents=price_cents,
        message__attachments=list(attachments),
    )
    return rows.order_by("-pk").values_list("pk", flat=True).first()


def campaign_refused_like(
    *, creator: Creator, user: User | None, wish: Campaign, name_begins: str, priority: int
) -> Campaign | None:
    """The newest bulk message that is the very same, of which SQS lately refused every message."""
    refused = Delivery.objects.filter(
        campaign=OuterRef("pk"),
        state=MessageStatus.FAILED,
        stage=Stage.ENQUEUE,
        finished_at__gt=timezone.now() - REPEATED_WITHIN,
    )
    others = Delivery.objects.filter(campaign=OuterRef("pk")).exclude(
        state=MessageStatus.FAILED, stage=Stage.ENQUEUE, priority=priority
    )
    return (
        Campaign.objects.filter(
            Exists(refused),
            ~Exists(others),
            creator=creator,
            created_by=user,
            content=wish.content,
            attachments=wish.attachments,
            price_cents=wish.price_cents,
            audience=wish.audience,
            scheduled_at=wish.scheduled_at,
            status=CampaignStatus.RUNNING,
            name__startswith=name_begins,
        )
        .order_by("-created_at")
        .first()
    )
