"""Answers what the producer does when SQS has trouble, refuses or takes only some."""

import json
from uuid import uuid4

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectTimeoutError, NoCredentialsError, ParamValidationError, ReadTimeoutError

from messaging import queue
from messaging.errors import QueueError
from messaging.queue import BATCH_MAX_BYTES, Outgoing
from messaging.tests.conftest import aws_error

BROKEN = aws_error("InternalFailure", 500)
THROTTLED = aws_error("RequestThrottled", 400)


def outgoing(key: str = "a", *, body: str = "body", delay: int = 0, **attributes: str) -> Outgoing:
    return Outgoing(key=key, body=body, delay_seconds=delay, group="1", attributes=attributes)


def partly(failed: dict[int, tuple[str, bool]], total: int):
    """An answer that took all entries but these: index to code and whether the sender is to blame."""

    def answer(request) -> AWSResponse:
        response = AWSResponse(request.url, 200, {"content-type": "application/x-amz-json-1.0"}, None)
        took = [
            {"Id": str(n), "MessageId": str(uuid4()), "MD5OfMessageBody": "0" * 32}
            for n in range(total)
            if n not in failed
        ]
        refused = [{"Id": str(n), "Code": code, "SenderFault": fault} for n, (code, fault) in failed.items()]
        response._content = json.dumps({"Successful": took, "Failed": refused}).encode()
        return response

    return answer


@pytest.fixture(autouse=True)
def no_checksums(monkeypatch):
    """Answers made up here carry no checksum of the bodies."""
    monkeypatch.setenv("AWS_IGNORE_CHECKSUMS", "true")


@pytest.mark.parametrize("trouble", [BROKEN, THROTTLED, aws_error("TooManyRequests", 429)])
def test_trouble_twice_and_then_well_takes_three_calls(sqs_faults, sqs_queues, pauses, trouble):
    sqs_faults.script = [trouble, trouble]
    assert queue.send([outgoing()]) == {"a": None}
    assert sqs_faults.calls == 3
    assert pauses == [0, 1]
    assert sqs_queues.depth() == 1


@pytest.mark.parametrize("trouble", [BROKEN, THROTTLED])
def test_after_four_failures_it_gives_up(sqs_faults, sqs_queues, pauses, trouble):
    sqs_faults.script = [trouble] * 10
    error = queue.send([outgoing()])["a"]
    assert not error.permanent
    assert sqs_faults.calls == 4
    assert pauses == [0, 1, 2]
    assert sqs_queues.depth() == 0


@pytest.mark.parametrize(
    "trouble", [ConnectTimeoutError(endpoint_url="x"), ReadTimeoutError(endpoint_url="x")], ids=["connect", "read"]
)
def test_a_connection_that_times_out_is_tried_again(sqs_faults, trouble):
    sqs_faults.script = [trouble]
    assert queue.send([outgoing()]) == {"a": None}
    assert sqs_faults.calls == 2


@pytest.mark.parametrize("code", ["ThrottlingException", "KmsThrottled", "RequestLimitExceeded", "OverLimit"])
def test_throttling_that_comes_with_403_is_tried_again(sqs_faults, code):
    sqs_faults.script = [aws_error(code, 403)]
    assert queue.send([outgoing()]) == {"a": None}
    assert sqs_faults.calls == 2


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        ("AccessDenied", 403, "refuses these credentials access"),
        ("AccessDeniedException", 400, "refuses these credentials access"),
        ("AWS.SimpleQueueService.NonExistentQueue", 400, "provision_queues"),
        ("QueueDoesNotExist", 400, "provision_queues"),
        ("InvalidClientTokenId", 403, "does not know these credentials"),
        ("ExpiredToken", 403, "have expired"),
        ("KmsAccessDenied", 400, "encryption key"),
        ("KmsDisabled", 400, "encryption key is disabled"),
        ("InvalidMessageContents", 400, "character"),
        ("AWS.SimpleQueueService.BatchRequestTooLong", 400, "larger than SQS takes"),
        ("SomethingNew", 400, "SQS refused the request (SomethingNew)"),
    ],
)
def test_what_cannot_pass_by_itself_is_asked_once_and_said_in_words(sqs_faults, code, status, words):
    sqs_faults.script = [aws_error(code, status)]
    error = queue.send([outgoing()])["a"]
    assert error.permanent
    assert words in error.reason
    assert sqs_faults.calls == 1


