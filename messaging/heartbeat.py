"""The workers' heartbeat: who sends messages, and when that process last showed itself. Touches the cache and a file.

A worker beats every ten seconds. AWS Lambda runs only when a message comes, so it leaves a mark that lasts a day, and
its silence means nothing.
"""

import time
from datetime import datetime
from pathlib import Path

import structlog
from django.conf import settings
from django.core.cache import cache
from django.utils import timezone

from messaging import metrics

logger = structlog.get_logger(__name__)
HEARTBEAT_KEY = "messaging:worker:heartbeat"
HEARTBEAT_STALE_SECONDS = 60
FUNCTION_KEY = "messaging:worker:function"
# Its sweeper runs every minute, and its consumer whenever something is sent.
FUNCTION_MARK_SECONDS = 24 * 3600


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
    metrics.count("OnlyFansWorkerHeartbeat")
    heartbeat_file_touch()


def heartbeat_file_touch() -> None:
    """Say to this machine that a process goes on; any that loops may."""
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


def function_mark() -> None:
    """Say that an AWS Lambda function consumes the queue or sweeps."""
    cache.set(FUNCTION_KEY, timezone.now(), timeout=FUNCTION_MARK_SECONDS)


def function_seen() -> bool:
    return cache.get(FUNCTION_KEY) is not None


def worker_trouble() -> str:
    """Why no consumer of the queue seems to run, in English for operators; empty where one does."""
    age = heartbeat_age_seconds()
    if (age is not None and age <= HEARTBEAT_STALE_SECONDS) or function_seen():
        return ""
    return "No worker has started yet." if age is None else f"No worker has been seen for {age:.0f} s."
