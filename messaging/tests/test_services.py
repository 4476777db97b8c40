"""Answers what becomes of a wish to send: stored first, on the queue after the commit, and nothing lost between."""

import json
import time
from datetime import datetime, timedelta

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from crm import wake_ups
from crm.errors import Conflict, InvalidInput, NotFound
from crm.models import Message, MessageStatus
from crm.statements import statement_run
from crm.tests.factories import ConversationFactory, CreatorFactory, FanFactory, UserFactory
from crm.tests.plans import plan_nodes, rows_touched
from messaging import selectors, services, transitions
from messaging.errors import QueueRefused, SendingDisabled
from messaging.models import OPEN_STATES, TROUBLE_STATES, Delivery, Kind, SendingProfile, Stage
from messaging.services import MessageRequest, OnlyFansRateLimiterService
from messaging.tests.conftest import aws_error
from messaging.tests.factories import delivery_make, profile_make
from messaging.transitions import Copy

BROKEN = aws_error("InternalFailure", 500)
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sqs_queues")]


@pytest.fixture
def fan():
    return FanFactory()


@pytest.fixture
def user():
    return UserFactory()


def wish(fan, **fields) -> MessageRequest:
    return MessageRequest(**({"recipient_id": fan.platform_id, "content": "Hello"} | fields))


def send(fan, user=None, **fields) -> services.SendReceipt:
    return services.message_send(creator=fan.creator, user=user, request=wish(fan, **fields))


def states(message_id) -> set[str]:
    """What the delivery says and what the message says."""
    return {Delivery.objects.get(pk=message_id).state, Message.objects.get(pk=message_id).status}


def test_a_message_is_stored_and_queued(fan, user, on_queue):
    receipt = send(fan, user, media_urls=["https://example.com/a.jpg"], price_cents=500, priority=1)
    assert receipt.status is MessageStatus.QUEUED
    assert states(receipt.message_id) == {"queued"}
    [queued] = on_queue()
    body = json.loads(queued.body)
    assert body["messageId"] == str(receipt.message_id)
    assert body["userId"] == str(user.pk)
    assert body["recipientId"] == fan.platform_id
    assert body["metadata"]["priority"] == 1
    assert queued.group_id == str(fan.creator_id)


def test_a_message_nobody_signed_in_sent_is_queued_too(fan, on_queue):
    assert send(fan, None).status is MessageStatus.QUEUED
    assert json.loads(on_queue()[0].body)["userId"] == ""


def test_nothing_is_on_the_queue_before_the_commit(fan, user, on_queue):
    with transaction.atomic():
        receipt = send(fan, user)
        assert receipt.status is MessageStatus.PENDING
        assert on_queue() == []
    assert len(on_queue()) == 1
    assert states(receipt.message_id) == {"queued"}


def test_a_transaction_that_is_rolled_back_leaves_nothing_on_sqs_and_no_row(fan, user, on_queue):
    with transaction.atomic():
        send(fan, user)
        transaction.set_rollback(True)
    assert on_queue() == []
    assert not Message.objects.exists()
    assert not Delivery.objects.exists()


def test_a_message_that_sqs_does_not_take_is_kept_as_failed(fan, user, sqs_faults):
    sqs_faults.script = [BROKEN] * 4
    with pytest.raises(QueueRefused) as caught:
        send(fan, user)
    delivery = Delivery.objects.get()
    assert caught.value.extra == {"messageId": str(delivery.pk), "status": "failed"}
    assert caught.value.retry_after == 30
    assert states(delivery.pk) == {"failed"}
    assert (delivery.stage, delivery.reason_code, delivery.attempts) == (Stage.ENQUEUE, "InternalFailure", 0)
    assert delivery.reason in caught.value.detail


def test_a_failed_message_can_be_sent_again_under_its_key_with_a_new_dispatch(fan, user, sqs_faults, on_queue):
    sqs_faults.script = [BROKEN] * 4
    with pytest.raises(QueueRefused):
        send(fan, user)
    before = Delivery.objects.get()
    receipt = services.message_retry(creator=fan.creator, message_id=before.pk)
    after = Delivery.objects.get()
    assert receipt.status is MessageStatus.QUEUED
    assert states(after.pk) == {"queued"}
    assert after.dispatch_id != before.dispatch_id
    assert (after.reason, after.finished_at) == ("", None)
    assert json.loads(on_queue()[0].body)["dispatchId"] == str(after.dispatch_id)


