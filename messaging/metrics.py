"""Answers how often things happened, for CloudWatch. Touches CloudWatch, as the only module that does.

Counted in the process and put at most once a minute: a call per message would cost more than SQS itself. Where
CloudWatch is down or not configured, counting and sending go on. In Lambda the counts leave as a log line instead.
What was counted is also added up over all processes in the cache, for whoever has no CloudWatch (`totals`).
"""

import json
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Literal

import boto3
import structlog
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.cache import cache as shared

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.client import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef, MetricDatumTypeDef

logger = structlog.get_logger(__name__)
FLUSH_EVERY_SECONDS = 60
Unit = Literal["Count", "Seconds"]
# Every counter there is: the rest is told apart by how it came.
COUNTED = (
    "OnlyFansMessagesQueued",
    "OnlyFansMessagesSent",
    "OnlyFansMessagesFailed",
    "OnlyFansMessagesUnknown",
    "OnlyFansMessagesDeferred",
    "OnlyFansBreakerOpened",
    "OnlyFansBreakerClosed",
    "OnlyFansWorkerHeartbeat",
    "OnlyFansSweeperHeartbeat",
)
DURATIONS = ("OnlyFansProcessingTime", "OnlyFansDispatchLag")
TOTAL_KEY = "messaging:metrics:total:{}"
# Different values that one entry of PutMetricData takes, and entries of one call:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html
VALUES_MAX = 150
ENTRIES_MAX = 1_000
# Values of one metric in a line of the embedded format.
EMBEDDED_VALUES_MAX = 100
DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}

_counts: Counter[str] = Counter()
_durations: dict[str, Counter[float]] = {}
_gauges: dict[str, tuple[float, Unit]] = {}
_lock = threading.Lock()
_stop = threading.Event()


def count(name: str, number: int = 1) -> None:
    """Add to a metric of this process; counted from process start where nothing flushes."""
    if number:
        with _lock:
            _counts[name] += number


def observe(name: str, seconds: float) -> None:
    """One more duration. To two digits, so that thousands of them are few different values and percentiles stay."""
    rounded = float(f"{max(0.0, seconds):.2g}")
    with _lock:
        _durations.setdefault(name, Counter())[rounded] += 1


def gauge(name: str, value: float, *, unit: Unit) -> None:
    """How high something is now; of several in a minute the last is put."""
    with _lock:
        _gauges[name] = (value, unit)


def totals() -> dict[str, int]:
    """What all processes have counted so far, as of their last flush; zero where the cache is away or was emptied."""
    found = shared.get_many([TOTAL_KEY.format(name) for name in COUNTED])
    return {name: found.get(TOTAL_KEY.format(name), 0) for name in COUNTED}


@cache
def _client(region: str, endpoint: str) -> "CloudWatchClient":
    config = Config(region_name=region, connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 1})
    return boto3.session.Session().client("cloudwatch", endpoint_url=endpoint or None, config=config)


@dataclass(frozen=True, slots=True)
class Taken:
    """What was gathered since it was last taken."""

    counts: Counter[str]
    durations: dict[str, Counter[float]]
    gauges: dict[str, tuple[float, Unit]]

    def entries(self) -> "list[MetricDatumTypeDef]":
        now = datetime.now(UTC)
        entries: list[MetricDatumTypeDef] = [
            {"MetricName": name, "Timestamp": now, "Value": number, "Unit": "Count"}
            for name, number in self.counts.items()
        ]
        entries += [
            {"MetricName": name, "Timestamp": now, "Value": value, "Unit": unit}
            for name, (value, unit) in self.gauges.items()
        ]
        for name, seconds in self.durations.items():
            values = list(seconds)
            for start in range(0, len(values), VALUES_MAX):
                some = values[start : start + VALUES_MAX]
                counts: list[float] = [seconds[value] for value in some]
                entries.append(
                    {"MetricName": name, "Timestamp": now, "Values": some, "Counts": counts, "Unit": "Seconds"}
                )
        return entries


def _take() -> Taken:
    with _lock:
        taken = Taken(Counter(_counts), dict(_durations), dict(_gauges))
        for gathered in (_counts, _durations, _gauges):
            gathered.clear()
    return taken


def _put_back(taken: Taken) -> None:
    """For the next flush; of a level only what was not measured again meanwhile."""
    with _lock:
        _counts.update(taken.counts)
        for name, seconds in taken.durations.items():
            _durations.setdefault(name, Counter()).update(seconds)
        for name, level in taken.gauges.items():
            _gauges.setdefault(name, level)


