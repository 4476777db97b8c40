"""Answers whether a fan can be read, changed, deleted, brought back, erased and exported by those who may."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.test import AsyncClient
from django.utils import timezone
from rest_framework.test import APIClient

from crm.models import Fan, Message, Role
from crm.services import message_receive
from crm.tests.clients import signed_in
from crm.tests.factories import ConversationFactory, CreatorFactory, FanFactory, MembershipFactory, MessageFactory

pytestmark = pytest.mark.django_db
FANS = "/api/crm/fans"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LONG_AGO = timedelta(days=31)


@pytest.fixture
def creator() -> Any:
    return CreatorFactory()


def read(client: APIClient, fan: Fan) -> dict[str, str]:
    """The header by which a change names what it has seen."""
    return {"If-Match": client.get(f"{FANS}/{fan.pk}")["ETag"]}


def names(client: APIClient, query: str = "") -> list[str]:
    return [fan["name"] for fan in client.get(f"{FANS}?{query}").json()["results"]]


def deleted(**fields: Any) -> Fan:
    return FanFactory(deleted_at=timezone.now(), **fields)


# --- One fan ----------------------------------------------------------------------------------------------------------


def test_a_fan_is_shown_with_a_tag_that_saves_sending_it_twice(creator: Any) -> None:
    fan, client = FanFactory(creator=creator), signed_in(creator, Role.ANALYST)
    tag = client.get(f"{FANS}/{fan.pk}")["ETag"]
    for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        again = client.get(f"{FANS}/{fan.pk}", headers={"If-None-Match": known})
        assert (again.status_code, again.content, again["ETag"]) == (304, b"", tag)
    assert client.get(f"{FANS}/{fan.pk}", headers={"If-None-Match": '"0"'}).status_code == 200


def test_a_patch_changes_what_it_gives_alone(creator: Any) -> None:
    fan, client = FanFactory(creator=creator, notes="old"), signed_in(creator, Role.CHATTER)
    body = {"handle": "@ada", "tags": ["vip", "vip", "new"]}
    answer = client.patch(f"{FANS}/{fan.pk}", body, headers=read(client, fan))
    assert (answer.json()["handle"], answer.json()["tags"], answer.json()["notes"]) == ("ada", ["vip", "new"], "old")
    assert answer["ETag"] == client.get(f"{FANS}/{fan.pk}")["ETag"]
    assert answer.json()["updatedAt"] > answer.json()["createdAt"]


@pytest.mark.parametrize("method", ["put", "patch"])
def test_two_chatters_do_not_overwrite_each_other(creator: Any, method: str) -> None:
    fan, one, two = FanFactory(creator=creator), signed_in(creator), signed_in(creator, Role.CHATTER)
    seen_by_one, seen_by_two = read(one, fan), read(two, fan)
    body = {"platformId": fan.platform_id, "notes": "one"}
    assert getattr(one, method)(f"{FANS}/{fan.pk}", body, headers=seen_by_one).status_code == 200
    late = getattr(two, method)(f"{FANS}/{fan.pk}", {**body, "notes": "two"}, headers=seen_by_two)
    assert (late.status_code, late.json()["code"]) == (412, "fan_changed")
    fan.refresh_from_db()
    assert fan.notes == "one"


@pytest.mark.parametrize("method", ["put", "patch"])
def test_a_change_heeds_what_it_has_seen(creator: Any, method: str) -> None:
    fan, client = FanFactory(creator=creator), signed_in(creator)
    send = getattr(client, method)
    body = {"platformId": fan.platform_id, "notes": "new"}
    tag = read(client, fan)["If-Match"]
    for wrong in (f"W/{tag}", "nonsense", '"x"', '"' + "9" * 40 + '"', ""):
        assert send(f"{FANS}/{fan.pk}", body, headers={"If-Match": wrong}).status_code == 412, wrong
    assert send(f"{FANS}/{fan.pk}", body, headers={"If-Match": f'"0", {tag}'}).status_code == 200
    assert send(f"{FANS}/{fan.pk}", body, headers={"If-Match": "*"}).status_code == 200
    assert send(f"{FANS}/{fan.pk}", {"notes": "newer"}).json()["notes"] == "newer"


@pytest.mark.parametrize("method", ["put", "patch"])
def test_a_change_of_four_members_leaves_the_others(creator: Any, method: str) -> None:
    fan = FanFactory(creator=creator, handle="ada", email="ada@example.com", avatar="https://example.com/a.jpg")
    given = {"name": "Ada L", "tags": ["vip"], "notes": "Writes at night.", "valueCents": 12_500}
    answer = getattr(signed_in(creator, Role.CHATTER), method)(f"{FANS}/{fan.pk}", given)
    assert answer.status_code == 200, answer.content
    shown = answer.json()
    assert {name: shown[name] for name in given} == given
    kept = (shown["platformId"], shown["handle"], shown["email"], shown["avatar"])
    assert kept == (fan.platform_id, "ada", "ada@example.com", "https://example.com/a.jpg")


@pytest.mark.parametrize("method", ["put", "patch"])
def test_a_change_of_nothing_changes_no_etag(creator: Any, method: str) -> None:
    fan, client = FanFactory(creator=creator, name="Ada", tags=["vip"]), signed_in(creator)
    seen = read(client, fan)
    for body in ({}, {"name": "Ada", "tags": ["vip"]}):
        answer = getattr(client, method)(f"{FANS}/{fan.pk}", body, headers=seen)
        assert (answer.status_code, answer["ETag"]) == (200, seen["If-Match"])
    assert getattr(client, method)(f"{FANS}/{fan.pk}", {}, headers={"If-Match": '"0"'}).status_code == 412
    fan.refresh_from_db()


def test_a_member_that_is_not_there_is_named_with_the_right_one(creator: Any) -> None:
    fan, client = FanFactory(creator=creator, value_cents=7), signed_in(creator)
    answer = client.patch(f"{FANS}/{fan.pk}", {"value_cents": 900, "id": 4, "name": "Eve"})
    told = {each["field"]: (each["code"], each["detail"]) for each in answer.json()["errors"]}
    assert answer.status_code == 400
    assert told.keys() == {"value_cents", "id"}
    assert told["value_cents"][0] == "unknown_field"
    assert "“valueCents”" in told["value_cents"][1]
    assert told["id"][0] == "read_only"
    fan.refresh_from_db()
    assert (fan.value_cents, fan.name) != (900, "Eve")


@pytest.mark.parametrize("method", ["put", "patch"])
def test_a_fan_may_be_sent_back_whole_as_it_was_read(creator: Any, method: str) -> None:
    fan, client = FanFactory(creator=creator, name="Ada", tags=["vip"]), signed_in(creator)
    whole = client.get(f"{FANS}/{fan.pk}").json()
    answer = getattr(client, method)(f"{FANS}/{fan.pk}", {**whole, "notes": "Likes trains"})
    assert (answer.status_code, answer.json()["notes"]) == (200, "Likes trains")
    # What the system sets is as it is now, or it is refused: the first change has moved `updatedAt`.
    again = getattr(client, method)(f"{FANS}/{fan.pk}", {**whole, "notes": "Likes planes"})
    assert [each["field"] for each in again.json()["errors"]] == ["updatedAt"]


def test_an_id_that_another_fan_has_is_a_conflict(creator: Any) -> None:
    fan, other, client = FanFactory(creator=creator), FanFactory(creator=creator), signed_in(creator)
    body = {"platformId": other.platform_id}
    answer = client.patch(f"{FANS}/{fan.pk}", body, headers=read(client, fan))
    assert (answer.status_code, answer.json()["code"], answer.json()["fanId"]) == (409, "fan_exists", other.pk)


def test_what_is_wrong_with_a_change_is_named(creator: Any) -> None:
    fan, client = FanFactory(creator=creator), signed_in(creator)
    body = {"tags": ["x"] * 51, "notes": "x" * 10_001, "valueCents": "lots", "avatar": "no", "name": "\x00"}
    answer = client.patch(f"{FANS}/{fan.pk}", body, headers=read(client, fan))
    assert {error["field"] for error in answer.json()["errors"]} == set(body)


def test_a_stranger_and_an_analyst_change_nothing(creator: Any) -> None:
    fan = FanFactory(creator=creator, name="Ada")
    for client, status in ((signed_in(CreatorFactory()), 404), (signed_in(creator, Role.ANALYST), 403)):
        for method in ("put", "patch", "delete"):
            body = None if method == "delete" else {"platformId": "1", "name": "Eve"}
            answer = getattr(client, method)(f"{FANS}/{fan.pk}", body, headers={"If-Match": "*"})
            assert answer.status_code == status
        assert client.post(f"{FANS}/{fan.pk}/restore").status_code == status
        assert client.get(f"{FANS}/{fan.pk}/export").status_code == status
    fan.refresh_from_db()
    assert (fan.name, fan.deleted_at) == ("Ada", None)


# --- Deletion ---------------------------------------------------------------------------------------------------------


def test_a_chatter_neither_deletes_nor_restores_nor_exports(creator: Any) -> None:
    fan, gone, chatter = FanFactory(creator=creator), deleted(creator=creator), signed_in(creator, Role.CHATTER)
    assert chatter.delete(f"{FANS}/{fan.pk}").status_code == 403
    assert chatter.delete(f"{FANS}/{fan.pk}?erase=true").status_code == 403
    assert chatter.post(f"{FANS}/{gone.pk}/restore").status_code == 403
    assert chatter.get(f"{FANS}/{fan.pk}/export").status_code == 403
    assert chatter.get(f"{FANS}?deleted=true").status_code == 403


def test_a_deleted_fan_is_gone_from_everywhere(creator: Any) -> None:
    fan = FanFactory(creator=creator, value_cents=500, last_seen_at=timezone.now())
    conversation = ConversationFactory(fan=fan)
    client = signed_in(creator, Role.MANAGER)
    answer = client.delete(f"{FANS}/{fan.pk}")
    assert answer.status_code == 200
    until = datetime.fromisoformat(answer.json()["restorableUntil"])
    assert until - datetime.fromisoformat(answer.json()["deletedAt"]) == timedelta(days=30)
    assert client.get(f"{FANS}/{fan.pk}").status_code == 404
    assert client.get(f"/api/crm/conversations/{conversation.pk}/messages").status_code == 404
    assert client.post(f"/api/crm/conversations/{conversation.pk}/read").status_code == 404
    for path in (FANS, "/api/crm/conversations", "/api/analytics/top-fans"):
        assert client.get(path).json()["results"] == [], path
    totals = client.get("/api/analytics/overview").json()
    assert (totals["totalFans"], totals["activeFans"], totals["lifetimeValueCents"]) == (0, 0, 0)
    assert client.patch(f"{FANS}/{fan.pk}", {"name": "x"}, headers={"If-Match": "*"}).status_code == 404
    assert client.delete(f"{FANS}/{fan.pk}").status_code == 404


def test_a_deletion_heeds_what_it_names(creator: Any) -> None:
    fan, client = FanFactory(creator=creator), signed_in(creator)
    seen = read(client, fan)
    client.patch(f"{FANS}/{fan.pk}", {"notes": "new"}, headers=seen)
    assert client.delete(f"{FANS}/{fan.pk}", headers=seen).status_code == 412
    assert client.delete(f"{FANS}/{fan.pk}?erase=true", headers=seen).status_code == 412
    assert client.delete(f"{FANS}/{fan.pk}", headers=read(client, fan)).status_code == 200


def test_a_deleted_fan_comes_back_as_they_were(creator: Any) -> None:
    fan, client = FanFactory(creator=creator, name="Ada", notes="kept"), signed_in(creator)
    message_receive(fan=fan, text="hi", received_at=NOW)
    client.delete(f"{FANS}/{fan.pk}")
    assert names(client, "deleted=true") == ["Ada"]
    for _ in range(2):
        answer = client.post(f"{FANS}/{fan.pk}/restore")
        assert (answer.status_code, answer.json()["notes"], answer.json()["deletedAt"]) == (200, "kept", None)
    assert (names(client), names(client, "deleted=true")) == (["Ada"], [])
    assert client.get("/api/crm/conversations").json()["results"][0]["lastMessage"]["text"] == "hi"


def test_nobody_comes_back_after_30_days(creator: Any) -> None:
    fan, client = FanFactory(creator=creator, deleted_at=timezone.now() - LONG_AGO), signed_in(creator)
    assert client.post(f"{FANS}/{fan.pk}/restore").status_code == 404
    assert client.get(f"{FANS}?deleted=true").json()["results"] == []


def test_the_id_of_a_deleted_fan_is_not_free(creator: Any) -> None:
    fan, client = deleted(creator=creator), signed_in(creator)
    answer = client.post(FANS, {"platformId": fan.platform_id})
    assert (answer.status_code, answer.json()["code"], answer.json()["fanId"]) == (409, "fan_deleted", fan.pk)


@pytest.mark.parametrize("first", [True, False], ids=["deleted before", "at once"])
def test_an_erased_fan_leaves_no_word_and_the_sums_hold(creator: Any, first: bool) -> None:
    secret = "Zebulon"
    fan = FanFactory(
        creator=creator,
        platform_id=f"{secret}1",
        handle=secret,
        name=secret,
        email=f"{secret}@example.com",
        avatar=f"https://example.com/{secret}",
        tags=[secret],
        notes=secret,
        value_cents=5,
    )
    conversation = ConversationFactory(fan=fan)
    media = [{"type": "media", "url": f"https://example.com/{secret}"}]
    MessageFactory(
        conversation=conversation,
        outbound=True,
        text=secret,
        attachments=media,
        price_cents=500,
        platform_message_id=secret,
    )
    client = signed_in(creator)
    if first:
        client.delete(f"{FANS}/{fan.pk}")
    assert client.delete(f"{FANS}/{fan.pk}?erase=true").status_code == 204
    rows = [*Fan.objects.values(), *Message.objects.values()]
    assert secret not in str(rows)
    assert Message.objects.get().price_cents == 500
    assert client.delete(f"{FANS}/{fan.pk}?erase=true").status_code == 404
    assert client.post(f"{FANS}/{fan.pk}/restore").status_code == 404
    assert client.get(f"{FANS}/{fan.pk}/export").status_code == 404
    assert client.post(FANS, {"platformId": f"{secret}1"}).status_code == 201


def test_an_erasure_that_is_not_clear_erases_nobody(creator: Any) -> None:
    fan = FanFactory(creator=creator)
    answer = signed_in(creator).delete(f"{FANS}/{fan.pk}?erase=perhaps")
    assert [error["field"] for error in answer.json()["errors"]] == ["erase"]
    assert Fan.objects.filter(deleted_at=None).exists()


# --- Export -----------------------------------------------------------------------------------------------------------


def exported(client: APIClient, fan: Fan) -> Any:
    answer = client.get(f"{FANS}/{fan.pk}/export")
    assert answer["Content-Disposition"] == f'attachment; filename="fan-{fan.pk}.json"'
    assert answer["Content-Type"] == "application/json"
    return json.loads(b"".join(answer.streaming_content))


def test_an_export_holds_all_there_is(creator: Any) -> None:
    fan = FanFactory(creator=creator, name='Léa "x"', notes="likes cats", tags=["vip"])
    conversation = ConversationFactory(fan=fan)
    for index in range(3):
        MessageFactory(conversation=conversation, text=f"m{index}", created_at=NOW + timedelta(minutes=index))
    MessageFactory(conversation=ConversationFactory(fan__creator=creator), text="another fan's")
    found = exported(signed_in(creator, Role.MANAGER), fan)
    assert (found["fan"]["name"], found["fan"]["notes"], found["fan"]["tags"]) == (fan.name, "likes cats", ["vip"])
    assert found["conversation"]["id"] == conversation.pk
    assert [message["text"] for message in found["messages"]] == ["m0", "m1", "m2"]
    assert (found["deliveries"], found["rejectedImportRows"]) == ([], [])


def test_a_fan_who_never_wrote_and_was_deleted_is_exported_too(creator: Any) -> None:
    found = exported(signed_in(creator), deleted(creator=creator))
    assert (found["conversation"], found["messages"]) == (None, [])
    assert found["fan"]["deletedAt"]


def test_an_export_costs_the_same_queries_however_much_was_said(
    creator: Any, django_assert_max_num_queries: Any
) -> None:
    conversation = ConversationFactory(fan__creator=creator)
    MessageFactory.create_batch(30, conversation=conversation)
    client = signed_in(creator)
    with django_assert_max_num_queries(8):
        assert len(exported(client, conversation.fan)["messages"]) == 30


def test_an_export_streams_on_an_asynchronous_server_too(creator: Any) -> None:
    fan, user = FanFactory(creator=creator, name="Ada"), MembershipFactory(creator=creator).user

    async def fetch() -> bytes:
        client = AsyncClient()
        await sync_to_async(client.force_login)(user)
        answer = await client.get(f"{FANS}/{fan.pk}/export")
        return b"".join([piece async for piece in answer.streaming_content])

    assert json.loads(async_to_sync(fetch)())["fan"]["name"] == "Ada"
