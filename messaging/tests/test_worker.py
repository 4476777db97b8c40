"""Answers whether the worker sends what it receives, leaves nothing behind at its end, and stays away in trouble."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.utils import timezone

from conftest import Queues
from crm.models import MessageStatus
from crm.tests.factories import FanFactory
from messaging import heartbeat, queue, worker
from messaging.delivery import Consumer
from messaging.errors import LimiterUnavailable
from messaging.gateways import OutboundMessage, Sent
from messaging.models import Delivery, Kind
from messaging.publishing import republish
from messaging.rate_limiter import RedisRateLimiter
from messaging.tests.conftest import Faults
from messaging.tests.factories import ScriptedGateway, delivery_make, profile_make
from messaging.worker import Worker

# Threads have connections of their own, which see only what is committed.
pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture
def gateway() -> ScriptedGateway:
    return ScriptedGateway()


@pytest.fixture
def sender(limiter: RedisRateLimiter, gateway: ScriptedGateway, sqs_queues: Queues) -> Iterator[Worker]:
    found = Worker(Consumer(limiter=limiter, gateway=gateway), concurrency=4)
    handing_out = threading.Thread(target=found.hand_out)
    handing_out.start()
    yield found
    found.drain()
    handing_out.join(10)
    connection.close()


def waiting(count: int) -> list[Delivery]:
    """So many messages of as many creators, on the queue."""
    deliveries = [delivery_make() for _ in range(count)]
    for delivery in deliveries:
        assert republish(delivery, delay_seconds=0) is None
    return deliveries


def until(condition: Any) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def states() -> set[str]:
    return set(Delivery.objects.values_list("state", flat=True))


def test_a_poll_sends_what_it_received_and_acknowledges_it(sender: Worker, sqs_queues: Queues) -> None:
    waiting(3)
    assert sender.poll(wait_seconds=0) == 3
    until(lambda: states() == {MessageStatus.SENT})
    until(lambda: sender._lanes.held == 0)
    sender.acknowledge()
    assert sqs_queues.depth() == 0


def test_messages_of_several_creators_are_sent_at_a_time(sender: Worker, gateway: ScriptedGateway) -> None:
    together = threading.Barrier(4, timeout=5)

    def wait_for_the_others(message: OutboundMessage) -> Sent:
        together.wait()
        return Sent(str(message.message_id))

    gateway._outcomes = [wait_for_the_others] * 4
    waiting(4)
    assert sender.poll(wait_seconds=0) == 4
    until(lambda: states() == {MessageStatus.SENT})


def test_nothing_more_is_received_while_as_many_wait_for_a_thread_as_there_are(
    sender: Worker, gateway: ScriptedGateway
) -> None:
    go_on = threading.Event()

    def slow(message: OutboundMessage) -> Sent:
        assert go_on.wait(5)
        return Sent(str(message.message_id))

    gateway._outcomes = [slow] * 4
    # Four are being sent and four wait.
    waiting(8)
    assert sender.poll(wait_seconds=0) == 8
    until(lambda: sender._lanes.ready() == 4)
    assert not sender._has_room()
    go_on.set()
    until(lambda: states() == {MessageStatus.SENT})
    assert sender._has_room()


def of_one_creator(count: int, *, gap_ms: int, kind: Kind = Kind.CAMPAIGN) -> list[Delivery]:
    """So many messages of one creator, on the queue."""
    creator = profile_make(gap_ms=gap_ms).creator
    made = [delivery_make(fan=FanFactory(creator=creator), kind=kind) for _ in range(count)]
    for delivery in made:
        assert republish(delivery, delay_seconds=0) is None
    return made


def test_a_group_of_one_creator_is_paced_in_the_workers_hands_and_acknowledged_at_once(
    sender: Worker, gateway: ScriptedGateway, sqs_faults: Faults
) -> None:
    made = of_one_creator(5, gap_ms=100)
    sqs_faults.operations.clear()
    began = time.monotonic()
    assert sender.poll(wait_seconds=0) == 5
    while states() != {MessageStatus.SENT}:
        sender.acknowledge()
        assert time.monotonic() < began + 10
    until(lambda: sender._lanes.held == 0)
    sender.acknowledge()
    assert time.monotonic() - began >= 0.4
    assert gateway.reached == [delivery.pk for delivery in made]
    assert sqs_faults.operations == ["DeleteMessageBatch"]
    assert set(Delivery.objects.values_list("hops", flat=True)) == {0}


def test_a_reply_goes_before_what_waits_of_a_campaign(sender: Worker, gateway: ScriptedGateway) -> None:
    made = of_one_creator(4, gap_ms=300)
    sender.poll(wait_seconds=0)
    until(lambda: len(gateway.reached) == 1)
    reply = delivery_make(fan=FanFactory(creator=made[0].creator))
    republish(reply, delay_seconds=0)
    sender.poll(wait_seconds=0)
    until(lambda: len(gateway.reached) == 5)
    assert reply.pk in gateway.reached[1:3]


def test_what_waits_for_its_turn_goes_back_to_the_queue_at_the_end(
    limiter: RedisRateLimiter, gateway: ScriptedGateway, sqs_queues: Queues
) -> None:
    sender = Worker(Consumer(limiter=limiter, gateway=gateway), concurrency=4)
    handing_out = threading.Thread(target=sender.hand_out)
    handing_out.start()
    of_one_creator(4, gap_ms=30_000)
    sender.poll(wait_seconds=0)
    until(lambda: len(gateway.reached) == 1 and sender._lanes.held == 3)
    began = time.monotonic()
    sender.drain()
    handing_out.join(10)
    assert time.monotonic() - began < 5
    assert len(queue.receive(wait_seconds=0)) == 3
    assert sqs_queues.depth() == 3


def test_a_creators_backlog_holds_up_nobody_else(sender: Worker, gateway: ScriptedGateway) -> None:
    # More than there are threads, and than wait in a lane.
    heavy = of_one_creator(60, gap_ms=30_000)
    other = waiting(1)
    until(lambda: sender.poll(wait_seconds=0) == 0)
    until(lambda: other[0].pk in gateway.reached)
    assert [each.creator_id for each in gateway.calls].count(heavy[0].creator_id) == 1


def test_a_creator_whose_sends_hang_takes_one_thread(sender: Worker, gateway: ScriptedGateway) -> None:
    hung, go_on = threading.Event(), threading.Event()
    heavy = of_one_creator(8, gap_ms=0)

    def hang(message: OutboundMessage) -> Sent:
        if message.creator_id == heavy[0].creator_id:
            hung.set()
            assert go_on.wait(10)
        return Sent(str(message.message_id))

    gateway._outcomes = [hang] * 9
    sender.poll(wait_seconds=0)
    assert hung.wait(5)
    other = waiting(1)
    sender.poll(wait_seconds=0)
    until(lambda: other[0].pk in gateway.reached)
    assert len(gateway.calls) == 2
    go_on.set()


def test_what_is_settled_waits_for_a_full_batch_but_not_for_long(sender: Worker, sqs_faults: Faults) -> None:
    of_one_creator(3, gap_ms=30_000)
    sqs_faults.operations.clear()
    sender.poll(wait_seconds=0)
    until(lambda: sender._done)
    sender.acknowledge()
    assert sqs_faults.operations == []
    sender._done_since -= sender._times.acknowledge_within
    sender.acknowledge()
    assert sqs_faults.operations == ["DeleteMessageBatch"]


def test_what_is_kept_is_given_back_well_before_the_visibility_time_out(settings: Any) -> None:
    settings.SQS_VISIBILITY_TIMEOUT_SECONDS, settings.SEND_LEASE_SECONDS = 180, 30
    found = worker.times()
    assert (found.patience, found.acknowledge_within) == (60, 30)
    assert found.patience + settings.SEND_LEASE_SECONDS + found.acknowledge_within <= 180 * 0.8


def test_nothing_is_received_while_redis_is_away(sender: Worker, settings: Any, sqs_queues: Queues) -> None:
    waiting(1)
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    with pytest.raises(LimiterUnavailable):
        sender.poll(wait_seconds=0)
    [message] = queue.receive(wait_seconds=0)
    assert message.receive_count == 1


def test_nothing_is_received_while_the_database_is_away(
    sender: Worker, monkeypatch: pytest.MonkeyPatch, sqs_queues: Queues
) -> None:
    from django.db import OperationalError

    def away() -> None:
        raise OperationalError("away")

    waiting(1)
    monkeypatch.setattr(worker, "database_ping", away)
    with pytest.raises(OperationalError):
        sender.poll(wait_seconds=0)
    assert sender._lanes.held == 0
    [message] = queue.receive(wait_seconds=0)
    assert message.receive_count == 1


def test_a_message_that_breaks_the_handling_stays_on_the_queue(
    sender: Worker, monkeypatch: pytest.MonkeyPatch, sqs_queues: Queues
) -> None:
    def broken(self: Consumer, received: queue.Received, *, patience_seconds: float) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(Consumer, "handle", broken)
    waiting(1)
    sender.poll(wait_seconds=0)
    until(lambda: sender._lanes.held == 0)
    sender.acknowledge()
    assert sqs_queues.depth() == 1


def test_at_its_end_it_finishes_what_it_sends_and_hands_the_rest_back(
    limiter: RedisRateLimiter, gateway: ScriptedGateway, sqs_queues: Queues
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(message: OutboundMessage) -> Sent:
        begun.set()
        assert go_on.wait(5)
        return Sent(str(message.message_id))

    gateway._outcomes = [slow]
    sender = Worker(Consumer(limiter=limiter, gateway=gateway), concurrency=1)
    threading.Thread(target=sender.hand_out).start()
    waiting(2)
    assert sender.poll(wait_seconds=0) == 2
    assert begun.wait(5)
    drain = threading.Thread(target=sender.drain)
    drain.start()
    go_on.set()
    drain.join(10)
    assert sorted(Delivery.objects.values_list("state", flat=True)) == ["queued", "sent"]
    # Visible at once, not after the time-out.
    assert len(queue.receive(wait_seconds=0)) == 1


def test_what_the_last_poll_brings_after_the_end_is_handed_back_at_once(
    sender: Worker, gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch, sqs_queues: Queues
) -> None:
    polling, receive = threading.Event(), queue.receive

    def slow(**asked: Any) -> list[queue.Received]:
        polling.set()
        assert sender._stopping.wait(5)
        # By now the worker has seen that it is to end.
        until(lambda: sender._pool._shutdown)
        return receive(**{**asked, "wait_seconds": 0})

    waiting(3)
    monkeypatch.setattr(queue, "receive", slow)
    running = threading.Thread(target=sender.run)
    running.start()
    assert polling.wait(5)
    sender.stop()
    running.join(10)
    assert gateway.calls == []
    # Visible at once, not after the time-out.
    assert len(receive(wait_seconds=0)) == 3


def test_a_poll_that_never_ends_does_not_keep_the_worker(
    sender: Worker, monkeypatch: pytest.MonkeyPatch, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.WORKER_STOP_SECONDS = 0.05
    polling, over = threading.Event(), threading.Event()

    def stuck(**asked: Any) -> list[queue.Received]:
        polling.set()
        assert over.wait(10)
        return []

    monkeypatch.setattr(queue, "receive", stuck)
    running = threading.Thread(target=sender.run)
    running.start()
    assert polling.wait(5)
    sender.stop()
    running.join(5)
    assert not running.is_alive()
    assert "the last poll has not ended" in caplog.text
    over.set()
    until(lambda: not any(thread.name == "poll" for thread in threading.enumerate()))


def test_it_runs_until_it_is_stopped_and_shows_that_it_lives(sender: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "LONG_POLL_SECONDS", 0)
    before = timezone.now()
    running = threading.Thread(target=sender.run)
    running.start()
    try:
        waiting(1)
        until(lambda: states() == {MessageStatus.SENT})
        beat = heartbeat.heartbeat_last()
        assert beat is not None
        assert beat >= before
    finally:
        sender.stop()
        running.join(10)
    assert not running.is_alive()
    # The poll's own thread ends with its poll.
    until(lambda: not any(thread.name == "poll" for thread in threading.enumerate()))


def test_while_the_rate_limiter_is_off_it_lives_and_takes_nothing(
    sender: Worker, settings: Any, gateway: ScriptedGateway, sqs_queues: Queues
) -> None:
    settings.RATE_LIMITER_ENABLED = False
    waiting(1)
    running = threading.Thread(target=sender.run)
    running.start()
    # Its poll has ended, and it goes on.
    until(lambda: sender._poller is not None and not sender._poller.is_alive())
    assert running.is_alive()
    sender.stop()
    running.join(10)
    assert gateway.calls == []
    assert heartbeat.heartbeat_last() is not None
    [message] = queue.receive(wait_seconds=0)
    assert message.receive_count == 1


def test_it_shows_that_it_lives_in_its_file_too(sender: Worker, settings: Any, tmp_path: Path) -> None:
    settings.WORKER_HEARTBEAT_FILE = str(tmp_path / "beat")
    assert "No worker has written it yet" in heartbeat.heartbeat_trouble(max_age_seconds=60)
    sender.stop()
    sender.run()
    assert heartbeat.heartbeat_trouble(max_age_seconds=60) == ""
    assert heartbeat.heartbeat_last() is not None


def test_a_heartbeat_file_that_cannot_be_written_stops_no_worker(settings: Any, tmp_path: Path) -> None:
    settings.WORKER_HEARTBEAT_FILE = str(tmp_path / "missing" / "beat")
    heartbeat.heartbeat_beat()
    assert heartbeat.heartbeat_last() is not None


def test_every_knob_is_named_at_the_start(settings: Any, tmp_path: Path) -> None:
    settings.WORKER_HEARTBEAT_FILE = str(tmp_path / "beat")
    settings.SEND_MAX_ATTEMPTS = 7
    knobs = worker.knobs_check()
    assert (knobs["max_attempts"], knobs["heartbeat_file"]) == (7, str(tmp_path / "beat"))
    assert {"concurrency", "lease_seconds", "timeout_seconds", "visibility_seconds", "gateway", "queue"} <= set(knobs)


def test_a_heartbeat_file_in_no_folder_is_said_at_the_start(settings: Any, tmp_path: Path) -> None:
    settings.WORKER_HEARTBEAT_FILE = str(tmp_path / "missing" / "beat")
    with pytest.raises(ImproperlyConfigured, match="missing or read-only"):
        worker.knobs_check()