def test_a_queue_that_is_not_there_is_said_in_words(sqs_queues):
    error = queue.send([outgoing()], queue_url=f"{sqs_queues.url}-gone")["a"]
    assert error.permanent
    assert "provision_queues" in error.reason


@pytest.mark.parametrize("error", [NoCredentialsError(), ParamValidationError(report="x")], ids=["keys", "shape"])
def test_what_boto3_refuses_itself_is_not_tried_again(sqs_faults, error):
    sqs_faults.script = [error]
    assert queue.send([outgoing()])["a"].permanent
    assert sqs_faults.calls == 1


def test_an_error_that_is_not_of_aws_is_not_swallowed():
    with pytest.raises(KeyError):
        queue.error_judge(KeyError("x"))


def test_only_the_entries_that_failed_are_sent_again_and_the_others_are_queued_once(sqs_faults):
    sqs_faults.script = [partly({1: ("InternalError", False)}, 3)]
    assert queue.send([outgoing("a"), outgoing("b", body="second"), outgoing("c")]) == {"a": None, "b": None, "c": None}
    assert [entry["MessageBody"] for entry in sqs_faults.requests[1]["Entries"]] == ["second"]


def test_an_entry_refused_for_good_does_not_stop_the_others(sqs_faults):
    sqs_faults.script = [partly({0: ("InvalidMessageContents", True), 2: ("InternalError", False)}, 3)]
    results = queue.send([outgoing("a"), outgoing("b"), outgoing("c")])
    assert results["a"].permanent
    assert results["b"] is None
    assert results["c"] is None
    assert [entry["Id"] for entry in sqs_faults.requests[1]["Entries"]] == ["2"]


def test_one_message_that_makes_sqs_refuse_a_batch_does_not_stop_the_others(sqs_faults, sqs_queues):
    refused = aws_error("InvalidMessageContents", 400)
    sqs_faults.script = [refused, None, refused]
    results = queue.send([outgoing("a"), outgoing("b"), outgoing("c")])
    assert (results["a"], results["c"]) == (None, None)
    assert results["b"].of_message
    assert sqs_queues.depth() == 2


def test_an_entry_that_keeps_failing_is_given_up_after_four_calls(sqs_faults):
    sqs_faults.script = [partly({1: ("InternalError", False)}, 2), *[partly({1: ("InternalError", False)}, 0)] * 9]
    results = queue.send([outgoing("a"), outgoing("b")])
    assert results["a"] is None
    assert not results["b"].permanent
    assert sqs_faults.calls == 4


def test_a_batch_that_fails_after_some_were_taken_leaves_those_alone(sqs_faults):
    sqs_faults.script = [partly({1: ("InternalError", False)}, 2), aws_error("AccessDenied", 403)]
    results = queue.send([outgoing("a"), outgoing("b")])
    assert results["a"] is None
    assert results["b"].code == "AccessDenied"


def test_a_batch_holds_ten_entries(sqs_faults, sqs_queues):
    assert set(queue.send([outgoing(str(n)) for n in range(23)]).values()) == {None}
    assert sorted(len(request["Entries"]) for request in sqs_faults.requests) == [3, 10, 10]
    assert sqs_queues.depth() == 23


