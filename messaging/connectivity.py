"""Answers whether this process could reach SQS when it started. Touches SQS and the cache, in the background."""

import threading
from datetime import datetime
from typing import TypedDict

import structlog
from django.conf import settings
from django.core.cache import cache
from django.utils import timezone

from messaging import queue
from messaging.payloads import connectivity_test_body
from messaging.sending_needs import queue_untouched

logger = structlog.get_logger(__name__)
CACHE_KEY = "messaging:connectivity"


class Connectivity(TypedDict):
    """The outcome of the last test; `reason` is empty when it was well."""

    ok: bool
    reason: str
    at: datetime


def connectivity_last() -> Connectivity | None:
    """What the process that started last found; None before that."""
    found: Connectivity | None = cache.get(CACHE_KEY)
    return found


def connectivity_test() -> Connectivity | None:
    """Send one `connectivity_test` message, which the consumer drops, and remember the outcome.

    While the rate limiter is off nothing is sent and there is no outcome: what was found before is forgotten.
    """
    if not settings.RATE_LIMITER_ENABLED:
        logger.info("sqs connectivity not tested", reason=queue_untouched())
        cache.delete(CACHE_KEY)
        return None
    now = timezone.now()
    reason = queue_untouched()
    if not reason:
        message = queue.Outgoing(key="test", body=connectivity_test_body(sent_at=now), delay_seconds=0, group="")
        error = queue.send([message])["test"]
        reason = error.reason if error else ""
    if reason:
        logger.error("sqs connectivity test failed", reason=reason)
    else:
        logger.info("sqs connectivity test succeeded")
    outcome = Connectivity(ok=not reason, reason=reason, at=now)
    cache.set(CACHE_KEY, outcome, timeout=None)
    return outcome


def _run() -> None:
    try:
        connectivity_test()
    except Exception:
        # A start never fails by this; what is wrong shows where messages are sent.
        logger.exception("sqs connectivity test broke")


def connectivity_start() -> None:
    """Run the test in the background; a start never waits for it."""
    threading.Thread(target=_run, name="connectivity", daemon=True).start()
