"""Tests that one message can be looked up, listed, cancelled and settled over the API."""

import threading
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from crm.models import Fan, Message, MessageStatus, Role
from crm.tests.clients import signed_in
from crm.tests.factories import CreatorFactory, FanFactory, MembershipFactory, MessageFactory
from crm.tests.plans import plan_nodes, rows_touched
from messaging import message_selectors, slot_book, transitions
from messaging.decisions import delivery_stopped
from messaging.delivery import Consumer, Disposition
from messaging.models import Decision, Delivery, Kind, ReadBack, SendingProfile
from messaging.tests.campaigns import launch
from messaging.tests.factories import ScriptedGateway, copy_of, delivery_make, handle_in_time
from messaging.transitions import Copy

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sqs_queues")]
MESSAGES = "/api/onlyfans/messages"


@pytest.fixture
def fan() -> Fan:
    return FanFactory(name="Ada", handle="ada")


@pytest.fixture
def client(fan: Fan) -> APIClient:
    return signed_in(fan.creator)


def sent(client: APIClient, fan: Fan, **fields: Any) -> str:
    body = {"recipientId": fan.platform_id, "content": "hi", **fields}
    answer = client.post(f"{MESSAGES}/send", body)
    assert answer.status_code == 202, answer.json()
    message_id: str = answer.json()["messageId"]
    return message_id


def shown(client: APIClient, message_id: Any) -> Any:
    answer = client.get(f"{MESSAGES}/{message_id}")
    assert answer.status_code == 200, answer.json()
    return answer.json()


def listed(client: APIClient, **asked: Any) -> list[str]:
    answer = client.get(MESSAGES, asked)
    assert answer.status_code == 200, answer.json()
    return [each["id"] for each in answer.json()["results"]]


def test_a_message_is_looked_up_with_all_that_is_known_of_it(fan: Fan) -> None:
    membership = MembershipFactory(creator=fan.creator, role=Role.CHATTER, user__name="Chris")
    client = APIClient()
    client.force_authenticate(membership.user)
    message_id = sent(client, fan, priority=3)
    delivery = Delivery.objects.get()
    found = shown(client, message_id)
    assert (found["status"], found["kind"], found["priority"], found["text"]) == ("queued", "reply", 3, "hi")
    assert found["sender"] == {"id": membership.user.pk, "name": "Chris"}
    assert found["fan"] == {"id": fan.pk, "platformId": fan.platform_id, "name": "Ada", "handle": "ada"}
    assert found["conversationId"] == fan.conversation.pk
    assert (found["campaign"], found["decision"], found["readBack"], found["sentAt"]) == (None, None, None, None)
    assert delivery.queued_at is not None
    assert found["queuedAt"] == delivery.queued_at.isoformat().replace("+00:00", "Z")
    assert (found["cancellable"], found["retryable"], found["settleableAs"]) == (True, False, [])


def test_the_answer_says_since_when_it_is_queued_as_the_row_does(fan: Fan, client: APIClient) -> None:
    answer = client.post(f"{MESSAGES}/send", {"recipientId": fan.platform_id, "content": "hi"}).json()
    assert answer["queuedAt"] == shown(client, answer["messageId"])["queuedAt"]


def test_a_campaigns_message_names_its_campaign(fan: Fan, client: APIClient) -> None:
    campaign = launch(fan.creator, name="Spring")
    found = shown(client, Delivery.objects.get().pk)
    assert (found["campaign"], found["kind"]) == ({"id": campaign.pk, "name": "Spring"}, "campaign")


def test_what_a_fan_wrote_is_no_message_of_ours(fan: Fan, client: APIClient) -> None:
    message = MessageFactory(conversation__fan=fan)
    assert client.get(f"{MESSAGES}/{message.pk}").status_code == 404


def test_the_words_to_a_deleted_fan_are_not_shown(fan: Fan, client: APIClient) -> None:
    message_id = sent(client, fan)
    Fan.objects.update(deleted_at=timezone.now())
    found = shown(client, message_id)
    assert (found["text"], found["retryable"]) == ("", False)


