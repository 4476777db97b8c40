"""Answers whether the project and what it leans on are well. Touches each of them with one small request."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from crm.strict_api import StrictAPIView
from messaging import connectivity, heartbeat, queue, rate_limiter
from messaging.gateways import gateway_load
from messaging.metric_history import FIGURES, WINDOWS, metric_history
from messaging.queue_overview import Ended, ended_lately, queue_counts_lately
from messaging.selectors import database_ping
from messaging.sending_needs import queue_untouched

# Without these nothing can be served or stored; without the others something waits.
VITAL = {"database"}


def _redis() -> None:
    if not settings.REDIS_URL:
        raise RuntimeError("REDIS_ENDPOINT is not set: sending is disabled.")
    rate_limiter.redis_ping()


def _sqs() -> None:
    if reason := queue_untouched():
        raise RuntimeError(reason)
    queue.counts()


def _vendor() -> None:
    gateway_load().probe()


def _worker() -> None:
    if trouble := heartbeat.worker_trouble():
        raise RuntimeError(trouble)


# What a member of a team is told: a reason in a library's words may name hosts, ports and AWS's accounts.
UNREACHABLE = "unreachable"
CHECKS: dict[str, Callable[[], None]] = {
    "database": database_ping,
    "redis": _redis,
    "sqs": _sqs,
    "vendor": _vendor,
    "worker": _worker,
}


def check_run(name: str) -> dict[str, Any]:
    """`{"ok": true}`, or with the reason in words."""
    try:
        CHECKS[name]()
    except Exception as error:
        # Whatever it is, the page's job is to say it.
        return {"ok": False, "reason": str(error) or type(error).__name__}
    return {"ok": True, "reason": ""}


def checks_run() -> dict[str, dict[str, Any]]:
    """All of them at once, so that one that hangs does not add to the others."""
    with ThreadPoolExecutor(len(CHECKS)) as pool:
        return dict(zip(CHECKS, pool.map(check_run, CHECKS), strict=True))


class CheckSerializer(serializers.Serializer[Any]):
    ok = serializers.BooleanField()
    reason = serializers.CharField(
        help_text=f"Empty where it is well. In words for operators; `{UNREACHABLE}` for everybody else."
    )


class ConnectivityTestSerializer(serializers.Serializer[Any]):
    """The message that a start sends to the queue to see whether it can."""

    ok = serializers.BooleanField()
    reason = serializers.CharField(help_text="As of a check.")
    at = serializers.DateTimeField()


class HistorySerializer(serializers.Serializer[Any]):
    """What CloudWatch has of all creators' messages."""

    trouble = serializers.CharField(help_text="Why there is nothing; empty where there is.")
    code = serializers.CharField(
        help_text="The same for programs: `not_configured`, `not_allowed` or `no_answer`; empty where there are."
    )
    windows = serializers.DictField(
        child=serializers.DictField(child=serializers.FloatField(allow_null=True)),
        help_text=f"By window ({', '.join(WINDOWS)}), then by figure: {', '.join(FIGURES)}. Depths and ages are the "
        "highest, the two durations what 95 % stayed below; null is not measured.",
    )


class QueueSerializer(serializers.Serializer[Any]):
    """SQS's approximate numbers, of all creators; null where it does not answer."""

    queueDepth = serializers.IntegerField(allow_null=True)
    messagesInFlight = serializers.IntegerField(allow_null=True)
    messagesDelayed = serializers.IntegerField(allow_null=True)
    dlqCount = serializers.IntegerField(allow_null=True)


class RatesSerializer(serializers.Serializer[Ended]):
    """The messages that came to an end in the last hour; the rate is failed ÷ (sent + failed), null with none."""

    sent = serializers.IntegerField()
    failed = serializers.IntegerField()
    failureRate = serializers.FloatField(source="failure_rate", allow_null=True)


class MonitoringSerializer(serializers.Serializer[Any]):
    """Describes the answer; it is made of what each check says."""

    status = serializers.ChoiceField(choices=["ok", "degraded", "down"])
    checks = serializers.DictField(child=CheckSerializer(), help_text=f"By name: {', '.join(CHECKS)}.")
    queue = QueueSerializer()
    rates = RatesSerializer(allow_null=True, help_text="For operators alone, because they are of all creators.")
    connectivityTest = ConnectivityTestSerializer(allow_null=True)
    rateLimiterEnabled = serializers.BooleanField()
    history = HistorySerializer(allow_null=True, help_text="For operators alone, because it is of all creators.")
    version = serializers.CharField()


def _queue() -> dict[str, int | None]:
    counts, dlq, _ = queue_counts_lately()
    return {
        "queueDepth": counts.waiting if counts else None,
        "messagesInFlight": counts.in_flight if counts else None,
        "messagesDelayed": counts.delayed if counts else None,
        "dlqCount": dlq.waiting if dlq else None,
    }


class MonitoringView(StrictAPIView):
    """How the project is: ok, degraded (something waits) or down (nothing can be stored)."""

    @extend_schema(operation_id="monitoring", responses=MonitoringSerializer)
    def get(self, request: Request) -> Response:
        staff, checks, test = request.user.is_staff, checks_run(), connectivity.connectivity_last()
        down = [name for name, check in checks.items() if not check["ok"]]
        status = "down" if VITAL & set(down) else "degraded" if down else "ok"
        return Response(
            {
                "status": status,
                "checks": checks if staff else {name: _plain(check) for name, check in checks.items()},
                "queue": _queue() if checks["sqs"]["ok"] else dict.fromkeys(QueueSerializer().fields),
                "rates": RatesSerializer(ended_lately()).data if staff else None,
                "connectivityTest": test if staff or test is None else _plain(test),
                "rateLimiterEnabled": settings.RATE_LIMITER_ENABLED,
                "history": asdict(metric_history()) if staff else None,
                "version": settings.VERSION,
            }
        )


def _plain(found: Mapping[str, Any]) -> dict[str, Any]:
    return {**found, "reason": UNREACHABLE if found["reason"] else ""}


def livez(request: HttpRequest) -> JsonResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    """The process can serve: 503 while the database is away."""
    check = check_run("database")
    return JsonResponse({"status": "ok" if check["ok"] else "down"}, status=200 if check["ok"] else 503)
