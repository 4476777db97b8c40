"""Answers whether deliveries, whatever happens to them in any order, go the way of a small model and go out once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from crm.models import Message, MessageStatus
from crm.tests.factories import FanFactory
from messaging import decisions, sweeper, transitions
from messaging.models import RETRYABLE_STATES, TROUBLE_STATES, UNSENT_STATES, Delivery, Kind, Stage
from messaging.tests.factories import ScriptedGateway, delivery_make, profile_make
from messaging.transitions import WAITING, Copy

# The same runs each time: what is red here is red everywhere.
RUN = settings(
    derandomize=True,
    deadline=None,
    max_examples=30,
    stateful_step_count=35,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
LEASE = timedelta(seconds=30)
# Later than anything the sweeper waits for, and sooner than the platform forgets a key.
LONG_AGO = timedelta(hours=6)
AWAY = (MessageStatus.SENDING, MessageStatus.UNKNOWN)


@dataclass
class Row:
    """What the model knows of one message. `arrivals`: how often its fan got it; `by_hand`: retries by a person."""

    copy: Copy
    campaign: bool
    state: MessageStatus = MessageStatus.PENDING
    attempts: int = 0
    repeatable: bool = False
    lease_over: bool = False
    by_hand: int = 0
    arrivals: int = 0
    # An attempt may have reached the fan, so it neither failed nor was cancelled, whatever comes next.
    in_doubt: bool = False
    # A person said that it arrived.
    vouched: bool = False
    # Every copy that ever was on the queue; SQS may hand out each of them at any time, and more than once.
    copies: list[Copy] = field(default_factory=list)

    def moved(self, copy: Copy) -> None:
        self.copy = copy
        self.copies.append(copy)

    def ended(self, state: MessageStatus) -> None:
        self.state, self.repeatable = (MessageStatus.UNKNOWN, False) if self.in_doubt else (state, self.repeatable)


@dataclass(eq=False)
class Sender:
    """A worker that holds a claim, or thinks that it does. It gives up the request before its lease ends."""

    row: Row
    copy: Copy
    in_time: bool = True
    arrived: bool = False


class Deliveries(RuleBasedStateMachine):
    """Producers, copies on the queue, workers that die, people and sweepers, each acting on rows as they please."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[Row] = []
        self.senders: list[Sender] = []
        self.transaction = transaction.atomic()
        self.transaction.__enter__()

    def teardown(self) -> None:
        try:
            self.every_copy_comes_again()
            connection.check_constraints()
        finally:
            transaction.set_rollback(True)
            self.transaction.__exit__(None, None, None)

    @initialize(honours=st.booleans())
    def platform(self, honours: bool) -> None:
        """One that sends twice what it is asked twice, or one that knows the message by its key."""
        self.gateway = ScriptedGateway(honours=honours)
        # Nobody has to wait for a slot here.
        self.creator = profile_make(messages=1_000, window_ms=100).creator
        self.write(campaign=False)

    def any_copy(self, data: st.DataObject, rows: list[Row] | None = None) -> tuple[Row, Copy, bool]:
        """A message, a copy of it that may be stale, and whether that is the one that counts."""
        row = data.draw(st.sampled_from(self.rows if rows is None else rows))
        copy = data.draw(st.sampled_from([row.copy, row.copy, *row.copies]))
        return row, copy, copy == row.copy

    def a_sender(self, data: st.DataObject, fits: Callable[[Sender], bool] = lambda each: True) -> Sender:
        return data.draw(st.sampled_from([each for each in self.senders if fits(each)]))

    def rescheduled(self, row: Row, copy: Copy, *, allowed: bool, by_hand: bool = False, **more: Any) -> None:
        fresh = transitions.delivery_rescheduled(
            copy, creator_id=self.creator.pk, campaign=row.campaign, by_hand=by_hand, **more
        )
        assert (fresh is not None) is allowed
        if fresh is not None:
            row.moved(fresh)
            row.state = MessageStatus.PENDING
            row.attempts = 0 if by_hand else row.attempts + more.get("attempted", False)

    @precondition(lambda self: len(self.rows) < 3)
    @rule(campaign=st.booleans())
    def write(self, campaign: bool) -> None:
        made = delivery_make(
            fan=FanFactory(creator=self.creator),
            kind=Kind.CAMPAIGN if campaign else Kind.REPLY,
            state=MessageStatus.PENDING,
        )
        row = Row(Copy.of(made), campaign)
        row.moved(row.copy)
        self.rows.append(row)

    @rule(data=st.data())
    def sqs_took_it(self, data) -> None:
        row, copy, counts = self.any_copy(data)
        transitions.delivery_queued([copy])
        if counts and row.state is MessageStatus.PENDING:
            row.state = MessageStatus.QUEUED

    @rule(data=st.data())
    def sqs_refused_it(self, data) -> None:
        row, copy, counts = self.any_copy(data)
        changed = transitions.delivery_failed(copy, stage=Stage.ENQUEUE, code="x", reason="x", attempted=False)
        ended = counts and row.state is MessageStatus.PENDING
        assert changed is (ended and not row.in_doubt)
        if ended:
            row.ended(MessageStatus.FAILED)

    @rule(data=st.data())
    def claim_any_copy(self, data) -> None:
        self.claim(*self.any_copy(data))

    @precondition(lambda self: any(row.state in WAITING for row in self.rows))
    @rule(data=st.data())
    def claim_what_waits(self, data) -> None:
        row = data.draw(st.sampled_from([row for row in self.rows if row.state in WAITING]))
        self.claim(row, row.copy, True)

    def claim(self, row: Row, copy: Copy, counts: bool) -> None:
        claimed = transitions.delivery_claimed(copy, creator_id=self.creator.pk, lease=LEASE)
        assert claimed is (counts and row.state in WAITING)
        if claimed:
            row.state, row.lease_over = MessageStatus.SENDING, False
            self.senders.append(Sender(row, copy))

    @rule()
    def every_copy_comes_again(self) -> None:
        """All that SQS ever held, handed out once more: nobody can claim what does not wait, or an old copy of it."""
        for row in self.rows:
            for copy in row.copies:
                if copy != row.copy or row.state not in WAITING:
                    assert not transitions.delivery_claimed(copy, creator_id=self.creator.pk, lease=LEASE)

    @precondition(lambda self: any(each.in_time and not each.arrived for each in self.senders))
    @rule(data=st.data())
    def reach_the_fan(self, data) -> None:
        sender = self.a_sender(data, lambda each: each.in_time and not each.arrived)
        sender.arrived = True
        if not (self.gateway.honours_idempotency_key and sender.row.arrivals):
            sender.row.arrivals += 1

    @precondition(lambda self: any(each.arrived for each in self.senders))
    @rule(data=st.data())
    def note_sent(self, data) -> None:
        sender = self.a_sender(data, lambda each: each.arrived)
        row = sender.row
        changed = transitions.delivery_sent(sender.copy, platform_message_id=f"platform-{row.copy.message_id}")
        settled = row.vouched or (row.state is MessageStatus.DISMISSED and row.in_doubt)
        assert changed is (sender.copy == row.copy and (row.state in AWAY or settled))
        if changed:
            row.state = MessageStatus.SENT
        self.senders.remove(sender)

    @precondition(lambda self: any(not each.arrived for each in self.senders))
    @rule(data=st.data())
    def note_failed(self, data) -> None:
        sender = self.a_sender(data, lambda each: not each.arrived)
        row = sender.row
        changed = transitions.delivery_failed(sender.copy, stage=Stage.SEND, code="x", reason="x", attempted=True)
        ended = sender.copy == row.copy and row.state is MessageStatus.SENDING
        assert changed is (ended and not row.in_doubt)
        if ended:
            row.ended(MessageStatus.FAILED)
            row.attempts += 1
        self.senders.remove(sender)

    @precondition(lambda self: any(not each.arrived for each in self.senders))
    @rule(data=st.data(), attempted=st.booleans())
    def note_again(self, data, attempted) -> None:
        sender = self.a_sender(data, lambda each: not each.arrived)
        allowed = sender.copy == sender.row.copy and sender.row.state is MessageStatus.SENDING
        self.rescheduled(
            sender.row, sender.copy, allowed=allowed, expected=[MessageStatus.SENDING], attempted=attempted
        )
        self.senders.remove(sender)

    @precondition(lambda self: self.senders)
    @rule(data=st.data(), repeatable=st.booleans())
    def note_unknown(self, data, repeatable) -> None:
        sender = self.a_sender(data)
        row = sender.row
        repeatable = repeatable and self.gateway.honours_idempotency_key
        changed = transitions.delivery_unknown(sender.copy, code="x", reason="x", repeatable=repeatable)
        assert changed is (sender.copy == row.copy and row.state is MessageStatus.SENDING)
        if changed:
            row.state, row.repeatable, row.in_doubt = MessageStatus.UNKNOWN, repeatable, True
            row.attempts += 1
        self.senders.remove(sender)

    @precondition(lambda self: self.senders)
    @rule(data=st.data())
    def die(self, data) -> None:
        self.senders.remove(self.a_sender(data))

    @precondition(lambda self: any(row.state is MessageStatus.SENDING for row in self.rows))
    @rule()
    def leases_end(self) -> None:
        past = timezone.now() - timedelta(seconds=1)
        Delivery.objects.filter(state=MessageStatus.SENDING).update(lease_expires_at=past)
        for sender in self.senders:
            sender.in_time = False
        for row in self.rows:
            row.lease_over = True

    @rule(data=st.data())
    def hop(self, data) -> None:
        row, copy, counts = self.any_copy(data)
        self.rescheduled(row, copy, allowed=counts and row.state in WAITING, expected=WAITING)

    @rule(data=st.data())
    def park(self, data) -> None:
        row, copy, counts = self.any_copy(data)
        transitions.delivery_set_aside([copy], to=MessageStatus.PARKED)
        if counts and row.state in WAITING:
            row.state = MessageStatus.PARKED

    @rule(data=st.data())
    def release(self, data) -> None:
        row, copy, counts = self.any_copy(data)
        changed = transitions.delivery_released(copy)
        assert changed is (counts and row.state is MessageStatus.PARKED)
        if changed:
            row.state = MessageStatus.PENDING

    @precondition(lambda self: any(row.campaign for row in self.rows))
    @rule(data=st.data())
    def cancel(self, data) -> None:
        row, copy, counts = self.any_copy(data, [row for row in self.rows if row.campaign])
        transitions.delivery_set_aside([copy], to=MessageStatus.CANCELLED)
        if counts and row.state in WAITING:
            row.ended(MessageStatus.CANCELLED)

    @rule(data=st.data())
    def retry_by_hand(self, data) -> None:
        row, copy, counts = self.any_copy(data)
        allowed = counts and row.state in RETRYABLE_STATES
        self.rescheduled(row, copy, allowed=allowed, expected=RETRYABLE_STATES, by_hand=True)
        row.by_hand += allowed

    @rule(data=st.data())
    def a_person_stops_it(self, data) -> None:
        row = data.draw(st.sampled_from(self.rows))
        stopped = decisions.delivery_stopped(self.found(row), user=None)
        assert stopped is (row.state in UNSENT_STATES)
        if stopped:
            row.ended(MessageStatus.CANCELLED)

    @rule(data=st.data())
    def a_person_says_that_it_arrived(self, data) -> None:
        row = data.draw(st.sampled_from(self.rows))
        doubted = row.state is MessageStatus.UNKNOWN or (row.state is MessageStatus.DISMISSED and row.in_doubt)
        assert decisions.delivery_arrived(self.found(row), user=None) is doubted
        if doubted:
            row.state, row.repeatable, row.vouched = MessageStatus.SENT, False, True

    @rule(data=st.data())
    def a_person_dismisses_it(self, data) -> None:
        row = data.draw(st.sampled_from(self.rows))
        troubled = row.state in TROUBLE_STATES
        assert decisions.delivery_dismissed(self.found(row), user=None) is troubled
        if troubled:
            row.state, row.repeatable = MessageStatus.DISMISSED, False

    def found(self, row: Row) -> Delivery:
        return Delivery.objects.get(pk=row.copy.message_id)

    @rule(data=st.data())
    def sqs_gives_up(self, data) -> None:
        row, copy, counts = self.any_copy(data)
        changed = transitions.delivery_given_up(copy, code="x", reason="x")
        ended = counts and row.state is MessageStatus.QUEUED
        assert changed is (ended and not row.in_doubt)
        if ended:
            row.ended(MessageStatus.FAILED)

    @rule()
    def sweep_much_later(self) -> None:
        past = timezone.now() - LONG_AGO
        Delivery.objects.update(state_changed_at=past, due_at=past)
        Delivery.objects.filter(finished_at__isnull=False).update(finished_at=past)
        sweeper.sweep(gateway=self.gateway)
        for row in self.rows:
            self.swept(row)

    def swept(self, row: Row) -> None:
        """What one sweep makes of a row; a new dispatch where an old copy may still be about."""
        before, spent = row.state, django_settings.SEND_MAX_ATTEMPTS
        honours = self.gateway.honours_idempotency_key
        if before is MessageStatus.SENDING and row.lease_over:
            row.attempts += 1
            row.repeatable, row.in_doubt = False, True
            row.state = MessageStatus.QUEUED if honours and row.attempts < spent else MessageStatus.UNKNOWN
        known_by_key = honours and row.repeatable and row.attempts < spent
        if before in (MessageStatus.PARKED, *WAITING) or (before is MessageStatus.UNKNOWN and known_by_key):
            row.state = MessageStatus.QUEUED
        if row.state is MessageStatus.QUEUED and before is not MessageStatus.PENDING:
            fresh = Delivery.objects.values_list("dispatch_id", flat=True).get(pk=row.copy.message_id)
            assert fresh != row.copy.dispatch_id
            row.moved(Copy(row.copy.message_id, fresh))

    @invariant()
    def rows_are_what_the_model_says(self) -> None:
        found = Delivery.objects.values_list("pk", "dispatch_id", "state", "message__status", "attempts")
        assert {each[0]: each[1:] for each in found} == {
            row.copy.message_id: (row.copy.dispatch_id, row.state, row.state, row.attempts) for row in self.rows
        }

    @invariant()
    def at_most_one_worker_may_be_sending_a_message(self) -> None:
        busy = [sender.row.copy.message_id for sender in self.senders if sender.in_time]
        assert len(busy) == len(set(busy))

    @invariant()
    def nothing_reaches_a_fan_twice_unless_a_person_asked_for_it(self) -> None:
        again = 0 if self.rows and self.gateway.honours_idempotency_key else 1
        assert all(row.arrivals <= 1 + again * row.by_hand for row in self.rows)


@pytest.mark.django_db
@pytest.mark.usefixtures("sqs_queues")
def test_deliveries_go_the_way_of_the_model_and_out_once():
    run_state_machine_as_test(Deliveries, settings=RUN)


@pytest.mark.django_db
def test_a_producer_that_gives_up_does_not_fail_what_a_worker_sends():
    """Every answer of SQS was lost on the way, though it took the message, and a worker was quick."""
    delivery = delivery_make(state=MessageStatus.PENDING)
    copy = Copy.of(delivery)
    assert transitions.delivery_claimed(copy, creator_id=delivery.creator_id, lease=LEASE)
    transitions.delivery_failed(
        copy, stage=Stage.ENQUEUE, code="ReadTimeoutError", reason="No answer.", attempted=False
    )
    assert transitions.delivery_sent(copy, platform_message_id="platform-1")
    assert Message.objects.get().status == MessageStatus.SENT
