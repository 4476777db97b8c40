"""Answers whether the CRM's writers keep its tables right, also when they meet."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from crm import outbound_services, services
from crm.errors import Conflict
from crm.models import Conversation, Direction, Fan, Membership, Message, MessageStatus, Role, User
from crm.tests.factories import (
    ConversationFactory,
    CreatorFactory,
    FanFactory,
    MembershipFactory,
    MessageFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_a_user_signs_in_by_the_address_in_lower_case() -> None:
    user = services.user_create(email="Ada@Example.com", password="a long enough password")
    assert user.email == "ada@example.com"
    assert User.objects.get_by_natural_key("ADA@example.com") == user


def test_an_address_is_taken_whatever_its_case() -> None:
    UserFactory(email="ada@example.com")
    with pytest.raises(Conflict):
        services.user_create(email="ADA@example.com", password="a long enough password")


def test_a_weak_password_is_refused() -> None:
    with pytest.raises(ValidationError):
        services.user_create(email="ada@example.com", password="12345678")


def test_a_creator_begins_with_its_owner() -> None:
    owner = UserFactory()
    creator = services.creator_create(name="Mine", owner=owner)
    assert Membership.objects.get(creator=creator).role == Role.OWNER


def test_a_role_is_changed_not_doubled() -> None:
    membership = MembershipFactory(role=Role.CHATTER)
    services.membership_set(user=membership.user, creator=membership.creator, role=Role.MANAGER)
    assert Membership.objects.get(user=membership.user).role == Role.MANAGER


def test_a_fan_known_by_handle_gets_the_id() -> None:
    fan = FanFactory(platform_id="ada", handle="ada")
    services.fan_identify(fan=fan, platform_id="123")
    assert Fan.objects.get(pk=fan.pk).platform_id == "123"


def test_a_fan_is_left_alone_where_the_id_is_taken() -> None:
    fan = FanFactory(platform_id="ada", handle="ada")
    FanFactory(creator=fan.creator, platform_id="123")
    services.fan_identify(fan=fan, platform_id="123")
    assert Fan.objects.get(pk=fan.pk).platform_id == "ada"


def test_what_a_fan_writes_is_unread_and_on_top() -> None:
    fan = FanFactory()
    message = services.message_receive(fan=fan, text="hello", received_at=NOW)
    conversation = Conversation.objects.get(fan=fan)
    assert (conversation.unread_count, conversation.last_message, conversation.last_message_at) == (1, message, NOW)


def test_a_message_of_the_platform_is_stored_once() -> None:
    fan = FanFactory()
    services.message_receive(fan=fan, text="hello", received_at=NOW, platform_message_id="1")
    assert services.message_receive(fan=fan, text="hello", received_at=NOW, platform_message_id="1") is None
    assert Conversation.objects.get(fan=fan).unread_count == 1


def test_an_older_message_that_comes_late_is_not_the_last_one() -> None:
    fan = FanFactory()
    newer = services.message_receive(fan=fan, text="newer", received_at=NOW)
    services.message_receive(fan=fan, text="older", received_at=NOW - timedelta(hours=1))
    conversation = Conversation.objects.get(fan=fan)
    assert (conversation.unread_count, conversation.last_message) == (2, newer)


def test_a_conversation_in_the_archive_comes_back_with_a_message() -> None:
    conversation = ConversationFactory(archived=True)
    services.message_receive(fan=conversation.fan, text="still here", received_at=NOW)
    assert Conversation.objects.get(pk=conversation.pk).archived is False


def write(fan: Fan, text: str = "hello") -> Message:
    draft = outbound_services.OutboundDraft(fan_id=fan.pk, text=text, status=MessageStatus.PENDING)
    [row] = outbound_services.message_bulk_create_outbound(creator=fan.creator, sender=None, drafts=[draft])
    message = Message.objects.get(pk=row.id)
    assert (message.conversation_id, message.created_at) == (row.conversation_id, row.created_at)
    return message


def test_a_message_to_a_fan_begins_the_conversation_or_moves_it_on() -> None:
    fan = FanFactory()
    first, second = write(fan), write(fan)
    conversation = Conversation.objects.get(fan=fan)
    assert first.conversation_id == second.conversation_id == conversation.pk
    assert (conversation.last_message, conversation.last_message_at) == (second, second.created_at)
    assert Message.objects.get(pk=first.pk).text == "hello"


def test_a_message_to_a_fan_does_not_overtake_a_later_one() -> None:
    fan = FanFactory()
    later = services.message_receive(
        fan=fan, text="from a clock ahead", received_at=timezone.now() + timedelta(hours=1)
    )
    assert write(fan).conversation.last_message == later
    Conversation.objects.update(last_message=None)
    message = write(fan)
    assert Conversation.objects.get(fan=fan).last_message == message


def test_an_archived_conversation_comes_back_for_a_message_of_its_own() -> None:
    conversation = ConversationFactory(archived=True)
    write(conversation.fan)
    assert Conversation.objects.get(pk=conversation.pk).archived is False


def write_beside(fans: list[Fan]) -> list[UUID]:
    """Messages to all of them, whose conversations are begun and not moved on yet."""
    outbound_services.conversations_begin(creator=fans[0].creator, fan_ids=[fan.pk for fan in fans])
    drafts = [outbound_services.OutboundDraft(fan_id=fan.pk, text="Hi", status=MessageStatus.PARKED) for fan in fans]
    rows = outbound_services.message_bulk_create_outbound(
        creator=fans[0].creator, sender=None, drafts=drafts, move_on=False
    )
    return [row.id for row in rows]


def test_conversations_move_on_when_all_is_written_and_stay_in_the_archive() -> None:
    old = MessageFactory(conversation__archived=True)
    known, new = old.conversation.fan, FanFactory(creator=old.creator)
    Conversation.objects.update(last_message=old)
    message_ids = write_beside([known, new])
    assert set(Conversation.objects.values_list("archived", "last_message")) == {(True, old.pk), (True, None)}
    outbound_services.conversations_move_on(message_ids=message_ids)
    found = [Conversation.objects.get(fan=fan) for fan in (known, new)]
    assert [each.last_message_id for each in found] == message_ids
    assert [each.archived for each in found] == [True, False]


def test_conversations_do_not_move_back_behind_a_later_message() -> None:
    fan = FanFactory()
    message_ids = write_beside([fan])
    later = write(fan)
    outbound_services.conversations_move_on(message_ids=message_ids)
    assert Conversation.objects.get(fan=fan).last_message == later


def test_messages_to_many_fans_are_one_statement_and_keep_their_order(django_assert_num_queries: Any) -> None:
    fans = FanFactory.create_batch(5, creator=CreatorFactory())
    drafts = [
        outbound_services.OutboundDraft(fan_id=fan.pk, text=str(number), status=MessageStatus.PENDING)
        for number, fan in enumerate([*fans, fans[0]])
    ]
    with django_assert_num_queries(1):
        messages = outbound_services.message_bulk_create_outbound(creator=fans[0].creator, sender=None, drafts=drafts)
    assert [message.text for message in Message.objects.order_by("pk")] == list("012345")
    assert messages[0].conversation_id == messages[5].conversation_id
    assert Conversation.objects.get(fan=fans[0]).last_message_id == messages[5].id


def test_reading_clears_the_count_and_marks_what_was_written() -> None:
    fan = FanFactory()
    services.message_receive(fan=fan, text="hello", received_at=NOW)
    services.conversation_mark_read(conversation=Conversation.objects.get(fan=fan))
    assert Conversation.objects.get(fan=fan).unread_count == 0
    assert Message.objects.get(direction=Direction.IN).read is True


@pytest.mark.django_db(transaction=True)
def test_messages_that_arrive_together_all_count() -> None:
    fan = FanFactory()
    services.conversation_open(fan=fan)

    def receive(number: int) -> None:
        try:
            services.message_receive(fan=fan, text=str(number), received_at=NOW, platform_message_id=str(number))
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(receive, range(24)))
    assert Conversation.objects.get(fan=fan).unread_count == 24


@pytest.mark.parametrize(
    ("direction", "status", "price"),
    [
        (Direction.IN, MessageStatus.SENT, 0),
        (Direction.OUT, MessageStatus.RECEIVED, 0),
        (Direction.OUT, MessageStatus.SENT, 299),
        (Direction.OUT, MessageStatus.SENT, 20_001),
        (Direction.OUT, "lost", 0),
    ],
)
def test_the_database_refuses_a_message_that_cannot_be(direction: str, status: str, price: int) -> None:
    conversation = ConversationFactory()
    with pytest.raises(IntegrityError), transaction.atomic():
        Message.objects.create(
            creator=conversation.creator,
            conversation=conversation,
            direction=direction,
            status=status,
            price_cents=price,
        )


@pytest.mark.parametrize("fields", [{"platform_id": ""}, {"value_cents": -1}, {"platform": "elsewhere"}])
def test_the_database_refuses_a_fan_that_cannot_be(fields: dict[str, object]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        FanFactory(**fields)


def test_the_database_refuses_an_address_in_capitals() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        UserFactory(email="ADA@example.com")


def test_a_fan_is_met_once_and_news_only_move_forward() -> None:
    creator = CreatorFactory()
    first = services.fan_meet(
        creator=creator,
        news=services.FanNews("5", handle="ada", name="Ada", seen_at=NOW, value_cents=900, value_as_of=NOW),
    )
    before = NOW - timedelta(days=1)
    again = services.fan_meet(
        creator=creator,
        news=services.FanNews("5", handle="Ada2", name="Other", seen_at=before, value_cents=100, value_as_of=before),
    )
    assert again == first
    assert (again.handle, again.name, again.last_seen_at, again.value_cents) == ("Ada2", "Ada", NOW, 900)


def test_nothing_new_about_a_fan_writes_nothing() -> None:
    news = services.FanNews("5", handle="ada", name="Ada", seen_at=NOW)
    fan = services.fan_meet(creator=CreatorFactory(), news=news)
    assert services.fan_meet(creator=fan.creator, news=news).updated_at == fan.updated_at


def test_a_message_that_went_out_elsewhere_is_stored_once() -> None:
    fan = FanFactory()
    sent = {"fan": fan, "text": "Hi", "sent_at": NOW, "platform_message_id": "7", "price_cents": 100}
    message = services.message_record_sent(**sent)
    assert message is not None
    assert message.price_cents == 0
    assert services.message_record_sent(**sent) is None


def test_a_message_read_elsewhere_counts_not_as_unread() -> None:
    fan = FanFactory()
    services.message_receive(fan=fan, text="hello", received_at=NOW, platform_message_id="1", read=True)
    assert Conversation.objects.get(fan=fan).unread_count == 0


def test_a_message_is_marked_as_taken_back_once() -> None:
    fan = FanFactory()
    services.message_receive(fan=fan, text="hello", received_at=NOW, platform_message_id="1")
    mark = {"creator": fan.creator, "platform_message_id": "1", "deleted_at": NOW}
    assert [services.message_mark_deleted(**mark) for _ in range(2)] == [True, False]
    assert not services.message_mark_deleted(**{**mark, "creator": CreatorFactory()})
    assert Conversation.objects.get(fan=fan).unread_count == 0