def _share(counts: Counter[str]) -> None:
    for name, number in counts.items():
        key = TOTAL_KEY.format(name)
        shared.add(key, 0, timeout=None)
        try:
            shared.incr(key, number)
        except ValueError:  # the cache is away, or forgot the key this moment
            return


class MetricsUnreadable(Exception):
    """CloudWatch does not tell; the text says why, and what to do where that is known. denied: a right is missing."""

    def __init__(self, text: str, *, denied: bool = False) -> None:
        super().__init__(text)
        self.denied = denied


def read(wanted: Sequence[tuple[str, str]], *, since: datetime, until: datetime) -> list[list[float]]:
    """The values of each metric and statistic over all of the time, mostly one; none where nothing was put.

    Raises MetricsUnreadable.
    """
    seconds = round((until - since).total_seconds())
    queries: list[MetricDataQueryTypeDef] = [
        {
            "Id": f"m{number}",
            "MetricStat": {
                "Metric": {"Namespace": settings.CLOUDWATCH_NAMESPACE, "MetricName": name},
                "Period": seconds,
                "Stat": statistic,
            },
        }
        for number, (name, statistic) in enumerate(wanted)
    ]
    client = _client(settings.AWS_REGION, settings.AWS_ENDPOINT_URL)
    try:
        answer = client.get_metric_data(MetricDataQueries=queries, StartTime=since, EndTime=until)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in DENIED:
            raise MetricsUnreadable(
                "CloudWatch may not be read: the role of this process lacks cloudwatch:GetMetricData.", denied=True
            ) from error
        raise MetricsUnreadable(f"CloudWatch does not answer: {code}.") from error
    except BotoCoreError as error:
        raise MetricsUnreadable(f"CloudWatch does not answer: {type(error).__name__}.") from error
    found = {each["Id"]: each["Values"] for each in answer["MetricDataResults"]}
    return [found.get(f"m{number}", []) for number in range(len(wanted))]


def flush() -> bool:
    """Put what was gathered since the last flush; False where there was nothing to put or CloudWatch did not take it.

    What CloudWatch does not take is gathered again for the next flush.
    """
    taken = _take()
    if not (settings.CLOUDWATCH_NAMESPACE and settings.AWS_REGION):
        _share(taken.counts)
        return False
    entries = taken.entries()
    if not entries:
        return False
    client = _client(settings.AWS_REGION, settings.AWS_ENDPOINT_URL)
    try:
        for start in range(0, len(entries), ENTRIES_MAX):
            client.put_metric_data(
                Namespace=settings.CLOUDWATCH_NAMESPACE, MetricData=entries[start : start + ENTRIES_MAX]
            )
    except (BotoCoreError, ClientError) as error:
        logger.warning("cloudwatch did not take the metrics", error=type(error).__name__)
        _put_back(taken)
        return False
    _share(taken.counts)
    return True


def embedded() -> str:
    """What was gathered since it was last asked, as one log line that CloudWatch reads metrics from; empty for nothing.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    Without dimensions, so that it adds to the same metrics as `flush` does. The format is this one object, which is no
    reason for a library.
    """
    taken = _take()
    _share(taken.counts)
    values: dict[str, float | list[float]] = dict(taken.counts)
    units: dict[str, str] = dict.fromkeys(taken.counts, "Count")
    for name, (value, unit) in taken.gauges.items():
        values[name], units[name] = value, unit
    for name, seconds in taken.durations.items():
        # A batch is at most ten messages.
        values[name], units[name] = sorted(seconds.elements())[-EMBEDDED_VALUES_MAX:], "Seconds"
    if not (values and settings.CLOUDWATCH_NAMESPACE):
        return ""
    directive = {
        "Namespace": settings.CLOUDWATCH_NAMESPACE,
        "Dimensions": [[]],
        "Metrics": [{"Name": name, "Unit": units[name]} for name in values],
    }
    now_ms = round(datetime.now(UTC).timestamp() * 1_000)
    return json.dumps({"_aws": {"Timestamp": now_ms, "CloudWatchMetrics": [directive]}, **values})


def _run() -> None:
    while not _stop.wait(FLUSH_EVERY_SECONDS):
        flush()


@cache
def start() -> threading.Thread:
    """Flush once a minute for as long as this process lives; asked twice, it is one thread."""
    thread = threading.Thread(target=_run, name="metrics", daemon=True)
    thread.start()
    return thread
