"""Answers whether a request that sends and is repeated under its Idempotency-Key sends once."""

import threading
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from crm.idempotency import CLAIM_LASTS
from crm.models import Fan, IdempotencyKey, Message, MessageStatus, Role
from crm.tests.factories import ConversationFactory, MembershipFactory
from messaging import publishing, services
from messaging.message_selectors import REPEATED_WITHIN
from messaging.models import Campaign, Delivery, SendingProfile
from messaging.tests.campaigns import failed, launch, states
from messaging.tests.conftest import aws_error
from messaging.tests.factories import delivery_make

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sqs_queues")]
SEND = "/api/onlyfans/messages/send"
KEY = {"Idempotency-Key": "one"}


@pytest.fixture
def fan() -> Fan:
    return ConversationFactory().fan


@pytest.fixture
def client(fan: Fan) -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.force_authenticate(MembershipFactory(creator=fan.creator, role=Role.OWNER).user)
    return client


def wishes(fan: Fan) -> dict[str, tuple[str, dict[str, Any]]]:
    return {
        "send": (SEND, {"recipientId": fan.platform_id, "content": "hi"}),
        "thread": (f"/api/crm/conversations/{fan.conversation.pk}/messages", {"text": "hi"}),
        "bulk": ("/api/messages/bulk", {"recipientIds": [fan.platform_id], "content": "hi"}),
        "campaign": ("/api/messages/campaigns", {"name": "x", "content": "hi", "audience": {"everybody": True}}),
    }


def age() -> None:
    for row in IdempotencyKey.objects.all():
        row.claimed_until -= CLAIM_LASTS + timedelta(seconds=1)
        row.save()


WISHES = pytest.mark.parametrize("wish", ["send", "thread", "bulk", "campaign"])


@WISHES
def test_a_repeat_is_answered_the_same_and_sends_nothing(client: APIClient, fan: Fan, on_queue: Any, wish: str) -> None:
    address, body = wishes(fan)[wish]
    first, second = (client.post(address, body, headers=KEY) for _ in range(2))
    assert (second.status_code, second.content) == (first.status_code, first.content) == (202, first.content)
    assert ("Idempotent-Replayed" in first, second["Idempotent-Replayed"]) == (False, "true")
    assert (Message.objects.count(), len(on_queue())) == (1, 1)


