"""Answers whether the API sends for those who may, in the contract's words."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from crm.models import Fan, Message, MessageStatus, Role
from crm.tests.clients import signed_in
from crm.tests.factories import ConversationFactory, CreatorFactory, FanFactory, MessageFactory
from messaging.models import Delivery
from messaging.tests.conftest import aws_error
from messaging.tests.factories import delivery_make, profile_make

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sqs_queues")]
SEND = "/api/onlyfans/messages/send"


@pytest.fixture
def fan() -> Fan:
    return FanFactory()


def addresses(fan: Fan) -> list[tuple[str, str]]:
    message = delivery_make(fan=fan, state=MessageStatus.FAILED).pk
    conversation = fan.conversation.pk
    return [
        ("post", SEND),
        ("get", "/api/onlyfans/messages/status"),
        ("get", "/api/onlyfans/messages/failed"),
        ("post", f"/api/onlyfans/messages/{message}/retry"),
        ("get", f"/api/crm/conversations/{conversation}/messages"),
        ("post", f"/api/crm/conversations/{conversation}/messages"),
    ]


def test_nobody_gets_in_without_a_token(fan: Fan) -> None:
    for method, address in addresses(fan):
        answer = getattr(APIClient(), method)(address)
        assert (answer.status_code, answer["Content-Type"]) == (401, "application/problem+json"), address


def test_a_stranger_finds_nothing(fan: Fan) -> None:
    stranger = signed_in(CreatorFactory())
    bodies = {"send": {"recipientId": fan.platform_id, "content": "hi"}, "messages": {"text": "hi"}}
    for method, address in addresses(fan):
        body = bodies.get(address.rpartition("/")[2]) if method == "post" else None
        answer = getattr(stranger, method)(address, body)
        if address.endswith("/status"):
            assert answer.json()["metrics"]["messagesQueuedToday"] == 0
        elif address.endswith("/failed"):
            assert answer.json()["results"] == []
        else:
            assert answer.status_code == 404, address
    assert Message.objects.count() == 1


def test_a_stranger_who_names_the_creator_finds_nothing(fan: Fan) -> None:
    stranger = signed_in(CreatorFactory())
    for method, address in addresses(fan):
        answer = getattr(stranger, method)(address, headers={"X-Creator": str(fan.creator_id)})
        assert answer.status_code == 404, address


@pytest.mark.parametrize(
    ("at", "enabled", "state"),
    [
        (None, True, MessageStatus.QUEUED),
        (timedelta(days=2), True, MessageStatus.PARKED),
        (None, False, MessageStatus.BYPASSED),
    ],
)
def test_a_receipt_says_when_it_was_queued_only_where_it_was(
    fan: Fan, settings: Any, at: timedelta | None, enabled: bool, state: MessageStatus
) -> None:
    settings.RATE_LIMITER_ENABLED = enabled
    began = timezone.now()
    body = {"recipientId": fan.platform_id, "content": "hi"}
    body |= {"scheduledAt": (began + at).isoformat()} if at else {}
    client, key = signed_in(fan.creator), {"Idempotency-Key": "one"}
    receipt = client.post("/api/onlyfans/messages/send", body, headers=key).json()
    assert receipt["status"] == state
    if state is MessageStatus.QUEUED:
        assert began <= datetime.fromisoformat(receipt["queuedAt"]) <= timezone.now()
    else:
        assert receipt["queuedAt"] is None


@pytest.mark.parametrize("role", [Role.OWNER, Role.MANAGER, Role.CHATTER])
def test_who_writes_messages_may_send(fan: Fan, role: Role) -> None:
    answer = signed_in(fan.creator, role).post(SEND, {"recipientId": fan.platform_id, "content": "hi"})
    assert answer.status_code == 202
    assert set(answer.json()) == {"messageId", "status", "queuedAt", "estimatedSendTime", "blocked"}
    message = Message.objects.get(pk=answer.json()["messageId"])
    assert (answer.json()["status"], message.status, message.text) == ("queued", "queued", "hi")


def test_an_analyst_reads_and_sends_nothing(fan: Fan) -> None:
    analyst = signed_in(fan.creator, Role.ANALYST)
    body = {"recipientId": fan.platform_id, "content": "hi", "text": "hi"}
    for method, address in addresses(fan):
        answer = getattr(analyst, method)(address, body if method == "post" else None)
        assert answer.status_code == (403 if method == "post" else 200), address
    assert Message.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"content": "hi"}, "recipientId"),
        ({"recipientId": "1"}, "content"),
        ({"recipientId": "1", "content": " "}, "content"),
        ({"recipientId": "1", "content": "x" * 5_001}, "content"),
        ({"recipientId": "1", "content": "hi", "priceCents": 500}, "priceCents"),
        ({"recipientId": "1", "content": "hi", "mediaUrls": ["http://a.example"]}, "mediaUrls[0]"),
        ({"recipientId": "1", "content": "hi", "priority": 11}, "priority"),
        ({"recipientId": "1", "content": "hi", "scheduledAt": "soon"}, "scheduledAt"),
        ({"recipientId": "1", "content": "hi", "scheduledAt": "2999-01-01T00:00:00Z"}, "scheduledAt"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_stored(fan: Fan, body: dict[str, Any], field: str) -> None:
    answer = signed_in(fan.creator).post(SEND, body)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert not Message.objects.exists()


def test_an_unknown_recipient_is_not_found(fan: Fan) -> None:
    answer = signed_in(fan.creator).post(SEND, {"recipientId": "404", "content": "hi"})
    assert (answer.status_code, answer.json()["code"]) == (404, "recipient_not_found")


def test_a_message_that_sqs_does_not_take_is_named_and_can_be_sent_again(fan: Fan, sqs_faults: Any) -> None:
    client = signed_in(fan.creator)
    sqs_faults.script = [aws_error("AccessDenied", 403)]
    answer = client.post(SEND, {"recipientId": fan.platform_id, "content": "hi"})
    assert (answer.status_code, answer.json()["code"], answer.json()["status"]) == (503, "queue_unavailable", "failed")
    assert int(answer["Retry-After"]) > 0
    message_id = answer.json()["messageId"]
    [trouble] = client.get("/api/onlyfans/messages/failed").json()["results"]
    assert (trouble["messageId"], trouble["stage"], trouble["status"]) == (message_id, "enqueue", "failed")
    assert trouble["reason"] == "AWS refuses these credentials access to the queue."
    again = client.post(f"/api/onlyfans/messages/{message_id}/retry")
    assert (again.status_code, again.json()["status"]) == (202, "queued")
    conflict = client.post(f"/api/onlyfans/messages/{message_id}/retry")
    assert (conflict.status_code, conflict.json()["code"]) == (409, "not_retryable")


def test_sending_that_is_disabled_names_the_variable(fan: Fan, settings: Any) -> None:
    settings.REDIS_URL = ""
    answer = signed_in(fan.creator).post(SEND, {"recipientId": fan.platform_id, "content": "hi"})
    assert (answer.status_code, answer.json()["code"]) == (503, "sending_disabled")
    assert "REDIS_ENDPOINT" in answer.json()["detail"]
    assert not Message.objects.exists()


def test_a_bypassed_message_says_so(fan: Fan, settings: Any) -> None:
    settings.RATE_LIMITER_ENABLED = False
    answer = signed_in(fan.creator).post(SEND, {"recipientId": fan.platform_id, "content": "hi"})
    assert (answer.status_code, answer.json()["status"]) == (202, "bypassed")


def test_the_requests_id_follows_the_message(fan: Fan, on_queue: Any) -> None:
    signed_in(fan.creator).post(
        SEND, {"recipientId": fan.platform_id, "content": "hi"}, headers={"X-Request-Id": "trace-me"}
    )
    assert '"traceId":"trace-me"' in on_queue()[0].body
    assert Delivery.objects.get().trace_id == "trace-me"


def test_the_status_says_that_and_why_sending_is_paused(fan: Fan) -> None:
    from messaging.services import sending_pause

    profile_make(fan.creator)
    sending_pause(creator=fan.creator, reason="Reconnect the account.")
    status = signed_in(fan.creator).get("/api/onlyfans/messages/status").json()
    assert (status["paused"], status["pausedReason"], status["queueDepth"]) == (True, "Reconnect the account.", 0)


def test_a_thread_is_newest_first_and_says_how_each_message_is(fan: Fan) -> None:
    conversation = ConversationFactory(fan=fan)
    MessageFactory(conversation=conversation, text="hello")
    delivery_make(fan=fan, text="failed", state=MessageStatus.FAILED, reason="The fan cannot be reached.")
    delivery_make(fan=fan, text="queued")
    found = signed_in(fan.creator).get(f"/api/crm/conversations/{conversation.pk}/messages").json()["results"]
    assert [(m["text"], m["direction"], m["status"], m["retryable"]) for m in found] == [
        ("queued", "out", "queued", False),
        ("failed", "out", "failed", True),
        ("hello", "in", "received", False),
    ]
    assert found[0]["expectedAt"] is not None
    assert (found[1]["reason"], found[1]["expectedAt"]) == ("The fan cannot be reached.", None)


def test_a_thread_costs_the_same_queries_however_long_it_is(fan: Fan, django_assert_max_num_queries: Any) -> None:
    for _ in range(20):
        delivery_make(fan=fan)
    client = signed_in(fan.creator)
    # Two more than the list itself: whether what waits can go out at all.
    with django_assert_max_num_queries(5):
        found = client.get(f"/api/crm/conversations/{fan.conversation.pk}/messages").json()["results"]
    assert len(found) == 20


def test_what_failed_costs_the_same_queries_however_much_it_is(fan: Fan, django_assert_num_queries: Any) -> None:
    client = signed_in(fan.creator)
    address = "/api/onlyfans/messages/failed"
    for each in FanFactory.create_batch(3, creator=fan.creator):
        delivery_make(fan=each, state=MessageStatus.FAILED)
    client.get(address)  # who the caller is, is known for a moment
    with django_assert_num_queries(1):
        assert len(client.get(address).json()["results"]) == 3


def test_a_reply_in_a_thread_answers_with_the_message(fan: Fan) -> None:
    conversation = ConversationFactory(fan=fan)
    answer = signed_in(fan.creator, Role.CHATTER).post(
        f"/api/crm/conversations/{conversation.pk}/messages",
        {"text": "hi", "priceCents": 500, "attachments": [{"type": "media", "url": "abc"}]},
    )
    assert answer.status_code == 202
    assert (answer.json()["text"], answer.json()["status"], answer.json()["priceCents"]) == ("hi", "queued", 500)
    assert Message.objects.get().attachments == [{"type": "media", "url": "abc"}]
