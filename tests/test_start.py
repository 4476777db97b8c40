"""What each process says when it starts without a variable that sending needs. Starts real processes."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from rest_framework.test import APIClient

from crm.tests.factories import FanFactory, MembershipFactory
from huntaze.throttling import Throttle
from messaging.metric_history import metric_history
from messaging.sending_needs import NEEDED_TO_SEND, needs_log

ROOT = Path(__file__).resolve().parent.parent
# The web server under uvicorn and under WSGI, and both functions of Lambda, log while they are imported.
PROCESSES = {
    "web": ["-c", "import huntaze.asgi"],
    "wsgi": ["-c", "import huntaze.wsgi"],
    "consumer": ["-c", "import messaging.lambda_handler"],
    "sweeper": ["-c", "import messaging.lambda_sweeper"],
    "worker": ["manage.py", "run_worker"],
    "jobs": ["manage.py", "run_jobs", "--once"],
}


def start(process: str, **changes: str) -> subprocess.CompletedProcess[str]:
    database = connection.settings_dict
    environment = {
        **os.environ,
        "DEBUG": "false",
        # What could be reached must not be: only what is said at the start is looked at.
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "DATABASE_URL": "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**database),
        **changes,
    }
    return subprocess.run(
        [sys.executable, *PROCESSES[process]], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )


def warned_of(done: subprocess.CompletedProcess[str]) -> set[str]:
    """The variables that the log's own lines name: JSON, as operators read it, not what a system check prints."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("{") and '"warning"' in line]
    return {name for name in NEEDED_TO_SEND for line in lines if f"{name} is not set: sending is disabled" in line}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("process", "missing"),
    [
        ("web", ["AWS_REGION"]),
        ("wsgi", ["REDIS_ENDPOINT"]),
        ("consumer", ["SQS_RATE_LIMITER_QUEUE_URL"]),
        ("sweeper", ["AWS_REGION", "SQS_RATE_LIMITER_QUEUE_URL"]),
        ("worker", ["REDIS_ENDPOINT"]),
        ("worker", ["AWS_REGION", "REDIS_ENDPOINT"]),
        ("jobs", ["SQS_RATE_LIMITER_QUEUE_URL"]),
    ],
)
def test_a_start_names_the_very_variables_that_are_missing(process: str, missing: list[str]) -> None:
    # A blank counts as missing.
    done = start(process, **dict.fromkeys(missing, " "))
    assert warned_of(done) == set(missing), done.stderr
    if process == "worker":
        assert done.returncode == 1
        assert "The worker cannot start: " + " and ".join(missing) in done.stderr
    else:
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("missing", [*([name] for name in NEEDED_TO_SEND), []])
def test_each_variable_is_named_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, missing: list[str]
) -> None:
    for name in missing:
        monkeypatch.setattr(settings, {"REDIS_ENDPOINT": "REDIS_URL"}.get(name, name), "")
    needs_log()
    assert [record.msg["event"] for record in caplog.records if isinstance(record.msg, dict)] == [
        f"{name} is not set: sending is disabled" for name in missing
    ]


@pytest.mark.parametrize(
    ("process", "name", "value", "expected"),
    [
        ("worker", "AWS_REGION", "Europe (Paris)", "eu-west-3"),
        ("web", "SQS_RATE_LIMITER_QUEUE_URL", "huntaze-rate-limiter-queue", "https://sqs.eu-west-3.amazonaws.com/"),
        ("consumer", "REDIS_ENDPOINT", "cache.example.com", "host:port"),
    ],
)
def test_a_value_that_cannot_be_one_stops_the_start_and_is_named(
    process: str, name: str, value: str, expected: str
) -> None:
    done = start(process, **{name: value})
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert f"{name} must be" in last
    assert expected in last


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("setting", "variable"),
    [
        ("AWS_REGION", "AWS_REGION"),
        ("SQS_RATE_LIMITER_QUEUE_URL", "SQS_RATE_LIMITER_QUEUE_URL"),
        ("REDIS_URL", "REDIS_ENDPOINT"),
    ],
)
def test_what_sends_names_the_variable_and_everything_else_works(
    monkeypatch: pytest.MonkeyPatch, setting: str, variable: str
) -> None:
    monkeypatch.setattr(settings, setting, "")
    # Without Redis nobody is counted for a while, of which the next test must not know.
    monkeypatch.setattr(Throttle, "_away_until", None)
    membership = MembershipFactory()
    fan = FanFactory(creator=membership.creator)
    client = APIClient()
    client.force_authenticate(membership.user)
    message: dict[str, Any] = {"recipientId": fan.platform_id, "content": "Hello!"}
    refused = [
        client.post("/api/onlyfans/messages/send", message),
        client.post("/api/messages/bulk", {"recipientIds": [fan.platform_id], "content": "Hello!"}),
    ]
    assert [answer.status_code for answer in refused] == [503, 503]
    assert all(f"{variable} is not set" in answer.json()["detail"] for answer in refused)
    assert not any(other in refused[0].json()["detail"] for other in NEEDED_TO_SEND if other != variable)
    for path in ("/api/crm/fans", "/api/crm/conversations", "/api/onlyfans/messages/status", "/api/analytics/overview"):
        assert client.get(path).status_code == 200, path


@pytest.mark.django_db(transaction=True)
def test_an_origin_that_is_none_is_an_error_of_the_web_processs_log() -> None:
    done = start("web", CORS_ALLOWED_ORIGINS="https://app.example.com/, https://ok.example.com")
    [line] = [line for line in done.stderr.splitlines() if "CORS_ALLOWED_ORIGINS" in line]
    assert "https://app.example.com/" in line
    assert '"error"' in line
    assert done.returncode == 0


def test_provisioning_without_a_region_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "AWS_REGION", "")
    with pytest.raises(CommandError, match=r"AWS_REGION is not set: set it to .*eu-west-3"):
        call_command("provision_queues", "--dry-run")


@pytest.mark.parametrize("missing", ["CLOUDWATCH_NAMESPACE", "AWS_REGION"])
def test_the_figures_of_cloudwatch_name_what_they_lack(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setattr(settings, "CLOUDWATCH_NAMESPACE", "Huntaze")
    monkeypatch.setattr(settings, missing, "")
    assert metric_history().trouble.startswith(f"{missing} is not set: ")
