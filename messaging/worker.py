"""Answers the queue for as long as it runs: polls, hands each message to a thread in its turn, acknowledges in batches.

Touches SQS and, through the consumer, everything that delivery touches.

On threads, because of `bench/throughput.py`: with 50 requests under way and 150 ms until the platform answers, the
vendor's synchronous client sent 251 messages a second at 2.1 ms of processor time each, its asynchronous one 167 at 3.3
(two cores; on a busy machine 111 and 29). What waits for its turn takes no thread.
"""

import math
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import structlog
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, close_old_connections, connection

from crm.models import uuid7
from messaging import metrics, queue
from messaging.delivery import Consumer, Disposition, Later
from messaging.errors import LimiterUnavailable, MalformedBody, QueueError
from messaging.gateways import gateway_load
from messaging.heartbeat import heartbeat_beat
from messaging.lanes import Lanes, Turn
from messaging.payloads import Dispatch, dispatch_parse
from messaging.rate_limiter import limiter_load, redis_ping
from messaging.selectors import database_ping

logger = structlog.get_logger(__name__)
HEARTBEAT_EVERY_SECONDS = 10
ACKNOWLEDGE_EVERY_SECONDS = 0.5
# Messages in hand, sent ones that are not acknowledged yet included; SQS lets one queue's consumers have 120,000.
HELD_MAX = 10_000
TROUBLE_PAUSE_SECONDS = 5
# After a poll that brought less than it could, so that the next one brings more: one request instead of several.
GATHER_SECONDS = 0.25
# How often it is asked whether all that sending needs is there; a backlog is polled many times a second.
CHECK_EVERY_SECONDS = 1
# How soon it is asked again whether there is room for more.
ROOM_PAUSE_SECONDS = 0.02


def knobs_check() -> dict[str, str | int | float]:
    """All that decides how a worker sends, to be logged at its start. Raises ImproperlyConfigured.

    Ranges are checked where the settings are read, their order by huntaze.E001; here is what only this machine can say.
    """
    path = settings.WORKER_HEARTBEAT_FILE
    if path and not os.access(Path(path).parent, os.W_OK):
        raise ImproperlyConfigured(f"WORKER_HEARTBEAT_FILE names {path}, whose folder is missing or read-only.")
    return {
        "concurrency": settings.WORKER_CONCURRENCY,
        "stop_seconds": settings.WORKER_STOP_SECONDS,
        "lease_seconds": settings.SEND_LEASE_SECONDS,
        "timeout_seconds": settings.SEND_TIMEOUT_SECONDS,
        "visibility_seconds": settings.SQS_VISIBILITY_TIMEOUT_SECONDS,
        "max_attempts": settings.SEND_MAX_ATTEMPTS,
        "new_creator_limit": settings.RATE_LIMIT_MESSAGES,
        "new_creator_window_seconds": settings.RATE_LIMIT_WINDOW_SECONDS,
        "new_creator_gap_seconds": settings.RATE_LIMIT_MIN_GAP_SECONDS,
        "rate_limiter_enabled": settings.RATE_LIMITER_ENABLED,
        "gateway": settings.MESSAGING_GATEWAY,
        "region": settings.AWS_REGION,
        "queue": settings.SQS_RATE_LIMITER_QUEUE_URL,
        "dlq": settings.SQS_RATE_LIMITER_DLQ_URL,
        "heartbeat_file": path,
        "metrics": settings.CLOUDWATCH_NAMESPACE,
    }


@dataclass(frozen=True, slots=True)
class Times:
    """How long a message may be kept: waiting for its turn, and sent but not yet acknowledged.

    Both and a send fit into the visibility time-out with a fifth of it to spare; what outlives it is handed out again.
    """

    patience: float
    acknowledge_within: float


def times() -> Times:
    spare = settings.SQS_VISIBILITY_TIMEOUT_SECONDS - settings.SEND_LEASE_SECONDS
    return Times(patience=spare * 0.4, acknowledge_within=spare * 0.2)


