"""Answers the queue for as long as it runs: polls, hands each message to a thread, acknowledges in batches.

Touches SQS, the cache and a file (its heartbeat) and, through the consumer, everything that delivery touches.
"""

import math
import os
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import structlog
from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, close_old_connections, connection
from django.utils import timezone

from messaging import metrics, queue
from messaging.delivery import Consumer, Disposition
from messaging.errors import LimiterUnavailable, QueueError
from messaging.gateways import gateway_load
from messaging.rate_limiter import limiter_load, redis_ping
from messaging.selectors import database_ping

logger = structlog.get_logger(__name__)
HEARTBEAT_KEY = "messaging:worker:heartbeat"
HEARTBEAT_EVERY_SECONDS = 10
HEARTBEAT_STALE_SECONDS = 60
ACKNOWLEDGE_EVERY_SECONDS = 0.5
TROUBLE_PAUSE_SECONDS = 5


def heartbeat_last() -> datetime | None:
    """When a worker last said that it lives."""
    found: datetime | None = cache.get(HEARTBEAT_KEY)
    return found


def heartbeat_age_seconds() -> float | None:
    """How long ago that was; None where no worker has."""
    at = heartbeat_last()
    return None if at is None else (timezone.now() - at).total_seconds()


def heartbeat_beat() -> None:
    """Say that a worker lives: to all in the cache, and to this machine in WORKER_HEARTBEAT_FILE where it is set."""
    cache.set(HEARTBEAT_KEY, timezone.now(), timeout=None)
    if settings.WORKER_HEARTBEAT_FILE:
        try:
            Path(settings.WORKER_HEARTBEAT_FILE).touch()
        except OSError as error:
            # A full disk is no reason not to send.
            logger.warning("heartbeat file not written", error=error.strerror)


def heartbeat_trouble(*, max_age_seconds: float) -> str:
    """Why no worker seems to live, empty where one does: by the file where it is set, else by the cache."""
    path = settings.WORKER_HEARTBEAT_FILE
    if path:
        try:
            age = time.time() - Path(path).stat().st_mtime
        except OSError as error:
            return f"{path} cannot be read: {error.strerror}. No worker has written it yet."
        return f"{path} is {age:.0f} s old: the worker has stopped." if age > max_age_seconds else ""
    shared_age = heartbeat_age_seconds()
    if shared_age is None:
        return "No worker has shown itself yet, or Redis is away."
    return f"No worker has been seen for {shared_age:.0f} s." if shared_age > max_age_seconds else ""


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


class Worker:
    """One process's consumer. `run` blocks until `stop` is called from a signal handler or another thread."""

    def __init__(self, consumer: Consumer | None = None, *, concurrency: int | None = None) -> None:
        self.consumer = consumer or Consumer(limiter=limiter_load(), gateway=gateway_load())
        self.concurrency = concurrency or settings.WORKER_CONCURRENCY
        self._stopping = threading.Event()
        self._free = threading.Semaphore(self.concurrency)
        self._done: list[str] = []
        self._done_lock = threading.Lock()
        self._pool = ThreadPoolExecutor(self.concurrency, thread_name_prefix="send")
        self._running: dict[Future[None], queue.Received] = {}
        self._poller: threading.Thread | None = None

    def stop(self) -> None:
        """Take nothing new and finish what is in flight; only sets a flag, so a signal handler may call it.

        `run` returns once the last poll has, or after WORKER_STOP_SECONDS more.
        """
        self._stopping.set()

    def run(self) -> None:
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
            self._acknowledge()
        self._drain()

    def _drain(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        for future, received in list(self._running.items()):
            if future.cancelled():
                try:
                    queue.release(received.receipt_handle)
                except QueueError as error:
                    logger.warning("message not released; it returns by itself", code=error.code)
        self._acknowledge()
        if self._poller is not None:
            # A poll that is cut off still gets its messages from SQS, and hides them for the visibility time-out.
            self._poller.join(settings.WORKER_STOP_SECONDS)
            if self._poller.is_alive():
                logger.warning("the last poll has not ended; what it brings is hidden for a while")
        metrics.flush()

    def _poll_forever(self) -> None:
        if not settings.RATE_LIMITER_ENABLED:
            # What is queued keeps its receive count; what SQS forgets after days the sweeper puts back when it is on.
            logger.warning("not receiving: RATE_LIMITER_ENABLED is false")
            return
        while not self._stopping.is_set():
            try:
                self.poll(wait_seconds=queue.LONG_POLL_SECONDS)
            except Exception as error:
                if not isinstance(error, QueueError | LimiterUnavailable | DatabaseError):
                    logger.exception("polling broke; trying again")
                else:
                    # Nothing is received that could not be sent: what stays in the queue keeps its receive count.
                    logger.warning("not receiving", error=str(error))
                self._stopping.wait(TROUBLE_PAUSE_SECONDS)

    def poll(self, *, wait_seconds: int) -> int:
        """Receive once, as much as there are free threads for, and hand it out; answers how many messages it was.

        Raises QueueError, LimiterUnavailable or DatabaseError where one of the three that sending needs is away.
        """
        self._free.acquire()
        if self._stopping.is_set():
            self._free.release()
            return 0
        free = 1
        while free < queue.BATCH_MAX_ENTRIES and self._free.acquire(blocking=False):
            free += 1
        received: list[queue.Received] = []
        try:
            redis_ping()
            database_ping()
            received = queue.receive(limit=free, wait_seconds=wait_seconds)
        finally:
            if free > len(received):
                self._free.release(free - len(received))
        if received and self._stopping.is_set():
            queue.release_all([message.receipt_handle for message in received])
            self._free.release(len(received))
            return 0
        for message in received:
            try:
                future = self._pool.submit(self._handle, message)
            except RuntimeError:  # the pool has shut down since the poll began
                queue.release(message.receipt_handle)
                continue
            self._running[future] = message
            future.add_done_callback(self._finished)
        return len(received)

    def _finished(self, future: Future[None]) -> None:
        if not future.cancelled():
            self._running.pop(future, None)
        self._free.release()

    def _handle(self, received: queue.Received) -> None:
        close_old_connections()
        try:
            disposition = self.consumer.handle(received)
        except Exception:
            # SQS hands it out again, and to the dead-letter queue in the end.
            logger.exception("handling a message broke", receive_count=received.receive_count)
            return
        finally:
            connection.close()
        if disposition is Disposition.ACKNOWLEDGE:
            with self._done_lock:
                self._done.append(received.receipt_handle)

    def _acknowledge(self) -> None:
        with self._done_lock:
            done, self._done = self._done, []
        if done:
            queue.delete(done)
