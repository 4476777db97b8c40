"""Answers whether the dead-letter queue loses nothing, sends nothing twice, and tells no text of a message."""

from dataclasses import asdict
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from conftest import Queues
from crm.errors import Unavailable
from crm.models import MessageStatus
from messaging import dead_letters, publishing, queue, services
from messaging.dead_letters import (
    DISPATCHES_MORE,
    Fate,
    Standing,
    dead_letter_clear,
    dead_letter_discard,
    dead_letter_list,
    dead_letter_reconcile,
    dead_letter_redrive,
)
from messaging.delivery import Consumer, Disposition
from messaging.errors import QueueError, SendingDisabled
from messaging.models import Delivery, Stage
from messaging.payloads import connectivity_test_body
from messaging.rate_limiter import RedisRateLimiter
from messaging.tests.conftest import aws_error
from messaging.tests.factories import ScriptedGateway, aged, delivery_make

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sqs_queues")]


@pytest.fixture(autouse=True)
def no_long_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "WALK_WAIT_SECONDS", 0)


def into_dlq(queues: Queues, *bodies: str) -> None:
    for body in bodies:
        queues.client.send_message(QueueUrl=queues.dead_letter_url, MessageBody=body)


def dead(queues: Queues, *, state: MessageStatus = MessageStatus.FAILED, **fields: Any) -> Delivery:
    """A delivery with a copy of its dispatch in the dead-letter queue."""
    delivery = delivery_make(state=state, text="Only for you", **fields)
    into_dlq(queues, publishing.body_of(delivery).to_json())
    return delivery


def now_of(delivery: Delivery) -> Delivery:
    return Delivery.objects.select_related("message").get(pk=delivery.pk)


def waiting(queues: Queues) -> int:
    """Copies that the next reader would see."""
    return queue.counts(queue_url=queues.dead_letter_url).waiting


def fates(report: dead_letters.Report) -> list[str]:
    return [handled.fate for handled in report.handled]


def test_the_list_shows_the_row_beside_each_copy_and_hands_all_copies_back(sqs_queues: Queues) -> None:
    deliveries = [dead(sqs_queues, reason="The fan is gone.", reason_code="fan_gone") for _ in range(12)]
    report = dead_letter_list()
    assert {handled.letter.message_id for handled in report.handled} == {delivery.pk for delivery in deliveries}
    letter = report.handled[0].letter
    assert (letter.creator_id, letter.fan_id) == (deliveries[0].creator_id, deliveries[0].fan_id)
    assert (letter.state, letter.reason, letter.reason_code) == ("failed", "The fan is gone.", "fan_gone")
    assert (letter.current, letter.receive_count) == (True, 1)
    assert letter.sent_at is not None
    assert waiting(sqs_queues) == 12


def test_no_text_of_a_message_leaves_it(sqs_queues: Queues) -> None:
    dead(sqs_queues)
    into_dlq(sqs_queues, '{"content": "Only for you"}')
    assert "Only for you" not in str([asdict(handled.letter) for handled in dead_letter_list().handled])


def test_what_cannot_be_read_or_has_no_row_is_listed_as_that(sqs_queues: Queues) -> None:
    gone = dead(sqs_queues)
    Delivery.objects.filter(pk=gone.pk).delete()
    into_dlq(sqs_queues, "{", connectivity_test_body(sent_at=gone.due_at))
    found = [(handled.letter.state, handled.letter.message_id) for handled in dead_letter_list().handled]
    assert found == [(Standing.GONE, gone.pk), (Standing.MALFORMED, None), (Standing.TEST, None)]


def test_copies_are_chosen_by_the_message_or_by_the_copy(sqs_queues: Queues) -> None:
    first, second = dead(sqs_queues), dead(sqs_queues)
    [by_message] = dead_letter_list(ids={str(first.pk)}).handled
    [by_copy] = dead_letter_list(ids={by_message.letter.copy_id}).handled
    assert by_copy.letter.message_id == first.pk != second.pk


def test_copies_that_another_reader_holds_are_counted(sqs_queues: Queues) -> None:
    dead(sqs_queues)
    queue.receive(wait_seconds=0, queue_url=sqs_queues.dead_letter_url)
    report = dead_letter_list()
    assert (report.handled, report.hidden) == ((), 1)


def test_a_walk_that_breaks_hands_its_copies_back(sqs_queues: Queues) -> None:
    dead(sqs_queues)

    def broken(number: int) -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError):
        dead_letter_list(progress=broken)
    assert waiting(sqs_queues) == 1


def test_a_walk_that_takes_too_long_sees_each_copy_once(sqs_queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "WALK_SECONDS", 0)
    dead(sqs_queues)
    assert len(dead_letter_list().handled) == 1


