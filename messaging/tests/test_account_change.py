"""Answers what becomes of messages when another account takes the place of their creator's. Touches the tables."""

from datetime import timedelta

import pytest
from django.utils import timezone

from crm.errors import Conflict
from crm.models import Creator, MessageStatus
from crm.tests.factories import CreatorFactory, FanFactory
from messaging.account_change import account_left
from messaging.models import Campaign, CampaignStatus, Delivery
from messaging.read_back import read_back_rows
from messaging.tests.factories import delivery_make

pytestmark = pytest.mark.django_db
OPEN = (MessageStatus.PENDING, MessageStatus.QUEUED, MessageStatus.PARKED)


@pytest.fixture
def creator() -> Creator:
    return CreatorFactory.create()


def make(creator: Creator, state: MessageStatus, **fields: object) -> Delivery:
    return delivery_make(fan=FanFactory(creator=creator), state=state, **fields)


def leave(creator: Creator, *, cancel_waiting: bool = True) -> None:
    account_left(creator=creator, account_id="acct_1", cancel_waiting=cancel_waiting)


def state_of(delivery: Delivery) -> tuple[str, str]:
    delivery.refresh_from_db()
    return delivery.state, delivery.message.status


@pytest.mark.parametrize("state", OPEN)
def test_while_messages_wait_it_is_refused_and_says_how_many(creator: Creator, state: MessageStatus) -> None:
    waiting = [make(creator, state), make(creator, state)]
    with pytest.raises(Conflict, match="2 messages still wait to be sent from acct_1") as raised:
        leave(creator, cancel_waiting=False)
    assert (raised.value.code, raised.value.extra) == ("messages_waiting", {"waiting": 2})
    assert {state_of(each) for each in waiting} == {(state, state)}


def test_what_waits_is_cancelled_where_that_is_said(creator: Creator) -> None:
    waiting = [make(creator, state) for state in OPEN]
    leave(creator)
    assert {state_of(each) for each in waiting} == {("cancelled", "cancelled")}
    assert {each.reason_code for each in waiting} == {"account_changed"}


@pytest.mark.parametrize("status", [CampaignStatus.RUNNING, CampaignStatus.PAUSED])
def test_its_campaigns_end_and_those_that_are_over_stay(creator: Creator, status: CampaignStatus) -> None:
    going, over = (Campaign.objects.create(creator=creator, name="A", content="B", status=status) for _ in range(2))
    make(creator, MessageStatus.PARKED, campaign=going, due_in=timedelta(days=1))
    make(creator, MessageStatus.SENT, campaign=over)
    leave(creator)
    assert list(Campaign.objects.order_by("pk").values_list("status", flat=True)) == ["cancelled", status]


@pytest.mark.parametrize("state", [*OPEN, MessageStatus.UNKNOWN])
def test_what_may_have_arrived_stays_in_doubt_and_is_never_repeated(creator: Creator, state: MessageStatus) -> None:
    an_hour_ago = timezone.now() - timedelta(hours=1)
    times = {"first_attempt_at": an_hour_ago, "finished_at": an_hour_ago}
    doubted = make(creator, state, key_in_doubt=True, repeatable=True, **times)
    leave(creator)
    assert state_of(doubted) == ("unknown", "unknown")
    assert (doubted.repeatable, doubted.reason_code) == (False, "account_changed")
    Delivery.objects.update(finished_at=an_hour_ago)
    assert not read_back_rows(timezone.now(), repeated=Delivery.objects.none()).exists()


def test_while_one_is_being_sent_nothing_is_changed(creator: Creator) -> None:
    waiting = make(creator, MessageStatus.QUEUED)
    make(creator, MessageStatus.SENDING)
    with pytest.raises(Conflict, match="being sent in this moment") as raised:
        leave(creator)
    assert (raised.value.code, state_of(waiting)) == ("messages_being_sent", ("queued", "queued"))


def test_what_is_over_holds_nothing_up_and_others_messages_stay(creator: Creator) -> None:
    theirs = make(creator, MessageStatus.FAILED)
    other = make(CreatorFactory.create(), MessageStatus.QUEUED)
    leave(creator, cancel_waiting=False)
    assert (state_of(theirs)[0], state_of(other)[0]) == ("failed", "queued")
