"""Answers whether a start tests the way to SQS, without waiting for it or failing by it."""

from typing import Any

import pytest

from conftest import Queues
from messaging import connectivity, queue
from messaging.payloads import dispatch_parse
from messaging.tests.conftest import aws_error


def test_one_message_is_sent_that_the_consumer_drops(sqs_queues: Queues) -> None:
    assert connectivity.connectivity_test()["ok"] is True
    [message] = queue.receive(wait_seconds=0)
    assert dispatch_parse(message.body) is None


def test_the_outcome_is_remembered(sqs_queues: Queues) -> None:
    assert connectivity.connectivity_last() is None
    outcome = connectivity.connectivity_test()
    assert connectivity.connectivity_last() == outcome


def test_a_refusal_is_remembered_in_words(sqs_faults: Any) -> None:
    sqs_faults.script = [aws_error("AccessDenied", 403)]
    outcome = connectivity.connectivity_test()
    assert (outcome["ok"], outcome["reason"]) == (False, "AWS refuses these credentials access to the queue.")


def test_a_missing_variable_is_named(settings: Any) -> None:
    settings.SQS_RATE_LIMITER_QUEUE_URL = ""
    assert "SQS_RATE_LIMITER_QUEUE_URL" in connectivity.connectivity_test()["reason"]


def test_a_start_does_not_fail_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(connectivity, "connectivity_test", broken)
    connectivity._run()


@pytest.mark.parametrize("variable", ["AWS_REGION", "SQS_RATE_LIMITER_QUEUE_URL"])
def test_the_one_variable_that_is_missing_is_named(settings: Any, variable: str) -> None:
    setattr(settings, variable, "")
    outcome = connectivity.connectivity_test()
    assert outcome is not None
    assert outcome["reason"] == f"{variable} is not set: sending is disabled."


def test_while_the_limiter_is_off_nothing_is_sent_and_no_outcome_is_left(settings: Any, sqs_queues: Queues) -> None:
    assert connectivity.connectivity_test() is not None
    before = sqs_queues.depth()
    settings.RATE_LIMITER_ENABLED = False
    assert connectivity.connectivity_test() is None
    assert connectivity.connectivity_last() is None
    assert sqs_queues.depth() == before