def test_a_failed_message_is_sent_again_under_its_key_and_a_new_dispatch(sqs_queues: Queues) -> None:
    delivery = dead(sqs_queues, attempts=1)
    assert fates(dead_letter_redrive(ids=None)) == [Fate.SENT_AGAIN]
    found = now_of(delivery)
    assert (found.state, found.message.status) == ("queued", "queued")
    assert found.dispatch_id != delivery.dispatch_id
    [copy] = queue.receive(wait_seconds=0)
    assert str(delivery.pk) in copy.body
    assert str(found.dispatch_id) in copy.body
    assert sqs_queues.depth(sqs_queues.dead_letter_url) == 0


@pytest.mark.parametrize("state", ["sent", "cancelled", "parked", "pending"])
def test_a_message_that_needs_it_no_more_loses_its_copy_alone(sqs_queues: Queues, state: str) -> None:
    delivery = dead(sqs_queues, state=MessageStatus(state))
    report = dead_letter_redrive(ids=None)
    assert fates(report) == [Fate.DELETED]
    assert MessageStatus(state).label.lower() in report.handled[0].why
    assert now_of(delivery).state == state
    assert (sqs_queues.depth(), sqs_queues.depth(sqs_queues.dead_letter_url)) == (0, 0)


def test_an_old_copy_redriven_after_a_manual_retry_sends_no_second_message(
    sqs_queues: Queues, limiter: RedisRateLimiter
) -> None:
    delivery = dead(sqs_queues)
    services.message_retry(creator=delivery.creator, message_id=delivery.pk)
    assert fates(dead_letter_redrive(ids=None)) == [Fate.DELETED]
    gateway = ScriptedGateway()
    [copy] = queue.receive(wait_seconds=0)
    assert Consumer(limiter=limiter, gateway=gateway).handle(copy) is Disposition.ACKNOWLEDGE
    assert queue.receive(wait_seconds=0) == []
    assert gateway.reached == [delivery.pk]


def test_an_old_copy_that_sqs_itself_moved_back_sends_no_second_message(
    sqs_queues: Queues, limiter: RedisRateLimiter
) -> None:
    delivery = dead(sqs_queues)
    services.message_retry(creator=delivery.creator, message_id=delivery.pk)
    old = publishing.body_of(delivery).to_json()
    sqs_queues.client.send_message(QueueUrl=sqs_queues.url, MessageBody=old)
    gateway = ScriptedGateway()
    consumer = Consumer(limiter=limiter, gateway=gateway)
    for copy in queue.receive(wait_seconds=0):
        consumer.handle(copy)
    assert gateway.reached == [delivery.pk]


def test_two_copies_of_a_message_send_it_once(sqs_queues: Queues) -> None:
    delivery = dead(sqs_queues)
    into_dlq(sqs_queues, publishing.body_of(delivery).to_json())
    assert fates(dead_letter_redrive(ids=None, dry_run=True)) == [Fate.SENT_AGAIN, Fate.DELETED]
    assert fates(dead_letter_redrive(ids=None)) == [Fate.SENT_AGAIN, Fate.DELETED]
    assert sqs_queues.depth() == 1


def test_a_message_that_may_have_arrived_is_sent_again_only_when_somebody_says_so(sqs_queues: Queues) -> None:
    delivery = dead(sqs_queues, state=MessageStatus.UNKNOWN)
    assert fates(dead_letter_redrive(ids=None)) == [Fate.KEPT]
    assert now_of(delivery).state == MessageStatus.UNKNOWN
    assert fates(dead_letter_redrive(ids=None, unknown=True)) == [Fate.SENT_AGAIN]
    assert now_of(delivery).state == MessageStatus.QUEUED


def test_a_message_that_a_worker_holds_is_left_alone(sqs_queues: Queues) -> None:
    delivery = dead(sqs_queues, state=MessageStatus.SENDING)
    assert fates(dead_letter_redrive(ids=None)) == [Fate.KEPT]
    assert (now_of(delivery).state, waiting(sqs_queues)) == (MessageStatus.SENDING, 1)


def test_a_given_up_message_that_no_sweep_has_seen_is_sent_again(sqs_queues: Queues) -> None:
    delivery = dead(sqs_queues, state=MessageStatus.QUEUED)
    assert fates(dead_letter_redrive(ids=None)) == [Fate.SENT_AGAIN]
    assert now_of(delivery).dispatch_id != delivery.dispatch_id
    assert sqs_queues.depth() == 1


