"""Answers what a fan gets, and what the row says, when something fails between a wish to send and the fan."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from django.db import OperationalError, connection
from django.utils import timezone

from conftest import Queues
from crm.models import Fan, MessageStatus
from crm.tests.factories import FanFactory
from messaging import campaign_steps, metrics, publishing, queue, selectors, services, sweeper, transitions
from messaging.delivery import Consumer, Disposition
from messaging.errors import QueueRefused
from messaging.gateways import OutboundMessage, Sent
from messaging.models import Delivery, SendingProfile
from messaging.queue_overview import queue_overview
from messaging.rate_limiter import RedisRateLimiter
from messaging.services import MessageRequest
from messaging.tests.campaigns import fans_make, launch
from messaging.tests.conftest import Faults, aws_error
from messaging.tests.factories import ScriptedGateway, aged, copy_of, delivery_make, profile_make
from messaging.worker import Worker

# What is published after the commit is published in a test too.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sqs_queues")]
BROKEN = aws_error("InternalFailure", 500)
THROTTLED = aws_error("RequestThrottled", 400)


def send(fan: Fan) -> Delivery:
    wish = MessageRequest(recipient_id=fan.platform_id, content="Hello")
    services.message_send(creator=fan.creator, user=None, request=wish)
    return Delivery.objects.get()


def consume(consumer: Consumer) -> None:
    """Every message that the queue hands out now, to its end."""
    while received := queue.receive(wait_seconds=0):
        queue.delete([x.receipt_handle for x in received if consumer.handle(x) is Disposition.ACKNOWLEDGE])


@pytest.mark.parametrize("trouble", [BROKEN, THROTTLED], ids=["5xx", "throttled"])
def test_sqs_trouble_twice_and_then_well_is_three_calls_and_queued(sqs_faults: Faults, trouble: Any) -> None:
    sqs_faults.script = [trouble, trouble]
    assert send(FanFactory()).state == MessageStatus.QUEUED
    assert sqs_faults.calls == 3


@pytest.mark.parametrize("trouble", [BROKEN, THROTTLED], ids=["5xx", "throttled"])
def test_sqs_trouble_four_times_is_four_calls_logged_failed_and_a_manual_retry_sends_it(
    sqs_faults: Faults, trouble: Any, consumer: Consumer, gateway: ScriptedGateway, caplog: pytest.LogCaptureFixture
) -> None:
    sqs_faults.script = [trouble] * 4
    with pytest.raises(QueueRefused):
        send(FanFactory(creator=profile_make().creator))
    delivery = Delivery.objects.get()
    assert (delivery.state, sqs_faults.calls) == (MessageStatus.FAILED, 4)
    assert "message not queued" in caplog.text
    services.message_retry(creator=delivery.creator, message_id=delivery.pk)
    consume(consumer)
    assert gateway.reached == [delivery.pk]


@pytest.mark.parametrize(
    ("code", "words"),
    [("AccessDenied", "refuses these credentials"), ("AWS.SimpleQueueService.NonExistentQueue", "provision_queues")],
)
def test_access_denied_or_no_queue_is_one_call_and_failed_with_the_reason_in_words(
    sqs_faults: Faults, code: str, words: str
) -> None:
    sqs_faults.script = [aws_error(code, 403)]
    with pytest.raises(QueueRefused, match=words):
        send(FanFactory())
    delivery = Delivery.objects.get()
    assert (delivery.state, sqs_faults.calls) == (MessageStatus.FAILED, 1)
    assert words in delivery.reason


@pytest.mark.parametrize("on_the_way", ["hop", "sweep"])
def test_a_right_that_is_missing_on_the_way_leaves_messages_pending_until_it_is_back(
    sqs_faults: Faults, consumer: Consumer, gateway: ScriptedGateway, on_the_way: str
) -> None:
    if on_the_way == "hop":
        earlier = delivery_make(due_in=timedelta(minutes=1))
        delivery = delivery_make(fan=earlier.fan)
        sqs_faults.script = [aws_error("AccessDenied", 403)]
        consumer.handle(copy_of(delivery))
    else:
        delivery = aged(delivery_make(state=MessageStatus.PENDING), 31)
        sqs_faults.script = [aws_error("AccessDenied", 403)]
        sweeper.sweep(gateway=gateway)
    assert Delivery.objects.get(pk=delivery.pk).state == MessageStatus.PENDING
    found = queue_overview().oldest_pending
    assert found is not None
    assert found.message_id == delivery.pk
    aged(delivery, 31)
    assert sweeper.sweep(gateway=gateway).published == 1
    assert Delivery.objects.get(pk=delivery.pk).state == MessageStatus.QUEUED


def test_a_message_that_sqs_itself_does_not_take_fails_in_a_sweep_too(sqs_faults: Faults) -> None:
    delivery = aged(delivery_make(state=MessageStatus.PENDING), 31)
    sqs_faults.script = [aws_error("InvalidMessageContents", 400)]
    sweeper.sweep(gateway=ScriptedGateway())
    row = Delivery.objects.get(pk=delivery.pk)
    assert (row.state, row.stage, row.reason_code) == ("failed", "enqueue", "InvalidMessageContents")


def test_a_time_out_though_sqs_took_it_is_one_message_at_the_fan(
    monkeypatch: pytest.MonkeyPatch, consumer: Consumer, gateway: ScriptedGateway, sqs_queues: Queues
) -> None:
    ask, lost = queue.client().send_message_batch, [True]

    def taken_and_lost(**request: Any) -> Any:
        answer = ask(**request)
        if lost.pop() if lost else False:
            raise ReadTimeoutError(endpoint_url="x")
        return answer

    monkeypatch.setattr(queue.client(), "send_message_batch", taken_and_lost)
    delivery = send(FanFactory())
    assert sqs_queues.depth() == 2
    consume(consumer)
    assert gateway.calls[0].message_id == delivery.pk
    assert len(gateway.calls) == 1


@pytest.mark.parametrize("sent_to_sqs", [False, True], ids=["after the commit", "after the send to SQS"])
def test_a_producer_killed_on_the_way_is_one_message_at_the_fan_by_the_sweeper(
    monkeypatch: pytest.MonkeyPatch, consumer: Consumer, gateway: ScriptedGateway, sent_to_sqs: bool
) -> None:
    ask = queue.send

    def killed(messages: Any, **where: Any) -> Any:
        if sent_to_sqs:
            ask(messages, **where)
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(queue, "send", killed)
        with pytest.raises(SystemExit):
            send(FanFactory())
    delivery = Delivery.objects.get()
    assert delivery.state == MessageStatus.PENDING
    assert sweeper.sweep(gateway=gateway).published == 0
    aged(delivery, 31)
    assert sweeper.sweep(gateway=gateway).published == 1
    consume(consumer)
    assert gateway.reached == [delivery.pk]
    assert len(gateway.calls) == 1


def test_a_thousand_waiting_are_never_delayed_over_900_seconds_and_are_all_sent(
    consumer: Consumer, gateway: ScriptedGateway, sqs_faults: Faults
) -> None:
    creator = profile_make().creator
    fans_make(creator, 1_000)
    launch(creator)
    # The slots are the real limit's; Redis' clock does not travel, so its own limit is out of the way.
    SendingProfile.objects.update(limit_messages=10_000, window_ms=100)
    start = timezone.now()
    assert Delivery.objects.latest("due_at").due_at - start > timedelta(hours=2)
    for minutes in range(5, 140, 5):
        with time_machine.travel(start + timedelta(minutes=minutes)):
            sweeper.sweep(gateway=gateway)
            consume(consumer)
    assert len(gateway.calls) == len(set(gateway.reached)) == 1_000
    sent = [entry for request in sqs_faults.requests for entry in request.get("Entries", []) if "MessageBody" in entry]
    assert 600 < max(entry["DelaySeconds"] for entry in sent) <= 900


@pytest.mark.parametrize("where", ["down", "flushed"])
def test_without_redis_nothing_is_sent_nothing_is_a_dead_letter_and_it_resumes(
    consumer: Consumer,
    limiter_away: RedisRateLimiter,
    gateway: ScriptedGateway,
    sqs_queues: Queues,
    redis_server: Any,
    on_queue: Callable[[], list[Any]],
    where: str,
) -> None:
    profile = profile_make(last_claimed_at=timezone.now() if where == "flushed" else None)
    delivery = delivery_make(fan=FanFactory(creator=profile.creator))
    publishing.republish(delivery, delay_seconds=0)
    consume(Consumer(limiter=limiter_away if where == "down" else consumer.limiter, gateway=gateway))
    assert gateway.calls == []
    assert (sqs_queues.depth(), sqs_queues.depth(sqs_queues.dead_letter_url)) == (1, 0)
    # Time goes by: lease and window in PostgreSQL and in Redis, the delay in SQS.
    redis_server.flushdb()
    aged(delivery, 0, "due_at")
    SendingProfile.objects.update(last_claimed_at=timezone.now() - timedelta(minutes=5))
    on_queue()[0].delayed_until = 0
    consume(consumer)
    assert gateway.reached == [delivery.pk]
    assert Delivery.objects.get().attempts == 0


def worked_through(worker: Worker) -> int:
    """One poll, and all that it brought to its end; answers how many messages that was."""
    handing_out = threading.Thread(target=worker.hand_out)
    handing_out.start()
    received = worker.poll(wait_seconds=0)
    deadline = time.monotonic() + 10
    while worker._lanes.held and time.monotonic() < deadline:
        time.sleep(0.01)
    worker.drain()
    handing_out.join(10)
    return received


def test_malformed_json_in_a_batch_goes_to_the_dead_letters_and_the_rest_is_delivered(
    consumer: Consumer, gateway: ScriptedGateway, sqs_queues: Queues
) -> None:
    deliveries = [delivery_make() for _ in range(2)]
    bodies = [copy_of(deliveries[0]).body, "{broken", copy_of(deliveries[1]).body]
    queue.send([queue.Outgoing(key=str(n), body=body, delay_seconds=0, group="1") for n, body in enumerate(bodies)])
    worker = Worker(consumer, concurrency=3)
    assert worked_through(worker) == 3
    assert set(gateway.reached) == {delivery.pk for delivery in deliveries}
    [dead] = queue.receive(wait_seconds=0, queue_url=sqs_queues.dead_letter_url)
    assert dead.body == "{broken"
    assert sqs_queues.depth() == 0


def cut_off() -> None:
    """PostgreSQL ends this thread's connection, as it ends all when it stops."""
    with suppress(OperationalError), connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


