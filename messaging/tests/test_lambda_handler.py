"""Answers whether Lambda's door sends what it is given, names what failed, and puts back what it cannot begin."""

import copy
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection
from django.db.backends.postgresql.base import DatabaseWrapper

from conftest import Queues
from crm.tests.factories import FanFactory
from messaging import lambda_handler, metrics
from messaging.delivery import Consumer
from messaging.errors import SendingDisabled
from messaging.gateways import OutboundMessage, Sent
from messaging.lambda_handler import handler
from messaging.models import Delivery
from messaging.tests.conftest import NOWHERE, Faults, aws_error
from messaging.tests.factories import PERMANENT, ScriptedGateway, copy_of, delivery_make, profile_make

EVENTS = Path(__file__).parent / "events"
# Threads have connections of their own, which see only what is committed.
pytestmark = [pytest.mark.django_db(transaction=True)]


class Clock:
    """Lambda's context: so much time is left, and less with each question where a test says so."""

    def __init__(self, *left_ms: int) -> None:
        self._left = list(left_ms) or [300_000]
        self._lock = threading.Lock()

    def get_remaining_time_in_millis(self) -> int:
        with self._lock:
            return self._left.pop(0) if len(self._left) > 1 else self._left[0]


@pytest.fixture(autouse=True)
def from_zero() -> Iterator[None]:
    metrics._take()
    yield
    metrics._take()
    lambda_handler.configuration_check.cache_clear()


@pytest.fixture(autouse=True)
def platform(monkeypatch: pytest.MonkeyPatch, gateway: ScriptedGateway, sqs_queues: Queues) -> None:
    monkeypatch.setattr(lambda_handler, "gateway_load", lambda: gateway)


