"""Answers whether Prometheus reads how requests and sending go, and nobody else does."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from crm.models import MessageStatus
from huntaze import prometheus
from huntaze.env import BASE_DIR
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


SEVERAL = """
import os
import django
django.setup()
from huntaze import prometheus
for _ in range(2):
    if not (child := os.fork()):
        prometheus.REQUEST_SECONDS.labels("GET", "inbox", "2xx").observe(0.2)
        os._exit(0)
    os.waitpid(child, 0)
prometheus.REQUEST_SECONDS.labels("GET", "inbox", "2xx").observe(0.3)
print(prometheus.generate_latest(prometheus._requests()).decode())
"""


def test_any_of_several_web_processes_answers_for_all(tmp_path: Path) -> None:
    folder = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "huntaze.settings"}
    done = subprocess.run(
        [sys.executable, "-c", SEVERAL], env={**os.environ, **folder}, cwd=BASE_DIR, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert 'huntaze_request_seconds_count{method="GET",status="2xx",view="inbox"} 3.0' in done.stdout


def test_the_folder_is_made_by_the_web_server(settings: Any, tmp_path: Path) -> None:
    settings.PROMETHEUS_MULTIPROC_DIR = str(tmp_path / "a" / "b")
    prometheus.RequestSecondsMiddleware(lambda request: HttpResponse())
    assert (tmp_path / "a" / "b").is_dir()
