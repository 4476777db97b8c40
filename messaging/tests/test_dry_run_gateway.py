"""Answers whether a dry run sends nothing, says so, and tells no one what was written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from messaging.delivery import Consumer, Disposition
from messaging.dry_run_gateway import REASON, DryRunGateway
from messaging.models import Delivery
from messaging.tests.factories import copy_of, delivery_make

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def dry_run(limiter, sqs_queues) -> Consumer:
    return Consumer(limiter=limiter, gateway=DryRunGateway())


@pytest.mark.django_db
def test_a_message_ends_as_bypassed_with_the_reason_and_not_as_a_failure(dry_run, sqs_queues):
    delivery = delivery_make()
    assert dry_run.handle(copy_of(delivery)) is Disposition.ACKNOWLEDGE
    delivery.refresh_from_db()
    assert (delivery.state, delivery.message.status, delivery.reason) == ("bypassed", "bypassed", REASON)
    assert delivery.message.sent_at is None
    assert sqs_queues.depth(sqs_queues.dead_letter_url) == 0


@pytest.mark.django_db
def test_what_may_have_reached_the_fan_before_stays_in_doubt(dry_run):
    delivery = delivery_make(key_in_doubt=True)
    dry_run.handle(copy_of(delivery))
    assert Delivery.objects.get(pk=delivery.pk).state == "unknown"


@pytest.mark.django_db
def test_the_log_says_what_would_be_sent_without_its_words(dry_run):
    delivery = delivery_make(text="Something private")
    with capture_logs() as lines:
        dry_run.handle(copy_of(delivery))
    line = next(line for line in lines if line["event"] == "dry run: would be sent")
    assert (line["message_id"], line["characters"]) == (str(delivery.pk), len("Something private"))
    assert "private" not in str(lines)


@pytest.mark.parametrize(
    ("environment", "gateway"),
    [
        ({}, "messaging.dry_run_gateway.DryRunGateway"),
        ({"ONLYFANS_API_BASE_URL": "http://127.0.0.1:1"}, "onlyfans.gateway.OnlyFansGateway"),
        ({"MESSAGING_GATEWAY": "onlyfans.gateway.OnlyFansGateway"}, "onlyfans.gateway.OnlyFansGateway"),
    ],
)
def test_a_dry_run_is_the_default_where_no_platform_is_configured(environment, gateway):
    left_out = ("MESSAGING_GATEWAY", "ONLYFANS_API_BASE_URL")
    inherited = {name: value for name, value in os.environ.items() if name not in left_out}
    code = "from huntaze import settings; print(settings.MESSAGING_GATEWAY)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**inherited, "HUNTAZE_ENV_FILES": "false", **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == gateway
