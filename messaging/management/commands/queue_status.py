"""Answers how sending goes over all creators. Only reads: SQS, the tables, the heartbeat, CloudWatch."""

import json
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from messaging import heartbeat
from messaging.metric_history import MetricHistory, figure_text, metric_history
from messaging.queue import QueueCounts
from messaging.queue_overview import QueueOverview, queue_overview


class Command(BaseCommand):
    help = (
        "Print how deep the queues are, what is in the outbox, whether a worker lives, who is paused, and what "
        "CloudWatch has of the last day."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        found = queue_overview()
        beat = heartbeat.heartbeat_last()
        seen = None if beat is None else round((timezone.now() - beat).total_seconds(), 1)
        history = metric_history()
        if options["json"]:
            told = {**_json(found, seen), "history": history.windows, "historyTrouble": history.trouble}
            self.stdout.write(json.dumps(told, ensure_ascii=False, indent=2))
        else:
            self._text(found, seen, history)

    def _text(self, found: QueueOverview, seen: float | None, history: MetricHistory) -> None:
        rows = [("queue", _words(found.counts)), ("dead letters", _words(found.dlq))]
        if found.trouble:
            rows.append(("SQS", found.trouble))
        rows.append(("worker", "not seen" if seen is None else f"seen {seen:.0f} s ago"))
        oldest = found.oldest_pending
        rows.append(
            ("outbox", "empty")
            if oldest is None
            else (
                "outbox",
                f"{oldest.message_id} of creator {oldest.creator_id} for {_age(oldest.created_at):.0f} s",
            )
        )
        rows.append(("states", ", ".join(f"{number} {state}" for state, number in found.states.items() if number)))
        rows += [
            ("paused", f"creator {who.creator_id} ({who.name}) since {who.paused_at:%Y-%m-%d %H:%M} UTC: {who.reason}")
            for who in found.paused
        ]
        rows += [(f"last {window}", _history(figures)) for window, figures in history.windows.items()]
        if history.trouble:
            rows.append(("CloudWatch", history.trouble))
        for name, value in rows:
            self.stdout.write(f"{name:<13} {value or 'none'}")


def _words(counts: QueueCounts | None) -> str:
    if counts is None:
        return "not known"
    return f"{counts.waiting} waiting, {counts.in_flight} in flight, {counts.delayed} delayed"


def _history(figures: dict[str, float | None]) -> str:
    """One line of what CloudWatch has."""
    told = {name: figure_text(value) for name, value in figures.items()}
    return (
        "{queued} queued, {sent} sent, {failed} failed, {unknown} unknown, {deferred} deferred; "
        "at most {queueDepth} due, {dlqDepth} dead letters, {outboxOldestSeconds} s in the outbox; "
        "95 % within {processingSeconds} s of sending and {dispatchLagSeconds} s of their turn"
    ).format(**told)


def _age(moment: datetime) -> float:
    return (timezone.now() - moment).total_seconds()


def _counts(counts: QueueCounts | None) -> dict[str, int] | None:
    if counts is None:
        return None
    return {"waiting": counts.waiting, "inFlight": counts.in_flight, "delayed": counts.delayed}


def _json(found: QueueOverview, seen: float | None) -> dict[str, Any]:
    oldest = found.oldest_pending
    return {
        "queue": _counts(found.counts),
        "dlq": _counts(found.dlq),
        "trouble": found.trouble,
        "states": found.states,
        "oldestPending": None
        if oldest is None
        else {
            "messageId": str(oldest.message_id),
            "creatorId": oldest.creator_id,
            "createdAt": oldest.created_at.isoformat(),
            "ageSeconds": round(_age(oldest.created_at), 1),
        },
        "workerSeenSecondsAgo": seen,
        "paused": [
            {
                "creatorId": who.creator_id,
                "name": who.name,
                "pausedAt": who.paused_at.isoformat(),
                "reason": who.reason,
            }
            for who in found.paused
        ],
    }
