"""Whether messages/status counts the creator's own beside the queue's, and says why a number is missing."""

import time
from typing import Any

import pytest
from django.test import Client

from crm.models import Creator, MessageStatus, User
from crm.tests.factories import CreatorFactory, FanFactory, MembershipFactory
from messaging import metric_history, queue_overview, status_api
from messaging.metric_history import MetricHistory
from messaging.tests.factories import delivery_make

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sqs_queues")]
QUEUE = ["queueDepth", "messagesInFlight", "messagesDelayed", "dlqCount"]


@pytest.fixture
def creator() -> Creator:
    return MembershipFactory.create().creator


@pytest.fixture(autouse=True)
def no_namespace(settings: Any) -> None:
    settings.CLOUDWATCH_NAMESPACE = ""


def status(creator: Creator, user: User | None = None) -> dict[str, Any]:
    client = Client()
    client.force_login(user or creator.memberships.get().user)
    answer = client.get("/api/onlyfans/messages/status")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def why(found: dict[str, Any], field: str) -> dict[str, Any]:
    [reason] = [each for each in found["missing"] if field in each["fields"]]
    return reason


def test_the_creators_own_are_counted_by_state_beside_the_queues(creator: Creator) -> None:
    for state in (MessageStatus.QUEUED, MessageStatus.PARKED, MessageStatus.PARKED, MessageStatus.FAILED):
        delivery_make(fan=FanFactory.create(creator=creator), state=state)
    delivery_make(state=MessageStatus.QUEUED)
    found = status(creator)
    own = {"pending": 0, "queued": 1, "parked": 2, "sending": 0, "unknown": 0, "failed": 1}
    assert found["own"] == own
    assert (found["waiting"], found["inTrouble"], found["queueDepth"]) == (3, 1, 0)


@pytest.mark.parametrize("name", ["AWS_REGION", "SQS_RATE_LIMITER_QUEUE_URL"])
def test_a_variable_that_is_not_set_is_named(creator: Creator, settings: Any, name: str) -> None:
    setattr(settings, name, "")
    found = status(creator)
    assert [found[field] for field in QUEUE] == [None] * 4
    assert why(found, "queueDepth") == {"fields": QUEUE, "code": "not_configured", "reason": f"{name} is not set."}


def test_dead_letters_without_a_queue_are_no_number_and_no_trouble(creator: Creator, settings: Any) -> None:
    settings.SQS_RATE_LIMITER_DLQ_URL = ""
    found = status(creator)
    assert (found["queueDepth"], found["dlqCount"], found["blocked"]) == (0, None, None)
    assert why(found, "dlqCount")["reason"] == "SQS_RATE_LIMITER_DLQ_URL is not set."


def test_an_sqs_that_refuses_says_so(creator: Creator, settings: Any) -> None:
    settings.SQS_RATE_LIMITER_QUEUE_URL += "-gone"
    found = status(creator)
    reason = why(found, "messagesDelayed")
    assert (reason["code"], "provision_queues" in reason["reason"]) == ("no_answer", True)
    assert found["blocked"]["code"] == "queue_away"


def test_an_sqs_that_hangs_keeps_no_page_for_long(creator: Creator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_overview._asked, "_seconds", 0.1)
    monkeypatch.setattr(queue_overview._asked, "_ask", lambda: time.sleep(1.5))
    begun = time.monotonic()
    found = status(creator)
    assert time.monotonic() - begun < 1.4
    assert why(found, "queueDepth")["reason"] == "SQS does not answer."


def test_while_the_limiter_is_off_that_is_the_reason(creator: Creator, settings: Any) -> None:
    settings.RATE_LIMITER_ENABLED = False
    found = status(creator)
    assert (found["blocked"]["code"], why(found, "queueDepth")["code"]) == ("limiter_off", "limiter_off")


def test_before_the_first_message_nothing_was_processed(creator: Creator) -> None:
    assert why(status(creator), "lastProcessedAt")["code"] == "none_yet"


def test_without_a_namespace_there_are_no_figures_of_cloudwatch(creator: Creator) -> None:
    found = status(creator)
    assert (found["cloudwatch"], why(found, "cloudwatch")["code"]) == (None, "not_configured")
    assert "CLOUDWATCH_NAMESPACE" in why(found, "cloudwatch")["reason"]


def test_cloudwatchs_figures_are_for_those_whose_own_all_creators_are(
    creator: Creator, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CLOUDWATCH_NAMESPACE = "Huntaze"
    windows: dict[str, dict[str, float | None]] = {"5m": {"sent": 1}, "1h": {"sent": 2}, "24h": {"sent": 3}}
    monkeypatch.setattr(status_api, "metric_history_lately", lambda: MetricHistory(windows))
    assert status(creator)["cloudwatch"] == windows
    CreatorFactory.create()
    status_api._reaches_all.forget()
    found = status(creator)
    assert (found["cloudwatch"], why(found, "cloudwatch")["code"]) == (None, "others_too")
    user = creator.memberships.get().user
    user.is_staff = True
    user.save()
    assert status(creator, user)["cloudwatch"] == windows


def test_a_cloudwatch_that_hangs_keeps_no_page_for_long(
    creator: Creator, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CLOUDWATCH_NAMESPACE = "Huntaze"
    monkeypatch.setattr(metric_history._asked, "_seconds", 0.1)
    monkeypatch.setattr(metric_history._asked, "_ask", lambda: time.sleep(1.5))
    found = status(creator)
    assert why(found, "cloudwatch")["code"] == "no_answer"
