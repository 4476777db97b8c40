"""Answers whether what was counted reaches CloudWatch, once, and what happens while it is down."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import moto
import pytest
from botocore.exceptions import EndpointConnectionError

from messaging import metrics


@pytest.fixture(autouse=True)
def from_zero() -> Iterator[None]:
    metrics._take()
    metrics._client.cache_clear()
    yield
    metrics._take()
    metrics._client.cache_clear()


@pytest.fixture
def cloudwatch(settings: Any) -> Iterator[Any]:
    with moto.mock_aws():
        yield boto3.client("cloudwatch", region_name=settings.AWS_REGION)


def put(cloudwatch: Any) -> list[str]:
    return sorted(metric["MetricName"] for metric in cloudwatch.list_metrics(Namespace="Huntaze")["Metrics"])


def test_counts_are_put_in_one_call(cloudwatch: Any) -> None:
    metrics.count("OnlyFansMessagesQueued", 2)
    metrics.count("OnlyFansMessagesQueued")
    metrics.count("OnlyFansMessagesSent")
    assert metrics.flush() is True
    assert put(cloudwatch) == ["OnlyFansMessagesQueued", "OnlyFansMessagesSent"]
    assert metrics.flush() is False


def test_nothing_counted_is_nothing_put(cloudwatch: Any) -> None:
    metrics.count("OnlyFansMessagesSent", 0)
    assert metrics.flush() is False


def test_what_cloudwatch_does_not_take_is_put_later(cloudwatch: Any, settings: Any) -> None:
    def away(**kwargs: Any) -> None:
        raise EndpointConnectionError(endpoint_url="https://monitoring.invalid")

    events = metrics._client(settings.AWS_REGION, settings.AWS_ENDPOINT_URL).meta.events
    events.register_first("before-send.cloudwatch", away, unique_id="away")
    metrics.count("OnlyFansMessagesSent", 3)
    assert metrics.flush() is False
    events.unregister("before-send.cloudwatch", unique_id="away")
    assert metrics.flush() is True
    assert put(cloudwatch) == ["OnlyFansMessagesSent"]


def test_without_a_namespace_nothing_is_put(cloudwatch: Any, settings: Any) -> None:
    settings.CLOUDWATCH_NAMESPACE = ""
    metrics.count("OnlyFansMessagesSent")
    assert metrics.flush() is False


def test_counts_leave_lambda_as_a_log_line_that_cloudwatch_reads() -> None:
    metrics.count("OnlyFansMessagesSent", 3)
    metrics.count("OnlyFansMessagesFailed")
    found = json.loads(metrics.embedded())
    assert abs(found["_aws"]["Timestamp"] / 1_000 - time.time()) < 10
    assert found["_aws"]["CloudWatchMetrics"] == [
        {
            "Namespace": "Huntaze",
            "Dimensions": [[]],
            "Metrics": [
                {"Name": "OnlyFansMessagesSent", "Unit": "Count"},
                {"Name": "OnlyFansMessagesFailed", "Unit": "Count"},
            ],
        }
    ]
    assert (found["OnlyFansMessagesSent"], found["OnlyFansMessagesFailed"]) == (3, 1)
    assert metrics.embedded() == ""


def test_without_a_namespace_there_is_no_line(settings: Any) -> None:
    settings.CLOUDWATCH_NAMESPACE = ""
    metrics.count("OnlyFansMessagesSent")
    assert metrics.embedded() == ""


def sums(cloudwatch: Any, name: str) -> Any:
    [found] = cloudwatch.get_metric_statistics(
        Namespace="Huntaze",
        MetricName=name,
        StartTime=datetime.now(UTC) - timedelta(minutes=5),
        EndTime=datetime.now(UTC) + timedelta(minutes=5),
        Period=3_600,
        Statistics=["Sum", "Maximum"],
    )["Datapoints"]
    return found


def test_durations_are_put_as_values_with_their_counts(cloudwatch: Any) -> None:
    for seconds in (0.1234, 0.1199, 7.0):
        metrics.observe("OnlyFansProcessingTime", seconds)
    [entry] = metrics._take().entries()
    assert dict(zip(entry["Values"], entry["Counts"], strict=True)) == {0.12: 2, 7.0: 1}


def test_more_different_durations_than_an_entry_takes_are_several(cloudwatch: Any) -> None:
    for number in range(1, 1_000):
        metrics.observe("OnlyFansDispatchLag", number / 10)
    entries = metrics._take().entries()
    assert sum(sum(entry["Counts"]) for entry in entries) == 999
    assert max(len(entry["Values"]) for entry in entries) <= metrics.VALUES_MAX


def test_of_a_level_the_last_is_put(cloudwatch: Any) -> None:
    metrics.gauge("OnlyFansQueueDepth", 3, unit="Count")
    metrics.gauge("OnlyFansQueueDepth", 2, unit="Count")
    assert metrics.flush() is True
    assert sums(cloudwatch, "OnlyFansQueueDepth")["Maximum"] == 2


def test_levels_and_durations_leave_lambda_too() -> None:
    metrics.observe("OnlyFansProcessingTime", 0.2)
    metrics.observe("OnlyFansProcessingTime", 0.2)
    metrics.gauge("OnlyFansOutboxOldestAge", 4.5, unit="Seconds")
    found = json.loads(metrics.embedded())
    assert found["OnlyFansProcessingTime"] == [0.2, 0.2]
    assert found["OnlyFansOutboxOldestAge"] == 4.5
    units = {each["Name"]: each["Unit"] for each in found["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert units == {"OnlyFansProcessingTime": "Seconds", "OnlyFansOutboxOldestAge": "Seconds"}
