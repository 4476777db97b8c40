"""Answers whether what a crash, a purge or a long wait left behind goes on, once."""

import itertools
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from conftest import Queues
from crm.idempotency import KEPT_FOR, key_claim
from crm.models import IdempotencyKey, MessageStatus
from crm.tests.factories import FanFactory, MembershipFactory
from messaging import dead_letters, publishing, queue, sweeper
from messaging.errors import SendingDisabled
from messaging.models import Delivery
from messaging.tests.conftest import aws_error
from messaging.tests.factories import ScriptedGateway, aged, delivery_make, profile_make

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sqs_queues")]
GATEWAY = ScriptedGateway()


def swept(gateway: ScriptedGateway = GATEWAY) -> sweeper.SweepReport:
    return sweeper.sweep(gateway=gateway)


def now_of(delivery: Delivery) -> Delivery:
    return Delivery.objects.select_related("message").get(pk=delivery.pk)


def test_a_message_whose_producer_died_is_queued(on_queue: Any) -> None:
    delivery = aged(delivery_make(state=MessageStatus.PENDING), 31)
    assert swept().published == 1
    assert now_of(delivery).state == now_of(delivery).message.status == MessageStatus.QUEUED
    assert [message.body.count(str(delivery.pk)) for message in on_queue()] == [1]


def test_a_message_whose_producer_is_still_at_it_is_left_alone(on_queue: Any) -> None:
    delivery_make(state=MessageStatus.PENDING)
    assert swept().total == 0
    assert on_queue() == []


def test_a_message_that_sqs_still_does_not_take_stays_for_the_next_sweep(sqs_faults: Any) -> None:
    delivery = aged(delivery_make(state=MessageStatus.PENDING), 31)
    sqs_faults.script = [aws_error("InternalError", 500)] * 4
    swept()
    assert now_of(delivery).state == MessageStatus.PENDING
    aged(delivery, 31)
    swept()
    assert now_of(delivery).state == MessageStatus.QUEUED


def test_a_parked_message_is_queued_shortly_before_its_slot(on_queue: Any) -> None:
    near = delivery_make(state=MessageStatus.PARKED, due_in=timedelta(seconds=590))
    far = delivery_make(state=MessageStatus.PARKED, due_in=timedelta(seconds=700))
    slot = now_of(near).due_at
    assert swept().released == 1
    assert (now_of(near).state, now_of(near).due_at) == (MessageStatus.QUEUED, slot)
    assert now_of(far).state == MessageStatus.PARKED
    assert len(on_queue()) == 1


def test_a_paused_creators_messages_stay_parked(on_queue: Any) -> None:
    delivery = delivery_make(state=MessageStatus.PARKED)
    profile_make(delivery.creator, paused_at=timezone.now())
    assert swept().released == 0
    assert on_queue() == []


def test_what_waited_for_a_resume_is_spaced_anew() -> None:
    fan = FanFactory()
    profile_make(fan.creator, gap_ms=3_000)
    waiting = [delivery_make(fan=fan, state=MessageStatus.PARKED, due_in=-timedelta(hours=1)) for _ in range(3)]
    assert swept().released == 3
    slots = sorted(now_of(delivery).due_at for delivery in waiting)
    assert [round((b - a).total_seconds()) for a, b in itertools.pairwise(slots)] == [3, 3]


def test_a_purged_queue_is_filled_again_under_a_new_dispatch(on_queue: Any) -> None:
    delivery = aged(delivery_make(state=MessageStatus.QUEUED), 601, "due_at", "state_changed_at")
    assert swept().overdue == 1
    assert now_of(delivery).state == MessageStatus.QUEUED
    assert now_of(delivery).dispatch_id != delivery.dispatch_id
    assert str(now_of(delivery).dispatch_id) in on_queue()[0].body


def test_a_queue_that_is_purged_is_filled_again_once(sqs_queues: Queues) -> None:
    deliveries = [delivery_make(state=MessageStatus.PENDING) for _ in range(3)]
    publishing.publish([delivery.pk for delivery in deliveries], fail=False)
    assert sqs_queues.depth() == 3
    sqs_queues.client.purge_queue(QueueUrl=sqs_queues.url)
    assert sqs_queues.depth() == 0
    for delivery in deliveries:
        aged(delivery, 601, "due_at", "state_changed_at")
    assert swept().overdue == 3
    assert sqs_queues.depth() == 3
    assert swept().total == 0
    assert {copy.body for copy in queue.receive(wait_seconds=0)} == {
        publishing.body_of(now_of(delivery)).to_json() for delivery in deliveries
    }


