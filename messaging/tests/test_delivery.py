"""Answers what becomes of one message off the queue: sent once, later, or never, and nothing lost."""

import json
import threading
from datetime import timedelta

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from crm.models import Fan, Message, MessageStatus
from crm.tests.factories import FanFactory
from messaging import delivery as delivery_module
from messaging import metrics, queue, sweeper
from messaging.delivery import Consumer, Disposition
from messaging.gateways import Rejected, Sent
from messaging.models import Delivery, Kind, SendingProfile, Stage
from messaging.payloads import connectivity_test_body
from messaging.tests.conftest import aws_error
from messaging.tests.factories import (
    AMBIGUOUS,
    PASSING,
    PERMANENT,
    SESSION_DEAD,
    ScriptedGateway,
    copy_of,
    delivery_make,
    profile_make,
)

ACKNOWLEDGE, LEAVE = Disposition.ACKNOWLEDGE, Disposition.LEAVE
pytestmark = pytest.mark.django_db


@pytest.fixture
def gateway() -> ScriptedGateway:
    return ScriptedGateway()


@pytest.fixture
def consumer(limiter, gateway, sqs_queues) -> Consumer:
    return Consumer(limiter=limiter, gateway=gateway)


@pytest.fixture
def outcome_of(limiter, sqs_queues):
    """Handle a delivery on a platform that answers so; gives the row afterwards."""

    def handle(delivery: Delivery, *outcomes) -> Delivery:
        gateway = ScriptedGateway(*outcomes)
        assert Consumer(limiter=limiter, gateway=gateway).handle(copy_of(delivery)) is ACKNOWLEDGE
        assert len(gateway.calls) == 1
        return Delivery.objects.get(pk=delivery.pk)

    return handle


def due_in(delivery: Delivery) -> float:
    """Seconds until it is due."""
    return (Delivery.objects.get(pk=delivery.pk).due_at - timezone.now()).total_seconds()


def test_a_message_is_sent_under_its_own_id(consumer, gateway):
    delivery = delivery_make(text="Hello")
    assert consumer.handle(copy_of(delivery)) is ACKNOWLEDGE
    delivery.refresh_from_db()
    message = Message.objects.get()
    [call] = gateway.calls
    assert (call.message_id, call.text, call.fan_platform_id) == (delivery.pk, "Hello", delivery.fan.platform_id)
    assert delivery.state == message.status == "sent"
    assert message.platform_message_id == f"platform-{delivery.pk}"
    assert message.sent_at is not None
    assert delivery.lease_expires_at is None


def test_what_is_sent_is_the_row_and_not_the_copy(consumer, gateway):
    delivery = delivery_make(text="Before")
    copy = copy_of(delivery)
    Message.objects.filter(pk=delivery.pk).update(text="After", price_cents=500, attachments=[{"url": "abc"}])
    consumer.handle(copy)
    assert (gateway.calls[0].text, gateway.calls[0].price_cents, gateway.calls[0].media) == ("After", 500, ("abc",))


def test_a_message_that_the_producer_has_not_yet_noted_as_queued_is_sent(consumer, gateway):
    consumer.handle(copy_of(delivery_make(state=MessageStatus.PENDING)))
    assert Delivery.objects.get().state == "sent"


@pytest.mark.parametrize("state", ["parked", "sending", "sent", "unknown", "failed", "cancelled", "bypassed"])
def test_a_message_that_does_not_wait_is_acknowledged_and_not_sent(consumer, gateway, state):
    delivery = delivery_make(state=MessageStatus(state))
    assert consumer.handle(copy_of(delivery)) is ACKNOWLEDGE
    assert gateway.calls == []
    assert Delivery.objects.get().state == state


def test_a_stale_copy_is_acknowledged_and_not_sent(consumer, gateway):
    delivery = delivery_make()
    stale = copy_of(delivery)
    Delivery.objects.update(dispatch_id="0192a1b2-0000-7000-8000-000000000001")
    assert consumer.handle(stale) is ACKNOWLEDGE
    assert gateway.calls == []


