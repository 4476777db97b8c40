"""Answers whether the CRM's writers keep its tables right, also when they meet."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from crm import outbound_services, selectors, services
from crm.errors import Conflict
from crm.models import Conversation, Direction, Fan, Membership, Message, MessageStatus, Role, User
from crm.tests.factories import (
    ConversationFactory,
    CreatorFactory,
    FanFactory,
    MembershipFactory,
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


def campaign_writes(*fans: Fan) -> list[UUID]:
    """A campaign's messages to all of them, which have yet to go out."""
    outbound_services.conversations_begin(creator=fans[0].creator, fan_ids=[fan.pk for fan in fans])
    drafts = [outbound_services.OutboundDraft(fan_id=fan.pk, text="Hi", status=MessageStatus.PARKED) for fan in fans]
    rows = outbound_services.message_bulk_create_outbound(
        creator=fans[0].creator, sender=None, drafts=drafts, campaign_id=7
    )
    return [row.id for row in rows]


def becomes(message_id: UUID, status: MessageStatus, *, sent_at: datetime | None = None) -> None:
    outbound_services.message_status_set(message_ids=[message_id], status=status, sent_at=sent_at)


def inbox(fan: Fan) -> list[Fan]:
    """The fans of the creator's conversations, as the inbox lists them."""
    page = selectors.conversation_list(creator=fan.creator).page(
        ["personal", "last_message_at", "id"], descending=True, after=None, limit=100
    )
    return list(map({f.pk: f for f in Fan.objects.all()}.get, [row.fan_id for row in page]))  # type: ignore[arg-type]


def test_a_campaign_moves_nothing_until_it_is_sent_and_then_moves_nothing_up() -> None:
    creator = CreatorFactory()
    unread, older, never, other = FanFactory.create_batch(4, creator=creator)
    services.message_receive(fan=older, text="older", received_at=NOW - timedelta(days=2))
    services.message_receive(fan=unread, text="newer", received_at=NOW - timedelta(days=1))
    ids = campaign_writes(unread, older, never, other)
    assert inbox(unread) == [unread, older]
    assert Conversation.objects.get(fan=older).last_message.text == "older"
    for minutes, message_id in enumerate(ids):
        becomes(message_id, MessageStatus.SENT, sent_at=NOW + timedelta(minutes=minutes))
    # What only a campaign was written to comes after all others, the one sent last before the one sent first.
    assert inbox(unread) == [unread, older, other, never]
    assert list(Conversation.objects.order_by("fan_id").values_list("last_message_id", flat=True)) == ids
    placed = Conversation.objects.get(fan=older)
    assert (placed.last_message_at, placed.personal, placed.unread_count) == (NOW - timedelta(days=2), True, 1)
    begun = Conversation.objects.get(fan=never)
    assert (begun.last_message_at, begun.personal, begun.archived) == (NOW + timedelta(minutes=2), False, False)
    # The answer of a fan brings them up, whenever it came.
    services.message_receive(fan=never, text="hey", received_at=NOW - timedelta(hours=36))
    assert inbox(unread) == [unread, never, older, other]
    placed = Conversation.objects.get(fan=never)
    assert (placed.last_message_id, placed.last_message_at) == (ids[2], NOW - timedelta(hours=36))


@pytest.mark.parametrize(
    "status", [each for each in MessageStatus if each not in {MessageStatus.SENT, MessageStatus.RECEIVED}]
)
def test_what_of_a_campaign_is_not_sent_leaves_no_trace(status: MessageStatus) -> None:
    spoken, never = FanFactory.create_batch(2, creator=CreatorFactory())
    services.message_receive(fan=spoken, text="hello", received_at=NOW)
    before = Conversation.objects.filter(fan=spoken).values().get()
    for message_id in campaign_writes(spoken, never):
        becomes(message_id, status)
    assert Conversation.objects.filter(fan=spoken).values().get() == before
    assert inbox(spoken) == [spoken]


def test_an_archived_conversation_stays_so_for_a_campaign_and_comes_back_for_an_answer() -> None:
    conversation = ConversationFactory()
    write(conversation.fan)
    Conversation.objects.update(archived=True)
    [message_id] = campaign_writes(conversation.fan)
    becomes(message_id, MessageStatus.SENT, sent_at=timezone.now())
    conversation.refresh_from_db()
    assert (conversation.archived, conversation.last_message_id) == (True, message_id)
    services.message_receive(fan=conversation.fan, text="hey", received_at=timezone.now())
    conversation.refresh_from_db()
    assert conversation.archived is False
    assert conversation.last_message is not None
    assert conversation.last_message.text == "hey"


def test_a_campaigns_message_does_not_hide_what_was_written_after_it_went_out() -> None:
    fan = FanFactory()
    [message_id] = campaign_writes(fan)
    later = write(fan)
    # It was found in the chat, as sent before.
    becomes(message_id, MessageStatus.SENT, sent_at=later.created_at - timedelta(seconds=1))
    assert Conversation.objects.get(fan=fan).last_message == later
    [second] = campaign_writes(fan)
    becomes(second, MessageStatus.SENT, sent_at=later.created_at + timedelta(seconds=1))
    # Nor is it hidden by what was written before it went out and comes late.
    services.message_receive(fan=fan, text="late", received_at=later.created_at - timedelta(minutes=1))
    conversation = Conversation.objects.get(fan=fan)
    assert (conversation.last_message_id, conversation.last_message_at) == (second, later.created_at)
    last = write(fan)
    assert Conversation.objects.get(fan=fan).last_message == last


def test_a_person_who_writes_where_campaigns_alone_have_written_brings_it_up() -> None:
    spoken, never = FanFactory.create_batch(2, creator=CreatorFactory())
    services.message_receive(fan=spoken, text="hello", received_at=NOW)
    becomes(campaign_writes(never)[0], MessageStatus.SENT, sent_at=timezone.now())
    assert inbox(spoken) == [spoken, never]
    write(never)
    assert inbox(spoken) == [never, spoken]


def test_what_was_sent_costs_one_statement_a_campaigns_too(django_assert_num_queries: Any) -> None:
    fan = FanFactory()
    [message_id] = campaign_writes(fan)
    with django_assert_num_queries(1):
        becomes(message_id, MessageStatus.SENT, sent_at=timezone.now())
    assert Message.objects.get(pk=message_id).status == MessageStatus.SENT


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
