"""Answers what the platform's answer makes of a message, and of one whose services went away meanwhile."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from conftest import Queues
from crm.models import Fan, Message, MessageStatus
from crm.tests.factories import FanFactory
from messaging import delivery as delivery_module
from messaging import metrics, queue, services, sweeper, transitions
from messaging.delivery import Consumer, Disposition, Later
from messaging.gateways import Sent
from messaging.models import Delivery, SendingProfile, Stage
from messaging.tests.conftest import aws_error
from messaging.tests.factories import (
    AMBIGUOUS,
    PASSING,
    PERMANENT,
    SESSION_DEAD,
    ScriptedGateway,
    copy_of,
    delivery_make,
    due_in,
    profile_make,
)

ACKNOWLEDGE, LEAVE = Disposition.ACKNOWLEDGE, Disposition.LEAVE
pytestmark = pytest.mark.django_db


def test_a_permanent_refusal_fails_with_its_reason(outcome_of):
    row = outcome_of(delivery_make(), PERMANENT)
    assert row.state == Message.objects.get().status == "failed"
    assert (row.stage, row.reason_code, row.reason) == (Stage.SEND, PERMANENT.code, PERMANENT.reason)
    assert (row.attempts, row.finished_at is not None) == (1, True)


def dead_letters(queues: Queues) -> list[dict[str, Any]]:
    answer = queues.client.receive_message(
        QueueUrl=queues.dead_letter_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
    )
    return answer.get("Messages", [])


@pytest.mark.parametrize("outcome", [PERMANENT, PASSING], ids=["permanent", "attempts exhausted"])
def test_a_permanent_refusal_is_failed_and_has_one_copy_in_the_dead_letters(outcome_of, sqs_queues, settings, outcome):
    settings.SEND_MAX_ATTEMPTS = 1
    delivery = delivery_make()
    assert outcome_of(delivery, outcome).state == "failed"
    [letter] = dead_letters(sqs_queues)
    assert letter["Body"] == copy_of(delivery).body
    assert letter["MessageAttributes"]["reasonCode"]["StringValue"] == outcome.code


@pytest.mark.parametrize("outcome", [Sent("p1"), AMBIGUOUS, PASSING, SESSION_DEAD])
def test_what_has_not_failed_has_no_copy_in_the_dead_letters(outcome_of, sqs_queues, outcome):
    outcome_of(delivery_make(), outcome)
    assert dead_letters(sqs_queues) == []


def test_a_failed_message_that_the_dead_letters_did_not_take_comes_again_for_its_copy_alone(
    consumer_with, sqs_queues, sqs_faults, caplog
):
    delivery, gateway = delivery_make(), ScriptedGateway(PERMANENT)
    consumer = consumer_with(gateway)
    sqs_faults.script = [aws_error("AccessDenied", 403)]
    assert consumer.handle(copy_of(delivery)) is LEAVE
    assert "no copy in the dead letters" in caplog.text
    assert (Delivery.objects.get().state, dead_letters(sqs_queues)) == ("failed", [])
    assert consumer.handle(copy_of(delivery)) is ACKNOWLEDGE
    assert (len(gateway.calls), len(dead_letters(sqs_queues))) == (1, 1)


def test_without_a_dead_letter_queue_of_ours_a_message_fails_all_the_same(outcome_of, settings, sqs_faults):
    settings.SQS_RATE_LIMITER_DLQ_URL = ""
    assert outcome_of(delivery_make(), PERMANENT).state == "failed"
    assert sqs_faults.calls == 0


def test_an_old_dead_letter_that_comes_back_is_no_second_message(consumer, gateway, outcome_of, sqs_queues):
    outcome_of(delivery_make(), PERMANENT)
    [letter] = dead_letters(sqs_queues)
    assert consumer.handle(queue.Received(letter["Body"], "handle", 1)) is ACKNOWLEDGE
    assert gateway.calls == []


def test_a_dead_letter_redriven_after_a_manual_retry_is_no_second_message(consumer, gateway, outcome_of, sqs_queues):
    delivery = delivery_make()
    outcome_of(delivery, PERMANENT)
    [letter] = dead_letters(sqs_queues)
    services.message_retry(creator=delivery.creator, message_id=delivery.pk)
    old = queue.Received(letter["Body"], "handle", 1)
    assert consumer.handle(old) is ACKNOWLEDGE
    assert gateway.calls == []
    consumer.handle(copy_of(Delivery.objects.get()))
    assert consumer.handle(old) is ACKNOWLEDGE
    assert gateway.reached == [delivery.pk]


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


def test_a_dead_session_pauses_the_creator_and_loses_nothing(consumer, gateway, outcome_of):
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


@pytest.mark.parametrize("first_claims", [True, False], ids=["the first claims", "the second claims"])
def test_redis_emptied_between_a_grant_and_its_claim_lets_no_message_more_through(
    consumer, gateway, redis_server, monkeypatch, first_claims
):
    """One worker is granted, Redis is emptied, and another one finds neither that grant nor a claim."""
    profile = profile_make(messages=1)
    first, second = (delivery_make(fan=FanFactory(creator=profile.creator)) for _ in range(2))
    claim = transitions.delivery_claimed

    def interleaved(copy, **more):
        if copy.message_id != first.pk:
            return claim(copy, **more)
        redis_server.flushdb()
        claimed = first_claims and claim(copy, **more)
        consumer.handle(copy_of(second))
        return claimed or claim(copy, **more)

    monkeypatch.setattr(transitions, "delivery_claimed", interleaved)
    consumer.handle(copy_of(first))
    assert len(gateway.calls) <= 1
    assert Delivery.objects.exclude(state="sent").filter(state="queued", due_at__gt=timezone.now()).count() >= 1


@pytest.mark.parametrize("trouble", [OperationalError, InterfaceError])
def test_a_database_that_goes_away_sends_nothing_and_leaves_the_copy_to_be_redelivered(consumer, gateway, trouble):
    def lost(execute, sql, params, many, context):
        raise trouble("the connection is lost")

    copy = copy_of(delivery_make())
    with connection.execute_wrapper(lost):
        assert consumer.handle(copy) is LEAVE
    assert gateway.calls == []


@pytest.mark.parametrize(("honours", "state"), [(True, "sent"), (False, "unknown")])
def test_killed_between_the_answer_and_the_commit_is_one_message_at_the_fan_or_unknown_without_keys(
    limiter, redis_server, sqs_queues, honours, state
):
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


def test_a_claim_held_up_too_long_is_not_sent_and_returns_its_token(consumer, gateway, settings):
    timeout, settings.SEND_TIMEOUT_SECONDS = settings.SEND_TIMEOUT_SECONDS, settings.SEND_LEASE_SECONDS
    delivery = delivery_make(fan=FanFactory(creator=profile_make(messages=1).creator))
    consumer.handle(copy_of(delivery))
    assert gateway.calls == []
    row = Delivery.objects.get()
    assert row.state == "queued"
    # Its token is back at once: there is only one.
    settings.SEND_TIMEOUT_SECONDS = timeout
    Delivery.objects.update(due_at=timezone.now())
    consumer.handle(copy_of(row))
    assert gateway.reached == [delivery.pk]


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


def in_doubt(**fields):
    """A message of which an attempt may have reached the fan, on its way to be sent again."""
    values = {"key_in_doubt": True, "attempts": 1, "first_attempt_at": timezone.now() - timedelta(hours=1)}
    return delivery_make(**{**values, **fields})


def test_what_waited_until_the_platform_forgot_its_key_is_not_repeated_blindly(consumer, gateway):
    delivery = in_doubt(first_attempt_at=timezone.now() - timedelta(hours=30))
    assert consumer.handle(copy_of(delivery)) is Disposition.ACKNOWLEDGE
    row = Delivery.objects.get()
    assert (gateway.calls, row.state, row.reason_code, row.attempts) == ([], "unknown", "key_forgotten", 1)
    services.message_retry(creator=delivery.creator, message_id=delivery.pk)
    consumer.handle(copy_of(Delivery.objects.get()))
    assert Delivery.objects.get().state == "sent"


def test_what_the_platform_still_knows_by_its_key_is_repeated(consumer, gateway):
    assert consumer.handle(copy_of(in_doubt())) is Disposition.ACKNOWLEDGE
    assert Delivery.objects.get().state == "sent"


def test_a_refusal_does_not_end_the_doubt_of_an_earlier_attempt(outcome_of, sqs_queues):
    row = outcome_of(in_doubt(), PERMANENT)
    assert (row.state, row.reason_code, row.repeatable, row.attempts) == ("unknown", "bad_request", False, 2)
    assert sqs_queues.depth(sqs_queues.dead_letter_url) == 0


@pytest.mark.parametrize("stopped", [True, False], ids=["it was stopped", "a quicker copy was sent"])
def test_a_claim_that_comes_too_late_holds_up_no_other_message(consumer, gateway, monkeypatch, stopped):
    """Paused between the token and the claim, say; without an end its token would shut the gate for a whole lease."""
    late = delivery_make()
    reply = delivery_make(fan=FanFactory(creator=late.creator))
    claim = transitions.delivery_claimed

    def too_late(copy, **more):
        if copy.message_id == late.pk and stopped:
            transitions.delivery_set_aside([copy], to=MessageStatus.PARKED)
        elif copy.message_id == late.pk:
            claim(copy, **more)
            transitions.delivery_sent(copy, platform_message_id="platform-1")
        return claim(copy, **more)

    monkeypatch.setattr(transitions, "delivery_claimed", too_late)
    for delivery in (late, reply):
        consumer.handle(copy_of(delivery))
    assert gateway.reached == [reply.pk]


def test_a_claim_that_another_worker_has_keeps_the_token(consumer, gateway, limiter, monkeypatch):
    delivery = delivery_make()
    claim = transitions.delivery_claimed
    monkeypatch.setattr(transitions, "delivery_claimed", lambda copy, **more: claim(copy, **more) and False)
    consumer.handle(copy_of(delivery))
    other = delivery_make(fan=FanFactory(creator=delivery.creator))
    assert isinstance(consumer.handle(copy_of(other), patience_seconds=5), Later)
    assert gateway.calls == []