def test_a_deleted_message_is_acknowledged(consumer):
    delivery = delivery_make()
    copy = copy_of(delivery)
    delivery.message.delete()
    assert consumer.handle(copy) is ACKNOWLEDGE


def test_a_duplicate_is_sent_once(consumer, gateway):
    copy = copy_of(delivery_make())
    assert [consumer.handle(copy), consumer.handle(copy)] == [ACKNOWLEDGE, ACKNOWLEDGE]
    assert len(gateway.calls) == 1


@pytest.mark.django_db(transaction=True)
def test_two_consumers_at_once_send_it_once(limiter, sqs_queues):
    both = threading.Barrier(2, timeout=5)
    gateway = ScriptedGateway()
    copy = copy_of(delivery_make())

    def consume() -> None:
        try:
            both.wait()
            Consumer(limiter=limiter, gateway=gateway).handle(copy)
        finally:
            connection.close()

    threads = [threading.Thread(target=consume) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(gateway.calls) == 1
    assert Delivery.objects.get().state == "sent"


def test_a_malformed_body_goes_to_the_dead_letters(consumer, sqs_queues):
    assert consumer.handle(queue.Received("{broken", "handle", 1)) is ACKNOWLEDGE
    [dead] = sqs_queues.client.receive_message(QueueUrl=sqs_queues.dead_letter_url)["Messages"]
    assert dead["Body"] == "{broken"


def test_without_a_dead_letter_queue_of_ours_sqs_moves_a_malformed_body(consumer, settings):
    settings.SQS_RATE_LIMITER_DLQ_URL = ""
    assert consumer.handle(queue.Received("{broken", "handle", 1)) is LEAVE


def test_a_malformed_body_that_the_dead_letters_refuse_stays(consumer, sqs_faults):
    sqs_faults.script = [aws_error("AccessDenied", 403)]
    assert consumer.handle(queue.Received("{broken", "handle", 1)) is LEAVE


def test_a_connectivity_test_is_dropped(consumer, gateway, sqs_queues):
    body = connectivity_test_body(sent_at=timezone.now())
    assert consumer.handle(queue.Received(body, "handle", 1)) is ACKNOWLEDGE
    assert gateway.calls == []
    assert sqs_queues.depth(sqs_queues.dead_letter_url) == 0


def test_a_message_not_yet_due_goes_back_until_then(consumer, gateway, sqs_faults):
    delivery = delivery_make(due_in=timedelta(seconds=100))
    assert consumer.handle(copy_of(delivery)) is ACKNOWLEDGE
    [entry] = sqs_faults.requests[0]["Entries"]
    assert json.loads(entry["MessageBody"])["dispatchId"] == str(delivery.dispatch_id)
    assert 98 <= entry["DelaySeconds"] <= 100
    assert gateway.calls == []
    assert Delivery.objects.get().state == "queued"


def test_a_message_due_later_than_sqs_can_delay_goes_back_for_as_long_as_it_can(consumer, sqs_faults):
    consumer.handle(copy_of(delivery_make(due_in=timedelta(hours=1))))
    assert sqs_faults.requests[0]["Entries"][0]["DelaySeconds"] == 900


def test_a_copy_is_left_where_sqs_does_not_take_the_next_one(consumer, sqs_faults):
    sqs_faults.script = [aws_error("InternalFailure", 500)] * 4
    assert consumer.handle(copy_of(delivery_make(due_in=timedelta(seconds=100)))) is LEAVE


def test_without_a_token_it_hops_to_a_new_slot_with_a_new_dispatch(consumer, gateway, sqs_queues):
    profile = profile_make(messages=1, window_ms=30_000)
    first, second = (delivery_make(fan=FanFactory(creator=profile.creator)) for _ in range(2))
    consumer.handle(copy_of(first))
    assert consumer.handle(copy_of(second)) is ACKNOWLEDGE
    hopped = Delivery.objects.get(pk=second.pk)
    assert (hopped.state, hopped.hops, hopped.attempts) == ("queued", 1, 0)
    assert hopped.dispatch_id != second.dispatch_id
    assert 28 < due_in(second) <= 30
    assert len(gateway.calls) == 1
    assert sqs_queues.depth() == 1


def test_a_hop_comes_back_with_a_receive_count_of_one(consumer, on_queue):
    profile = profile_make(messages=1, window_ms=2_500)
    first, second = (delivery_make(fan=FanFactory(creator=profile.creator)) for _ in range(2))
    consumer.handle(copy_of(first))
    consumer.handle(copy_of(second, receive_count=4))
    on_queue()[0].delayed_until = 0
    [again] = queue.receive(wait_seconds=0)
    assert again.receive_count == 1


def test_a_token_that_is_nearly_free_is_waited_for(consumer, gateway):
    profile = profile_make(gap_ms=40)
    for _ in range(2):
        consumer.handle(copy_of(delivery_make(fan=FanFactory(creator=profile.creator))))
    assert len(gateway.calls) == 2


def test_a_campaign_leaves_two_tokens_for_replies(consumer, gateway):
    profile = profile_make(messages=3)
    kinds = [Kind.CAMPAIGN, Kind.CAMPAIGN, Kind.REPLY, Kind.REPLY]
    made = [delivery_make(fan=FanFactory(creator=profile.creator), kind=kind) for kind in kinds]
    for delivery in made:
        consumer.handle(copy_of(delivery))
    assert [call.message_id for call in gateway.calls] == [made[0].pk, made[2].pk, made[3].pk]


@pytest.mark.parametrize("state", ["pending", "queued", "parked", "sending"])
def test_an_earlier_open_message_to_the_same_fan_goes_first(consumer, gateway, state):
    earlier = delivery_make(state=MessageStatus(state), due_in=timedelta(seconds=60))
    later = delivery_make(fan=earlier.fan)
    assert consumer.handle(copy_of(later)) is ACKNOWLEDGE
    assert gateway.calls == []
    assert 58 < due_in(later) <= 60
    assert Delivery.objects.get(pk=later.pk).hops == 1


def test_waiting_for_an_earlier_message_delays_nobody_else(consumer):
    earlier = delivery_make(due_in=timedelta(seconds=60))
    consumer.handle(copy_of(delivery_make(fan=earlier.fan)))
    assert SendingProfile.objects.get().reply_slots == []


@pytest.mark.parametrize("state", ["failed", "unknown", "sent", "cancelled"])
def test_an_earlier_message_that_is_over_does_not_block(consumer, gateway, state):
    earlier = delivery_make(state=MessageStatus(state))
    consumer.handle(copy_of(delivery_make(fan=earlier.fan)))
    assert len(gateway.calls) == 1


def test_a_message_scheduled_for_later_does_not_block(consumer, gateway):
    later = timedelta(hours=1)
    scheduled = delivery_make(state=MessageStatus.PARKED, due_in=later, scheduled_at=timezone.now() + later)
    consumer.handle(copy_of(delivery_make(fan=scheduled.fan)))
    assert len(gateway.calls) == 1


def test_a_reply_does_not_wait_for_a_campaign_to_the_same_fan(consumer, gateway):
    campaign = delivery_make(kind=Kind.CAMPAIGN, state=MessageStatus.PARKED, due_in=timedelta(hours=1))
    consumer.handle(copy_of(delivery_make(fan=campaign.fan)))
    assert len(gateway.calls) == 1


def test_a_campaign_waits_for_a_reply_to_the_same_fan(consumer, gateway):
    reply = delivery_make(due_in=timedelta(seconds=60))
    consumer.handle(copy_of(delivery_make(fan=reply.fan, kind=Kind.CAMPAIGN)))
    assert gateway.calls == []


@pytest.mark.parametrize(("retry_after", "seconds"), [(20, 20), (0, 0), (None, 60)])
def test_too_fast_means_nothing_before_the_time_named(consumer, outcome_of, retry_after, seconds):
    delivery = delivery_make()
    row = outcome_of(
        delivery, Rejected(code="too_many", reason="Too fast.", rate_limited=True, retry_after=retry_after)
    )
    assert (row.state, row.attempts) == ("queued", 0)
    assert seconds - 2 < due_in(delivery) <= seconds
    assert row.dispatch_id != delivery.dispatch_id
    other = delivery_make(fan=FanFactory(creator=delivery.creator))
    consumer.handle(copy_of(other))
    assert Delivery.objects.get(pk=other.pk).state == ("queued" if seconds else "sent")


def test_too_fast_for_one_creator_slows_no_other(outcome_of):
    outcome_of(delivery_make(), Rejected(code="too_many", reason="Too fast.", rate_limited=True))
    assert outcome_of(delivery_make()).state == "sent"


def test_a_permanent_refusal_fails_with_its_reason(outcome_of):
    row = outcome_of(delivery_make(), PERMANENT)
    assert row.state == Message.objects.get().status == "failed"
    assert (row.stage, row.reason_code, row.reason) == (Stage.SEND, PERMANENT.code, PERMANENT.reason)
    assert (row.attempts, row.finished_at is not None) == (1, True)


def test_a_refusal_that_may_pass_is_tried_again_after_a_pause(outcome_of):
    delivery = delivery_make()
    row = outcome_of(delivery, PASSING)
    assert (row.state, row.attempts, row.finished_at) == ("queued", 1, None)
    assert 30 * 0.7 < due_in(delivery) < 30 * 1.25


def test_one_message_that_is_tried_again_later_delays_no_other(outcome_of):
    outcome_of(delivery_make(), PASSING)
    assert SendingProfile.objects.get().reply_slots == []


@pytest.mark.parametrize(("attempts", "seconds"), [(0, 30), (1, 60), (3, 240), (5, 600), (50, 600)])
def test_the_pause_doubles_up_to_ten_minutes(attempts, seconds):
    assert seconds * 0.75 <= delivery_module.backoff(attempts).total_seconds() <= seconds * 1.25


def test_after_the_last_attempt_it_fails(outcome_of, settings):
    row = outcome_of(delivery_make(attempts=settings.SEND_MAX_ATTEMPTS - 1), PASSING)
    assert (row.state, row.attempts) == ("failed", settings.SEND_MAX_ATTEMPTS)


def test_an_ambiguous_answer_is_unknown_and_not_sent_again_here(consumer, gateway, outcome_of, on_queue):
    delivery = delivery_make()
    row = outcome_of(delivery, AMBIGUOUS)
    assert row.state == Message.objects.get().status == "unknown"
    assert (row.attempts, row.reason_code) == (1, "timeout")
    assert on_queue() == []
    consumer.handle(copy_of(row))
    assert gateway.calls == []


def test_a_dead_session_pauses_the_creator_and_the_message_goes_out_after_the_resume(consumer, gateway, outcome_of):
    delivery = delivery_make()
    row = outcome_of(delivery, SESSION_DEAD)
    profile = SendingProfile.objects.get()
    assert (profile.paused_at is not None, profile.paused_reason) == (True, SESSION_DEAD.reason)
    assert (row.state, row.attempts) == ("parked", 0)
    SendingProfile.objects.update(paused_at=None)
    sweeper.sweep(gateway=gateway)
    row.refresh_from_db()
    consumer.handle(copy_of(row))
    assert gateway.reached == [delivery.pk]


def test_a_paused_creators_message_is_parked(consumer, gateway):
    profile = profile_make(paused_at=timezone.now())
    consumer.handle(copy_of(delivery_make(fan=FanFactory(creator=profile.creator))))
    assert Delivery.objects.get().state == Message.objects.get().status == "parked"
    assert gateway.calls == []


def test_without_redis_nothing_is_sent_and_a_copy_stays_on_the_queue(limiter_away, gateway, sqs_queues, sqs_faults):
    delivery = delivery_make()
    assert Consumer(limiter=limiter_away, gateway=gateway).handle(copy_of(delivery)) is ACKNOWLEDGE
    assert gateway.calls == []
    assert Delivery.objects.get().state == "queued"
    assert sqs_faults.requests[0]["Entries"][0]["DelaySeconds"] == 15
    assert sqs_queues.depth() == 1
    assert sqs_queues.depth(sqs_queues.dead_letter_url) == 0


def test_a_send_is_stored_though_redis_went_away_meanwhile(limiter, limiter_away, gateway, sqs_queues, monkeypatch):
    monkeypatch.setattr(limiter, "settle", limiter_away.settle)
    Consumer(limiter=limiter, gateway=gateway).handle(copy_of(delivery_make()))
    assert Delivery.objects.get().state == "sent"


def test_after_redis_was_emptied_a_creator_who_just_sent_waits(consumer, gateway, redis_server):
    fan = FanFactory()
    consumer.handle(copy_of(delivery_make(fan=fan)))
    redis_server.flushdb()
    second = delivery_make(fan=fan)
    consumer.handle(copy_of(second))
    assert len(gateway.calls) == 1
    assert 85 < due_in(second) <= 90


@pytest.mark.parametrize("trouble", [OperationalError, InterfaceError])
def test_a_database_that_goes_away_leaves_the_copy(consumer, gateway, trouble):
    def lost(execute, sql, params, many, context):
        raise trouble("the connection is lost")

    copy = copy_of(delivery_make())
    with connection.execute_wrapper(lost):
        assert consumer.handle(copy) is LEAVE
    assert gateway.calls == []


@pytest.mark.parametrize(("honours", "state"), [(True, "sent"), (False, "unknown")])
def test_killed_between_the_answer_and_the_commit(limiter, redis_server, sqs_queues, honours, state):
    gateway = ScriptedGateway(honours=honours)

    def reached_then_killed(message):
        gateway.reached.append(message.message_id)
        raise SystemExit

    gateway._outcomes = [reached_then_killed]
    consumer = Consumer(limiter=limiter, gateway=gateway)
    delivery = delivery_make()
    with pytest.raises(SystemExit):
        consumer.handle(copy_of(delivery))
    assert Delivery.objects.get().state == "sending"
    Delivery.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    redis_server.flushdb()
    SendingProfile.objects.update(last_claimed_at=None)
    sweeper.sweep(gateway=gateway)
    consumer.handle(copy_of(Delivery.objects.get()))
    assert Delivery.objects.get().state == state
    assert gateway.reached == [delivery.pk]
    assert {call.message_id for call in gateway.calls} == {delivery.pk}


def test_a_claim_held_up_too_long_is_not_sent(consumer, gateway, settings):
    settings.SEND_TIMEOUT_SECONDS = settings.SEND_LEASE_SECONDS
    delivery = delivery_make()
    consumer.handle(copy_of(delivery))
    assert gateway.calls == []
    assert Delivery.objects.get().state == "queued"


def test_a_fans_id_learned_on_the_way_is_kept(outcome_of):
    fan = FanFactory(platform_id="mira", handle="mira")
    outcome_of(delivery_make(fan=fan), Sent("p1", fan_platform_id="42"))
    assert Fan.objects.get().platform_id == "42"


@pytest.mark.parametrize(
    ("outcome", "name"),
    [(Sent("p1"), "Sent"), (AMBIGUOUS, "Unknown"), (PERMANENT, "Failed")],
    ids=["sent", "unknown", "failed"],
)
def test_outcomes_are_counted(outcome_of, outcome, name, monkeypatch):
    counted: list[str] = []
    monkeypatch.setattr(metrics, "count", lambda name, number=1: counted.append(name))
    outcome_of(delivery_make(), outcome)
    assert counted == [f"OnlyFansMessages{name}"]
