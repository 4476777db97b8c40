"""Answers whether the operators' commands do their work and say what is missing."""

import json
import os
import time
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import moto
import pytest
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.core.management.base import OutputWrapper
from django.db import connection, transaction
from django.db.models import Count
from django.utils import timezone

from conftest import Queues
from crm.models import MessageStatus
from crm.tests.factories import CreatorFactory
from messaging import dead_letters, publishing, queue, queue_overview
from messaging.heartbeat import HEARTBEAT_KEY
from messaging.management.progress import Progress
from messaging.models import Delivery
from messaging.tests.conftest import aws_error
from messaging.tests.factories import aged, delivery_make, profile_make


@pytest.fixture(autouse=True)
def no_long_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "WALK_WAIT_SECONDS", 0)


def said(command: str, *arguments: str) -> str:
    out = StringIO()
    call_command(command, *arguments, stdout=out)
    return out.getvalue()


def told(command: str, *arguments: str) -> Any:
    return json.loads(said(command, *arguments, "--json"))


def dead(queues: Queues, *, state: MessageStatus = MessageStatus.FAILED, **fields: Any) -> Delivery:
    """A delivery with a copy in the dead-letter queue."""
    delivery = delivery_make(state=state, text="Only for you", **fields)
    body = publishing.body_of(delivery).to_json()
    queues.client.send_message(QueueUrl=queues.dead_letter_url, MessageBody=body)
    return delivery


def test_provisioning_prints_the_variables_to_set() -> None:
    with moto.mock_aws():
        first = said("provision_queues")
        assert said("provision_queues") == first
    names = [line.partition("=")[0] for line in first.splitlines()]
    assert names == ["SQS_RATE_LIMITER_QUEUE_URL", "SQS_RATE_LIMITER_DLQ_URL"]


def test_provisioning_that_aws_refuses_says_why(sqs_faults: Any) -> None:
    sqs_faults.script = [aws_error("AccessDenied", 403)]
    with pytest.raises(CommandError, match="refuses these credentials"):
        said("provision_queues")


def test_provisioning_dry_says_what_it_would_change(sqs_queues: Queues) -> None:
    said("provision_queues")
    assert said("provision_queues", "--dry-run") == "0 changes would be made.\n"
    sqs_queues.client.set_queue_attributes(QueueUrl=sqs_queues.url, Attributes={"VisibilityTimeout": "7"})
    assert said("provision_queues", "--dry-run").splitlines() == [
        "huntaze-rate-limiter-queue: VisibilityTimeout 7 → 180",
        "1 changes would be made.",
    ]


def test_provisioning_tells_a_program_the_addresses_and_the_changes(sqs_queues: Queues) -> None:
    said("provision_queues")
    assert told("provision_queues", "--kms-key-id", "alias/huntaze") == {
        "SQS_RATE_LIMITER_QUEUE_URL": sqs_queues.url,
        "SQS_RATE_LIMITER_DLQ_URL": sqs_queues.dead_letter_url,
        "dryRun": False,
        "changes": [
            {"queue": name, "attribute": "KmsMasterKeyId", "old": "", "new": "alias/huntaze"}
            for name in ("huntaze-rate-limiter-queue-dlq", "huntaze-rate-limiter-queue")
        ],
    }


@pytest.mark.django_db
@pytest.mark.usefixtures("sqs_queues")
def test_one_sweep_says_what_it_moved() -> None:
    delivery = aged(delivery_make(state=MessageStatus.PENDING), 31)
    assert said("sweep").startswith("1 messages moved")
    assert Delivery.objects.get(pk=delivery.pk).state == MessageStatus.QUEUED
    assert len(queue.receive(wait_seconds=0)) == 1


@pytest.mark.django_db
def test_a_sweep_tells_a_terminal_how_far_it_is(sqs_queues: Queues) -> None:
    terminal = Terminal()
    call_command("sweep", stdout=StringIO(), stderr=terminal)
    assert terminal.getvalue().endswith("\r8 of 8 steps\n")


@pytest.mark.django_db
def test_a_dry_sweep_counts_and_moves_nothing(sqs_queues: Queues) -> None:
    aged(delivery_make(state=MessageStatus.PENDING), 31)
    report = told("sweep", "--dry-run")
    assert (report["dryRun"], report["total"], report["published"]) == (True, 1, 1)
    assert said("sweep", "--dry-run").startswith("1 messages would be looked at")
    assert sqs_queues.depth() == 0
    assert told("sweep")["published"] == 1