def test_a_given_up_repeat_of_what_may_have_arrived_is_left_to_a_person(sqs_queues: Queues) -> None:
    delivery = dead(sqs_queues, state=MessageStatus.QUEUED, key_in_doubt=True, attempts=1)
    assert fates(dead_letter_redrive(ids=None)) == [Fate.KEPT]
    assert (now_of(delivery).state, now_of(delivery).reason_code) == (MessageStatus.UNKNOWN, "given_up")
    assert fates(dead_letter_redrive(ids=None, unknown=True)) == [Fate.SENT_AGAIN]


def test_what_cannot_be_read_is_kept_by_a_redrive_and_deleted_by_a_discard(sqs_queues: Queues) -> None:
    into_dlq(sqs_queues, "{")
    assert fates(dead_letter_redrive(ids=None)) == [Fate.KEPT]
    [handled] = dead_letter_list().handled
    assert fates(dead_letter_discard(ids={handled.letter.copy_id})) == [Fate.DELETED]
    assert sqs_queues.depth(sqs_queues.dead_letter_url) == 0


def test_a_message_that_sqs_refuses_stays_failed_and_keeps_its_copy(sqs_queues: Queues, sqs_faults: Any) -> None:
    delivery = dead(sqs_queues)
    # The client that reads is another one; this one counts the queue's messages first.
    sqs_faults.script = [None, aws_error("AccessDenied", 403)]
    report = dead_letter_redrive(ids=None)
    assert fates(report) == [Fate.KEPT]
    assert "refuses these credentials" in report.handled[0].why
    assert (now_of(delivery).state, waiting(sqs_queues)) == (MessageStatus.FAILED, 1)


def test_a_discard_deletes_the_copy_and_leaves_the_row_failed(sqs_queues: Queues) -> None:
    delivery, other = dead(sqs_queues), dead(sqs_queues)
    assert fates(dead_letter_discard(ids={str(delivery.pk)})) == [Fate.DELETED]
    assert now_of(delivery).state == MessageStatus.FAILED
    assert [handled.letter.message_id for handled in dead_letter_list().handled] == [other.pk]


@pytest.mark.parametrize("act", [dead_letter_redrive, dead_letter_discard])
def test_a_dry_run_changes_nothing(sqs_queues: Queues, act: Any) -> None:
    delivery = dead(sqs_queues)
    assert act(ids=None, dry_run=True).handled[0].fate is not Fate.KEPT
    assert now_of(delivery).dispatch_id == delivery.dispatch_id
    assert (sqs_queues.depth(), waiting(sqs_queues)) == (0, 1)


def test_without_a_dead_letter_queue_the_variable_is_named(settings: Any) -> None:
    settings.SQS_RATE_LIMITER_DLQ_URL = ""
    with pytest.raises(Unavailable, match="SQS_RATE_LIMITER_DLQ_URL is not set"):
        dead_letter_list()


def test_a_dead_letter_queue_that_is_not_there_is_said_in_words(settings: Any) -> None:
    settings.SQS_RATE_LIMITER_DLQ_URL += "-gone"
    with pytest.raises(QueueError, match="provision_queues"):
        dead_letter_list()


def test_nothing_is_redriven_where_sending_is_disabled(sqs_queues: Queues, settings: Any) -> None:
    dead(sqs_queues)
    settings.REDIS_URL = ""
    with pytest.raises(SendingDisabled):
        dead_letter_redrive(ids=None)
    assert waiting(sqs_queues) == 1


def given_up(queues: Queues, *, times: int = DISPATCHES_MORE, **fields: Any) -> Delivery:
    """A late message whose copy SQS moved to the dead-letter queue, and had so many `times` before."""
    fields["given_up_count"] = times
    return aged(dead(queues, state=MessageStatus.QUEUED, **fields), 120, "due_at", "state_changed_at")


def test_a_message_that_sqs_gave_up_fails_with_the_reason_and_its_copy_stays(sqs_queues: Queues) -> None:
    delivery = given_up(sqs_queues)
    assert dead_letter_reconcile() == 1
    found = now_of(delivery)
    assert (found.state, found.message.status, found.stage) == ("failed", "failed", "send")
    assert (found.reason_code, found.attempts, found.lease_expires_at) == ("given_up", 0, None)
    assert "15 times" in found.reason
    assert sqs_queues.depth(sqs_queues.dead_letter_url) == 1


@pytest.mark.parametrize("times", range(DISPATCHES_MORE))
def test_a_message_that_sqs_gave_up_before_anybody_sent_it_is_dispatched_anew(sqs_queues: Queues, times: int) -> None:
    delivery = given_up(sqs_queues, times=times)
    assert dead_letter_reconcile() == 1
    found = now_of(delivery)
    assert (found.state, found.message.status, found.given_up_count) == ("queued", "queued", times + 1)
    assert found.dispatch_id != delivery.dispatch_id
    assert (sqs_queues.depth(), sqs_queues.depth(sqs_queues.dead_letter_url)) == (1, 0)
    assert dead_letter_reconcile() == 0


