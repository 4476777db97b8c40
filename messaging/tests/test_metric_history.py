"""Answers whether what was put into CloudWatch is read back, seldom, and what is said where it cannot be."""

from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from typing import Any

import boto3
import moto
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from django.core.cache import cache
from django.core.management import call_command

from messaging import metric_history as history
from messaging import metrics, vitals


@pytest.fixture(autouse=True)
def cloudwatch(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """moto, which knows no percentiles: there the highest stands for them."""
    metrics._take()
    metrics._client.cache_clear()
    cache.clear()
    for key, figure in history.FIGURES.items():
        if figure.statistic == "p95":
            monkeypatch.setitem(history.FIGURES, key, replace(figure, statistic="Maximum"))
    with moto.mock_aws():
        yield boto3.client("cloudwatch", region_name=settings.AWS_REGION)
    metrics._client.cache_clear()


def requests(settings: Any) -> list[dict[str, Any]]:
    """What is asked of CloudWatch from now on."""
    asked: list[dict[str, Any]] = []
    events = metrics._client(settings.AWS_REGION, settings.AWS_ENDPOINT_URL).meta.events
    events.register("provide-client-params.cloudwatch.GetMetricData", lambda params, **_: asked.append(params))
    return asked


def refused(settings: Any, error: Exception) -> None:
    def refuse(**_: Any) -> None:
        raise error

    events = metrics._client(settings.AWS_REGION, settings.AWS_ENDPOINT_URL).meta.events
    events.register("provide-client-params.cloudwatch.GetMetricData", refuse)


def denied(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "GetMetricData")


def test_what_was_put_is_read_back_in_every_window() -> None:
    metrics.count("OnlyFansMessagesSent", 3)
    metrics.observe("OnlyFansDispatchLag", 1.5)
    metrics.gauge("OnlyFansQueueDepth", 7, unit="Count")
    assert metrics.flush()
    found = history.metric_history()
    assert (list(found.windows), found.trouble) == (["5m", "1h", "24h"], "")
    for figures in found.windows.values():
        assert (figures["sent"], figures["dispatchLagSeconds"], figures["queueDepth"]) == (3, 1.5, 7)


def test_what_nobody_counted_is_zero_and_what_nobody_measured_is_not_known() -> None:
    figures = history.metric_history().windows["1h"]
    assert (figures["failed"], figures["processingSeconds"], figures["dlqDepth"]) == (0, None, None)


def test_each_window_is_one_request_and_is_kept(settings: Any) -> None:
    asked = requests(settings)
    history.metric_history()
    history.metric_history()
    periods = [query["MetricStat"]["Period"] for params in asked for query in params["MetricDataQueries"]]
    assert sorted(set(periods)) == [300, 3_600, 86_400]
    assert len(asked) == 3


def test_a_day_is_never_behind_its_last_hour() -> None:
    """What was put after the day was first read counts in both from the next reading on, and both are read together."""
    assert history.metric_history().windows["24h"]["sent"] == 0
    metrics.count("OnlyFansMessagesSent", 3)
    assert metrics.flush()
    cache.delete(history._key("windows"))
    windows = history.metric_history().windows
    assert (windows["1h"]["sent"], windows["24h"]["sent"]) == (3, 3)


def test_a_day_that_cloudwatch_has_not_stored_yet_holds_what_the_hour_has(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([2.0, 9.0, 4.0])

    def read(wanted: list[Any], **_: Any) -> list[list[float]]:
        value = next(answers)
        return [[value] for _ in wanted]

    monkeypatch.setattr(metrics, "read", read)
    windows = history.metric_history().windows
    assert [windows[name]["sent"] for name in ("5m", "1h", "24h")] == [2, 9, 9]


def test_durations_are_asked_for_by_their_95th_percentile(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert history.FIGURES["processingSeconds"].statistic == history.FIGURES["dispatchLagSeconds"].statistic == "p95"


def test_every_figure_is_of_a_metric_that_is_put() -> None:
    put = {*metrics.COUNTED, *metrics.DURATIONS, vitals.DEPTH, vitals.DLQ_DEPTH, vitals.OUTBOX_AGE}
    assert {figure.metric for figure in history.FIGURES.values()} <= put


@pytest.mark.parametrize("code", sorted(metrics.DENIED))
def test_a_missing_right_is_named(settings: Any, code: str) -> None:
    refused(settings, denied(code))
    found = history.metric_history()
    assert (found.windows, "cloudwatch:GetMetricData" in found.trouble, found.code) == ({}, True, "not_allowed")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (denied("Throttling"), "does not answer: Throttling"),
        (EndpointConnectionError(endpoint_url="https://monitoring.invalid"), "EndpointConnectionError"),
    ],
)
def test_a_cloudwatch_that_is_away_is_said(settings: Any, error: Exception, words: str) -> None:
    refused(settings, error)
    assert words in history.metric_history().trouble


def test_a_refusal_is_kept_for_a_minute(settings: Any) -> None:
    refused(settings, denied("AccessDenied"))
    said = history.metric_history().trouble
    metrics._client.cache_clear()
    asked = requests(settings)
    assert (history.metric_history().trouble, asked) == (said, [])
    left: int = cache.ttl(history._key("trouble"))  # type: ignore[attr-defined]  # django-redis's own
    assert 0 < left <= history.KEPT_SECONDS
    cache.delete(history._key("trouble"))
    assert not history.metric_history().trouble


def test_without_a_namespace_it_is_said_and_nobody_is_asked(settings: Any) -> None:
    settings.CLOUDWATCH_NAMESPACE = ""
    asked = requests(settings)
    assert "CLOUDWATCH_NAMESPACE" in history.metric_history().trouble
    assert asked == []


@pytest.mark.django_db
def test_the_status_command_shows_it() -> None:
    metrics.count("OnlyFansMessagesFailed", 2)
    assert metrics.flush()
    out = StringIO()
    call_command("queue_status", stdout=out)
    assert "last 24h      0 queued, 0 sent, 2 failed" in out.getvalue()
    assert "95 % within – s of sending" in out.getvalue()