@WISHES
def test_a_repeat_after_a_crash_behind_the_commit_sends_nothing(
    client: APIClient, fan: Fan, on_queue: Any, wish: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, body = wishes(fan)[wish]
    with monkeypatch.context() as patch:
        patch.setattr("crm.idempotent_api._keep", lambda claim, response: 1 / 0)
        assert client.post(address, body, headers=KEY).status_code == 500
    assert client.post(address, body, headers=KEY).status_code == 409
    age()
    again = client.post(address, body, headers=KEY)
    assert (again.status_code, again["Idempotent-Replayed"]) == (202, "true")
    assert client.post(address, body, headers=KEY).content == again.content
    assert (Message.objects.count(), len(on_queue())) == (1, 1)


@WISHES
def test_a_crash_before_the_commit_makes_nothing_and_the_repeat_sends(
    client: APIClient, fan: Fan, wish: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, body = wishes(fan)[wish]
    with monkeypatch.context() as patch:
        patch.setattr("crm.idempotency.key_bind", lambda claim, subject: 1 / 0)
        assert client.post(address, body, headers=KEY).status_code == 500
    assert not Message.objects.exists()
    assert client.post(address, body, headers=KEY).status_code == 202
    assert Message.objects.count() == 1


def test_another_body_under_the_key_is_a_conflict(client: APIClient, fan: Fan) -> None:
    address, body = wishes(fan)["send"]
    client.post(address, body, headers=KEY)
    answer = client.post(address, {**body, "content": "other"}, headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_reused")
    assert Message.objects.count() == 1


def test_the_same_body_in_another_order_is_the_same(client: APIClient, fan: Fan) -> None:
    address, body = wishes(fan)["send"]
    client.post(address, body, headers=KEY)
    assert client.post(address, dict(reversed(body.items())), headers=KEY)["Idempotent-Replayed"] == "true"


def test_another_address_under_the_key_is_a_conflict(client: APIClient, fan: Fan) -> None:
    client.post(*wishes(fan)["send"], headers=KEY)
    assert client.post(*wishes(fan)["bulk"], headers=KEY).json()["code"] == "idempotency_key_reused"


def test_two_at_once_send_one(client: APIClient, fan: Fan, monkeypatch: pytest.MonkeyPatch) -> None:
    address, body = wishes(fan)["send"]
    seen: list[Any] = []
    publish = publishing.publish_written

    def meanwhile(*args: Any, **kwargs: Any) -> Any:
        def repeat() -> None:
            seen.append(client.post(address, body, headers=KEY))
            connection.close()

        thread = threading.Thread(target=repeat)
        thread.start()
        thread.join()
        return publish(*args, **kwargs)

    monkeypatch.setattr(publishing, "publish_written", meanwhile)
    assert client.post(address, body, headers=KEY).status_code == 202
    [answer] = seen
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_in_progress")
    assert int(answer["Retry-After"]) > 0
    assert Message.objects.count() == 1


def test_what_was_refused_may_be_mended_under_the_same_key(client: APIClient, fan: Fan) -> None:
    address, body = wishes(fan)["send"]
    assert client.post(address, {**body, "content": ""}, headers=KEY).status_code == 400
    assert client.post(address, body, headers=KEY).status_code == 202


def refuse(sqs_faults: Any, times: int = 1) -> None:
    sqs_faults.script = [aws_error("AccessDenied", 403)] * times


REFUSED = pytest.mark.parametrize("wish", ["send", "thread", "bulk"])
KEYS = pytest.mark.parametrize("headers", [KEY, {}], ids=["with the key", "without a key"])


@REFUSED
@KEYS
def test_a_repeat_takes_up_what_sqs_refused(
    client: APIClient, fan: Fan, sqs_faults: Any, on_queue: Any, wish: str, headers: dict[str, str]
) -> None:
    address, body = wishes(fan)[wish]
    refuse(sqs_faults, 2)
    first, second = (client.post(address, body, headers=headers) for _ in range(2))
    assert (first.status_code, second.status_code) == (503, 503)
    assert second.json() == first.json()
    assert second["Content-Type"] == "application/problem+json"
    third = client.post(address, body, headers=headers)
    assert (third.status_code, "Idempotent-Replayed" in third) == (202, False)
    message = Message.objects.get()
    assert (message.status, len(on_queue())) == ("queued", 1)
    if wish != "bulk":
        assert third.json().get("messageId", third.json().get("id")) == str(message.pk)
    if headers:
        again = client.post(address, body, headers=headers)
        assert (again.content, again["Idempotent-Replayed"]) == (third.content, "true")
        assert Message.objects.count() == 1


@REFUSED
def test_the_answer_names_the_address_to_retry_at(client: APIClient, fan: Fan, sqs_faults: Any, wish: str) -> None:
    refuse(sqs_faults, 2)
    first = client.post(*wishes(fan)[wish])
    retry = first.json()["retryUrl"]
    assert retry.startswith("http://testserver/api/")
    second = client.post(retry)
    assert (second.status_code, second.json()["retryUrl"]) == (503, retry)
    assert client.post(retry).status_code in (200, 202)
    assert Message.objects.get().status == "queued"


def test_a_retry_under_a_key_takes_up_what_sqs_refused_again(client: APIClient, fan: Fan, sqs_faults: Any) -> None:
    """Also one that is in doubt: a person wanted it sent again."""
    for state in (MessageStatus.FAILED, MessageStatus.UNKNOWN):
        message_id = delivery_make(fan=fan, state=state, key_in_doubt=state == "unknown").pk
        key = {"Idempotency-Key": state.value}
        refuse(sqs_faults)
        answers = [client.post(f"/api/onlyfans/messages/{message_id}/retry", headers=key) for _ in range(2)]
        assert [(each.status_code, each.json()["status"]) for each in answers] == [(503, state.value), (202, "queued")]


def test_a_campaigns_retry_under_a_key_takes_up_what_sqs_refused(client: APIClient, fan: Fan, sqs_faults: Any) -> None:
    campaign = launch(fan.creator)
    failed(campaign, 1)
    refuse(sqs_faults)
    answers = [client.post(f"/api/messages/campaigns/{campaign.pk}/retry", headers=KEY) for _ in range(2)]
    assert [each.status_code for each in answers] == [503, 200]
    assert states(campaign) == {"queued": 1}


@REFUSED
@KEYS
def test_many_repeats_at_once_take_it_up_once(
    client: APIClient, fan: Fan, sqs_faults: Any, on_queue: Any, wish: str, headers: dict[str, str]
) -> None:
    address, body = wishes(fan)[wish]
    refuse(sqs_faults)
    client.post(address, body, headers=headers)
    begin, answers = threading.Barrier(4), []

    def repeat() -> None:
        begin.wait()
        answers.append(client.post(address, body, headers=headers).status_code)
        connection.close()

    threads = [threading.Thread(target=repeat) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if headers:
        # The others are told that one is running, or get its answer.
        assert set(answers) <= {202, 409}
        assert 202 in answers
        assert (Message.objects.count(), len(on_queue())) == (1, 1)
    else:
        # Whoever comes after it is queued asks for another one, as far as anybody can tell.
        assert answers == [202] * 4
        assert Message.objects.exclude(status="queued").count() == 0
        assert len(on_queue()) == Message.objects.count()


def test_without_a_key_only_the_very_same_is_a_repeat(client: APIClient, fan: Fan, sqs_faults: Any) -> None:
    address, body = wishes(fan)["send"]
    teammate = APIClient()
    teammate.force_authenticate(MembershipFactory(creator=fan.creator, role=Role.CHATTER).user)
    other = ConversationFactory(fan__creator=fan.creator).fan
    refuse(sqs_faults)
    client.post(address, body)
    others = [
        (client, {**body, "content": "hi!"}),
        (client, {**body, "priority": 4}),
        (client, {**body, "mediaUrls": ["m1"]}),
        (client, {**body, "mediaUrls": ["m1"], "priceCents": 500}),
        (client, {**body, "recipientId": other.platform_id}),
        (client, {**body, "scheduledAt": (timezone.now() + timedelta(hours=1)).isoformat()}),
        (teammate, body),
    ]
    for number, (who, wish) in enumerate(others, start=2):
        assert who.post(address, wish).status_code == 202
        assert Message.objects.count() == number
    assert Message.objects.filter(status="failed").count() == 1
    assert client.post(address, body).status_code == 202
    assert Message.objects.filter(status="failed").count() == 0


def test_what_was_refused_long_ago_is_not_taken_up(client: APIClient, fan: Fan, sqs_faults: Any) -> None:
    address, body = wishes(fan)["send"]
    refuse(sqs_faults)
    client.post(address, body)
    ago = timezone.now() - REPEATED_WITHIN
    for model, field in ((Delivery, "finished_at"), (SendingProfile, "queue_refused_at")):
        model.objects.update(**{field: ago})
        with_one = Message.objects.count()
        client.post(address, body)
        assert Message.objects.count() == with_one + 1
        Message.objects.filter(status="queued").delete()


def test_what_failed_on_its_way_is_not_taken_up(client: APIClient, fan: Fan, sqs_faults: Any) -> None:
    address, body = wishes(fan)["send"]
    refuse(sqs_faults)
    client.post(address, body)
    Delivery.objects.update(stage="send")
    client.post(address, body)
    assert sorted(Message.objects.values_list("status", flat=True)) == ["failed", "queued"]


def test_a_scheduled_message_that_is_taken_up_keeps_its_time(client: APIClient, fan: Fan, sqs_faults: Any) -> None:
    at = timezone.now() + timedelta(minutes=10)
    body = {"recipientId": fan.platform_id, "content": "hi", "scheduledAt": at.isoformat()}
    refuse(sqs_faults)
    assert client.post(SEND, body, headers=KEY).status_code == 503
    assert client.post(SEND, body, headers=KEY).json()["status"] == "queued"
    assert Delivery.objects.get().due_at == at


def test_sending_asks_nothing_more_while_sqs_refused_nothing(client: APIClient, fan: Fan) -> None:
    address, body = wishes(fan)["send"]
    client.post(address, body)
    with patch.object(services, "message_refused_like") as looked:
        client.post(address, body)
        assert not looked.called


def test_what_sqs_refused_is_taken_up_after_a_crash(client: APIClient, fan: Fan, sqs_faults: Any) -> None:
    for wish in ("send", "bulk"):
        key = {"Idempotency-Key": wish}
        refuse(sqs_faults)
        client.post(*wishes(fan)[wish], headers=key)
        IdempotencyKey.objects.filter(key=wish).update(status_code=None, body="")
        age()
        again = client.post(*wishes(fan)[wish], headers=key)
        assert (again.status_code, again["Idempotent-Replayed"]) == (202, "true")
    assert set(Message.objects.values_list("status", flat=True)) == {"queued"}


def test_sending_that_is_not_configured_leaves_the_key_free(client: APIClient, fan: Fan, settings: Any) -> None:
    settings.AWS_REGION, region = "", settings.AWS_REGION
    assert client.post(*wishes(fan)["send"], headers=KEY).status_code == 503
    settings.AWS_REGION = region
    assert client.post(*wishes(fan)["send"], headers=KEY).status_code == 202


def test_a_retry_is_made_once(client: APIClient, fan: Fan, on_queue: Any) -> None:
    message_id = delivery_make(fan=fan, state=MessageStatus.FAILED).pk
    first, second = (client.post(f"/api/onlyfans/messages/{message_id}/retry", headers=KEY) for _ in range(2))
    assert (first.status_code, second.status_code, second.content) == (202, 202, first.content)
    assert len(on_queue()) == 1
    IdempotencyKey.objects.update(status_code=None, body="")
    age()
    assert client.post(f"/api/onlyfans/messages/{message_id}/retry", headers=KEY).json()["status"] == "queued"


def test_a_campaigns_retry_is_made_once(client: APIClient, fan: Fan, on_queue: Any) -> None:
    campaign = launch(fan.creator)
    failed(campaign, 1)
    address, before = f"/api/messages/campaigns/{campaign.pk}/retry", len(on_queue())
    first = client.post(address, headers=KEY)
    failed(campaign, 1)  # again, which a new request may mend and this one's repeat may not
    second = client.post(address, headers=KEY)
    assert (first.status_code, second.status_code, second.content) == (200, 200, first.content)
    assert (len(on_queue()) - before, states(campaign)) == (1, {"failed": 1})
    IdempotencyKey.objects.update(status_code=None, body="")
    age()
    assert client.post(address, headers=KEY).json()["progress"]["failed"] == 1
    assert len(on_queue()) - before == 1


def test_a_retry_is_found_in_the_queue_by_the_id_of_its_own_request(client: APIClient, fan: Fan, on_queue: Any) -> None:
    campaign, alone = launch(fan.creator), delivery_make(fan=fan, state=MessageStatus.FAILED)
    failed(campaign, 1)
    client.post(f"/api/messages/campaigns/{campaign.pk}/retry", headers={"X-Request-Id": "many-again"})
    client.post(f"/api/onlyfans/messages/{alone.pk}/retry", headers={"X-Request-Id": "one-again"})
    assert '"traceId":"many-again"' in on_queue()[-2].body
    assert '"traceId":"one-again"' in on_queue()[-1].body


def test_a_preview_uses_no_key_up(client: APIClient, fan: Fan) -> None:
    address, body = wishes(fan)["campaign"]
    assert client.post(f"{address}?preview=true", body, headers=KEY).status_code == 200
    assert client.post(address, body, headers=KEY).status_code == 202
    assert Campaign.objects.count() == 1


def test_the_same_key_of_a_teammate_is_another(client: APIClient, fan: Fan) -> None:
    teammate = APIClient()
    teammate.force_authenticate(MembershipFactory(creator=fan.creator, role=Role.CHATTER).user)
    for each in (client, teammate):
        assert "Idempotent-Replayed" not in each.post(*wishes(fan)["send"], headers=KEY)
    assert Message.objects.count() == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "naïve", "tab\there"])
def test_an_odd_key_is_named(client: APIClient, fan: Fan, key: str) -> None:
    answer = client.post(*wishes(fan)["send"], headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "Idempotency-Key")
    assert not Message.objects.exists()


def test_the_composers_repeat_gets_the_same_fragment(fan: Fan) -> None:
    browser = Client()
    browser.force_login(MembershipFactory(creator=fan.creator).user)
    address, _ = wishes(fan)["thread"]
    form = "application/x-www-form-urlencoded"
    first, second = (
        browser.post(address, "text=hi", content_type=form, headers={**KEY, "Accept": "text/html"}) for _ in range(2)
    )
    assert (first.status_code, second.content) == (202, first.content)
    assert b"<ol" in second.content
    assert (second["Idempotent-Replayed"], second["Content-Type"]) == ("true", "text/html; charset=utf-8")
    assert Message.objects.count() == 1
