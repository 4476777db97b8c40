"""Answers how often things happened, for CloudWatch. Touches CloudWatch, as the only module that does.

Counted in the process and put at most once a minute: a call per message would cost more than SQS itself. Where
CloudWatch is down or not configured, counting and sending go on. In Lambda the counts leave as a log line instead.
"""

import json
import threading
from collections import Counter
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

import boto3
import structlog
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.client import CloudWatchClient

logger = structlog.get_logger(__name__)
FLUSH_EVERY_SECONDS = 60

_counts: Counter[str] = Counter()
_lock = threading.Lock()
_stop = threading.Event()


def count(name: str, number: int = 1) -> None:
    """Add to a metric of this process; counted from process start where nothing flushes."""
    if number:
        with _lock:
            _counts[name] += number


@cache
def _client(region: str, endpoint: str) -> "CloudWatchClient":
    config = Config(region_name=region, connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 1})
    return boto3.session.Session().client("cloudwatch", endpoint_url=endpoint or None, config=config)


def flush() -> bool:
    """Put what was counted since the last flush; False where there was nothing to put or CloudWatch did not take it.

    What CloudWatch does not take is counted again for the next flush.
    """
    if not (settings.CLOUDWATCH_NAMESPACE and settings.AWS_REGION):
        return False
    with _lock:
        counted = dict(_counts)
        _counts.clear()
    if not counted:
        return False
    now = datetime.now(UTC)
    try:
        _client(settings.AWS_REGION, settings.AWS_ENDPOINT_URL).put_metric_data(
            Namespace=settings.CLOUDWATCH_NAMESPACE,
            MetricData=[
                {"MetricName": name, "Timestamp": now, "Value": number, "Unit": "Count"}
                for name, number in counted.items()
            ],
        )
    except (BotoCoreError, ClientError) as error:
        logger.warning("cloudwatch did not take the metrics", error=type(error).__name__)
        with _lock:
            _counts.update(counted)
        return False
    return True


def embedded() -> str:
    """What was counted since it was last asked, as one log line that CloudWatch reads metrics from; empty for nothing.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    Without dimensions, so that it adds to the same metrics as `flush` does. The format is this one object, which is no
    reason for a library.
    """
    with _lock:
        counted = dict(_counts)
        _counts.clear()
    if not (counted and settings.CLOUDWATCH_NAMESPACE):
        return ""
    directive = {
        "Namespace": settings.CLOUDWATCH_NAMESPACE,
        "Dimensions": [[]],
        "Metrics": [{"Name": name, "Unit": "Count"} for name in counted],
    }
    now_ms = round(datetime.now(UTC).timestamp() * 1_000)
    return json.dumps({"_aws": {"Timestamp": now_ms, "CloudWatchMetrics": [directive]}, **counted})


def _run() -> None:
    while not _stop.wait(FLUSH_EVERY_SECONDS):
        flush()


@cache
def start() -> threading.Thread:
    """Flush once a minute for as long as this process lives; asked twice, it is one thread."""
    thread = threading.Thread(target=_run, name="metrics", daemon=True)
    thread.start()
    return thread
