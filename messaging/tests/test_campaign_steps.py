"""Answers whether a campaign can be paused, resumed and cancelled while it goes out, and nothing is lost or doubled."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.utils import timezone

from crm.errors import Conflict, NotFound
from crm.models import Fan, Message, MessageStatus
from crm.tests.factories import CreatorFactory, FanFactory
from messaging import campaign_reports, campaign_steps, publishing, selectors, services, sweeper, transitions
from messaging.delivery import Disposition
from messaging.models import Campaign, CampaignStatus, Delivery, Kind
from messaging.services import MessageRequest
from messaging.tests.campaigns import bulk, fans_make, launch, states
from messaging.tests.factories import ScriptedGateway, copy_of, delivery_make, profile_make
from messaging.transitions import Copy

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sqs_queues")]


@pytest.fixture
def creator():
    return profile_make(gap_ms=3_000).creator


def test_a_paused_campaign_sends_nothing_and_its_copies_are_stale(creator, consumer_with):
    fans_make(creator, 130)
    campaign = launch(creator)
    copies = [copy_of(d) for d in campaign.deliveries.filter(state="queued").order_by("due_at")[:2]]
    report = campaign_steps.campaign_pause(creator=creator, campaign_id=campaign.pk)
    assert (report.status, report.estimated_completion_at) == (CampaignStatus.PAUSED, None)
    assert states(campaign) == {"parked": 130}
    gateway = ScriptedGateway()
    for copy in copies:
        assert consumer_with(gateway).handle(copy) is Disposition.ACKNOWLEDGE
    assert gateway.calls == []


def test_a_resumed_campaign_is_spaced_anew_and_each_message_goes_once(creator, consumer_with, on_queue):
    fans_make(creator, 130)
    campaign = launch(creator)
    first = campaign.deliveries.order_by("due_at").first()
    old = copy_of(first)
    campaign_steps.campaign_pause(creator=creator, campaign_id=campaign.pk)
    # What a long pause would have made of the slots.
    Delivery.objects.update(due_at=timezone.now() - timedelta(hours=1))
    report = campaign_steps.campaign_resume(creator=creator, campaign_id=campaign.pk)
    assert report.status is CampaignStatus.RUNNING
    due = sorted(campaign.deliveries.values_list("due_at", flat=True))
    assert due[0] >= first.due_at
    assert due[-1] - due[0] == timedelta(seconds=16 * 60.3 + 3)
    assert states(campaign) == {"queued": 120, "parked": 10}
    gateway = ScriptedGateway()
    consumer_with(gateway).handle(old)
    assert gateway.calls == []
    consumer_with(gateway).handle(copy_of(Delivery.objects.order_by("due_at").first()))
    assert len(gateway.reached) == 1


def test_resuming_keeps_the_order(creator):
    fans_make(creator, 30)
    campaign = launch(creator)
    before = list(campaign.deliveries.order_by("due_at").values_list("pk", flat=True))
    campaign_steps.campaign_pause(creator=creator, campaign_id=campaign.pk)
    campaign_steps.campaign_resume(creator=creator, campaign_id=campaign.pk)
    assert list(campaign.deliveries.order_by("due_at").values_list("pk", flat=True)) == before


def test_a_scheduled_campaign_that_was_paused_still_waits_for_its_time(creator):
    fans_make(creator, 3)
    start = timezone.now() + timedelta(hours=1)
    campaign = launch(creator, scheduled_at=start)
    campaign_steps.campaign_pause(creator=creator, campaign_id=campaign.pk)
    assert campaign_steps.campaign_resume(creator=creator, campaign_id=campaign.pk).status is CampaignStatus.SCHEDULED
    assert min(campaign.deliveries.values_list("due_at", flat=True)) == start


def test_a_cancelled_campaign_sends_nothing_more(creator, consumer_with):
    fans_make(creator, 130)
    campaign = launch(creator)
    sent = campaign.deliveries.order_by("due_at").first()
    gateway = ScriptedGateway()
    consumer_with(gateway).handle(copy_of(sent))
    copies = [copy_of(d) for d in campaign.deliveries.filter(state="queued").order_by("due_at")[:3]]
    report = campaign_steps.campaign_cancel(creator=creator, campaign_id=campaign.pk)
    assert (report.status, report.estimated_completion_at) == (CampaignStatus.CANCELLED, None)
    assert states(campaign) == {"sent": 1, "cancelled": 129}
    assert not campaign.deliveries.filter(finished_at=None).exists()
    for copy in copies:
        assert consumer_with(gateway).handle(copy) is Disposition.ACKNOWLEDGE
    assert gateway.reached == [sent.pk]
    assert sweeper.sweep(gateway=gateway).total == 0


def test_a_paused_campaign_can_be_cancelled(creator):
    fans_make(creator, 2)
    campaign = launch(creator)
    campaign_steps.campaign_pause(creator=creator, campaign_id=campaign.pk)
    campaign_steps.campaign_cancel(creator=creator, campaign_id=campaign.pk)
    assert states(campaign) == {"cancelled": 2}


@pytest.mark.parametrize("step", [campaign_steps.campaign_pause, campaign_steps.campaign_cancel])
def test_the_time_of_a_campaign_that_was_stopped_is_free_for_the_next(creator, step):
    fans_make(creator, 1_000)
    campaign = launch(creator)
    step(creator=creator, campaign_id=campaign.pk)
    report = bulk(creator, Fan.objects.all()[:5]).report
    assert report.estimated_completion_at - timezone.now() < timedelta(minutes=2)


def test_stopping_one_campaign_keeps_the_slots_of_another(creator):
    fans_make(creator, 20)
    kept, stopped = launch(creator), launch(creator)
    campaign_steps.campaign_cancel(creator=creator, campaign_id=stopped.pk)
    last = max(kept.deliveries.values_list("due_at", flat=True))
    assert min(launch(creator).deliveries.values_list("due_at", flat=True)) >= last + timedelta(seconds=3)


@pytest.mark.parametrize(
    ("before", "step", "code"),
    [
        ([], campaign_steps.campaign_resume, "campaign_running"),
        ([campaign_steps.campaign_pause], campaign_steps.campaign_pause, "campaign_paused"),
        ([campaign_steps.campaign_cancel], campaign_steps.campaign_pause, "campaign_cancelled"),
        ([campaign_steps.campaign_cancel], campaign_steps.campaign_resume, "campaign_cancelled"),
        ([campaign_steps.campaign_cancel], campaign_steps.campaign_cancel, "campaign_cancelled"),
    ],
)
def test_a_step_that_makes_no_sense_is_a_conflict(creator, before, step, code):
    fans_make(creator, 2)
    campaign = launch(creator)
    for each in before:
        each(creator=creator, campaign_id=campaign.pk)
    found = states(campaign)
    with pytest.raises(Conflict) as caught:
        step(creator=creator, campaign_id=campaign.pk)
    assert caught.value.code == code
    assert states(campaign) == found


@pytest.mark.parametrize(
    "step", [campaign_steps.campaign_pause, campaign_steps.campaign_resume, campaign_steps.campaign_cancel]
)
def test_a_finished_campaign_stays_finished(creator, step):
    fans_make(creator, 2)
    campaign = launch(creator)
    Delivery.objects.update(state=MessageStatus.SENT, finished_at=timezone.now())
    report = campaign_reports.campaign_report(campaign)
    assert report.status is CampaignStatus.FINISHED
    assert report.estimated_completion_at == Delivery.objects.first().finished_at
    with pytest.raises(Conflict) as caught:
        step(creator=creator, campaign_id=campaign.pk)
    assert caught.value.code == "campaign_finished"


@pytest.mark.parametrize(
    "step", [campaign_steps.campaign_pause, campaign_steps.campaign_resume, campaign_steps.campaign_cancel]
)
def test_a_campaign_of_another_creator_is_not_found(creator, step):
    fans_make(creator, 1)
    campaign = launch(creator)
    with pytest.raises(NotFound):
        step(creator=CreatorFactory(), campaign_id=campaign.pk)


@pytest.mark.parametrize(
    ("status", "state"), [(CampaignStatus.PAUSED, "parked"), (CampaignStatus.CANCELLED, "cancelled")]
)
def test_what_a_stop_could_not_reach_is_set_aside_before_it_is_queued(creator, on_queue, status, state):
    campaign = Campaign.objects.create(creator=creator, name="News", content="Hey", status=status)
    delivery = delivery_make(
        fan=FanFactory(creator=creator), state=MessageStatus.PENDING, kind=Kind.CAMPAIGN, campaign=campaign
    )
    assert publishing.publish([delivery.pk], fail=True) == {}
    assert states(campaign) == {state: 1}
    assert on_queue() == []


@pytest.mark.parametrize("waits", [MessageStatus.PENDING, MessageStatus.QUEUED, MessageStatus.PARKED])
def test_a_cancel_does_not_deny_an_attempt_that_may_have_reached_its_fan(creator, waits):
    """It was about to be repeated under its key, after a sender died or no answer came."""
    fans_make(creator, 2)
    campaign = launch(creator)
    doubted = campaign.deliveries.first()
    campaign.deliveries.filter(pk=doubted.pk).update(state=waits, key_in_doubt=True, attempts=1)
    campaign_steps.campaign_cancel(creator=creator, campaign_id=campaign.pk)
    assert states(campaign) == {"unknown": 1, "cancelled": 1}
    row = campaign.deliveries.get(state="unknown")
    assert (row.pk, row.reason_code) == (doubted.pk, "stopped_in_doubt")
    assert row.finished_at


def test_a_message_of_a_cancelled_campaign_cannot_be_sent_again(creator):
    campaign = Campaign.objects.create(creator=creator, name="News", content="Hey", status=CampaignStatus.CANCELLED)
    failed = delivery_make(fan=FanFactory(creator=creator), state=MessageStatus.FAILED, campaign=campaign)
    with pytest.raises(Conflict) as caught:
        services.message_retry(creator=creator, message_id=failed.pk)
    assert caught.value.code == "campaign_cancelled"
    assert states(campaign) == {"failed": 1}


def test_nothing_waits_for_a_message_of_a_paused_campaign(creator):
    fans_make(creator, 1)
    first = launch(creator)
    second = launch(creator).deliveries.get()
    assert selectors.earlier_open(delivery=second) is not None
    campaign_steps.campaign_pause(creator=creator, campaign_id=first.pk)
    assert selectors.earlier_open(delivery=second) is None


def test_a_pause_while_messages_are_claimed_neither_loses_nor_doubles_any(creator):
    """A claim and the pause want the same rows; each row goes to one of the two."""
    fans_make(creator, 60)
    campaign = launch(creator)
    copies = [Copy.of(each) for each in campaign.deliveries.order_by("-pk")]
    claimed = []

    def claim() -> None:
        try:
            for copy in copies:
                if transitions.delivery_claimed(copy, creator_id=creator.pk, lease=timedelta(seconds=30)):
                    claimed.append(copy.message_id)
        finally:
            connection.close()

    thread = threading.Thread(target=claim)
    thread.start()
    campaign_steps.campaign_pause(creator=creator, campaign_id=campaign.pk)
    thread.join()
    assert {k: v for k, v in (("sending", len(claimed)), ("parked", 60 - len(claimed))) if v} == states(campaign)


def test_replies_and_campaigns_to_the_same_fans_at_once_wait_in_line(creator):
    fans = fans_make(creator, 40)
    errors = []

    def run(step) -> None:
        try:
            for _ in range(3):
                step()
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    def replies() -> None:
        for fan in reversed(fans[:8]):
            services.message_send(
                creator=creator, user=None, request=MessageRequest(recipient_id=fan.platform_id, content="hi")
            )

    def stopped() -> None:
        campaign = launch(creator)
        campaign_steps.campaign_pause(creator=creator, campaign_id=campaign.pk)
        campaign_steps.campaign_resume(creator=creator, campaign_id=campaign.pk)
        campaign_steps.campaign_cancel(creator=creator, campaign_id=campaign.pk)

    steps = [replies, stopped, lambda: launch(creator), lambda: bulk(creator, list(reversed(fans)))]
    threads = [threading.Thread(target=run, args=(step,)) for step in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert Message.objects.count() == 3 * (8 + 40 + 40 + 40)


def test_after_a_creators_pause_a_late_campaign_is_planned_anew_and_its_estimate_is_true(creator):
    """Two campaigns of eight minutes each, six of which passed while the account was signed out."""
    fans_make(creator, 64)
    first, second = launch(creator), launch(creator)
    services.sending_pause(creator=creator, reason="Signed out.", code="unauthorized")
    Delivery.objects.update(state="parked", due_at=F("due_at") - timedelta(minutes=6))
    assert not services.sending_resume_after(creator=creator, codes=["other"])
    assert services.sending_resume_after(creator=creator, codes=["unauthorized"])
    ends = [campaign_reports.campaign_report(each).estimated_completion_at for each in (first, second)]
    minutes = [(end - timezone.now()).total_seconds() / 60 for end in ends]
    assert minutes == [pytest.approx(7.4, abs=0.4), pytest.approx(15.4, abs=0.4)]
    sweeper.sweep(gateway=ScriptedGateway())
    assert [campaign_reports.campaign_report(each).estimated_completion_at for each in (first, second)] == ends


def test_a_creators_pause_in_which_nothing_fell_behind_leaves_the_plan_as_it_is(creator):
    fans_make(creator, 9)
    campaign = launch(creator)
    services.sending_pause(creator=creator, reason="Wait.")
    campaign.deliveries.update(state="parked", due_at=F("due_at") + timedelta(seconds=5))
    before = list(campaign.deliveries.order_by("pk").values_list("due_at", "dispatch_id"))
    services.sending_resume(creator=creator)
    assert list(campaign.deliveries.order_by("pk").values_list("due_at", "dispatch_id")) == before