@pytest.mark.parametrize(
    ("where", "step"),
    [(selectors, "delivery_for_dispatch"), (transitions, "delivery_claimed")],
    ids=["before it is read", "before the claim"],
)
def test_postgresql_down_in_a_worker_sends_nothing_and_the_message_is_redelivered_and_sent_once(
    consumer: Consumer,
    gateway: ScriptedGateway,
    sqs_queues: Queues,
    on_queue: Callable[[], list[Any]],
    monkeypatch: pytest.MonkeyPatch,
    where: Any,
    step: str,
) -> None:
    well = getattr(where, step)

    def down(*args: Any, **more: Any) -> Any:
        cut_off()
        return well(*args, **more)

    delivery = send(FanFactory())
    with monkeypatch.context() as patched:
        patched.setattr(where, step, down)
        assert worked_through(Worker(consumer, concurrency=1)) == 1
    assert gateway.calls == []
    assert Delivery.objects.get().state == MessageStatus.QUEUED
    assert (sqs_queues.depth(), sqs_queues.depth(sqs_queues.dead_letter_url)) == (1, 0)
    # The visibility time-out goes by.
    on_queue()[0].visible_at = 0
    assert worked_through(Worker(consumer, concurrency=1)) == 1
    assert gateway.reached == [delivery.pk]
    assert (Delivery.objects.get().state, len(gateway.calls), sqs_queues.depth()) == (MessageStatus.SENT, 1, 0)