def test_a_message_sent_again_by_hand_has_all_its_attempts_again(fan):
    delivery = delivery_make(fan=fan, state=MessageStatus.FAILED, attempts=5)
    services.message_retry(creator=fan.creator, message_id=delivery.pk)
    assert Delivery.objects.get().attempts == 0


def test_a_retry_that_sqs_does_not_take_says_so(fan, sqs_faults):
    delivery = delivery_make(fan=fan, state=MessageStatus.FAILED)
    sqs_faults.script = [aws_error("AccessDenied", 403)]
    with pytest.raises(QueueRefused, match="refuses these credentials"):
        services.message_retry(creator=fan.creator, message_id=delivery.pk)
    assert states(delivery.pk) == {"failed"}


def test_a_database_that_goes_away_after_the_commit_takes_no_promise_back(fan, user, monkeypatch):
    """A caller who is told of an error writes the message again, and the fan reads it twice."""

    def lost(copies):
        raise OperationalError("the connection was closed")

    monkeypatch.setattr(transitions, "delivery_queued", lost)
    assert send(fan, user).status is MessageStatus.PENDING
    assert states(Delivery.objects.get().pk) == {"pending"}


def test_a_message_in_doubt_stays_in_doubt_where_sqs_does_not_take_its_retry(fan, sqs_faults):
    delivery = delivery_make(fan=fan, state=MessageStatus.UNKNOWN, key_in_doubt=True)
    sqs_faults.script = [aws_error("AccessDenied", 403)]
    with pytest.raises(QueueRefused, match="refuses these credentials") as caught:
        services.message_retry(creator=fan.creator, message_id=delivery.pk)
    assert caught.value.extra["status"] == "unknown"
    assert states(delivery.pk) == {"unknown"}


def test_an_unknown_message_can_be_sent_again(fan):
    delivery = delivery_make(fan=fan, state=MessageStatus.UNKNOWN)
    assert services.message_retry(creator=fan.creator, message_id=delivery.pk).status is MessageStatus.QUEUED


@pytest.mark.parametrize("state", ["pending", "queued", "parked", "sending", "sent", "cancelled", "bypassed"])
def test_only_a_failed_or_unknown_message_can_be_sent_again(fan, on_queue, state):
    delivery = delivery_make(fan=fan, state=MessageStatus(state))
    with pytest.raises(Conflict) as caught:
        services.message_retry(creator=fan.creator, message_id=delivery.pk)
    assert caught.value.code == "not_retryable"
    assert states(delivery.pk) == {state}
    assert on_queue() == []


def test_a_message_of_another_creator_cannot_be_sent_again(fan):
    delivery = delivery_make(state=MessageStatus.FAILED)
    with pytest.raises(NotFound):
        services.message_retry(creator=fan.creator, message_id=delivery.pk)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"content": ""}, "content"),
        ({"content": " \n"}, "content"),
        ({"content": "x" * 5_001}, "content"),
        ({"recipient_id": ""}, "recipient_id"),
        ({"price_cents": 299, "media_urls": ["abc"]}, "price_cents"),
        ({"price_cents": 500}, "price_cents"),
        ({"media_urls": ["http://example.com/a"]}, "media_urls[0]"),
        ({"priority": 0}, "priority"),
        ({"priority": 11}, "priority"),
        ({"scheduled_at": timezone.now() + timedelta(days=366)}, "scheduled_at"),
        ({"scheduled_at": timezone.now() - timedelta(seconds=1)}, "scheduled_at"),
        ({"scheduled_at": datetime(2090, 1, 1)}, "scheduled_at"),  # noqa: DTZ001  without an offset, which is the point
    ],
)
def test_a_wish_that_is_not_valid_names_the_field_and_stores_nothing(fan, fields, field):
    with pytest.raises(InvalidInput) as caught:
        send(fan, **fields)
    assert [error.field for error in caught.value.errors] == [field]
    assert not Delivery.objects.exists()


