"""Answers whether the queues are made, corrected and encrypted as they must be, and only where they differ."""

import json
from typing import Any

import pytest

from conftest import Queues
from messaging.errors import QueueError
from messaging.queue_setup import Change, queues_provision
from messaging.tests.conftest import aws_error


@pytest.fixture
def no_queues(sqs_queues: Queues) -> Queues:
    for url in (sqs_queues.url, sqs_queues.dead_letter_url):
        sqs_queues.client.delete_queue(QueueUrl=url)
    return sqs_queues


def attributes(queues: Queues, url: str) -> dict[str, str]:
    return queues.client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]


def test_provisioning_makes_both_queues(no_queues: Queues) -> None:
    done = queues_provision()
    made, dead = attributes(no_queues, done.queue), attributes(no_queues, done.dlq)
    assert made["VisibilityTimeout"] == "180"
    assert made["ReceiveMessageWaitTimeSeconds"] == "20"
    assert made["MessageRetentionPeriod"] == str(4 * 86_400)
    assert dead["MessageRetentionPeriod"] == str(14 * 86_400)
    assert json.loads(made["RedrivePolicy"]) == {"deadLetterTargetArn": dead["QueueArn"], "maxReceiveCount": 5}
    assert {made["SqsManagedSseEnabled"].lower(), dead["SqsManagedSseEnabled"].lower()} == {"true"}


def test_provisioning_again_corrects_what_differs_and_then_nothing(sqs_queues: Queues, sqs_faults: Any) -> None:
    queues_provision()
    sqs_queues.client.set_queue_attributes(QueueUrl=sqs_queues.url, Attributes={"VisibilityTimeout": "7"})
    done = queues_provision()
    assert (done.queue, done.dlq) == (sqs_queues.url, sqs_queues.dead_letter_url)
    assert done.changes == (Change("huntaze-rate-limiter-queue", "VisibilityTimeout", "7", "180"),)
    assert attributes(sqs_queues, sqs_queues.url)["VisibilityTimeout"] == "180"
    sqs_faults.operations.clear()
    assert queues_provision().changes == ()
    assert set(sqs_faults.operations) == {"GetQueueUrl", "GetQueueAttributes"}


def test_a_dry_run_says_what_would_be_made_and_makes_nothing(no_queues: Queues, sqs_faults: Any) -> None:
    done = queues_provision(dry_run=True)
    assert (done.queue, done.dlq) == ("", "")
    assert [change.queue for change in done.changes if change.new == "created"] == [
        "huntaze-rate-limiter-queue-dlq",
        "huntaze-rate-limiter-queue",
    ]
    assert "RedrivePolicy" in {change.attribute for change in done.changes}
    assert set(sqs_faults.operations) == {"GetQueueUrl"}


def test_a_key_of_kms_encrypts_both_queues(sqs_queues: Queues) -> None:
    done = queues_provision(kms_key_id="alias/huntaze")
    keys = {attributes(sqs_queues, url)["KmsMasterKeyId"] for url in (done.queue, done.dlq)}
    assert keys == {"alias/huntaze"}


def test_a_key_of_kms_is_kept_by_a_run_that_names_none(sqs_queues: Queues) -> None:
    queues_provision(kms_key_id="alias/huntaze")
    assert queues_provision().changes == ()
    assert attributes(sqs_queues, sqs_queues.url)["KmsMasterKeyId"] == "alias/huntaze"


def test_what_aws_refuses_is_raised_in_words(sqs_faults: Any) -> None:
    sqs_faults.script = [aws_error("AccessDenied", 403)]
    with pytest.raises(QueueError, match="refuses these credentials"):
        queues_provision()
