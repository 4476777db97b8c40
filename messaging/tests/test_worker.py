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
from messaging import queue, worker
from messaging.delivery import Consumer
from messaging.errors import LimiterUnavailable
from messaging.gateways import OutboundMessage, Sent
from messaging.models import Delivery
from messaging.publishing import republish
from messaging.rate_limiter import RedisRateLimiter
from messaging.tests.factories import ScriptedGateway, delivery_make
from messaging.worker import Worker

# Threads have connections of their own, which see only what is committed.
pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture
def gateway() -> ScriptedGateway:
    return ScriptedGateway()


@pytest.fixture
def sender(limiter: RedisRateLimiter, gateway: ScriptedGateway, sqs_queues: Queues) -> Iterator[Worker]:
    found = Worker(Consumer(limiter=limiter, gateway=gateway), concurrency=4)
    yield found
    found._pool.shutdown(wait=True, cancel_futures=True)
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
    until(lambda: len(sender._done) == 3)
    sender._acknowledge()
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


def test_no_more_is_received_than_there_are_threads_for(sender: Worker) -> None:
    waiting(6)
    assert sender.poll(wait_seconds=0) == 4
    until(lambda: sender._free._value == 4)


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
    assert sender._free._value == 4
    [message] = queue.receive(wait_seconds=0)
    assert message.receive_count == 1


def test_a_message_that_breaks_the_handling_stays_on_the_queue(
    sender: Worker, monkeypatch: pytest.MonkeyPatch, sqs_queues: Queues
) -> None:
    def broken(self: Consumer, received: queue.Received) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(Consumer, "handle", broken)
    waiting(1)
    sender.poll(wait_seconds=0)
    until(lambda: sender._free._value == 4)
    sender._acknowledge()
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
    # One more than it has threads, as when it is told to stop between receiving and sending.
    sender._free = threading.Semaphore(2)
    waiting(2)
    assert sender.poll(wait_seconds=0) == 2
    assert begun.wait(5)
    drain = threading.Thread(target=sender._drain)
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


def test_a_poll_that_waits_for_a_free_thread_takes_nothing_after_the_end(sender: Worker, sqs_queues: Queues) -> None:
    waiting(1)
    sender.stop()
    assert sender.poll(wait_seconds=0) == 0
    assert sender._free._value == 4
    [message] = queue.receive(wait_seconds=0)
    assert message.receive_count == 1


def test_it_runs_until_it_is_stopped_and_shows_that_it_lives(sender: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "LONG_POLL_SECONDS", 0)
    before = timezone.now()
    running = threading.Thread(target=sender.run)
    running.start()
    try:
        waiting(1)
        until(lambda: states() == {MessageStatus.SENT})
        beat = worker.heartbeat_last()
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
    assert worker.heartbeat_last() is not None
    [message] = queue.receive(wait_seconds=0)
    assert message.receive_count == 1


def test_it_shows_that_it_lives_in_its_file_too(sender: Worker, settings: Any, tmp_path: Path) -> None:
    settings.WORKER_HEARTBEAT_FILE = str(tmp_path / "beat")
    assert "No worker has written it yet" in worker.heartbeat_trouble(max_age_seconds=60)
    sender.stop()
    sender.run()
    assert worker.heartbeat_trouble(max_age_seconds=60) == ""
    assert worker.heartbeat_last() is not None


def test_a_heartbeat_file_that_cannot_be_written_stops_no_worker(settings: Any, tmp_path: Path) -> None:
    settings.WORKER_HEARTBEAT_FILE = str(tmp_path / "missing" / "beat")
    worker.heartbeat_beat()
    assert worker.heartbeat_last() is not None


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
