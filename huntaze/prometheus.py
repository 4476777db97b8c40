"""Answers Prometheus: requests, and how sending goes over all processes. Touches SQS and tables, reading.

Requests are those of this process; of all web processes where PROMETHEUS_MULTIPROC_DIR names a folder in which
each keeps its own (https://prometheus.github.io/client_python/multiprocess/). Start them with an empty one.

prometheus_client and these few lines, because django-prometheus also wraps the database and the cache, and labels each
request five times over.
"""

import hmac
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Histogram, generate_latest, multiprocess
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from messaging import heartbeat, vitals
from messaging import metrics as sending
from messaging.queue_overview import queue_overview

REQUEST_SECONDS = Histogram(
    "huntaze_request_seconds",
    "Time until a response began, by view; a stream counts until its first byte.",
    ["method", "view", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class RequestSecondsMiddleware:
    """Measures each request by the name of its view, never by its path, which holds ids."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        if settings.PROMETHEUS_MULTIPROC_DIR:
            Path(settings.PROMETHEUS_MULTIPROC_DIR).mkdir(parents=True, exist_ok=True)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        begun_at = time.perf_counter()
        response = self.get_response(request)
        match = request.resolver_match
        REQUEST_SECONDS.labels(
            # A caller may make up methods, and each would be a line for ever.
            request.method if request.method in METHODS else "other",
            (match.view_name or "unnamed") if match else "none",
            f"{response.status_code // 100}xx",
        ).observe(time.perf_counter() - begun_at)
        return response


class SendingCollector(Collector):
    """How sending goes over all processes, asked when it is scraped."""

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        for name, number in sending.totals().items():
            words = f"{name}, counted by every process and added up once a minute."
            yield CounterMetricFamily(_name(name), words, value=number)
        overview = queue_overview()
        states = GaugeMetricFamily("huntaze_messages", "Messages that are open or in trouble.", labels=["state"])
        for state, count in overview.states.items():
            states.add_metric([state], count)
        yield states
        age = vitals.outbox_age_seconds(overview)
        yield GaugeMetricFamily("huntaze_outbox_oldest_seconds", "Age of what is stored and not queued.", value=age)
        yield GaugeMetricFamily("huntaze_creators_paused", "Creators that are paused.", value=len(overview.paused))
        for queue, counts in (("queue", overview.counts), ("dlq", overview.dlq)):
            if counts is not None:  # unknown is not zero
                words = "Messages that are due and not taken, as SQS counts them."
                yield GaugeMetricFamily(f"huntaze_{queue}_depth", words, value=counts.waiting)
        beat = heartbeat.heartbeat_age_seconds()
        if beat is not None:
            yield GaugeMetricFamily("huntaze_worker_seen_seconds", "Since a worker was last seen.", value=beat)


SENDING = CollectorRegistry(auto_describe=False)
SENDING.register(SendingCollector())


def _requests() -> CollectorRegistry:
    if not settings.PROMETHEUS_MULTIPROC_DIR:
        return REGISTRY
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry, settings.PROMETHEUS_MULTIPROC_DIR)  # type: ignore[no-untyped-call]
    return registry


def _name(metric: str) -> str:
    """OnlyFansMessagesSent as Prometheus writes it: huntaze_messages_sent (the library adds `_total`)."""
    words = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in metric.removeprefix("OnlyFans"))
    return f"huntaze{words}"


def metrics(request: HttpRequest) -> HttpResponse:
    """For whoever knows METRICS_TOKEN; to everybody else, and without one, it is not there."""
    told = request.headers.get("Authorization", "").encode()
    wanted = f"Bearer {settings.METRICS_TOKEN}".encode()
    if not (settings.METRICS_TOKEN and hmac.compare_digest(told, wanted)):
        return HttpResponse("Not found.\n", status=404, content_type="text/plain")
    return HttpResponse(generate_latest(_requests()) + generate_latest(SENDING), content_type=CONTENT_TYPE_LATEST)
