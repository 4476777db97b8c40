"""Answers how sending went over the last minutes, hour and day, as CloudWatch has it. Reads it, keeps it in the cache.

Asking costs a cent for a thousand figures, so an answer is kept for a minute, and for all processes: 30 figures a
minute while a page shows them. A refusal is kept as long, so that pages do not wait each time for a
CloudWatch that is away.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from django.conf import settings
from django.core.cache import cache
from django.utils.translation import gettext_noop

from crm.recent import InTime, Recent
from crm.stored_words import kept_sentence
from messaging import metrics

WINDOWS = {"5m": timedelta(minutes=5), "1h": timedelta(hours=1), "24h": timedelta(hours=24)}
# For so long an answer is kept, and a refusal too.
KEPT_SECONDS = 60
# How long a page waits for CloudWatch.
ASKED_SECONDS = 2.0
NOT_SET = kept_sentence("%(name)s is not set: what is counted is put into no CloudWatch.")
NO_ANSWER = gettext_noop("CloudWatch has not answered yet.")
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
    """By window and figure; None for what nobody measured in it.

    Where there is nothing at all, `trouble` says why and `code` what kind of reason it is: `not_configured`,
    `not_allowed` or `no_answer`.
    """

    windows: dict[str, dict[str, float | None]]
    trouble: str = ""
    code: str = ""


def metric_history() -> MetricHistory:
    """Never raises: where CloudWatch is not set up or refuses, `trouble` is the sentence to show."""
    for name in ("CLOUDWATCH_NAMESPACE", "AWS_REGION"):
        if not getattr(settings, name):
            return MetricHistory({}, NOT_SET % {"name": name}, "not_configured")
    code, trouble = cache.get(_key("trouble"), ("", ""))
    if trouble:
        return MetricHistory({}, trouble, code)
    kept: dict[str, dict[str, float | None]] | None = cache.get(_key("windows"))
    if kept is not None:
        return MetricHistory(kept)
    try:
        found = _windows_read()
    except metrics.MetricsUnreadable as error:
        code = "not_allowed" if error.denied else "no_answer"
        cache.set(_key("trouble"), (code, str(error)), timeout=KEPT_SECONDS)
        return MetricHistory({}, str(error), code)
    cache.set(_key("windows"), found, timeout=KEPT_SECONDS)
    return MetricHistory(found)


def metric_history_lately() -> MetricHistory:
    """The same for a page that may not wait: past two seconds it says that CloudWatch does not answer."""
    return _lately.get((), lambda: _asked.get() or MetricHistory({}, NO_ANSWER, "no_answer"))


_lately: Recent[tuple[()], MetricHistory] = Recent(seconds=5)
_asked: InTime[MetricHistory] = InTime(metric_history, seconds=ASKED_SECONDS)


def figure_text(value: float | None) -> str:
    """A figure for a person; a dash where nobody measured it."""
    return "–" if value is None else f"{value:g}"


def _key(name: str) -> str:
    return f"messaging:metrics:history:{settings.CLOUDWATCH_NAMESPACE}:{name}"


def _windows_read() -> dict[str, dict[str, float | None]]:
    """All windows up to the same moment, so that a day is never behind its last hour. Raises MetricsUnreadable."""
    # CloudWatch counts in whole seconds, and the last one is not within: what was put just now is to be.
    now = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    wanted = [(figure.metric, figure.statistic) for figure in FIGURES.values()]
    found: dict[str, dict[str, float | None]] = {}
    within: dict[str, float | None] = {}
    for name, length in sorted(WINDOWS.items(), key=lambda window: window[1]):
        read = metrics.read(wanted, since=now - length, until=now)
        ours = {told: _one(figure, values) for (told, figure), values in zip(FIGURES.items(), read, strict=True)}
        # CloudWatch stores in coarser periods a little later: what the last hour has, the day has too.
        for told, figure in FIGURES.items():
            if figure.statistic != "p95" and within.get(told) is not None:
                ours[told] = max(ours[told] or 0, within[told] or 0)
        found[name] = within = ours
    return found


def _one(figure: Figure, values: list[float]) -> float | None:
    """CloudWatch may cut a window where its periods begin. Percentiles of parts cannot be added: the worst is told."""
    if figure.statistic == "Sum":
        return sum(values)
    return max(values, default=None)