def event_read(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return event


def event_of(*deliveries: Delivery) -> dict[str, Any]:
    """What Lambda would pass for these: the recorded event with their bodies."""
    [recorded] = event_read("message")["Records"]
    records = []
    for number, delivery in enumerate(deliveries):
        record = copy.deepcopy(recorded)
        records.append({**record, "messageId": f"record-{number}", "body": copy_of(delivery).body})
    return {"Records": records}


def failed(answer: lambda_handler.Answer) -> list[str]:
    return sorted(failure["itemIdentifier"] for failure in answer["batchItemFailures"])


def states() -> list[str]:
    return sorted(Delivery.objects.values_list("state", flat=True))


def test_each_record_of_a_batch_is_sent_and_none_is_named(gateway: ScriptedGateway) -> None:
    assert handler(event_of(*[delivery_make() for _ in range(3)]), Clock()) == {"batchItemFailures": []}
    assert states() == ["sent"] * 3
    assert len(gateway.reached) == 3


def test_records_of_several_creators_are_sent_at_a_time(gateway: ScriptedGateway) -> None:
    together = threading.Barrier(4, timeout=5)

    def wait_for_the_others(message: OutboundMessage) -> Sent:
        together.wait()
        return Sent(str(message.message_id))

    gateway._outcomes = [wait_for_the_others] * 4
    handler(event_of(*[delivery_make() for _ in range(4)]), Clock())
    assert states() == ["sent"] * 4


def test_what_has_no_row_is_a_test_or_is_malformed_is_acknowledged(
    gateway: ScriptedGateway, sqs_queues: Queues
) -> None:
    assert handler(event_read("nothing_to_send"), Clock()) == {"batchItemFailures": []}
    assert gateway.calls == []
    [dead] = sqs_queues.client.receive_message(QueueUrl=sqs_queues.dead_letter_url)["Messages"]
    assert dead["Body"] == "{broken"


def test_a_record_as_the_consumer_gets_it() -> None:
    first, *_ = event_read("nothing_to_send")["Records"]
    received = lambda_handler.received_of(first)
    assert (received.body, received.receipt_handle) == (first["body"], first["receiptHandle"])
    assert received.receive_count == 2


def test_a_malformed_record_among_others_does_not_keep_them_from_being_sent(sqs_queues: Queues) -> None:
    event = event_of(delivery_make(), delivery_make())
    event["Records"][0]["body"] = "[]"
    del event["Records"][1]["attributes"]
    event["Records"] += event_of(delivery_make())["Records"]
    assert failed(handler(event, Clock())) == ["record-1"]
    assert states() == ["queued", "queued", "sent"]


def test_every_record_of_a_batch_fails_and_all_are_named_without_an_exception(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(self: Consumer, received: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(Consumer, "handle", broken)
    event = event_of(*[delivery_make() for _ in range(3)])
    assert failed(handler(event, Clock())) == ["record-0", "record-1", "record-2"]


def test_a_record_that_the_consumer_leaves_is_named(sqs_faults: Faults, settings: Any) -> None:
    settings.REDIS_URL = NOWHERE
    sqs_faults.script = [aws_error("AccessDenied", 403)]
    assert failed(handler(event_of(delivery_make()), Clock())) == ["record-0"]
    assert states() == ["queued"]


def test_with_the_deadline_near_what_was_not_begun_hops_and_nothing_is_lost(
    gateway: ScriptedGateway, sqs_queues: Queues, settings: Any, on_queue: Callable[[], list[Any]]
) -> None:
    settings.WORKER_CONCURRENCY = 1
    near = lambda_handler.needed_ms() - 1
    deliveries = [delivery_make() for _ in range(3)]
    event = event_of(*deliveries)
    # Asked once for the batch and once for each record.
    assert handler(event, Clock(300_000, 300_000, near)) == {"batchItemFailures": []}
    assert gateway.reached == [deliveries[0].pk]
    copies = on_queue()
    assert {json.loads(copy.body)["messageId"] for copy in copies} == {str(x.pk) for x in deliveries[1:]}
    assert {copy.group_id for copy in copies} == {"12"}
    received = sqs_queues.client.receive_message(
        QueueUrl=sqs_queues.url, MaxNumberOfMessages=10, AttributeNames=["All"], MessageAttributeNames=["All"]
    )["Messages"]
    assert [message["Attributes"]["ApproximateReceiveCount"] for message in received] == ["1", "1"]
    assert received[0]["MessageAttributes"]["messageType"]["StringValue"] == "reply"
    # The fresh copies are of the same dispatch, so the next batch sends them.
    handler({"Records": [{**event["Records"][0], "body": message["Body"]} for message in received]}, Clock())
    assert sorted(gateway.reached) == sorted(delivery.pk for delivery in deliveries)
    assert len(gateway.calls) == 3


def test_what_cannot_be_put_back_is_named_instead(sqs_faults: Faults) -> None:
    sqs_faults.script = [aws_error("AccessDenied", 403)]
    event = event_of(delivery_make(), delivery_make())
    assert failed(handler(event, Clock(1_000))) == ["record-0", "record-1"]


def test_a_time_out_too_short_to_send_anything_is_said(caplog: pytest.LogCaptureFixture, sqs_queues: Queues) -> None:
    handler(event_of(delivery_make()), Clock(3_000))
    assert "time-out is too short" in caplog.text
    assert sqs_queues.depth() == 1


def test_the_time_needed_is_more_than_a_send_takes(settings: Any) -> None:
    settings.SEND_TIMEOUT_SECONDS = 40
    assert lambda_handler.needed_ms() >= 40_000 + 5_000


def test_while_the_database_is_away_records_hop_and_stay_out_of_the_dead_letters(
    monkeypatch: pytest.MonkeyPatch, gateway: ScriptedGateway, sqs_faults: Faults, sqs_queues: Queues
) -> None:
    event = event_of(delivery_make(), delivery_make())

    def away() -> None:
        raise OperationalError("away")

    with monkeypatch.context() as patched:
        patched.setattr(connection, "cursor", away)
        assert handler(event, Clock()) == {"batchItemFailures": []}
    assert gateway.calls == []
    assert {entry["DelaySeconds"] for entry in sqs_faults.requests[0]["Entries"]} == {60}
    assert sqs_queues.depth() == 2
    assert sqs_queues.depth(sqs_queues.dead_letter_url) == 0


def test_while_redis_is_away_records_hop_and_stay_out_of_the_dead_letters(
    gateway: ScriptedGateway, sqs_queues: Queues, settings: Any
) -> None:
    settings.REDIS_URL = NOWHERE
    assert handler(event_of(delivery_make(), delivery_make()), Clock()) == {"batchItemFailures": []}
    assert gateway.calls == []
    assert sqs_queues.depth() == 2
    assert sqs_queues.depth(sqs_queues.dead_letter_url) == 0


def test_while_the_rate_limiter_is_off_records_hop_and_go_out_once_it_is_on(
    gateway: ScriptedGateway, sqs_faults: Faults, sqs_queues: Queues, settings: Any
) -> None:
    settings.RATE_LIMITER_ENABLED = False
    event = event_of(delivery_make(), delivery_make())
    assert handler(event, Clock()) == {"batchItemFailures": []}
    assert gateway.calls == []
    assert {entry["DelaySeconds"] for entry in sqs_faults.requests[0]["Entries"]} == {900}
    assert sqs_queues.depth(sqs_queues.dead_letter_url) == 0
    settings.RATE_LIMITER_ENABLED = True
    handler(event, Clock())
    assert len(gateway.reached) == 2


def test_a_creator_without_a_token_left_hops(gateway: ScriptedGateway, sqs_queues: Queues) -> None:
    profile = profile_make(messages=1)
    deliveries = [delivery_make(fan=FanFactory(creator=profile.creator)) for _ in range(3)]
    assert handler(event_of(*deliveries), Clock()) == {"batchItemFailures": []}
    assert len(gateway.reached) == 1
    assert sqs_queues.depth() == 2


def test_a_group_of_one_creator_goes_out_one_by_one_in_one_batch(gateway: ScriptedGateway, sqs_queues: Queues) -> None:
    profile = profile_make(gap_ms=100)
    deliveries = [delivery_make(fan=FanFactory(creator=profile.creator)) for _ in range(4)]
    assert handler(event_of(*deliveries), Clock()) == {"batchItemFailures": []}
    assert len(gateway.reached) == 4
    assert sqs_queues.depth() == 0


def test_nothing_waits_longer_than_the_deadline_allows(gateway: ScriptedGateway, sqs_queues: Queues) -> None:
    profile = profile_make(gap_ms=1_000)
    deliveries = [delivery_make(fan=FanFactory(creator=profile.creator)) for _ in range(2)]
    left_ms = lambda_handler.needed_ms() + 500
    assert handler(event_of(*deliveries), Clock(left_ms)) == {"batchItemFailures": []}
    assert len(gateway.reached) == 1
    assert sqs_queues.depth() == 1


def test_lambda_finds_the_handler_in_a_process_that_has_loaded_nothing(settings: Any) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "-c", "from messaging.lambda_handler import handler; print(handler({}, None))"],
        env=environment,
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "{'batchItemFailures': []}\n", done.stderr


def test_an_event_without_records_is_answered() -> None:
    assert handler({}, Clock()) == {"batchItemFailures": []}


def test_a_lease_that_ends_before_its_send_is_refused_at_the_start_as_by_a_command(
    settings: Any, gateway: ScriptedGateway
) -> None:
    settings.SEND_TIMEOUT_SECONDS = settings.SEND_LEASE_SECONDS
    lambda_handler.configuration_check.cache_clear()
    with pytest.raises(ImproperlyConfigured, match=r"huntaze\.E001"):
        handler(event_of(delivery_make()), Clock())
    assert gateway.calls == []


def test_a_record_without_its_attributes_hops_as_the_others_do(sqs_queues: Queues) -> None:
    event = event_of(delivery_make(), delivery_make())
    del event["Records"][0]["attributes"]
    assert handler(event, Clock(1_000)) == {"batchItemFailures": []}
    assert sqs_queues.depth() == 2


def test_where_sending_is_not_configured_it_says_which_variable(settings: Any) -> None:
    settings.REDIS_URL = ""
    with pytest.raises(SendingDisabled, match="REDIS_ENDPOINT"):
        handler(event_of(delivery_make()), Clock())


def test_the_counts_of_one_batch_are_one_line_of_embedded_metrics(
    gateway: ScriptedGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway._outcomes = [PERMANENT]
    handler(event_of(*[delivery_make() for _ in range(3)]), Clock())
    [line] = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    [directive] = found.pop("_aws")["CloudWatchMetrics"]
    assert (found["OnlyFansMessagesSent"], found["OnlyFansMessagesFailed"]) == (2, 1)
    assert len(found["OnlyFansProcessingTime"]) == len(found["OnlyFansDispatchLag"]) == 3
    assert directive["Namespace"] == "Huntaze"
    assert {metric["Name"] for metric in directive["Metrics"]} == set(found)
    handler(event_of(delivery_make()), Clock())
    [line] = capsys.readouterr().out.splitlines()
    assert json.loads(line)["OnlyFansMessagesSent"] == 1


def test_no_connection_outlives_a_batch() -> None:
    handler(event_of(delivery_make()), Clock())
    assert connection.connection is None
    assert DatabaseWrapper._connection_pools == {}
