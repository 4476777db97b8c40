"""Answers how deep the queues are and how old the outbox is, as metrics. Reads SQS and the tables, writes neither.

The sweeper measures, because one of it is enough and it runs by the clock wherever the product runs.
"""

import structlog
from django.db import DatabaseError
from django.utils import timezone

from messaging import metrics
from messaging.queue_overview import QueueOverview, queue_overview

logger = structlog.get_logger(__name__)
DEPTH, DLQ_DEPTH, OUTBOX_AGE = "OnlyFansQueueDepth", "OnlyFansDLQDepth", "OnlyFansOutboxOldestAge"
HEARTBEAT = "OnlyFansSweeperHeartbeat"


def swept() -> None:
    """A sweep has come to its end."""
    metrics.count(HEARTBEAT)


def vitals_measure() -> None:
    """Whether a sweep is possible or not. What SQS does not tell is left out, so that no alarm takes it for zero."""
    try:
        overview = queue_overview()
    except DatabaseError as error:
        logger.warning("vitals not measured", error=type(error).__name__)
        return
    if overview.counts is not None:
        # What is delayed waits for its slot, and is nobody's fault.
        metrics.gauge(DEPTH, overview.counts.waiting, unit="Count")
    if overview.dlq is not None:
        metrics.gauge(DLQ_DEPTH, overview.dlq.waiting, unit="Count")
    metrics.gauge(OUTBOX_AGE, outbox_age_seconds(overview), unit="Seconds")


def outbox_age_seconds(overview: QueueOverview) -> float:
    """How long the oldest message has been stored and not on the queue; 0 where none is."""
    oldest = overview.oldest_pending
    return 0.0 if oldest is None else max(0.0, (timezone.now() - oldest.created_at).total_seconds())