def test_each_filter_finds_its_own(fan: Fan, client: APIClient) -> None:
    other = FanFactory(creator=fan.creator)
    delivery_make()  # somebody else's
    campaign = launch(fan.creator, name="Spring")
    of_campaign = {str(each.pk) for each in campaign.deliveries.all()}
    failed = str(delivery_make(fan=fan, state=MessageStatus.FAILED).pk)
    unknown = str(delivery_make(fan=other, state=MessageStatus.UNKNOWN).pk)
    mine = sent(client, fan)
    everything = [mine, unknown, failed, *sorted(of_campaign, reverse=True)]
    assert listed(client) == everything
    assert listed(client, status=["failed", "unknown"]) == [unknown, failed]
    assert listed(client, status="") == everything
    assert listed(client, kind="reply") == [mine, unknown, failed]
    assert set(listed(client, kind="campaign")) == of_campaign
    assert set(listed(client, campaign=campaign.pk)) == of_campaign
    assert listed(client, campaign=campaign.pk, status="sent") == []
    assert listed(client, fan=other.pk, kind="reply") == [unknown]
    assert listed(client, conversation=other.conversation.pk, kind="reply") == [unknown]
    assert listed(client, conversation=other.conversation.pk, fan=fan.pk) == []
    sender = Message.objects.get(pk=mine).sender_id
    assert listed(client, sender=sender) == [mine]
    assert listed(client, sender=sender, status="failed") == []


def test_times_are_exact_to_the_moment_a_message_was_written(fan: Fan, client: APIClient) -> None:
    ids = [str(delivery_make(fan=fan, state=MessageStatus.SENT).pk) for _ in range(3)]
    at = Delivery.objects.get(pk=ids[1]).created_at.isoformat()
    assert listed(client, **{"from": at}) == [ids[2], ids[1]]
    assert listed(client, to=at) == [ids[0]]
    assert listed(client, **{"from": at, "to": at}) == []


def test_the_list_goes_page_by_page_there_and_back(fan: Fan, client: APIClient) -> None:
    states = (MessageStatus.SENT, MessageStatus.FAILED, MessageStatus.QUEUED)
    ids = [str(delivery_make(fan=fan, state=states[number % 3]).pk) for number in range(7)][::-1]
    first = client.get(MESSAGES, {"pageSize": 3}).json()
    second = client.get(first["next"]).json()
    third = client.get(second["next"]).json()
    assert [[each["id"] for each in page["results"]] for page in (first, second, third)] == [ids[:3], ids[3:6], ids[6:]]
    assert third["next"] is None
    back = client.get(third["previous"]).json()
    assert [each["id"] for each in back["results"]] == ids[3:6]


@pytest.mark.parametrize("name", ["fan", "conversation", "campaign"])
def test_what_is_another_creators_is_not_found(client: APIClient, name: str) -> None:
    foreign = FanFactory()
    ids = {"fan": foreign.pk, "conversation": delivery_make(fan=foreign).message.conversation_id}
    ids["campaign"] = launch(foreign.creator, name="Theirs").pk
    assert client.get(MESSAGES, {name: ids[name]}).status_code == 404


