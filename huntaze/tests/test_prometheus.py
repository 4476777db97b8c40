"""Answers whether Prometheus reads how requests and sending go, and nobody else does."""

import re
from typing import Any

import pytest
from django.test import Client

from crm.models import MessageStatus
from messaging import metrics
from messaging.tests.factories import delivery_make

pytestmark = pytest.mark.django_db


@pytest.fixture
def scrape(settings: Any, sqs_queues: Any) -> Any:
    settings.METRICS_TOKEN = "for-prometheus"

    def read() -> str:
        answer = Client().get("/metrics", headers={"Authorization": "Bearer for-prometheus"})
        assert answer.status_code == 200
        return answer.content.decode()

    return read


def value(text: str, line: str) -> float:
    found = re.search(rf"^{re.escape(line)} (\S+)$", text, re.MULTILINE)
    assert found, f"no {line}"
    return float(found.group(1))


@pytest.mark.parametrize("told", ["", "Bearer ", "Bearer wrong", "Bearer für"])
def test_nobody_else_sees_that_there_is_such_a_page(settings: Any, told: str) -> None:
    settings.METRICS_TOKEN = "for-prometheus"
    assert Client().get("/metrics", headers={"Authorization": told}).status_code == 404


def test_without_a_token_there_is_no_such_page(settings: Any) -> None:
    settings.METRICS_TOKEN = ""
    assert Client().get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404


def test_it_tells_states_depths_and_ages(scrape: Any) -> None:
    delivery_make(state=MessageStatus.FAILED)
    delivery_make(state=MessageStatus.PENDING)
    text = scrape()
    assert value(text, 'huntaze_messages{state="failed"}') == 1
    assert value(text, "huntaze_queue_depth") == 0
    assert value(text, "huntaze_dlq_depth") == 0
    assert value(text, "huntaze_outbox_oldest_seconds") > 0


def test_it_adds_up_what_every_process_counted(scrape: Any, settings: Any) -> None:
    settings.CLOUDWATCH_NAMESPACE = ""
    metrics.flush()
    before = value(scrape(), "huntaze_messages_sent_total")
    metrics.count("OnlyFansMessagesSent", 3)
    metrics.flush()
    assert value(scrape(), "huntaze_messages_sent_total") == before + 3


def test_a_request_is_told_by_its_view_and_not_by_its_path(scrape: Any) -> None:
    Client().get("/sign-in?next=/secret-place")
    text = scrape()
    assert value(text, 'huntaze_request_seconds_count{method="GET",status="2xx",view="sign-in"}') >= 1
    assert "secret-place" not in text