def test_a_late_message_waits_until_sqs_would_have_given_its_copy_up(sqs_queues: Queues) -> None:
    late, older = (delivery_make(state=MessageStatus.QUEUED) for _ in range(2))
    # A copy that crashes each worker: it is in flight, and not given up yet.
    publishing.republish(late, delay_seconds=0)
    queue.receive(wait_seconds=0)
    aged(late, 1_000, "due_at", "state_changed_at")
    aged(older, 1_100, "due_at", "state_changed_at")
    assert swept().overdue == 1
    assert now_of(late).dispatch_id == late.dispatch_id
    assert now_of(older).dispatch_id != older.dispatch_id


def test_a_late_message_waits_as_long_where_sqs_does_not_say_what_it_holds(sqs_faults: Any) -> None:
    delivery = aged(delivery_make(state=MessageStatus.QUEUED), 601, "due_at", "state_changed_at")
    sqs_faults.script = [aws_error("AccessDenied", 403)]
    assert swept().overdue == 0
    assert sqs_faults.operations[-1] == "GetQueueAttributes"
    assert swept().overdue == 1
    assert now_of(delivery).state == MessageStatus.QUEUED


def test_poison_is_given_up_after_five_receives_of_three_dispatches_and_its_message_fails(sqs_queues: Queues) -> None:
    sqs_queues.client.set_queue_attributes(QueueUrl=sqs_queues.url, Attributes={"VisibilityTimeout": "0"})
    delivery = delivery_make(state=MessageStatus.QUEUED)
    publishing.republish(delivery, delay_seconds=0)
    for states in ("queued", "queued", "failed"):
        # Each receive is a worker that crashes on it; the sixth finds it gone.
        counts = [[copy.receive_count for copy in queue.receive(wait_seconds=0)] for _ in range(6)]
        assert counts == [[1], [2], [3], [4], [5], []]
        assert sqs_queues.depth(sqs_queues.dead_letter_url) == 1
        aged(delivery, 900, "due_at", "state_changed_at")
        assert swept().dead == 1
        assert now_of(delivery).state == states
    found = now_of(delivery)
    assert (found.message.status, found.stage, found.reason_code) == ("failed", "send", "given_up")
    assert (sqs_queues.depth(), sqs_queues.depth(sqs_queues.dead_letter_url)) == (0, 1)
    assert swept().total == 0


def test_a_preview_counts_what_each_step_would_take_up_and_moves_nothing(on_queue: Any) -> None:
    aged(delivery_make(state=MessageStatus.PENDING), 31)
    delivery_make(state=MessageStatus.PARKED)
    aged(delivery_make(state=MessageStatus.QUEUED), 601, "due_at", "state_changed_at")
    lease_over()
    unknown()
    before = list(Delivery.objects.order_by("pk").values_list("state", "dispatch_id", "state_changed_at"))
    assert sweeper.sweep_preview(gateway=GATEWAY) == sweeper.SweepReport(
        released=1, published=1, overdue=1, leases=1, unknown=1
    )
    assert sweeper.sweep_preview(gateway=ScriptedGateway(honours=False)).unknown == 0
    assert list(Delivery.objects.order_by("pk").values_list("state", "dispatch_id", "state_changed_at")) == before
    assert on_queue() == []


def test_a_queued_message_that_is_only_a_little_late_is_left_to_sqs() -> None:
    aged(delivery_make(state=MessageStatus.QUEUED), 300, "due_at", "state_changed_at")
    assert swept().overdue == 0


def from_now(fields: dict[str, Any]) -> dict[str, Any]:
    """Times of the test, not of when it was collected."""
    return {name: timezone.now() + value if isinstance(value, timedelta) else value for name, value in fields.items()}


def lease_over(**fields: Any) -> Delivery:
    fields.setdefault("first_attempt_at", timezone.now() - timedelta(minutes=1))
    return aged(delivery_make(state=MessageStatus.SENDING, **fields), 1, "lease_expires_at")


def test_a_message_whose_sender_died_is_sent_again_under_its_key(on_queue: Any) -> None:
    delivery = lease_over()
    assert swept().leases == 1
    assert (now_of(delivery).state, now_of(delivery).attempts) == (MessageStatus.QUEUED, 1)
    assert len(on_queue()) == 1


def test_a_message_whose_sender_is_at_it_is_left_alone() -> None:
    delivery_make(state=MessageStatus.SENDING, first_attempt_at=timezone.now())
    assert swept().total == 0


@pytest.mark.parametrize(
    ("gateway", "fields"),
    [
        (ScriptedGateway(honours=False), {}),
        (GATEWAY, {"first_attempt_at": timedelta(hours=-23, minutes=-1)}),
        (GATEWAY, {"attempts": 4}),
    ],
    ids=["no keys", "the key is forgotten", "too many attempts"],
)
def test_a_message_whose_sender_died_is_unknown_where_sending_again_might_double_it(
    gateway: ScriptedGateway, fields: dict[str, Any], on_queue: Any
) -> None:
    delivery = lease_over(**from_now(fields))
    swept(gateway)
    found = now_of(delivery)
    assert (found.state, found.message.status, found.reason_code) == ("unknown", "unknown", "lease_expired")
    assert "Look in the chat" in found.reason
    swept(gateway)
    assert on_queue() == []