def test_all_that_is_wrong_is_named_at_once(fan):
    with pytest.raises(InvalidInput) as caught:
        send(fan, content="", priority=0)
    assert {error.field for error in caught.value.errors} == {"content", "priority"}


def test_an_unknown_recipient_is_not_found(fan):
    with pytest.raises(NotFound):
        send(fan, recipient_id="nobody")


def test_a_fan_of_another_creator_is_not_found(fan):
    other = FanFactory()
    for recipient_id in (other.platform_id, f"fan_{other.pk}"):
        with pytest.raises(NotFound):
            send(fan, recipient_id=recipient_id)
    assert not Delivery.objects.exists()


def test_a_recipient_may_be_named_by_our_own_id(fan):
    receipt = send(fan, recipient_id=f"fan_{fan.pk}")
    assert Delivery.objects.get(pk=receipt.message_id).fan == fan


def test_without_the_rate_limiter_a_message_is_kept_as_bypassed_and_never_queued(fan, settings, on_queue):
    settings.RATE_LIMITER_ENABLED = False
    settings.SQS_RATE_LIMITER_QUEUE_URL = ""
    receipt = send(fan)
    assert receipt.status is MessageStatus.BYPASSED
    assert states(receipt.message_id) == {"bypassed"}
    assert on_queue() == []


def test_bypassed_messages_take_no_slots(fan, settings):
    settings.RATE_LIMITER_ENABLED = False
    send(fan)
    assert SendingProfile.objects.get().reply_slots == []


def test_without_the_rate_limiter_a_failed_message_stays_as_it_is(fan, settings, on_queue):
    settings.RATE_LIMITER_ENABLED = False
    delivery = delivery_make(fan=fan, state=MessageStatus.FAILED)
    with pytest.raises(SendingDisabled, match="RATE_LIMITER_ENABLED"):
        services.message_retry(creator=fan.creator, message_id=delivery.pk)
    assert states(delivery.pk) == {"failed"}
    assert on_queue() == []


@pytest.mark.parametrize(
    ("setting", "variable"),
    [
        ("AWS_REGION", "AWS_REGION"),
        ("SQS_RATE_LIMITER_QUEUE_URL", "SQS_RATE_LIMITER_QUEUE_URL"),
        ("REDIS_URL", "REDIS_ENDPOINT"),
    ],
)
def test_a_missing_variable_is_named_and_nothing_is_stored(fan, settings, setting, variable):
    setattr(settings, setting, "")
    with pytest.raises(SendingDisabled, match=f"{variable} is not set"):
        send(fan)
    assert not Message.objects.exists()


def test_a_message_scheduled_further_than_sqs_can_delay_is_parked(fan, on_queue):
    wanted = timezone.now() + timedelta(hours=2)
    receipt = send(fan, scheduled_at=wanted)
    assert receipt.status is MessageStatus.PARKED
    assert receipt.estimated_send_at == wanted
    assert states(receipt.message_id) == {"parked"}
    assert on_queue() == []


def test_a_message_scheduled_soon_is_delayed_on_the_queue(fan, sqs_faults):
    send(fan, scheduled_at=timezone.now() + timedelta(seconds=600))
    assert 595 <= sqs_faults.requests[0]["Entries"][0]["DelaySeconds"] <= 600


def test_a_scheduled_message_does_not_delay_a_reply(fan, sqs_faults):
    send(fan, scheduled_at=timezone.now() + timedelta(seconds=800))
    send(FanFactory(creator=fan.creator))
    assert sqs_faults.requests[1]["Entries"][0]["DelaySeconds"] == 0


def test_messages_are_spaced_by_the_creators_limits(fan):
    profile_make(fan.creator, messages=2, window_ms=60_000, gap_ms=3_000)
    first, second, third = (Delivery.objects.get(pk=send(fan).message_id).due_at for _ in range(3))
    assert second - first == timedelta(seconds=3)
    assert third - first == timedelta(seconds=60)


def test_no_message_is_delayed_beyond_what_sqs_takes(fan, sqs_faults):
    profile_make(fan.creator, messages=1, window_ms=400_000)
    service = OnlyFansRateLimiterService(creator=fan.creator)
    receipts = service.send_batch(user=None, requests=[wish(fan)] * 4)
    delays = [entry["DelaySeconds"] for request in sqs_faults.requests for entry in request["Entries"]]
    assert [receipt.status for receipt in receipts] == ["queued", "queued", "queued", "parked"]
    assert [round(delay, -1) for delay in delays] == [0, 400, 800]


