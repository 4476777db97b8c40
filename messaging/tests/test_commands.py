"""Answers whether the operators' commands do their work and say what is missing."""

from io import StringIO
from typing import Any

import moto
import pytest
from django.core.management import CommandError, call_command

from crm.models import MessageStatus
from messaging import queue
from messaging.models import Delivery
from messaging.tests.factories import aged, delivery_make


def said(command: str, *arguments: str) -> str:
    out = StringIO()
    call_command(command, *arguments, stdout=out)
    return out.getvalue()


def test_provisioning_prints_the_variables_to_set() -> None:
    with moto.mock_aws():
        first = said("provision_queues")
        assert said("provision_queues") == first
    names = [line.partition("=")[0] for line in first.splitlines()]
    assert names == ["SQS_RATE_LIMITER_QUEUE_URL", "SQS_RATE_LIMITER_DLQ_URL"]


def test_provisioning_that_aws_refuses_says_why(sqs_faults: Any) -> None:
    from messaging.tests.conftest import aws_error

    sqs_faults.script = [aws_error("AccessDenied", 403)]
    with pytest.raises(CommandError, match="refuses these credentials"):
        said("provision_queues")


@pytest.mark.django_db
@pytest.mark.usefixtures("sqs_queues")
def test_one_sweep_says_what_it_moved() -> None:
    delivery = aged(delivery_make(state=MessageStatus.PENDING), 31)
    assert said("sweep").startswith("1 messages moved")
    assert Delivery.objects.get(pk=delivery.pk).state == MessageStatus.QUEUED
    assert len(queue.receive(wait_seconds=0)) == 1


@pytest.mark.parametrize("command", ["sweep", "run_worker"])
def test_a_missing_variable_is_named(settings: Any, command: str) -> None:
    settings.REDIS_URL = ""
    with pytest.raises(CommandError, match="REDIS_ENDPOINT is not set"):
        said(command)