@pytest.mark.parametrize("option", ["--dry-run", "--json"])
def test_sweeping_for_ever_prints_nothing(option: str) -> None:
    with pytest.raises(CommandError, match="for one sweep"):
        said("sweep", "--forever", option)


@pytest.mark.django_db
def test_the_status_tells_of_all_creators(sqs_queues: Queues) -> None:
    dead(sqs_queues)
    pending = aged(delivery_make(state=MessageStatus.PENDING), 90, "created_at")
    queue.send([queue.Outgoing(key="a", body="{}", delay_seconds=60, group="1")])
    paused = profile_make(CreatorFactory(), paused_at=timezone.now(), paused_reason="Connect the account again.")
    cache.set(HEARTBEAT_KEY, timezone.now() - timedelta(seconds=5))
    found = told("queue_status")
    assert (found["queue"]["delayed"], found["dlq"]["waiting"], found["trouble"]) == (1, 1, "")
    assert (found["states"]["failed"], found["states"]["pending"], found["states"]["parked"]) == (1, 1, 0)
    assert found["oldestPending"]["messageId"] == str(pending.pk)
    assert found["oldestPending"]["ageSeconds"] >= 90
    assert 5 <= found["workerSeenSecondsAgo"] < 60
    assert [(who["creatorId"], who["reason"]) for who in found["paused"]] == [(paused.pk, "Connect the account again.")]
    words = said("queue_status")
    assert "1 failed" in words
    assert f"creator {paused.pk}" in words


@pytest.mark.django_db
def test_the_status_says_what_is_missing_and_tells_the_rest(sqs_queues: Queues, settings: Any) -> None:
    settings.SQS_RATE_LIMITER_DLQ_URL += "-gone"
    cache.delete(HEARTBEAT_KEY)
    found = told("queue_status")
    assert (found["queue"]["waiting"], found["dlq"], found["workerSeenSecondsAgo"]) == (0, None, None)
    assert "provision_queues" in found["trouble"]
    settings.AWS_REGION = ""
    assert "AWS_REGION is not set" in said("queue_status")


@pytest.mark.django_db
def test_the_dead_letters_are_listed_and_shown_without_their_texts(sqs_queues: Queues) -> None:
    delivery = dead(sqs_queues, reason="The fan is gone.", reason_code="fan_gone")
    listed, shown = said("dlq", "list"), said("dlq", "show", str(delivery.pk))
    assert f"{delivery.pk}  creator {delivery.creator_id} fan {delivery.fan_id}  failed  The fan is gone." in listed
    assert "1 copies." in listed
    assert "fan_gone" in shown
    [copy] = told("dlq", "list")["copies"]
    assert (copy["messageId"], copy["state"], copy["current"]) == (str(delivery.pk), "failed", True)
    assert "Only for you" not in listed + shown + json.dumps(copy)


@pytest.mark.django_db
def test_a_redrive_of_all_says_what_became_of_each_copy(sqs_queues: Queues) -> None:
    for state in (MessageStatus.FAILED, MessageStatus.SENT, MessageStatus.UNKNOWN):
        dead(sqs_queues, state=state)
    assert "1 would be sent again, 1 would be deleted, 1 kept." in said("dlq", "redrive", "--all", "--dry-run")
    report = told("dlq", "redrive", "--all")
    assert (report["sentAgain"], report["deleted"], report["kept"]) == (1, 1, 1)
    assert [copy["fate"] for copy in report["copies"]] == ["sent_again", "deleted", "kept"]


@pytest.mark.django_db
def test_a_redrive_of_a_named_message_sends_it_even_if_it_may_have_arrived(sqs_queues: Queues) -> None:
    delivery = dead(sqs_queues, state=MessageStatus.UNKNOWN)
    assert told("dlq", "redrive", "--dry-run", str(delivery.pk))["sentAgain"] == 1
    assert told("dlq", "redrive", str(delivery.pk))["sentAgain"] == 1