def unknown(**fields: Any) -> Delivery:
    values = {
        "attempts": 1,
        "repeatable": True,
        "first_attempt_at": timezone.now() - timedelta(minutes=2),
        "finished_at": timezone.now() - timedelta(minutes=1),
    }
    return delivery_make(state=MessageStatus.UNKNOWN, **{**values, **fields})


def test_an_unknown_message_is_tried_again_later_where_its_key_is_kept() -> None:
    delivery = unknown()
    assert swept().unknown == 1
    assert now_of(delivery).state == MessageStatus.QUEUED
    assert now_of(delivery).due_at > timezone.now() + timedelta(seconds=20)


@pytest.mark.parametrize(
    "fields",
    [
        {"repeatable": False},
        {"attempts": 5},
        {"first_attempt_at": timedelta(hours=-24)},
        {"finished_at": timedelta(seconds=-1)},
    ],
    ids=["the platform keeps no answer", "too many attempts", "the key is forgotten", "it has only just happened"],
)
def test_an_unknown_message_is_otherwise_left_to_a_person(fields: dict[str, Any]) -> None:
    delivery = unknown(**from_now(fields))
    assert swept().unknown == 0
    assert now_of(delivery).state == MessageStatus.UNKNOWN


def test_an_unknown_message_is_left_to_a_person_where_the_platform_knows_no_keys() -> None:
    unknown()
    assert swept(ScriptedGateway(honours=False)).unknown == 0


def test_more_than_one_batch_is_swept(monkeypatch: pytest.MonkeyPatch, on_queue: Any) -> None:
    monkeypatch.setattr(sweeper, "BATCH", 3)
    for _ in range(7):
        aged(delivery_make(state=MessageStatus.PENDING), 31)
    assert swept().published == 7
    assert len(on_queue()) == 7


@pytest.mark.django_db(transaction=True)
def test_two_sweepers_share_the_work_and_queue_each_message_once(on_queue: Any) -> None:
    for _ in range(20):
        lease_over()

    def sweep() -> int:
        try:
            return swept().leases
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        moved = sum(future.result() for future in [pool.submit(sweep), pool.submit(sweep)])
    assert moved == len(on_queue()) == 20


def test_nothing_is_swept_while_the_rate_limiter_is_off_and_all_of_it_once_it_is_on(settings: Any) -> None:
    waiting = [aged(delivery_make(state=MessageStatus.PENDING), 31), delivery_make(state=MessageStatus.PARKED)]
    in_doubt, dead = unknown(), lease_over()
    settings.RATE_LIMITER_ENABLED = False
    with pytest.raises(SendingDisabled, match="RATE_LIMITER_ENABLED"):
        swept()
    states = [now_of(delivery).state for delivery in [*waiting, in_doubt, dead]]
    assert states == ["pending", "parked", "unknown", "sending"]
    settings.RATE_LIMITER_ENABLED = True
    assert swept().total == 4


def test_nothing_is_swept_where_sending_is_disabled(settings: Any) -> None:
    settings.REDIS_URL = ""
    with pytest.raises(SendingDisabled, match="REDIS_ENDPOINT"):
        swept()


def test_a_sweep_deletes_the_idempotency_keys_whose_day_is_over(sqs_queues: Queues) -> None:
    membership = MembershipFactory()
    key_claim(creator=membership.creator, user=membership.user, key="k", request_hash="h")
    call_command("sweep")
    assert IdempotencyKey.objects.count() == 1
    IdempotencyKey.objects.update(created_at=timezone.now() - KEPT_FOR)
    call_command("sweep")
    assert not IdempotencyKey.objects.exists()


def test_a_step_that_breaks_stops_no_other_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> int:
        raise RuntimeError("poison")

    monkeypatch.setattr(dead_letters, "dead_letter_reconcile", broken)
    delivery = aged(delivery_make(state=MessageStatus.PENDING), 31)
    with pytest.raises(RuntimeError, match="poison"):
        swept()
    assert now_of(delivery).state == MessageStatus.QUEUED


@pytest.mark.parametrize("half", ["purge", "sweep"])
def test_the_sweeper_that_runs_for_ever_goes_on_though_half_of_a_round_breaks(
    monkeypatch: pytest.MonkeyPatch, settings: Any, half: str
) -> None:
    done: list[str] = []

    def step(name: str) -> Any:
        def run(**_: Any) -> None:
            done.append(name)
            if name == half:
                raise RuntimeError("poison")
            if len(done) > 3:
                signal.raise_signal(signal.SIGTERM)

        return run

    settings.SWEEP_EVERY_SECONDS = 0.01
    for name in ("purge", "sweep"):
        monkeypatch.setattr(sweeper, name, step(name))
    call_command("sweep", "--forever")
    assert done[:4] == ["purge", "sweep"] * 2