@pytest.mark.parametrize(
    ("asked", "field"),
    [({"status": "received"}, "status"), ({"kind": "x"}, "kind"), ({"from": "soon"}, "from"), ({"fan": "x"}, "fan")],
)
def test_a_filter_that_is_none_is_named(client: APIClient, asked: Any, field: str) -> None:
    answer = client.get(MESSAGES, asked)
    assert answer.status_code == 400
    assert [error["field"].partition("[")[0] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("state", [MessageStatus.PENDING, MessageStatus.QUEUED, MessageStatus.PARKED])
def test_what_has_not_begun_is_cancelled_and_never_goes_out(
    fan: Fan, consumer: Consumer, gateway: ScriptedGateway, state: MessageStatus
) -> None:
    membership = MembershipFactory(creator=fan.creator, role=Role.CHATTER, user__name="Chris")
    client = APIClient()
    client.force_authenticate(membership.user)
    delivery = delivery_make(fan=fan, state=state)
    answer = client.post(f"{MESSAGES}/{delivery.pk}/cancel")
    assert (answer.status_code, answer.json()["status"], answer.json()["cancellable"]) == (200, "cancelled", False)
    decision = answer.json()["decision"]
    assert (decision["outcome"], decision["by"]) == ("cancelled", {"id": membership.user.pk, "name": "Chris"})
    assert handle_in_time(consumer, delivery) is Disposition.ACKNOWLEDGE
    assert gateway.calls == []
    again = client.post(f"{MESSAGES}/{delivery.pk}/cancel")
    assert (again.status_code, again.json()["decision"]) == (200, decision)


def test_a_scheduled_message_is_cancelled(fan: Fan, client: APIClient) -> None:
    at = (timezone.now() + timedelta(days=2)).isoformat()
    message_id = sent(client, fan, scheduledAt=at)
    assert client.post(f"{MESSAGES}/{message_id}/cancel").json()["status"] == "cancelled"


def test_one_message_of_a_campaign_is_cancelled_and_the_rest_go_on(fan: Fan, client: APIClient) -> None:
    FanFactory(creator=fan.creator)
    campaign = launch(fan.creator, name="Spring")
    delivery = campaign.deliveries.get(fan=fan)
    assert client.post(f"{MESSAGES}/{delivery.pk}/cancel").status_code == 200
    states = sorted(campaign.deliveries.values_list("state", flat=True))
    assert states == ["cancelled", "queued"]


@pytest.mark.parametrize(
    "state", [MessageStatus.SENDING, MessageStatus.SENT, MessageStatus.FAILED, MessageStatus.BYPASSED]
)
def test_what_has_begun_or_ended_is_a_conflict_that_says_how_it_stands(
    fan: Fan, client: APIClient, state: MessageStatus
) -> None:
    delivery = delivery_make(fan=fan, state=state)
    answer = client.post(f"{MESSAGES}/{delivery.pk}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_cancellable")
    assert (answer.json()["messageStatus"], answer.json()["messageId"]) == (state.value, str(delivery.pk))
    assert Delivery.objects.get().decision == ""


def test_a_retry_of_what_may_have_arrived_is_in_doubt_again_once_it_is_cancelled(fan: Fan, client: APIClient) -> None:
    delivery = delivery_make(fan=fan, state=MessageStatus.QUEUED, key_in_doubt=True)
    for _ in range(2):
        answer = client.post(f"{MESSAGES}/{delivery.pk}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (200, "unknown")
        assert answer.json()["reasonCode"] == "stopped_in_doubt"


def test_a_cancel_waits_for_a_claim_that_is_quicker(fan: Fan, client: APIClient) -> None:
    """The worker's claim is not committed yet when the cancel comes: the row decides, not what was read before."""
    delivery = delivery_make(fan=fan)
    answers: list[Any] = []

    def cancel() -> None:
        answers.append(client.post(f"{MESSAGES}/{delivery.pk}/cancel"))
        connection.close()

    thread = threading.Thread(target=cancel)
    with transaction.atomic():
        assert transitions.delivery_claimed(Copy.of(delivery), creator_id=fan.creator_id, lease=timedelta(seconds=30))
        thread.start()
        thread.join(0.5)
        assert answers == []
    thread.join()
    assert [(each.status_code, each.json()["messageStatus"]) for each in answers] == [(409, "sending")]


def test_many_cancels_and_claims_at_once_end_in_one_way_each(fan: Fan) -> None:
    deliveries = [delivery_make(fan=fan) for _ in range(12)]
    claimed: dict[UUID, bool] = {}
    cancelled: dict[UUID, bool] = {}
    begin = threading.Barrier(2)

    def claims() -> None:
        begin.wait()
        for each in deliveries:
            claimed[each.pk] = transitions.delivery_claimed(
                Copy.of(each), creator_id=fan.creator_id, lease=timedelta(seconds=30)
            )
        connection.close()

    def cancels() -> None:
        begin.wait()
        for each in deliveries[::-1]:
            cancelled[each.pk] = delivery_stopped(each, user=None)
        connection.close()

    threads = [threading.Thread(target=claims), threading.Thread(target=cancels)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(claimed[each.pk] is not cancelled[each.pk] for each in deliveries)


def test_the_next_reply_has_the_slot_of_one_that_was_cancelled(fan: Fan, client: APIClient) -> None:
    ids = [sent(client, fan) for _ in range(12)]
    due = dict(Delivery.objects.values_list("pk", "due_at"))
    last, before = due[UUID(ids[-1])], due[UUID(ids[-2])]
    client.post(f"{MESSAGES}/{ids[-1]}/cancel")
    # The slots before the last ten are forgotten, and still it is no earlier than the window allows.
    again = Delivery.objects.get(pk=sent(client, fan)).due_at
    assert again == last
    client.post(f"{MESSAGES}/{ids[0]}/cancel")
    assert Delivery.objects.get(pk=sent(client, fan)).due_at > again > before


def test_a_slot_in_the_middle_or_in_the_past_is_not_given_back(fan: Fan) -> None:
    now = timezone.now()
    slots = [now - timedelta(seconds=9), now + timedelta(seconds=3), now + timedelta(seconds=6)]
    SendingProfile.objects.update_or_create(creator=fan.creator, defaults={"reply_slots": slots})
    with transaction.atomic():
        assert not slot_book.slot_give_back(creator_id=fan.creator_id, due_at=slots[1])
        SendingProfile.objects.update(reply_slots=slots[:1])
        assert not slot_book.slot_give_back(creator_id=fan.creator_id, due_at=slots[0])
    assert SendingProfile.objects.get().reply_slots == slots[:1]


def settle(client: APIClient, delivery: Delivery, outcome: str) -> Any:
    return client.post(f"{MESSAGES}/{delivery.pk}/settle", {"outcome": outcome})


def trouble(client: APIClient) -> int:
    count: int = client.get(f"{MESSAGES}/status").json()["inTrouble"]
    assert len(client.get(f"{MESSAGES}/failed").json()["results"]) == count
    return count


def test_a_doubt_is_settled_as_arrived_at_the_time_of_the_attempt(fan: Fan, client: APIClient) -> None:
    at = timezone.now() - timedelta(hours=3)
    delivery = delivery_make(
        fan=fan, state=MessageStatus.UNKNOWN, key_in_doubt=True, finished_at=at, reason="x", stage="send"
    )
    assert trouble(client) == 1
    answer = settle(client, delivery, "arrived")
    assert answer.status_code == 200
    found = answer.json()
    assert (found["status"], found["reason"], found["settleableAs"]) == ("sent", "", [])
    assert found["sentAt"] == at.isoformat().replace("+00:00", "Z")
    assert (found["decision"]["outcome"], found["decision"]["by"] is not None) == ("arrived", True)
    assert settle(client, delivery, "arrived").json()["decision"] == found["decision"]
    assert trouble(client) == 0


@pytest.mark.parametrize("state", [MessageStatus.UNKNOWN, MessageStatus.FAILED])
def test_a_trouble_is_dismissed_and_keeps_its_reason(fan: Fan, client: APIClient, state: MessageStatus) -> None:
    delivery = delivery_make(
        fan=fan, state=state, key_in_doubt=state == "unknown", reason="The fan left.", stage="send"
    )
    answer = settle(client, delivery, "dismissed")
    assert (answer.status_code, answer.json()["status"], answer.json()["reason"]) == (200, "dismissed", "The fan left.")
    assert settle(client, delivery, "dismissed").status_code == 200
    assert trouble(client) == 0
    assert answer.json()["settleableAs"] == (["arrived"] if state == "unknown" else [])
    assert settle(client, delivery, "arrived").status_code == (200 if state == "unknown" else 409)


def test_what_was_dismissed_can_still_be_sent_again(fan: Fan, client: APIClient) -> None:
    delivery = delivery_make(fan=fan, state=MessageStatus.FAILED, stage="send")
    settle(client, delivery, "dismissed")
    answer = client.post(f"{MESSAGES}/{delivery.pk}/retry")
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert shown(client, delivery.pk)["decision"]["outcome"] == "resent"


@pytest.mark.parametrize("state", [MessageStatus.QUEUED, MessageStatus.SENDING, MessageStatus.SENT])
@pytest.mark.parametrize("outcome", ["arrived", "dismissed"])
def test_what_is_in_no_trouble_cannot_be_settled(
    fan: Fan, client: APIClient, state: MessageStatus, outcome: str
) -> None:
    delivery = delivery_make(fan=fan, state=state)
    answer = settle(client, delivery, outcome)
    assert (answer.status_code, answer.json()["code"]) == (409, "not_settleable")
    assert answer.json()["messageStatus"] == state.value


@pytest.mark.parametrize("outcome", ["sent", "resent", "cancelled", "", None])
def test_another_outcome_is_named(fan: Fan, client: APIClient, outcome: Any) -> None:
    answer = settle(client, delivery_make(fan=fan, state=MessageStatus.UNKNOWN), outcome)
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (400, ["outcome"])


def test_what_reading_the_chat_back_found_is_told(fan: Fan, client: APIClient) -> None:
    at = timezone.now()
    delivery = delivery_make(
        fan=fan,
        state=MessageStatus.UNKNOWN,
        read_back_at=at,
        read_back_found=ReadBack.NOT_THERE,
        read_back_count=12,
    )
    told = {"result": "notThere", "at": at.isoformat().replace("+00:00", "Z"), "messagesRead": 12}
    assert shown(client, delivery.pk)["readBack"] == told


@pytest.mark.parametrize("state", [MessageStatus.DISMISSED, MessageStatus.SENT])
def test_the_platforms_late_answer_is_noted_whatever_a_person_decided(
    fan: Fan, consumer: Consumer, state: MessageStatus
) -> None:
    delivery = delivery_make(
        fan=fan, state=state, key_in_doubt=True, decision=Decision.ARRIVED if state == "sent" else Decision.DISMISSED
    )
    assert transitions.delivery_sent(Copy.of(delivery), platform_message_id="platform-1")
    message = Message.objects.get()
    assert (message.status, message.platform_message_id) == ("sent", "platform-1")


def test_a_message_that_was_sent_by_the_platforms_word_is_not_noted_again(fan: Fan) -> None:
    delivery = delivery_make(fan=fan, state=MessageStatus.SENT)
    assert not transitions.delivery_sent(Copy.of(delivery), platform_message_id="platform-1")


def test_a_dead_letter_of_what_was_dismissed_is_needed_no_more(fan: Fan, consumer: Consumer) -> None:
    delivery = delivery_make(fan=fan, state=MessageStatus.DISMISSED, stage="send")
    assert consumer.handle(copy_of(delivery)) is Disposition.ACKNOWLEDGE


def test_a_strangers_message_is_not_found(fan: Fan) -> None:
    stranger = signed_in(CreatorFactory())
    delivery = delivery_make(fan=fan)
    assert stranger.get(f"{MESSAGES}/{delivery.pk}").status_code == 404
    assert stranger.post(f"{MESSAGES}/{delivery.pk}/cancel").status_code == 404
    assert settle(stranger, delivery, "dismissed").status_code == 404
    assert listed(stranger) == []
    assert Delivery.objects.get().state == "queued"


MANY = """
INSERT INTO crm_message (id, creator_id, conversation_id, sender_id, direction, text, price_cents, attachments, status,
    read, created_at)
SELECT gen_random_uuid(), %(creator)s, %(conversation)s, %(sender)s, 'out', 'm', 0, '[]', state, false, now()
FROM generate_series(1, %(count)s), unnest(ARRAY['sent', 'sent', 'sent', 'failed', 'parked']) AS state
"""
DELIVERIES = """
INSERT INTO messaging_delivery (message_id, creator_id, fan_id, kind, state, dispatch_id, due_at, priority, attempts,
    hops, repeatable, key_generation, stage, reason_code, reason, trace_id, created_at, campaign_id)
SELECT id, creator_id, %(fan)s, CASE WHEN %(campaign)s::bigint IS NULL THEN 'reply' ELSE 'campaign' END, status, id,
    now(), 5, 0, 0, false, 0, '', '', '', '', now(), %(campaign)s
FROM crm_message WHERE conversation_id = %(conversation)s AND direction = 'out' AND NOT EXISTS (
    SELECT FROM messaging_delivery WHERE message_id = crm_message.id)
"""


def test_a_page_touches_as_many_rows_however_much_was_sent(fan: Fan, client: APIClient) -> None:
    """With each filter, and on a page far down."""
    membership = MembershipFactory(creator=fan.creator)
    campaign = launch(fan.creator, name="Spring")
    for each, count, of in ((fan, 4_000, campaign.pk), (FanFactory(creator=fan.creator), 4_000, None)):
        values = {
            "creator": fan.creator_id,
            "conversation": delivery_make(fan=each).message.conversation_id,
            "sender": membership.user.pk,
            "fan": each.pk,
            "count": count,
            "campaign": of,
        }
        with connection.cursor() as cursor:
            cursor.execute(MANY, values)
            cursor.execute(DELIVERIES, values)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE crm_message, messaging_delivery")
    for asked, found in (
        ({}, 2 * 10 * 101),
        ({"status": "failed"}, 2 * 101),
        ({"status": ["failed", "unknown"], "kind": "reply"}, 101),
        ({"fan": fan.pk}, 2 * 101),
        ({"campaign": campaign.pk}, 2 * 101),
        ({"sender": membership.user.pk}, 2 * 101),
    ):
        first = client.get(MESSAGES, asked).json()
        for address, query in ((MESSAGES, asked), (client.get(first["next"]).json()["next"], {})):
            # The page with one more: each with its message, fan, campaign and people.
            assert touched_by(client, address, query) <= found + 8 * 101, (asked, address)


def touched_by(client: APIClient, address: str, asked: Any) -> int:
    with patch.object(message_selectors, "statement_run", wraps=message_selectors.statement_run) as run:
        assert len(client.get(address, asked).json()["results"]) == 100
    [call] = run.call_args_list
    touched: int = rows_touched(plan_nodes(*call.args))
    return touched


def test_a_list_costs_the_same_queries_however_long_it_is(
    fan: Fan, client: APIClient, django_assert_num_queries: Any
) -> None:
    for _ in range(3):
        delivery_make(fan=fan, kind=Kind.REPLY)
    listed(client)
    # And two to know whether what waits can go out: the limits with their pause, and whether anything is late.
    with django_assert_num_queries(3):
        assert len(listed(client)) == 3
