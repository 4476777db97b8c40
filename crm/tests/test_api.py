"""Answers whether the CRM's API shows each caller their own, in the contract's words."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from crm.models import Conversation, Role
from crm.services import message_receive
from crm.tests.clients import signed_in
from crm.tests.factories import ConversationFactory, CreatorFactory, FanFactory, MembershipFactory

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def creator() -> Any:
    return CreatorFactory()


@pytest.mark.parametrize("path", ["/api/crm/fans", "/api/crm/conversations", "/api/auth/me"])
def test_nobody_gets_in_without_a_token(path: str) -> None:
    answer = APIClient().get(path)
    assert answer.status_code == 401
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "not_authenticated"


@pytest.mark.parametrize("role", list(Role))
def test_each_role_reads_the_fans(creator: Any, role: Role) -> None:
    fan = FanFactory(creator=creator, value_cents=1_234, tags=["vip"])
    FanFactory()
    [shown] = signed_in(creator, role).get("/api/crm/fans").json()["results"]
    assert (shown["id"], shown["platformId"], shown["valueCents"], shown["tags"]) == (
        fan.pk,
        fan.platform_id,
        1_234,
        ["vip"],
    )


def test_a_stranger_finds_neither_fan_nor_conversation(creator: Any) -> None:
    conversation = ConversationFactory(fan__creator=creator)
    stranger = signed_in(CreatorFactory())
    assert stranger.get(f"/api/crm/fans/{conversation.fan_id}").status_code == 404
    assert stranger.post(f"/api/crm/conversations/{conversation.pk}/read").status_code == 404
    assert stranger.get("/api/crm/conversations").json()["results"] == []


@pytest.mark.parametrize("named", ["{other}", "0", "-1", "x", "9" * 40])
def test_a_creator_that_is_not_theirs_does_not_exist(creator: Any, named: str) -> None:
    header = named.format(other=CreatorFactory().pk)
    answer = signed_in(creator).get("/api/crm/fans", headers={"X-Creator": header})
    assert (answer.status_code, answer.json()["code"]) == (404, "creator_not_found")


def test_a_user_of_several_creators_names_one(creator: Any) -> None:
    membership = MembershipFactory(creator=creator)
    other = MembershipFactory(user=membership.user).creator
    FanFactory(creator=other, name="Theirs")
    client = APIClient()
    client.force_authenticate(membership.user)
    assert client.get("/api/crm/fans").json()["code"] == "creator_not_named"
    for answer in (
        client.get("/api/crm/fans", headers={"X-Creator": str(other.pk)}),
        client.get(f"/api/crm/fans?creator={other.pk}"),
    ):
        assert [fan["name"] for fan in answer.json()["results"]] == ["Theirs"]


def test_a_user_without_a_creator_is_told_so() -> None:
    answer = signed_in().get("/api/crm/fans")
    assert (answer.status_code, answer.json()["code"]) == (404, "creator_missing")


def test_a_body_that_is_no_json_is_a_problem_not_a_crash(creator: Any) -> None:
    answer = signed_in(creator).post("/api/crm/fans", data="{", content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "parse_error")


def test_the_conversation_with_the_newest_message_comes_first(creator: Any) -> None:
    old, new = FanFactory(creator=creator), FanFactory(creator=creator)
    message_receive(fan=new, text="new " + "x" * 200, received_at=NOW)
    message_receive(fan=old, text="old", received_at=NOW - timedelta(days=1))
    first, second = signed_in(creator).get("/api/crm/conversations").json()["results"]
    assert (first["fan"]["id"], second["fan"]["id"]) == (new.pk, old.pk)
    assert (first["unreadCount"], first["lastMessageAt"], len(first["lastMessage"]["text"])) == (
        1,
        "2026-11-20T12:00:00Z",
        140,
    )


def test_the_conversations_cost_the_same_queries_however_many_they_are(
    creator: Any, django_assert_max_num_queries: Any
) -> None:
    for _ in range(20):
        message_receive(fan=FanFactory(creator=creator), text="hi", received_at=NOW)
    client = signed_in(creator)
    with django_assert_max_num_queries(2):
        assert len(client.get("/api/crm/conversations").json()["results"]) == 20


def test_the_conversations_are_filtered(creator: Any) -> None:
    unread = message_receive(fan=FanFactory(creator=creator, name="Ada"), text="hi", received_at=NOW)
    ConversationFactory(fan=FanFactory(creator=creator, name="Bob"))
    ConversationFactory(fan=FanFactory(creator=creator, name="Cleo"), archived=True)
    client = signed_in(creator)

    def names(query: str) -> list[str]:
        return [c["fan"]["name"] for c in client.get(f"/api/crm/conversations?{query}").json()["results"]]

    assert unread is not None
    assert set(names("")) == {"Ada", "Bob"}
    assert names("unread=true") == ["Ada"]
    assert names("search=bo") == ["Bob"]


def test_reading_a_conversation_clears_its_count(creator: Any) -> None:
    message_receive(fan=FanFactory(creator=creator), text="hi", received_at=timezone.now())
    conversation = Conversation.objects.get()
    assert signed_in(creator, Role.CHATTER).post(f"/api/crm/conversations/{conversation.pk}/read").status_code == 204
    conversation.refresh_from_db()
    assert conversation.unread_count == 0


def test_me_names_my_creators_and_my_role_at_each(creator: Any) -> None:
    answer = signed_in(creator, Role.CHATTER).get("/api/auth/me").json()
    assert answer["creators"] == [{"id": creator.pk, "name": creator.name, "role": "chatter"}]


def test_an_address_that_leads_nowhere_is_a_problem_document() -> None:
    answer = APIClient().get("/api/nowhere")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")


def test_a_request_that_names_two_creators_is_not_guessed_at(creator: Any) -> None:
    answer = signed_in(creator).get(f"/api/crm/fans?creator={creator.pk + 1}", headers={"X-Creator": str(creator.pk)})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "ambiguous")


@pytest.mark.parametrize("named", ["", "null", "-1", "9" * 30])
def test_a_header_that_names_no_creator_is_not_taken_for_none(creator: Any, named: str) -> None:
    assert signed_in(creator).get("/api/crm/fans", headers={"X-Creator": named}).status_code == 404


@pytest.mark.parametrize("size", ["0", "-1", "many", "9" * 30])
def test_a_page_size_that_is_none_is_refused(creator: Any, size: str) -> None:
    answer = signed_in(creator).get(f"/api/crm/fans?pageSize={size}")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "pageSize")