def test_a_campaign_and_replies_have_lanes_of_their_own(fan):
    profile_make(fan.creator, messages=1, window_ms=400_000)
    OnlyFansRateLimiterService(creator=fan.creator, kind=Kind.CAMPAIGN).send_batch(user=None, requests=[wish(fan)] * 3)
    assert send(fan).estimated_send_at - timezone.now() < timedelta(seconds=2)


def test_the_pages_are_woken_once_for_a_message_that_is_stored_and_queued(fan, user, monkeypatch):
    lines = []
    monkeypatch.setattr(wake_ups._Publisher, "publish", lambda self, line: lines.append(line))
    receipt = send(fan, user)
    conversation_id = Message.objects.get(pk=receipt.message_id).conversation_id
    assert lines == [f"{fan.creator_id} {conversation_id}"]


def test_the_pages_are_woken_for_a_message_that_waits_for_its_time(fan, user, monkeypatch):
    lines = []
    monkeypatch.setattr(wake_ups._Publisher, "publish", lambda self, line: lines.append(line))
    send(fan, user, scheduled_at=timezone.now() + timedelta(days=1))
    assert len(lines) == 1


def test_a_batch_is_stored_whole_and_queued_in_tens(fan, user, sqs_faults):
    fans = [fan, *FanFactory.create_batch(11, creator=fan.creator)]
    service = OnlyFansRateLimiterService(creator=fan.creator, trace_id="trace")
    receipts = service.send_batch(user=user, requests=[wish(each) for each in fans])
    assert {receipt.status for receipt in receipts} == {MessageStatus.QUEUED}
    assert [Delivery.objects.get(pk=receipt.message_id).fan for receipt in receipts] == fans
    assert sorted(len(request["Entries"]) for request in sqs_faults.requests) == [2, 10]


@pytest.mark.parametrize("count", [1, 40])
def test_a_batch_costs_the_same_few_statements_however_large_it_is(fan, django_assert_num_queries, count):
    profile_make(fan.creator, messages=1_000)
    fans = [fan, *FanFactory.create_batch(count - 1, creator=fan.creator)]
    service = OnlyFansRateLimiterService(creator=fan.creator)
    # Fans; the transaction: its begin, limits locked, all that is written, its end; queued; whether anything is late,
    # once in some seconds.
    with django_assert_num_queries(7) as asked:
        service.send_batch(user=None, requests=[wish(each) for each in fans])
    assert [query["sql"] for query in asked.captured_queries].count("COMMIT") == 1


def test_the_statements_of_a_message_are_planned_once_and_not_for_each(fan):
    profile_make(fan.creator, messages=1_000)
    for _ in range(15):  # psycopg prepares a statement that came five times, PostgreSQL keeps a plan after five more
        send(fan)
    with connection.cursor() as cursor:
        # What writes the rows, and what marks them queued.
        cursor.execute(
            "SELECT max(custom_plans) <= 5, min(generic_plans) > 0, count(*) >= 2 FROM pg_prepared_statements"
            " WHERE statement LIKE '%WITH draft%messaging_delivery%' OR statement LIKE '%WITH pending%'"
        )
        assert cursor.fetchone() == (True, True, True)


@pytest.fixture
def commits():
    """What was done to deliveries, and whether PostgreSQL was to wait for the disk each time ("on" or "off")."""
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = on")
        cursor.execute("CREATE TABLE written (what text, synchronous text)")
        cursor.execute(
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " INSERT INTO written VALUES (TG_OP, current_setting('synchronous_commit')); RETURN NULL; END $$"
        )
        cursor.execute(
            "CREATE TRIGGER note AFTER INSERT OR UPDATE ON messaging_delivery FOR EACH ROW EXECUTE FUNCTION note()"
        )

        def written() -> list[tuple[str, str]]:
            cursor.execute("SELECT what, synchronous FROM written ORDER BY what")
            return cursor.fetchall()

        yield written
        cursor.execute("DROP FUNCTION note CASCADE; DROP TABLE written; RESET synchronous_commit")


