"""Whether every door fills a text in or refuses it by name, once, and sends what it stored."""

import json
from typing import Any

import pytest

from crm.models import Creator, Fan, Message, MessageStatus, QuickReply
from crm.tests.clients import signed_in
from crm.tests.factories import ConversationFactory, FanFactory
from messaging.delivery import Consumer
from messaging.models import Delivery
from messaging.tests.conftest import aws_error
from messaging.tests.factories import ScriptedGateway, handle_in_time, profile_make

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sqs_queues")]
TEXT = "Hey {firstName} of {{you}} :{"
READ = "Hey {handle} of {you} :{"


@pytest.fixture
def creator() -> Creator:
    return profile_make().creator


@pytest.fixture
def fan(creator: Creator) -> Fan:
    """Whose name looks like a text that is to be filled in."""
    return FanFactory.create(creator=creator, name="{handle} {{name}}", handle="ann")


def body_of(door: str, fan: Fan, words: str) -> tuple[str, dict[str, Any]]:
    """Where it is sent to, and what."""
    if door == "send":
        return "/api/onlyfans/messages/send", {"recipientId": fan.platform_id, "content": words}
    if door == "conversation":
        conversation = ConversationFactory.create(fan=fan)
        return f"/api/crm/conversations/{conversation.pk}/messages", {"text": words}
    if door == "bulk":
        return "/api/messages/bulk", {"recipientIds": [fan.platform_id], "content": words}
    if door == "quick reply":
        return "/api/crm/quick-replies", {"shortcut": "hey", "text": words}
    chosen = {"recipientIds": [fan.platform_id]}
    query = "?preview=true" if door == "preview" else ""
    return f"/api/messages/campaigns{query}", {"name": "News", "content": words, "audience": chosen}


SENDING = ("send", "conversation", "bulk", "campaign")
DOORS = (*SENDING, "preview", "quick reply")


@pytest.mark.parametrize("door", SENDING)
def test_what_is_stored_queued_and_sent_is_filled_in_once(
    creator: Creator, fan: Fan, door: str, on_queue: Any, consumer: Consumer, gateway: ScriptedGateway
) -> None:
    answer = signed_in(creator).post(*body_of(door, fan, TEXT))
    assert answer.status_code == 202
    delivery = Delivery.objects.get()
    assert delivery.message.text == READ
    assert [json.loads(copy.body)["content"] for copy in on_queue()] == [READ]
    handle_in_time(consumer, delivery)
    assert [message.text for message in gateway.calls] == [READ]


def test_a_preview_shows_what_the_fans_will_read_and_a_quick_reply_is_kept_as_it_was_written(
    creator: Creator, fan: Fan
) -> None:
    client = signed_in(creator)
    preview = client.post(*body_of("preview", fan, TEXT)).json()
    assert [example["text"] for example in preview["examples"]] == [READ]
    assert client.post(*body_of("quick reply", fan, TEXT)).status_code == 201
    assert QuickReply.objects.get().text == TEXT


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("wrong", ["{fistName}", "{firstName", "{nick}", "{}"])
def test_what_is_no_field_of_a_fan_is_refused_by_name_and_nothing_is_stored(
    creator: Creator, fan: Fan, door: str, wrong: str
) -> None:
    answer = signed_in(creator).post(*body_of(door, fan, f"Hey {wrong}"))
    assert answer.status_code == 400
    [error] = answer.json()["errors"]
    assert error["code"] in {"unknown_placeholder", "unclosed_placeholder"}
    assert error["detail"].startswith(f"{wrong} ")
    assert "(character 5)" in error["detail"]
    assert not Message.objects.exists()
    assert not QuickReply.objects.exists()


@pytest.mark.parametrize("door", SENDING)
def test_the_length_is_that_of_what_the_fan_reads(creator: Creator, fan: Fan, door: str) -> None:
    long = "x" * 4_991
    assert signed_in(creator).post(*body_of(door, fan, long + "{{" + "{firstName}")).status_code == 202
    assert len(Message.objects.get().text) == 5_000
    fan.name = "much longer than before"
    fan.save()
    if door != "conversation":
        answer = signed_in(creator).post(*body_of(door, fan, long + "{name}"))
        assert (answer.status_code, [e["code"] for e in answer.json()["errors"]]) == (400, ["too_long"])


def test_a_retry_and_a_repeated_request_fill_nothing_in_again(
    creator: Creator, fan: Fan, sqs_faults: Any, consumer: Consumer, gateway: ScriptedGateway
) -> None:
    client = signed_in(creator)
    sqs_faults.script = [aws_error("AccessDenied", 403)]
    where, body = body_of("send", fan, TEXT)
    assert client.post(where, body).status_code == 503
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.message.text) == (MessageStatus.FAILED, READ)
    assert client.post(f"/api/onlyfans/messages/{delivery.pk}/retry").status_code == 202
    handle_in_time(consumer, Delivery.objects.get())
    assert [message.text for message in gateway.calls] == [READ]

    key = {"Idempotency-Key": "once"}
    first = client.post(where, body, headers=key).json()
    Fan.objects.filter(pk=fan.pk).update(name="Somebody Else")
    assert client.post(where, body, headers=key).json() == first
    assert Message.objects.get(pk=first["messageId"]).text == READ
