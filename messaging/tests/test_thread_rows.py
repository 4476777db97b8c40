"""Answers whether a thread read without models shows what its serializer shows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from crm.models import Conversation, MessageStatus
from crm.tests.factories import ConversationFactory, MembershipFactory, MessageFactory, UserFactory
from messaging import selectors
from messaging.api import Standing, ThreadMessageSerializer
from messaging.models import Decision, Delivery, ReadBack
from messaging.tests.factories import delivery_make

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sqs_queues")]
ATTACHMENTS = [{"type": "media", "url": "https://example.com/1.jpg"}, {"type": "media", "url": "Ä"}]
OUTBOUND = [each for each in MessageStatus if each is not MessageStatus.RECEIVED]


@pytest.fixture
def conversation() -> Conversation:
    return ConversationFactory()


def listed(conversation: Conversation) -> list[dict[str, Any]]:
    client = APIClient()
    client.force_authenticate(MembershipFactory(creator=conversation.creator).user)
    found: list[dict[str, Any]] = client.get(f"/api/crm/conversations/{conversation.pk}/messages").json()["results"]
    return found


def serialized(conversation: Conversation) -> list[dict[str, Any]]:
    rows = selectors.thread_list(conversation=conversation).order_by("-created_at", "-id")
    context = {"standing": Standing(conversation.creator)}
    return [dict(ThreadMessageSerializer(row, context=context).data) for row in rows]


@pytest.mark.parametrize("status", OUTBOUND)
def test_an_outbound_message_is_shown_as_its_serializer_shows_it(
    conversation: Conversation, status: MessageStatus
) -> None:
    # Transitions leave no reason on one that was sent.
    reason = "" if status is MessageStatus.SENT else "The fan cannot be reached."
    delivery = delivery_make(fan=conversation.fan, text="é🦊", state=status, reason=reason)
    # In the future, or what is expected would be now.
    Delivery.objects.update(due_at=timezone.now() + timedelta(hours=1))
    assert listed(conversation) == serialized(conversation)
    assert [each["id"] for each in listed(conversation)] == [str(delivery.pk)]


@pytest.mark.parametrize("status", [each for each in OUTBOUND if each is not MessageStatus.SENT])
def test_what_a_person_decided_and_the_chat_said_is_shown_as_its_serializer_shows_it(
    conversation: Conversation, status: MessageStatus
) -> None:
    # Of one that was sent no delivery is looked up.
    at = timezone.now()
    delivery_make(
        fan=conversation.fan,
        state=status,
        scheduled_at=at + timedelta(days=1),
        due_in=timedelta(days=1),
        key_in_doubt=True,
        decision=Decision.DISMISSED,
        decided_by=UserFactory(name="Chris"),
        decided_at=at,
        read_back_found=ReadBack.NOT_THERE,
        read_back_at=at,
        read_back_count=3,
    )
    assert listed(conversation) == serialized(conversation)
    assert listed(conversation)[0]["decision"]["by"]["name"] == "Chris"


@pytest.mark.parametrize("status", OUTBOUND)
def test_one_that_went_out_from_elsewhere_has_no_delivery(conversation: Conversation, status: MessageStatus) -> None:
    MessageFactory(conversation=conversation, outbound=True, status=status)
    assert listed(conversation) == serialized(conversation)


@pytest.mark.parametrize("microsecond", [0, 5, 120_000])
def test_a_fans_message_is_shown_as_its_serializer_shows_it(conversation: Conversation, microsecond: int) -> None:
    at = datetime(2026, 11, 1, 12, 30, 5, microsecond, tzinfo=UTC)
    MessageFactory(conversation=conversation, attachments=ATTACHMENTS, price_cents=700, created_at=at, read=True)
    MessageFactory(conversation=conversation, sent_at=at, deleted_at=at, text="")
    assert listed(conversation) == serialized(conversation)