def test_the_disk_is_waited_for_where_a_message_is_stored_and_not_where_it_is_marked_queued(fan, commits):
    send(fan)
    assert commits() == [("INSERT", "on"), ("UPDATE", "off")]


def test_a_transaction_in_which_a_message_is_marked_queued_is_waited_for(fan, commits):
    delivery = delivery_make(fan=fan, state=MessageStatus.PENDING)
    with transaction.atomic():
        transitions.delivery_queued([Copy.of(delivery)])
    assert commits() == [("INSERT", "on"), ("UPDATE", "on")]


def test_all_that_is_asked_of_a_message_reaches_its_rows(fan, user):
    scheduled = timezone.now() + timedelta(minutes=5)
    receipt = send(fan, user, media_urls=["abc"], price_cents=500, priority=2, scheduled_at=scheduled)
    delivery = Delivery.objects.select_related("message__conversation").get(pk=receipt.message_id)
    message = delivery.message
    assert (message.sender, message.text, message.price_cents) == (user, "Hello", 500)
    assert message.attachments == [{"type": "media", "url": "abc"}]
    assert message.creator == message.conversation.creator == delivery.creator == fan.creator
    assert message.conversation.last_message == message
    assert (delivery.fan, delivery.priority, delivery.scheduled_at) == (fan, 2, scheduled)
    assert (delivery.kind, delivery.due_at) == (Kind.REPLY, scheduled)


def test_two_messages_to_one_fan_in_a_batch_keep_their_order(fan):
    service = OnlyFansRateLimiterService(creator=fan.creator)
    receipts = service.send_batch(user=None, requests=[wish(fan, content=text) for text in "abc"])
    stored = Message.objects.filter(conversation__fan=fan).order_by("pk")
    assert [message.text for message in stored] == ["a", "b", "c"]
    assert stored.last().conversation.last_message_id == receipts[-1].message_id


def test_a_refusal_that_a_consumer_has_disproved_is_no_refusal(fan, sqs_faults):
    """Every answer of SQS was lost, and it had taken the message all the same."""

    def claimed(request):
        Delivery.objects.update(state=MessageStatus.SENDING, lease_expires_at=timezone.now())
        return BROKEN(request)

    sqs_faults.script = [claimed] * 4
    assert send(fan).status is MessageStatus.SENDING


@pytest.mark.parametrize("bad", [{"content": ""}, {"recipient_id": "nobody"}], ids=["content", "recipient"])
def test_one_bad_message_stops_the_whole_batch(fan, on_queue, bad):
    service = OnlyFansRateLimiterService(creator=fan.creator)
    with pytest.raises((InvalidInput, NotFound)):
        service.send_batch(user=None, requests=[wish(fan), wish(fan, **bad)])
    assert not Message.objects.exists()
    assert on_queue() == []


def test_an_error_in_a_batch_names_the_message(fan):
    service = OnlyFansRateLimiterService(creator=fan.creator)
    with pytest.raises(InvalidInput) as caught:
        service.send_batch(user=None, requests=[wish(fan), wish(fan, content="")])
    assert [error.field for error in caught.value.errors] == ["[1].content"]


def test_a_paused_creators_message_is_parked(fan, on_queue):
    profile_make(fan.creator, paused_at=timezone.now(), paused_reason="x")
    assert send(fan).status is MessageStatus.PARKED
    assert on_queue() == []


def test_the_status_counts_the_queue_and_the_day(fan):
    send(fan)
    delivery_make(fan=fan, state=MessageStatus.SENT, finished_at=timezone.now(), queued_at=timezone.now())
    delivery_make(fan=fan, state=MessageStatus.SENT, finished_at=timezone.now(), queued_at=timezone.now())
    delivery_make(fan=fan, state=MessageStatus.FAILED, finished_at=timezone.now())
    delivery_make(state=MessageStatus.FAILED, finished_at=timezone.now())
    status = OnlyFansRateLimiterService(creator=fan.creator).get_queue_status()
    assert (status.counts.waiting, status.dlq_count) == (1, 0)
    assert (status.today.queued, status.today.processed, status.today.failure_rate) == (3, 2, 0.3333)
    assert status.today.last_processed_at is not None