def test_a_batch_holds_one_mebibyte(sqs_faults):
    # Each holds its attribute's name, type and value too.
    body = "x" * (BATCH_MAX_BYTES // 2 - len("userId" + "String" + "7"))
    queue.send([outgoing(str(n), body=body, userId="7") for n in range(2)])
    queue.send([outgoing("0", body=body, userId="7"), outgoing("1", body=body + "x", userId="7")])
    assert [len(request["Entries"]) for request in sqs_faults.requests] == [2, 1, 1]


def test_a_batch_counts_bytes_and_not_characters(sqs_faults):
    queue.send([outgoing(str(n), body="é" * 200_000) for n in range(3)])
    # Side by side, so in either order.
    assert sorted(len(request["Entries"]) for request in sqs_faults.requests) == [1, 2]


def test_nothing_to_send_calls_nobody(sqs_faults):
    assert queue.send([]) == {}
    assert sqs_faults.calls == 0


def test_a_message_carries_its_group_delay_and_attributes(sqs_faults):
    queue.send([outgoing(delay=7, userId="7", priority="1")])
    [entry] = sqs_faults.requests[0]["Entries"]
    assert entry["MessageGroupId"] == "1"
    assert entry["DelaySeconds"] == 7
    assert entry["MessageAttributes"]["userId"] == {"DataType": "String", "StringValue": "7"}


def test_an_empty_attribute_which_sqs_refuses_is_left_out(sqs_faults, sqs_queues):
    assert queue.send([outgoing(userId="", priority="1")]) == {"a": None}
    assert list(sqs_faults.requests[0]["Entries"][0]["MessageAttributes"]) == ["priority"]


def test_what_was_sent_is_received_with_its_count_and_gone_when_deleted(sqs_queues):
    queue.send([outgoing(body="one")])
    [received] = queue.receive(wait_seconds=0)
    assert (received.body, received.receive_count) == ("one", 1)
    queue.delete([received.receipt_handle])
    assert sqs_queues.depth() == 0


def test_a_released_message_is_handed_out_again_at_once(sqs_queues):
    queue.send([outgoing()])
    [received] = queue.receive(wait_seconds=0)
    assert queue.receive(wait_seconds=0) == []
    queue.release_all([received.receipt_handle])
    assert queue.receive(wait_seconds=0)[0].receive_count == 2


def test_more_than_ten_are_deleted_in_batches(sqs_queues, sqs_faults):
    queue.send([outgoing(str(n)) for n in range(12)])
    handles = [m.receipt_handle for _ in range(2) for m in queue.receive(wait_seconds=0)]
    queue.delete(handles)
    assert sqs_queues.depth() == 0
    assert sqs_faults.operations.count("DeleteMessageBatch") == 2


def test_a_delete_that_fails_raises_nothing_and_names_what_stayed(sqs_faults):
    sqs_faults.script = [BROKEN] * 4
    assert queue.delete(["handle"]) == ["handle"]
    assert sqs_faults.calls == 4


def test_a_delete_names_the_entries_that_sqs_did_not_delete(sqs_queues):
    queue.send([outgoing()])
    [received] = queue.receive(wait_seconds=0)
    assert queue.delete([received.receipt_handle, "of another world"]) == ["of another world"]


def test_more_than_ten_are_released_in_batches_and_handed_out_again(sqs_queues, sqs_faults):
    queue.send([outgoing(str(n)) for n in range(12)])
    handles = [m.receipt_handle for _ in range(2) for m in queue.receive(wait_seconds=0)]
    queue.release_all(handles)
    assert queue.counts().waiting == 12
    assert sqs_faults.operations.count("ChangeMessageVisibilityBatch") == 2


def test_a_release_that_fails_raises_nothing(sqs_faults):
    sqs_faults.script = [BROKEN] * 4
    queue.release_all(["handle"])
    assert sqs_faults.calls == 4


def test_receiving_from_a_queue_that_is_not_there_says_so(sqs_queues, settings):
    settings.SQS_RATE_LIMITER_QUEUE_URL += "-gone"
    with pytest.raises(QueueError, match="provision_queues"):
        queue.receive(wait_seconds=0)


def test_the_counts_tell_waiting_from_delayed_and_in_flight(sqs_queues):
    queue.send([outgoing("a"), outgoing("b"), outgoing("c", delay=60)])
    queue.receive(limit=1, wait_seconds=0)
    assert queue.counts() == queue.QueueCounts(waiting=1, in_flight=1, delayed=1)


def test_boto3_tries_nothing_again_by_itself(sqs_queues):
    config = queue.client().meta.config
    assert config.retries["total_max_attempts"] == 1
    assert (config.connect_timeout, config.read_timeout) == (1, 3)