@pytest.mark.django_db
def test_a_discard_deletes_the_copies_that_are_named(sqs_queues: Queues) -> None:
    delivery, _ = dead(sqs_queues), dead(sqs_queues)
    assert "0 sent again, 1 deleted, 0 kept." in said("dlq", "discard", str(delivery.pk))
    assert sqs_queues.depth(sqs_queues.dead_letter_url) == 1


@pytest.mark.django_db
def test_copies_that_somebody_else_looks_at_are_said(sqs_queues: Queues) -> None:
    dead(sqs_queues)
    queue.receive(wait_seconds=0, queue_url=sqs_queues.dead_letter_url)
    assert "1 more are being looked at" in said("dlq", "list")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show"], "Name the ids"),
        (["redrive"], "Name ids, or give --all"),
        (["discard", "--all", "an-id"], "Name ids, or give --all"),
        (["show", "an-id"], "Not found in the dead-letter queue: an-id"),
    ],
)
def test_a_dead_letter_command_that_lacks_something_says_so(
    sqs_queues: Queues, arguments: list[str], words: str
) -> None:
    with pytest.raises(CommandError, match=words):
        said("dlq", *arguments)


@pytest.mark.parametrize(("name", "words"), [("-gone", "provision_queues"), ("", "SQS_RATE_LIMITER_DLQ_URL")])
def test_a_missing_dead_letter_queue_is_said(sqs_queues: Queues, settings: Any, name: str, words: str) -> None:
    settings.SQS_RATE_LIMITER_DLQ_URL = f"{sqs_queues.dead_letter_url}{name}" if name else ""
    with pytest.raises(CommandError, match=words):
        said("dlq", "list")


@pytest.mark.django_db
def test_all_that_failed_is_sent_again(sqs_queues: Queues) -> None:
    failed = [delivery_make(state=MessageStatus.FAILED) for _ in range(2)]
    unknown = delivery_make(state=MessageStatus.UNKNOWN)
    assert said("retry_failed", "--dry-run") == "2 messages would be sent again.\n"
    assert sqs_queues.depth() == 0
    assert told("retry_failed")["retried"] == [str(delivery.pk) for delivery in failed]
    assert sqs_queues.depth() == 2
    assert said("retry_failed", "--unknown").startswith("1 of 1 messages are on their way again")
    assert Delivery.objects.get(pk=unknown.pk).state == MessageStatus.QUEUED


@pytest.mark.django_db
@pytest.mark.usefixtures("sqs_queues")
def test_what_is_sent_again_can_be_chosen_by_creator_time_and_reason() -> None:
    old, new = (delivery_make(state=MessageStatus.FAILED, reason_code=code) for code in ("fan_gone", "timeout"))
    aged(old, 7_200, "finished_at")
    aged(new, 60, "finished_at")

    def found(*arguments: str) -> list[str]:
        return told("retry_failed", "--dry-run", *arguments)["found"]

    assert found("--creator", str(old.creator_id)) == found("--reason-code", "fan_gone") == [str(old.pk)]
    assert found("--since", f"{timezone.now() - timedelta(hours=1):%Y-%m-%dT%H:%M}") == [str(new.pk)]


@pytest.mark.django_db
def test_a_creator_that_is_not_there_is_said() -> None:
    with pytest.raises(CommandError, match=r"There is no creator 0\."):
        said("retry_failed", "--creator", "0")


def test_a_time_that_is_none_is_said() -> None:
    with pytest.raises(CommandError, match="--since is no time: 'yesterday'"):
        said("retry_failed", "--since", "yesterday")


@pytest.mark.django_db
def test_a_queue_that_refuses_a_whole_batch_is_not_asked_for_the_others(sqs_faults: Any) -> None:
    for _ in range(12):
        delivery_make(state=MessageStatus.FAILED)
    sqs_faults.script = [aws_error("AccessDenied", 403)] * 5
    with pytest.raises(CommandError, match=r"10 were refused and 2 not tried\. .*refuses these credentials"):
        said("retry_failed")
    assert sqs_faults.calls == 1
    assert Delivery.objects.filter(state=MessageStatus.FAILED).count() == 12