def test_pages_that_ask_in_the_same_moment_ask_sqs_once(fan, sqs_faults, monkeypatch):
    clock = time.time()
    monkeypatch.setattr(time, "time", lambda: clock)
    service = OnlyFansRateLimiterService(creator=fan.creator)
    assert service.get_queue_status().counts.waiting == 0
    send(fan)
    assert service.get_queue_status().counts.waiting == 0
    clock += 6
    assert service.get_queue_status().counts.waiting == 1


# Earlier days, of which a creator has more every day, and what others wait for.
HISTORY = """
WITH message AS (
    INSERT INTO crm_message (id, creator_id, conversation_id, direction, text, price_cents, attachments, status, read,
        created_at)
    SELECT gen_random_uuid(), f.creator_id, c.id, 'out', '', 0, '[]', 'sent', true, now()
    FROM crm_conversation c JOIN crm_fan f ON f.id = c.fan_id, generate_series(1, 2000) RETURNING id, creator_id
)
INSERT INTO messaging_delivery (message_id, creator_id, fan_id, kind, priority, state, dispatch_id, due_at, attempts,
    hops, repeatable, stage, reason_code, reason, trace_id, queued_at, finished_at)
SELECT id, creator_id, %(fan)s, 'reply', 5, CASE WHEN creator_id = %(creator)s THEN 'sent' ELSE 'failed' END,
    gen_random_uuid(), now(), 1, 0, false, '', '', '', '', now() - interval '9 days', now() - interval '9 days'
FROM message
"""


def test_the_status_reads_nothing_of_earlier_days_and_of_others(fan, monkeypatch):
    for each in (fan, FanFactory()):
        ConversationFactory(fan=each)
    delivery_make(fan=fan, state=MessageStatus.SENT, finished_at=timezone.now(), queued_at=timezone.now())
    delivery_make(fan=fan, state=MessageStatus.QUEUED, queued_at=timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(HISTORY, {"fan": fan.pk, "creator": fan.creator_id})
        cursor.execute("ANALYZE messaging_delivery, crm_fan, crm_message")
    asked = []
    monkeypatch.setattr(
        selectors,
        "statement_run",
        lambda sql, values, **kind: asked.append((sql, values)) or statement_run(sql, values, **kind),
    )
    assert selectors.sending_today(creator=fan.creator).queued == 2
    assert selectors.sending_waiting(creator=fan.creator).messages == 1
    # Each a handful: the two of today, the last that was sent, what waits with its fan.
    assert [rows_touched(plan_nodes(*each)) < 10 for each in asked] == [True, True]


@pytest.mark.parametrize("state", [each for each in MessageStatus if each is not MessageStatus.RECEIVED])
def test_each_state_waits_is_in_trouble_or_over(fan, state):
    delivery_make(
        fan=fan, state=state, queued_at=timezone.now(), finished_at=None if state in OPEN_STATES else timezone.now()
    )
    waiting = selectors.sending_waiting(creator=fan.creator)
    assert (waiting.messages, waiting.in_trouble) == (state in OPEN_STATES, state in TROUBLE_STATES)
    assert (waiting.until is not None) == (state in OPEN_STATES)
    assert selectors.sending_today(creator=fan.creator).queued == 1


def test_the_status_leaves_out_yesterday_in_the_creators_time_zone():
    creator = CreatorFactory(time_zone="Pacific/Kiritimati")
    delivery = delivery_make(fan=FanFactory(creator=creator), state=MessageStatus.SENT)
    Delivery.objects.filter(pk=delivery.pk).update(finished_at=timezone.now() - timedelta(hours=24))
    today = OnlyFansRateLimiterService(creator=creator).get_queue_status().today
    assert today.processed == 0
    assert today.last_processed_at is not None


def test_the_status_does_without_numbers_where_sqs_is_away(fan, sqs_faults):
    sqs_faults.script = [BROKEN] * 4
    status = OnlyFansRateLimiterService(creator=fan.creator).get_queue_status()
    assert (status.counts, status.dlq_count) == (None, None)


def test_resuming_what_is_not_paused_is_a_conflict(fan):
    profile_make(fan.creator)
    with pytest.raises(Conflict):
        services.sending_resume(creator=fan.creator)