@pytest.mark.parametrize(("honours", "state"), [(True, "sent"), (False, "unknown")], ids=["same key", "no key support"])
def test_postgresql_gone_between_the_answer_and_the_commit_is_one_message_at_the_fan_or_unknown_and_not_resent(
    consumer_with: Callable[[ScriptedGateway], Consumer],
    on_queue: Callable[[], list[Any]],
    honours: bool,
    state: str,
) -> None:
    def taken(message: OutboundMessage) -> Sent:
        cut_off()
        return Sent("platform-1")

    gateway = ScriptedGateway(taken, honours=honours)
    delivery = send(FanFactory(creator=profile_make().creator))
    worked_through(Worker(consumer_with(gateway), concurrency=1))
    assert (gateway.reached, Delivery.objects.get().state) == ([delivery.pk], MessageStatus.SENDING)
    # The visibility time-out and the lease go by, whichever is over first.
    on_queue()[0].visible_at = 0
    consume(consumer_with(gateway))
    aged(delivery, 1, "lease_expires_at")
    sweeper.sweep(gateway=gateway)
    consume(consumer_with(gateway))
    assert (gateway.reached, Delivery.objects.get().state) == ([delivery.pk], state)
    assert len(gateway.calls) == (2 if honours else 1)
    assert on_queue() == []


def test_with_copies_on_sqs_nothing_goes_out_while_paused_each_once_after_a_resume_and_none_after_a_cancel(
    consumer: Consumer, gateway: ScriptedGateway, sqs_queues: Queues
) -> None:
    creator = profile_make(messages=1_000).creator
    fans_make(creator, 8)
    campaign = launch(creator)
    copies = queue.receive(wait_seconds=0)
    assert len(copies) == 8
    campaign_steps.campaign_pause(creator=creator, campaign_id=campaign.pk)
    assert {consumer.handle(copy) for copy in copies[:4]} == {Disposition.ACKNOWLEDGE}
    assert gateway.calls == []
    campaign_steps.campaign_resume(creator=creator, campaign_id=campaign.pk)
    for copy in copies[4:]:
        consumer.handle(copy)
    consume(consumer)
    assert len(gateway.calls) == len(set(gateway.reached)) == 8
    cancelled = launch(creator)
    assert sqs_queues.depth() == 16
    campaign_steps.campaign_cancel(creator=creator, campaign_id=cancelled.pk)
    consume(consumer)
    assert len(gateway.calls) == 8


def test_while_cloudwatch_is_down_sending_goes_on(consumer: Consumer, gateway: ScriptedGateway, settings: Any) -> None:
    def away(**request: Any) -> None:
        raise EndpointConnectionError(endpoint_url="https://monitoring.invalid")

    settings.CLOUDWATCH_NAMESPACE = "Huntaze"
    metrics._client.cache_clear()
    events = metrics._client(settings.AWS_REGION, settings.AWS_ENDPOINT_URL).meta.events
    events.register_first("before-send.cloudwatch", away, unique_id="away")
    delivery = send(FanFactory())
    worker = Worker(consumer, concurrency=1)
    worked_through(worker)
    assert metrics.flush() is False
    assert gateway.reached == [delivery.pk]
    metrics._client.cache_clear()
    metrics._counts.clear()
