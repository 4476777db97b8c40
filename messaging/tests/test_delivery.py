"""Answers what becomes of one message off the queue: sent once, by its row, or recognised as nothing to send."""

import threading

import pytest
from django.db import connection
from django.utils import timezone

from crm.models import Message, MessageStatus
from messaging import queue
from messaging.delivery import Consumer, Disposition
from messaging.models import Delivery
from messaging.payloads import connectivity_test_body
from messaging.tests.conftest import aws_error
from messaging.tests.factories import (
    ScriptedGateway,
    copy_of,
    delivery_make,
)

ACKNOWLEDGE, LEAVE = Disposition.ACKNOWLEDGE, Disposition.LEAVE
pytestmark = pytest.mark.django_db


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
