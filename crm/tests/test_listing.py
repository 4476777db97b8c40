"""Answers whether the list read without models shows what its serializer shows, and finds what it should."""

from datetime import UTC, datetime

import pytest
from rest_framework.test import APIClient

from crm import selectors
from crm.api import ConversationSerializer
from crm.fan_api import FanSerializer
from crm.models import Conversation, Creator, Fan, MessageStatus
from crm.tests.factories import ConversationFactory, CreatorFactory, FanFactory, MembershipFactory, MessageFactory

pytestmark = pytest.mark.django_db
CONVERSATIONS = "/api/crm/conversations"


@pytest.fixture
def creator() -> Creator:
    return CreatorFactory()


@pytest.fixture
def client(creator: Creator) -> APIClient:
    client = APIClient()
    client.force_authenticate(MembershipFactory(creator=creator).user)
    return client


def serialized(creator: Creator) -> list[object]:
    rows = Conversation.objects.filter(creator=creator).annotate(in_trouble=selectors.conversation_in_trouble())
    rows = rows.order_by("-personal", "-last_message_at", "-id")
    return [dict(ConversationSerializer(row).data) for row in rows]


@pytest.mark.parametrize("microsecond", [0, 5, 120_000])
def test_a_conversation_is_shown_as_its_serializer_shows_it(
    creator: Creator, client: APIClient, microsecond: int
) -> None:
    at = datetime(2026, 11, 1, 12, 30, 5, microsecond, tzinfo=UTC)
    fan = FanFactory(
        creator=creator, name='Ä "quoted" <b> 🦊', avatar="https://example.com/a.jpg", value_cents=2**53 - 1
    )
    spoken = ConversationFactory(fan=fan, last_message_at=at, unread_count=3)
    spoken.last_message = MessageFactory(conversation=spoken, text="é🦊" * 100)
    spoken.save()
    ConversationFactory(fan=FanFactory(creator=creator, name="", handle=""), last_message_at=at)
    assert client.get(CONVERSATIONS).json()["results"] == serialized(creator)


@pytest.mark.parametrize("status", [each for each in MessageStatus if each is not MessageStatus.RECEIVED])
def test_the_last_message_is_shown_in_each_state(creator: Creator, client: APIClient, status: MessageStatus) -> None:
    conversation = ConversationFactory(fan__creator=creator)
    conversation.last_message = MessageFactory(conversation=conversation, outbound=True, status=status, text="")
    conversation.save()
    [shown] = client.get(CONVERSATIONS).json()["results"]
    assert [shown] == serialized(creator)
    assert shown["lastMessage"] == {
        "direction": "out",
        "text": "",
        "status": status,
        "sentAt": "2026-11-01T12:00:00Z",
        "campaignId": None,
    }


@pytest.mark.parametrize(
    ("status", "counts"), [(MessageStatus.FAILED, 1), (MessageStatus.UNKNOWN, 1), (MessageStatus.BYPASSED, 0)]
)
def test_a_conversation_with_an_older_message_in_trouble_says_so(
    creator: Creator, client: APIClient, status: MessageStatus, counts: int
) -> None:
    troubled, calm = ConversationFactory.create_batch(2, fan__creator=creator)
    MessageFactory(conversation=troubled, outbound=True, status=status)
    MessageFactory(outbound=True, status=status)
    troubled.last_message = MessageFactory(conversation=troubled, text="Hello?")
    troubled.save()
    shown = {row["id"]: row["inTrouble"] for row in client.get(CONVERSATIONS).json()["results"]}
    assert shown == {troubled.pk: bool(counts), calm.pk: False}
    assert selectors.messages_in_trouble_count(creator=creator) == counts
    troubled.fan.deleted_at = datetime(2026, 11, 1, tzinfo=UTC)
    troubled.fan.save()
    assert selectors.messages_in_trouble_count(creator=creator) == 0


@pytest.mark.parametrize("microsecond", [0, 120_000])
def test_a_fan_is_shown_as_their_serializer_shows_them(creator: Creator, client: APIClient, microsecond: int) -> None:
    at = datetime(2026, 11, 1, 12, 30, 5, microsecond, tzinfo=UTC)
    known = FanFactory(
        creator=creator,
        name='Ä "quoted" <b> 🦊',
        notes="a\nb",
        tags=["vip", "ä"],
        last_seen_at=at,
        value_cents=2**53 - 1,
    )
    bare = FanFactory(creator=creator, name="", handle="", last_seen_at=None, value_cents=0)
    shown = client.get("/api/crm/fans").json()["results"]
    assert shown == [dict(FanSerializer(Fan.objects.get(pk=fan.pk)).data) for fan in (known, bare)]
    assert list(shown[0]) == list(FanSerializer(known).data)


def test_archived_ones_and_those_of_deleted_fans_and_of_others_are_not_listed(
    creator: Creator, client: APIClient
) -> None:
    ConversationFactory(fan__creator=creator, archived=True)
    ConversationFactory(fan__creator=creator, fan__deleted_at=datetime(2026, 11, 1, tzinfo=UTC))
    ConversationFactory()
    assert client.get(CONVERSATIONS).json()["results"] == []


@pytest.mark.parametrize(
    ("search", "found"),
    [("ANNA", True), ("@nna_", True), ("nna_", True), ("n%a", False), ("nn__", False), ("\\", False), ("'", False)],
)
def test_a_search_finds_part_of_name_or_handle_and_knows_no_wildcards(
    creator: Creator, client: APIClient, search: str, found: bool
) -> None:
    ConversationFactory(fan__creator=creator, fan__name="Anna", fan__handle="nna_1")
    assert bool(client.get(CONVERSATIONS, {"search": search}).json()["results"]) is found


def test_only_unread_ones_where_asked_for(creator: Creator, client: APIClient) -> None:
    ConversationFactory(fan__creator=creator)
    unread = ConversationFactory(fan__creator=creator, unread_count=1)
    assert [each["id"] for each in client.get(f"{CONVERSATIONS}?unread=true").json()["results"]] == [unread.pk]


def test_there_and_back_each_conversation_is_on_one_page_once(creator: Creator, client: APIClient) -> None:
    at = datetime(2026, 11, 1, 12, tzinfo=UTC)
    rows = [ConversationFactory(fan__creator=creator, last_message_at=at).pk for _ in range(5)][::-1]
    first = client.get(f"{CONVERSATIONS}?pageSize=2").json()
    second = client.get(first["next"]).json()
    third = client.get(second["next"]).json()
    assert [each["id"] for page in (first, second, third) for each in page["results"]] == rows
    assert (first["previous"], third["next"]) == (None, None)
    assert client.get(third["previous"]).json()["results"] == second["results"]
    assert client.get(second["previous"]).json()["results"] == first["results"]


def test_what_is_not_found_to_write_to_is_not_found_to_read(creator: Creator) -> None:
    conversation = ConversationFactory(fan__creator=creator)
    selectors.conversation_require(creator=creator, conversation_id=conversation.pk)
    for stranger in (CreatorFactory(), ConversationFactory().creator):
        with pytest.raises(selectors.NotFound):
            selectors.conversation_require(creator=stranger, conversation_id=conversation.pk)