@pytest.mark.django_db
def test_what_failed_is_sent_again_ten_with_each_request_whosever_it_is(sqs_faults: Any, sqs_queues: Queues) -> None:
    for _ in range(12):
        delivery_make(state=MessageStatus.FAILED)
    assert said("retry_failed").startswith("12 of 12 messages")
    assert sorted(len(request["Entries"]) for request in sqs_faults.requests) == [2, 10]
    assert set(Delivery.objects.values_list("state", flat=True)) == {MessageStatus.QUEUED}


@pytest.mark.django_db
def test_the_status_counts_through_the_index_of_what_is_open_or_in_trouble() -> None:
    with connection.cursor() as cursor, transaction.atomic():
        cursor.execute("SET LOCAL enable_seqscan = off")
        plan = queue_overview.unsettled().values_list("state").annotate(number=Count("*")).explain()
    assert "delivery_unsettled" in plan


@pytest.mark.django_db
@pytest.mark.parametrize(("answer", "left"), [("yes", 0), ("no", 1), (None, 1)])
def test_discarding_all_asks_first(
    sqs_queues: Queues, monkeypatch: pytest.MonkeyPatch, answer: str | None, left: int
) -> None:
    def asked() -> str:
        if answer is None:
            raise EOFError
        return answer

    dead(sqs_queues)
    monkeypatch.setattr("builtins.input", asked)
    if left:
        with pytest.raises(CommandError, match="Nothing was deleted"):
            said("dlq", "discard", "--all")
    else:
        said("dlq", "discard", "--all")
    assert sqs_queues.depth(sqs_queues.dead_letter_url) == left


@pytest.mark.django_db
def test_discarding_all_does_not_ask_where_told_so_or_where_nothing_is_deleted(sqs_queues: Queues) -> None:
    dead(sqs_queues)
    assert told("dlq", "discard", "--all", "--dry-run")["deleted"] == 1
    assert told("dlq", "discard", "--all", "--yes")["deleted"] == 1


def test_a_worker_that_has_shown_itself_is_healthy_and_an_old_sign_is_not() -> None:
    cache.delete(HEARTBEAT_KEY)
    with pytest.raises(CommandError, match="No worker has shown itself"):
        said("check_worker")
    cache.set(HEARTBEAT_KEY, timezone.now())
    assert said("check_worker") == "A worker lives.\n"
    cache.set(HEARTBEAT_KEY, timezone.now() - timedelta(seconds=90))
    with pytest.raises(CommandError, match="No worker has been seen for 90 s"):
        said("check_worker")
    assert said("check_worker", "--max-age", "120")
    assert told("check_worker", "--max-age", "120") == {"alive": True, "trouble": ""}


def test_a_heartbeat_file_answers_for_its_own_worker_alone(settings: Any, tmp_path: Path) -> None:
    path = tmp_path / "beat"
    settings.WORKER_HEARTBEAT_FILE = str(path)
    cache.set(HEARTBEAT_KEY, timezone.now())
    with pytest.raises(CommandError, match="cannot be read"):
        said("check_worker")
    path.touch()
    assert said("check_worker")
    os.utime(path, (time.time() - 90, time.time() - 90))
    with pytest.raises(CommandError, match=r"beat is 90 s old"):
        said("check_worker")


def test_a_worker_whose_heartbeat_file_cannot_be_written_does_not_start(
    settings: Any, tmp_path: Path, sqs_queues: Queues
) -> None:
    settings.WORKER_HEARTBEAT_FILE = str(tmp_path / "missing" / "beat")
    with pytest.raises(CommandError, match="WORKER_HEARTBEAT_FILE"):
        said("run_worker")


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_shown_on_a_terminal_and_nowhere_else() -> None:
    terminal, file = Terminal(), StringIO()
    for stream in (terminal, file):
        progress = Progress(OutputWrapper(stream), "copies", total=12)
        for done in range(1, 13):
            progress(done)
        progress.close()
    assert terminal.getvalue() == "\r1 of 12 copies\r10 of 12 copies\r12 of 12 copies\n"
    assert file.getvalue() == ""


@pytest.mark.django_db
@pytest.mark.parametrize("command", ["sweep", "run_worker", "retry_failed"])
def test_a_missing_variable_is_named(settings: Any, command: str) -> None:
    settings.REDIS_URL = ""
    with pytest.raises(CommandError, match="REDIS_ENDPOINT is not set"):
        said(command)
