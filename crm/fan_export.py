"""Answers everything that is held on one fan, as JSON, piece by piece. Reads tables and asks the other holders."""

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from crm.fan_holders import Section, fan_holders
from crm.models import Conversation, Fan, FanEvent, Message
from crm.selectors import FanRow

CHUNK = 1_000


def fan_export(*, fan: Fan) -> Iterator[str]:
    """One JSON object: `exportedAt`, `fan`, `conversation`, `messages`, `changes`, then a list for each of the holders'
    sections.

    In pieces, so that a hundred thousand messages need the memory of a thousand.
    """
    pieces = _pieces(fan)
    while piece := "".join(islice(pieces, CHUNK)):
        yield piece


def _pieces(fan: Fan) -> Iterator[str]:
    yield f'{{"exportedAt": {_json(timezone.now())}'
    yield f', "fan": {_json(fan_shown(fan))}'
    yield f', "conversation": {_json(_conversation(fan))}'
    sections: dict[str, Section] = {"messages": _messages(fan), "changes": _changes(fan)}
    for holder in fan_holders():
        sections |= holder.export(fan)
    for name, rows in sections.items():
        yield f", {_json(name)}: ["
        for number, row in enumerate(rows):
            yield f"{', ' if number else ''}{_json(row)}"
        yield "]"
    yield "}"


def _json(value: object) -> str:
    return json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)


def fan_shown(fan: Fan | FanRow) -> dict[str, Any]:
    """What FanSerializer shows of the same fan; its times are left to whatever writes them."""
    return {
        "id": fan.id,
        "platform": fan.platform,
        "platformId": fan.platform_id,
        "handle": fan.handle,
        "name": fan.name,
        "email": fan.email,
        "avatar": fan.avatar,
        "tags": fan.tags,
        "notes": fan.notes,
        "valueCents": fan.value_cents,
        "lastSeenAt": fan.last_seen_at,
        "createdAt": fan.created_at,
        "updatedAt": fan.updated_at,
        "deletedAt": fan.deleted_at,
    }


def _conversation(fan: Fan) -> Mapping[str, Any] | None:
    conversation = Conversation.objects.filter(fan=fan).first()
    if conversation is None:
        return None
    return {
        "id": conversation.pk,
        "createdAt": conversation.created_at,
        "lastMessageAt": conversation.last_message_at,
        "unreadCount": conversation.unread_count,
        "archived": conversation.archived,
    }


def _messages(fan: Fan) -> Iterator[Mapping[str, Any]]:
    rows = Message.objects.filter(conversation__fan=fan).order_by("created_at", "id")
    for message in rows.iterator(chunk_size=CHUNK):
        yield {
            "id": message.pk,
            "platformMessageId": message.platform_message_id,
            "direction": message.direction,
            "text": message.text,
            "priceCents": message.price_cents,
            "attachments": message.attachments,
            "status": message.status,
            "read": message.read,
            "createdAt": message.created_at,
            "sentAt": message.sent_at,
        }


def _changes(fan: Fan) -> Iterator[Mapping[str, Any]]:
    """What was, and what then was, each time somebody changed the fan; not who did it, which is about them."""
    for event in FanEvent.objects.filter(id=fan.pk).order_by("pgh_id").iterator(chunk_size=CHUNK):
        yield {
            "at": event.pgh_created_at,
            "state": event.pgh_label,
            "name": event.name,
            "email": event.email,
            "tags": event.tags,
            "notes": event.notes,
            "deletedAt": event.deleted_at,
        }
