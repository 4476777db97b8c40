"""Answers whether monitoring says what is wrong, and in words."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from crm.models import MessageStatus, Role
from crm.tests.factories import FanFactory, MembershipFactory, UserFactory
from huntaze import monitoring
from messaging import connectivity
from messaging.heartbeat import HEARTBEAT_KEY
from messaging.services import MessageRequest, message_send
from messaging.tests.factories import delivery_make

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def report(sqs_queues: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    client = APIClient()
    client.force_authenticate(UserFactory(is_staff=True))
    # The vendor's own check is tested with its adapter.
    monkeypatch.setitem(monitoring.CHECKS, "vendor", lambda: None)
    cache.set(HEARTBEAT_KEY, timezone.now())
    return lambda: client.get("/api/monitoring/onlyfans").json()


def test_all_is_well(report: Any) -> None:
    found = report()
    assert found["status"] == "ok"
    assert {name for name, check in found["checks"].items() if check["ok"]} == set(monitoring.CHECKS)


def test_a_worker_that_is_gone_degrades(report: Any) -> None:
    cache.set(HEARTBEAT_KEY, timezone.now() - timedelta(minutes=5))
    found = report()
    assert found["status"] == "degraded"
    assert "No worker has been seen for 300 s" in found["checks"]["worker"]["reason"]


def test_a_worker_that_never_was_is_said(report: Any) -> None:
    cache.delete(HEARTBEAT_KEY)
    assert report()["checks"]["worker"]["reason"] == "No worker has started yet."


def test_a_redis_that_is_away_degrades(report: Any, settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    found = report()
    assert (found["status"], found["checks"]["redis"]["ok"]) == ("degraded", False)


def test_a_missing_variable_is_named(report: Any, settings: Any) -> None:
    settings.SQS_RATE_LIMITER_QUEUE_URL = ""
    assert "SQS_RATE_LIMITER_QUEUE_URL" in report()["checks"]["sqs"]["reason"]


def test_the_connectivity_test_is_shown(report: Any) -> None:
    connectivity.connectivity_test()
    assert report()["connectivityTest"]["ok"] is True


def test_the_queue_is_told_and_nothing_while_it_is_away(report: Any, settings: Any) -> None:
    fan = FanFactory()
    message_send(creator=fan.creator, user=None, request=MessageRequest(fan.platform_id, "hi"))
    told = report()["queue"]
    assert told["queueDepth"] + told["messagesDelayed"] == 1
    assert (told["messagesInFlight"], told["dlqCount"]) == (0, 0)
    settings.SQS_RATE_LIMITER_QUEUE_URL = ""
    assert set(report()["queue"].values()) == {None}


@pytest.mark.parametrize("staff", [True, False])
def test_the_rates_of_all_creators_are_for_operators_alone(sqs_queues: Any, staff: bool) -> None:
    now = timezone.now()
    for state, ended in (("sent", now), ("sent", now), ("sent", now), ("failed", now), ("failed", now - timedelta(1))):
        delivery_make(fan=FanFactory(), state=MessageStatus(state), finished_at=ended)
    user = MembershipFactory(user__is_staff=staff).user
    client = APIClient()
    client.force_authenticate(user)
    rates = client.get("/api/monitoring/onlyfans").json()["rates"]
    assert rates == ({"sent": 3, "failed": 1, "failureRate": 0.25} if staff else None)


@pytest.mark.usefixtures("report")
@pytest.mark.parametrize("who", ["owner", "teammate", "stranger", "operator"])
def test_where_things_are_is_told_to_operators_alone(monkeypatch: pytest.MonkeyPatch, who: str) -> None:
    def away() -> None:
        raise RuntimeError("arn:aws:sqs:eu-west-3:1234 at 10.9.8.7 refused")

    monkeypatch.setitem(monitoring.CHECKS, "sqs", away)
    cache.set(connectivity.CACHE_KEY, {"ok": False, "reason": "10.9.8.7 refused", "at": timezone.now()})
    owner = MembershipFactory(role=Role.OWNER)
    users = {"owner": owner.user, "stranger": UserFactory(), "operator": UserFactory(is_staff=True)}
    client = APIClient()
    client.force_authenticate(users.get(who) or MembershipFactory(creator=owner.creator, role=Role.CHATTER).user)
    found = client.get("/api/monitoring/onlyfans").json()
    assert (found["status"], found["checks"]["database"]) == ("degraded", {"ok": True, "reason": ""})
    troubles = [found["checks"]["sqs"], found["connectivityTest"]]
    assert [trouble["ok"] for trouble in troubles] == [False, False]
    assert [trouble["reason"] == "unreachable" for trouble in troubles] == [who != "operator"] * 2
    assert ("10.9.8.7" in str(found)) is (who == "operator")


@pytest.mark.parametrize("staff", [True, False])
def test_the_history_of_all_creators_is_for_operators_alone(sqs_queues: Any, settings: Any, staff: bool) -> None:
    settings.CLOUDWATCH_NAMESPACE = ""
    user = MembershipFactory().user
    user.is_staff = staff
    client = APIClient()
    client.force_authenticate(user)
    history = client.get("/api/monitoring/onlyfans").json()["history"]
    trouble = "CLOUDWATCH_NAMESPACE is not set: what is counted is put into no CloudWatch."
    assert history == ({"windows": {}, "trouble": trouble, "code": "not_configured"} if staff else None)


def test_the_health_pages_need_no_token() -> None:
    assert APIClient().get("/livez").json() == {"status": "ok"}
    assert APIClient().get("/readyz").json() == {"status": "ok"}


def test_not_ready_while_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise RuntimeError("away")

    monkeypatch.setitem(monitoring.CHECKS, "database", away)
    assert APIClient().get("/readyz").status_code == 503


def test_monitoring_is_not_for_strangers() -> None:
    assert APIClient().get("/api/monitoring/onlyfans").status_code == 401


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_health_is_told_to_who_asks_by_address(settings: Any, path: str) -> None:
    settings.ALLOWED_HOSTS = ["crm.example.com"]
    assert Client(headers={"Host": "10.0.0.7:8000"}).get(path).status_code == 200
    assert Client(headers={"Host": "10.0.0.7:8000"}).get("/sign-in").status_code == 400
