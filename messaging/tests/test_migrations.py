"""Whether stored conversations get the place that what was written in them gives. Touches the test database."""

from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db import connection

from crm.models import Conversation, Creator, Fan, Message, MessageStatus
from crm.tests.factories import CreatorFactory, FanFactory, MessageFactory
from messaging.models import Campaign, Delivery, Kind

pytestmark = pytest.mark.django_db(transaction=True)
migration = import_module("messaging.migrations.0015_conversations_without_campaigns")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def begun(campaign: Campaign, fan: Fan, status: MessageStatus, *, sent_at: datetime | None = None) -> Message:
    """As the version before wrote it: the conversation moved up to it, and the message knows of no campaign."""
    conversation, _ = Conversation.objects.get_or_create(fan=fan, creator=fan.creator)
    message = MessageFactory.create(
        conversation=conversation, outbound=True, status=status, sent_at=sent_at, created_at=NOON
    )
    Delivery.objects.create(
        message=message, creator=fan.creator, fan=fan, campaign=campaign, kind=Kind.CAMPAIGN, state=status, due_at=NOON
    )
    Conversation.objects.filter(pk=conversation.pk).update(last_message=message, last_message_at=NOON)
    return message


def said(fan: Fan, at: datetime, **fields: Any) -> Message:
    conversation, _ = Conversation.objects.get_or_create(fan=fan, creator=fan.creator)
    message: Message = MessageFactory.create(conversation=conversation, created_at=at, **fields)
    Conversation.objects.filter(pk=conversation.pk).update(last_message=message, last_message_at=at)
    return message


@pytest.fixture
def creator() -> Creator:
    return CreatorFactory.create()


@pytest.mark.parametrize("chunk", [1, 500])
def test_each_conversation_gets_its_place(creator: Creator, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(migration, "CHUNK", chunk)
    campaign, other = (Campaign.objects.create(creator=creator, name=name, content="Hi") for name in ("a", "b"))
    fans = FanFactory.create_batch(7, creator=creator)
    queued, answered, sent, cancelled, twice, alone, archived = fans
    words = said(queued, NOON - timedelta(days=3))
    begun(campaign, queued, MessageStatus.QUEUED)
    said(answered, NOON - timedelta(days=2))
    begun(campaign, answered, MessageStatus.SENT, sent_at=NOON + timedelta(hours=1))
    answer = said(answered, NOON + timedelta(hours=2))
    said(sent, NOON - timedelta(days=1))
    shown = begun(campaign, sent, MessageStatus.SENT, sent_at=NOON + timedelta(hours=1))
    begun(campaign, cancelled, MessageStatus.CANCELLED)
    begun(campaign, twice, MessageStatus.SENT, sent_at=NOON + timedelta(hours=3))
    second = begun(other, twice, MessageStatus.SENT, sent_at=NOON + timedelta(hours=4))
    untouched = said(alone, NOON - timedelta(days=9), outbound=True)
    said(archived, NOON - timedelta(days=8))
    begun(campaign, archived, MessageStatus.FAILED)
    Conversation.objects.filter(fan=archived).update(archived=True)

    for _ in range(2):  # what broke off is begun again
        migration.place(apps, connection.schema_editor())
        rows = {row.fan_id: row for row in Conversation.objects.all()}
        found = [(rows[f.pk].personal, rows[f.pk].archived, rows[f.pk].last_message_id) for f in fans]
        assert found == [
            (True, False, words.pk),
            (True, False, answer.pk),
            (True, False, shown.pk),
            (False, True, None),
            (False, False, second.pk),
            (True, False, untouched.pk),
            (True, True, Message.objects.get(conversation__fan=archived, direction="in").pk),
        ]
        assert [rows[f.pk].last_message_at for f in (queued, answered, sent, twice, alone)] == [
            NOON - timedelta(days=3),
            NOON + timedelta(hours=2),
            NOON - timedelta(days=1),
            NOON + timedelta(hours=4),
            NOON - timedelta(days=9),
        ]
    assert dict(Message.objects.values_list("pk", "campaign_id")) == {
        message.pk: delivery.campaign_id if (delivery := getattr(message, "delivery", None)) else None
        for message in Message.objects.select_related("delivery")
    }
