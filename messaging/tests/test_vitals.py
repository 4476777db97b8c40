"""Answers whether depths, ages and heartbeats are measured, and what is not known is not called zero."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from conftest import Queues
from crm.models import MessageStatus
from messaging import heartbeat, lambda_handler, lambda_sweeper, metrics, publishing, vitals
from messaging.models import Delivery
from messaging.tests.conftest import Faults, aws_error
from messaging.tests.factories import delivery_make

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def from_zero() -> Iterator[None]:
    metrics._take()
    yield
    metrics._take()


def levels() -> dict[str, float]:
    return {name: value for name, (value, _) in metrics._take().gauges.items()}


def test_depths_count_what_is_due_alone(sqs_queues: Queues) -> None:
    for delay in (0, 0, 600):
        sqs_queues.client.send_message(QueueUrl=sqs_queues.url, MessageBody="{}", DelaySeconds=delay)
    sqs_queues.client.send_message(QueueUrl=sqs_queues.dead_letter_url, MessageBody="{}")
    vitals.vitals_measure()
    assert levels() == {vitals.DEPTH: 2, vitals.DLQ_DEPTH: 1, vitals.OUTBOX_AGE: 0}


def test_the_outbox_is_as_old_as_its_oldest_message(sqs_queues: Queues) -> None:
    delivery = delivery_make(state=MessageStatus.PENDING)
    Delivery.objects.filter(pk=delivery.pk).update(created_at=timezone.now() - timedelta(seconds=400))
    vitals.vitals_measure()
    assert levels()[vitals.OUTBOX_AGE] == pytest.approx(400, abs=20)


def test_where_sqs_does_not_answer_its_depth_is_not_called_zero(sqs_faults: Faults) -> None:
    sqs_faults.script = [aws_error("AccessDenied", 403)]
    vitals.vitals_measure()
    assert set(levels()) == {vitals.OUTBOX_AGE}


def test_a_worker_that_beats_is_counted(settings: Any) -> None:
    heartbeat.heartbeat_beat()
    assert metrics._take().counts["OnlyFansWorkerHeartbeat"] == 1


def test_what_sqs_refuses_is_counted_as_failed(sqs_faults: Faults) -> None:
    sqs_faults.script = [aws_error("AccessDenied", 403)]
    publishing.publish([delivery_make(state=MessageStatus.PENDING).pk], fail=True)
    assert metrics._take().counts["OnlyFansMessagesFailed"] == 1


@pytest.mark.django_db(transaction=True)
def test_lambdas_clock_sweeps_measures_and_beats(
    sqs_queues: Queues, capsys: pytest.CaptureFixture[str], settings: Any
) -> None:
    delivery = delivery_make(state=MessageStatus.PENDING)
    Delivery.objects.filter(pk=delivery.pk).update(
        state_changed_at=timezone.now() - timedelta(hours=1), created_at=timezone.now() - timedelta(hours=1)
    )
    assert lambda_sweeper.handler({}, None) == {"moved": 1}
    lambda_handler.configuration_check.cache_clear()
    [line] = [line for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert all(name in line for name in (vitals.HEARTBEAT, vitals.DEPTH, vitals.OUTBOX_AGE))


def test_a_sweep_that_is_not_possible_is_measured_all_the_same_and_does_not_beat(
    sqs_queues: Queues, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.RATE_LIMITER_ENABLED = False
    with pytest.raises(Exception, match="RATE_LIMITER_ENABLED"):
        lambda_sweeper.handler({}, None)
    lambda_handler.configuration_check.cache_clear()
    printed = capsys.readouterr().out
    assert vitals.OUTBOX_AGE in printed
    # While the limiter is off SQS is asked for nothing.
    assert vitals.DEPTH not in printed
    assert vitals.HEARTBEAT not in printed