def test_what_is_dispatched_anew_while_sqs_has_trouble_is_left_to_the_sweeper(
    sqs_queues: Queues, sqs_faults: Any
) -> None:
    delivery = given_up(sqs_queues, times=0)
    # The client that reads is another one.
    sqs_faults.script = [aws_error("InternalFailure", 500)] * 4
    assert dead_letter_reconcile() == 1
    assert (now_of(delivery).state, sqs_queues.depth()) == ("pending", 0)


def test_a_retry_by_hand_has_all_its_dispatches_again(sqs_queues: Queues) -> None:
    delivery = given_up(sqs_queues)
    dead_letter_reconcile()
    services.message_retry(creator=delivery.creator, message_id=delivery.pk)
    assert now_of(delivery).given_up_count == 0


def test_a_copy_of_an_earlier_dispatch_fails_nothing(sqs_queues: Queues) -> None:
    delivery = given_up(sqs_queues)
    Delivery.objects.filter(pk=delivery.pk).update(dispatch_id=uuid4())
    assert dead_letter_reconcile() == 0
    assert now_of(delivery).state == MessageStatus.QUEUED


def test_a_message_that_is_being_sent_is_left_to_its_lease(sqs_queues: Queues) -> None:
    given_up(sqs_queues)
    sending = aged(dead(sqs_queues, state=MessageStatus.SENDING), 120, "due_at", "state_changed_at", "lease_expires_at")
    assert dead_letter_reconcile() == 1
    assert now_of(sending).state == MessageStatus.SENDING


def test_copies_are_not_looked_at_while_they_are_those_of_the_messages_that_failed(
    sqs_queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead(sqs_queues, stage=Stage.SEND, finished_at=timezone.now())
    monkeypatch.setattr(queue, "receive", lambda **_: 1 / 0)
    assert (dead_letter_reconcile(), dead_letter_clear()) == (0, 0)
    assert waiting(sqs_queues) == 1


def test_a_message_that_is_in_time_is_not_given_up_however_its_copy_came_there(sqs_queues: Queues) -> None:
    deliveries = [dead(sqs_queues, state=MessageStatus.QUEUED, due_in=timedelta(minutes=number)) for number in (0, 5)]
    assert (dead_letter_reconcile(), dead_letter_clear()) == (0, 0)
    assert {now_of(delivery).state for delivery in deliveries} == {"queued"}
    assert waiting(sqs_queues) == 2


def test_a_look_sees_more_copies_than_one_receive_brings(sqs_queues: Queues) -> None:
    for _ in range(12):
        given_up(sqs_queues)
    assert dead_letter_reconcile() == 12
    assert waiting(sqs_queues) == 12


@pytest.mark.parametrize("state", ["sent", "pending", "parked", "cancelled", "bypassed"])
def test_the_copy_of_a_message_that_did_not_fail_is_cleared(sqs_queues: Queues, state: str) -> None:
    dead(sqs_queues, state=MessageStatus(state))
    assert (dead_letter_clear(dry_run=True), waiting(sqs_queues)) == (1, 1)
    assert dead_letter_clear() == 1
    assert sqs_queues.depth(sqs_queues.dead_letter_url) == 0


def test_of_each_failed_message_one_copy_stays(sqs_queues: Queues) -> None:
    failed = dead(sqs_queues, stage=Stage.SEND, finished_at=timezone.now())
    body = publishing.body_of(failed).to_json()
    into_dlq(sqs_queues, body, body.replace(str(failed.dispatch_id), str(uuid4())), "not JSON")
    assert dead_letter_clear() == 2
    letters = [handled.letter for handled in dead_letter_list().handled]
    assert sorted(letter.state for letter in letters) == ["failed", "malformed"]
    assert [letter.current for letter in letters if letter.message_id] == [True]


def test_a_dry_look_counts_and_hands_the_copies_back(sqs_queues: Queues) -> None:
    delivery = given_up(sqs_queues)
    assert dead_letter_reconcile(dry_run=True) == 1
    assert (now_of(delivery).state, waiting(sqs_queues)) == (MessageStatus.QUEUED, 1)


def test_a_dead_letter_queue_that_does_not_answer_stops_no_sweep(sqs_queues: Queues, settings: Any) -> None:
    given_up(sqs_queues)
    settings.SQS_RATE_LIMITER_DLQ_URL += "-gone"
    assert dead_letter_reconcile() == 0
