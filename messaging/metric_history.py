"""Answers how sending went over the last minutes, hour and day, as CloudWatch has it. Reads it, keeps it in the cache.

Asking costs a cent for a thousand figures, so an answer is kept for a twelfth of its window, and for all processes.
A refusal is kept for a minute, so that pages do not wait for a CloudWatch that is away each time.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from django.conf import settings
from django.core.cache import cache

from messaging import metrics

WINDOWS = {"5m": timedelta(minutes=5), "1h": timedelta(hours=1), "24h": timedelta(hours=24)}
KEPT_SECONDS_LEAST = 60
TROUBLE_KEPT_SECONDS = 60
Statistic = Literal["Sum", "Maximum", "p95"]


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric and what of it is told: how many in all, the highest, or what nineteen in twenty stayed below."""

    metric: str
    statistic: Statistic


FIGURES = {
    "queued": Figure("OnlyFansMessagesQueued", "Sum"),
    "sent": Figure("OnlyFansMessagesSent", "Sum"),
    "failed": Figure("OnlyFansMessagesFailed", "Sum"),
    "unknown": Figure("OnlyFansMessagesUnknown", "Sum"),
    "deferred": Figure("OnlyFansMessagesDeferred", "Sum"),
    "queueDepth": Figure("OnlyFansQueueDepth", "Maximum"),
    "dlqDepth": Figure("OnlyFansDLQDepth", "Maximum"),
    "processingSeconds": Figure("OnlyFansProcessingTime", "p95"),
    "dispatchLagSeconds": Figure("OnlyFansDispatchLag", "p95"),
    "outboxOldestSeconds": Figure("OnlyFansOutboxOldestAge", "Maximum"),
}


@dataclass(frozen=True, slots=True)
class MetricHistory:
    """By window and figure; None for what nobody measured in it. `trouble` says why there is nothing at all."""

    windows: dict[str, dict[str, float | None]]
    trouble: str = ""


def metric_history() -> MetricHistory:
    """Never raises: where CloudWatch is not set up or refuses, `trouble` is the sentence to show."""
    if not (settings.CLOUDWATCH_NAMESPACE and settings.AWS_REGION):
        return MetricHistory({}, "CLOUDWATCH_NAMESPACE is not set: what is counted is put into no CloudWatch.")
    trouble: str = cache.get(_key("trouble"), "")
    if trouble:
        return MetricHistory({}, trouble)
    try:
        return MetricHistory({name: _window(name, length) for name, length in WINDOWS.items()})
    except metrics.MetricsUnreadable as error:
        cache.set(_key("trouble"), str(error), timeout=TROUBLE_KEPT_SECONDS)
        return MetricHistory({}, str(error))


def figure_text(value: float | None) -> str:
    """A figure for a person; a dash where nobody measured it."""
    return "–" if value is None else f"{value:g}"


def _key(name: str) -> str:
    return f"messaging:metrics:history:{settings.CLOUDWATCH_NAMESPACE}:{name}"


def _window(name: str, length: timedelta) -> dict[str, float | None]:
    key = _key(name)
    kept: dict[str, float | None] | None = cache.get(key)
    if kept is not None:
        return kept
    # CloudWatch counts in whole seconds, and the last one is not within: what was put just now is to be.
    now = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    wanted = [(figure.metric, figure.statistic) for figure in FIGURES.values()]
    read = metrics.read(wanted, since=now - length, until=now)
    found = {told: _one(figure, values) for (told, figure), values in zip(FIGURES.items(), read, strict=True)}
    cache.set(key, found, timeout=max(KEPT_SECONDS_LEAST, length.total_seconds() / 12))
    return found


def _one(figure: Figure, values: list[float]) -> float | None:
    """CloudWatch may cut a window where its periods begin. Percentiles of parts cannot be added: the worst is told."""
    if figure.statistic == "Sum":
        return sum(values)
    return max(values, default=None)