class Worker:
    """One process's consumer. `run` blocks until `stop` is called from a signal handler or another thread."""

    def __init__(self, consumer: Consumer | None = None, *, concurrency: int | None = None) -> None:
        self.consumer = consumer or Consumer(limiter=limiter_load(), gateway=gateway_load())
        self.concurrency = concurrency or settings.WORKER_CONCURRENCY
        self._stopping = threading.Event()
        self._times = times()
        self._lanes: Lanes[queue.Received] = Lanes()
        self._free = threading.Semaphore(self.concurrency)
        self._pool = ThreadPoolExecutor(self.concurrency, thread_name_prefix="send")
        self._checked_at = -math.inf
        self._done: list[str] = []
        self._done_since = 0.0
        self._done_lock = threading.Lock()
        self._poller: threading.Thread | None = None

    def stop(self) -> None:
        """Take nothing new and finish what is in flight; only sets a flag, so a signal handler may call it.

        `run` returns once the last poll has, or after WORKER_STOP_SECONDS more.
        """
        self._stopping.set()

    def run(self) -> None:
        threading.Thread(target=self.hand_out, name="hand out", daemon=True).start()
        # The poll waits up to 20 s for SQS and cannot be woken, so it has a thread of its own.
        self._poller = threading.Thread(target=self._poll_forever, name="poll", daemon=True)
        self._poller.start()
        beat_at = -math.inf
        while True:
            if time.monotonic() - beat_at >= HEARTBEAT_EVERY_SECONDS:
                heartbeat_beat()
                beat_at = time.monotonic()
            if self._stopping.wait(ACKNOWLEDGE_EVERY_SECONDS):
                break
            self.acknowledge()
        self.drain()

    def drain(self) -> None:
        """Finish what is being sent, hand the rest back to SQS, acknowledge all that is settled."""
        self._release(self._lanes.close())
        self._pool.shutdown(wait=True)
        self.acknowledge(all_of_them=True)
        if self._poller is not None:
            # A poll that is cut off still gets its messages from SQS, and hides them for the visibility time-out.
            self._poller.join(settings.WORKER_STOP_SECONDS)
            if self._poller.is_alive():
                logger.warning("the last poll has not ended; what it brings is hidden for a while")
        metrics.flush()

    def _release(self, waiting: Sequence[queue.Received]) -> None:
        queue.release_all([received.receipt_handle for received in waiting])

    def _poll_forever(self) -> None:
        if not settings.RATE_LIMITER_ENABLED:
            # What is queued keeps its receive count; what SQS forgets after days the sweeper puts back when it is on.
            logger.warning("not receiving: RATE_LIMITER_ENABLED is false")
            return
        while not self._stopping.is_set():
            try:
                if not self._has_room():
                    self._stopping.wait(ROOM_PAUSE_SECONDS)
                elif 0 < self.poll(wait_seconds=queue.LONG_POLL_SECONDS) < queue.BATCH_MAX_ENTRIES:
                    self._stopping.wait(GATHER_SECONDS)
            except Exception as error:
                if not isinstance(error, QueueError | LimiterUnavailable | DatabaseError):
                    logger.exception("polling broke; trying again")
                else:
                    # Nothing is received that could not be sent: what stays in the queue keeps its receive count.
                    logger.warning("not receiving", error=str(error))
                self._stopping.wait(TROUBLE_PAUSE_SECONDS)

    def _has_room(self) -> bool:
        """Whether what is received now would be begun soon; what only waits for its turn takes no thread."""
        return self._lanes.held < HELD_MAX and self._lanes.ready() < self.concurrency

    def poll(self, *, wait_seconds: int) -> int:
        """Receive once, and put each message where it waits for its turn; answers how many messages it was.

        Raises QueueError, LimiterUnavailable or DatabaseError where one of the three that sending needs is away.
        """
        if time.monotonic() - self._checked_at >= CHECK_EVERY_SECONDS:
            redis_ping()
            database_ping()
            self._checked_at = time.monotonic()
        received = queue.receive(wait_seconds=wait_seconds)
        keep_until = time.monotonic() + self._times.patience
        # Not taken in where the worker has ended since the poll began.
        self._release([message for message in received if not self._lanes.put(_turn(message, keep_until))])
        return len(received)

    def hand_out(self) -> None:
        """Give each message to a thread when its turn comes; ends with `drain`."""
        while True:
            self._free.acquire()
            turn = self._lanes.take()
            if turn is None:
                return
            try:
                self._pool.submit(self._handle, turn)
            except RuntimeError:  # the pool has shut down since it was taken
                self._release([turn.item])
                return

    def _handle(self, turn: Turn[queue.Received]) -> None:
        result: Disposition | Later = Disposition.LEAVE
        try:
            close_old_connections()
            result = self.consumer.handle(turn.item, patience_seconds=max(0.0, turn.keep_until - time.monotonic()))
        except Exception:
            # SQS hands it out again, and to the dead-letter queue in the end.
            logger.exception("handling a message broke", receive_count=turn.item.receive_count)
        finally:
            connection.close()
            self._free.release()
            self._finished(turn, result)

    def _finished(self, turn: Turn[queue.Received], result: Disposition | Later) -> None:
        if isinstance(result, Later):
            if not self._lanes.later(turn, seconds=result.seconds, alone=result.alone, gap=result.gap_seconds):
                self._release([turn.item])
            return
        if result is Disposition.ACKNOWLEDGE:
            with self._done_lock:
                if not self._done:
                    self._done_since = time.monotonic()
                self._done.append(turn.item.receipt_handle)
        self._lanes.done(turn)

    def acknowledge(self, *, all_of_them: bool = False) -> None:
        """Tell SQS in full batches what is settled; all of it where nothing more is in hand, or it has waited long.

        What is settled is safe without it: its row says so, and a copy that comes again is recognised.
        """
        with self._done_lock:
            waited = time.monotonic() - self._done_since
            count = len(self._done)
            if not (all_of_them or self._lanes.held == 0 or waited >= self._times.acknowledge_within):
                count -= count % queue.BATCH_MAX_ENTRIES
            done, self._done = self._done[:count], self._done[count:]
            if done:
                self._done_since = time.monotonic()
        if done:
            queue.delete(done)


def _turn(received: queue.Received, keep_until: float) -> Turn[queue.Received]:
    """In whose lane a message waits; those that name nobody have one of their own."""
    try:
        dispatch = dispatch_parse(received.body)
    except MalformedBody:
        dispatch = None
    if dispatch is None:
        dispatch = Dispatch(message_id=uuid7(), dispatch_id=uuid7())
    return Turn(
        item=received,
        creator_id=dispatch.creator_id,
        campaign=dispatch.campaign,
        order=dispatch.message_id,
        keep_until=keep_until,
    )
