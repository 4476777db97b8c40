"""Answers whether a text to many fans is stored whole, read by each in their own words, and spaced truly."""

import json
import time
from datetime import datetime, timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from crm.errors import InvalidInput
from crm.models import Conversation, Message, MessageStatus, Role
from crm.services import message_receive
from crm.tests.clients import signed_in
from crm.tests.factories import ConversationFactory, CreatorFactory, FanFactory, UserFactory
from messaging import campaign_reports, campaign_steps, campaigns, services
from messaging.campaigns import Audience, BulkRequest, CampaignRequest
from messaging.errors import QueueRefused, SendingDisabled
from messaging.models import Campaign, CampaignStatus, Delivery
from messaging.services import MessageRequest
from messaging.slots import ungrouped
from messaging.tests.campaigns import EVERYBODY, bulk, fans_make, launch, states
from messaging.tests.conftest import aws_error
from messaging.tests.factories import delivery_make, handle_in_time, profile_make

BROKEN = aws_error("InternalFailure", 500)
DENIED = aws_error("AccessDenied", 403)
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sqs_queues")]


@pytest.fixture
def creator():
    return profile_make(gap_ms=3_000).creator
    return profile_make(gap_ms=3_000).creator


def test_a_bulk_is_stored_with_a_row_for_each_and_queued_in_tens(creator, sqs_faults, on_queue):
    user, fans = UserFactory(), fans_make(creator, 12)
    wish = BulkRequest(
        recipient_ids=[fan.platform_id for fan in fans],
        content="Hello {name}",
        media_urls=["abc"],
        price_cents=500,
        campaign_name="Launch",
    )
    receipt = campaigns.bulk_send(creator=creator, user=user, request=wish, trace_id="trace")
    campaign = Campaign.objects.get()
    assert (receipt.report.total, receipt.report.status, receipt.failed) == (12, CampaignStatus.RUNNING, ())
    assert (campaign.name, campaign.created_by) == ("Launch", user)
    assert states(campaign) == {"queued": 12}
    assert sorted(len(request["Entries"]) for request in sqs_faults.requests if "Entries" in request) == [2, 10]
    assert {message.text for message in Message.objects.all()} == {f"Hello {fan.name}" for fan in fans}
    assert campaign.content == "Hello {name}"
    body = json.loads(on_queue()[0].body)
    assert (body["kind"], body["metadata"]["campaignId"], body["traceId"]) == ("campaign", campaign.pk, "trace")
    assert [d.fan for d in campaign.deliveries.order_by("pk")] == fans


def test_the_estimate_of_a_bulk_is_its_last_slot_and_true_to_the_limits(creator):
    receipt = bulk(creator, fans_make(creator, 100))
    due = sorted(Delivery.objects.values_list("due_at", flat=True))
    assert receipt.report.estimated_completion_at == due[-1]
    # Eight a minute: two of the ten tokens stay free for replies.
    assert due[-1] - due[0] == timedelta(seconds=12 * 60.3 + 3 * 3)
    assert all(later - earlier >= timedelta(seconds=60) for earlier, later in zip(due, due[8:], strict=False))


def test_a_minutes_messages_come_off_the_queue_at_once_and_the_last_in_its_own_slot(creator):
    bulk(creator, fans_make(creator, 20))
    due = sorted(Delivery.objects.values_list("due_at", flat=True))
    seconds = [round((at - due[0]).total_seconds(), 1) for at in due]
    assert seconds == [0] * 8 + [60.3] * 8 + [120.6] * 3 + [129.6]


def test_the_queries_of_a_bulk_do_not_grow_with_it(creator, django_assert_max_num_queries):
    with django_assert_max_num_queries(32):
        bulk(creator, fans_make(creator, 100))


def test_recipients_that_are_not_found_are_named_one_by_one_and_nothing_is_stored(creator, on_queue):
    mine, foreign = FanFactory(creator=creator), FanFactory()
    with pytest.raises(InvalidInput) as caught:
        campaigns.bulk_send(
            creator=creator,
            user=None,
            request=BulkRequest(
                recipient_ids=[mine.platform_id, foreign.platform_id, "404", f"fan_{foreign.pk}", f"fan_{mine.pk}"],
                content="Hello",
            ),
        )
    assert [(error.field, error.code) for error in caught.value.errors] == [
        ("recipient_ids[1]", "recipient_not_found"),
        ("recipient_ids[2]", "recipient_not_found"),
        ("recipient_ids[3]", "recipient_not_found"),
        ("recipient_ids[4]", "duplicate"),
    ]
    assert not Campaign.objects.exists()
    assert not Message.objects.exists()
    assert on_queue() == []


@pytest.mark.parametrize("count", [0, 101])
def test_a_bulk_has_from_1_to_100_recipients(creator, count):
    with pytest.raises(InvalidInput) as caught:
        bulk(creator, [FanFactory.build(platform_id=str(n)) for n in range(count)])
    assert [error.field for error in caught.value.errors] == ["recipient_ids"]


def test_recipients_may_be_named_as_in_a_single_send(creator):
    by_own_id, by_handle = FanFactory(creator=creator), FanFactory(creator=creator, handle="Ann")
    campaigns.bulk_send(
        creator=creator,
        user=None,
        request=BulkRequest(recipient_ids=[f"fan_{by_own_id.pk}", "@ann"], content="Hello"),
    )
    assert {delivery.fan for delivery in Delivery.objects.all()} == {by_own_id, by_handle}


def test_what_sqs_did_not_take_of_a_bulk_is_told_one_by_one(creator, sqs_faults):
    fans = fans_make(creator, 12)
    sqs_faults.script = [None, DENIED]
    receipt = bulk(creator, fans)
    # Batches go out side by side, so either may meet the refusal.
    named, known = [failed.recipient_id for failed in receipt.failed], [fan.platform_id for fan in fans]
    assert named in (known[:10], known[10:])
    assert {failed.reason for failed in receipt.failed} == {"AWS refuses these credentials access to the queue."}
    assert states(Campaign.objects.get()) == {"queued": 12 - len(named), "failed": len(named)}
    assert receipt.report.counts["failed"] == len(named)


def test_a_bulk_of_which_sqs_took_nothing_is_stored_as_failed_and_says_so(creator, sqs_faults):
    sqs_faults.script = [BROKEN] * 4
    with pytest.raises(QueueRefused) as caught:
        bulk(creator, fans_make(creator, 3))
    campaign = Campaign.objects.get()
    assert caught.value.extra["campaignId"] == campaign.pk
    assert len(caught.value.extra["failed"]) == 3
    assert states(campaign) == {"failed": 3}


def test_a_bulk_whose_transaction_is_rolled_back_leaves_nothing(creator, on_queue):
    with transaction.atomic():
        bulk(creator, fans_make(creator, 2))
        transaction.set_rollback(True)
    assert on_queue() == []
    assert not Campaign.objects.exists()


def listed(creator):
    """What the inbox shows, as the API lists it."""
    return signed_in(creator).get("/api/crm/conversations").json()["results"]


def test_a_campaign_moves_no_conversation_and_shows_in_each_once_it_is_sent(creator, consumer):
    profile_make(creator)
    asked = [FanFactory(creator=creator) for _ in range(2)]
    for days, fan in enumerate(asked, start=1):
        message_receive(fan=fan, text="Are you there?", received_at=timezone.now() - timedelta(days=days))
    archived = ConversationFactory(fan__creator=creator, archived=True).fan
    before = listed(creator)
    campaign = launch(creator, audience=EVERYBODY, name="{{ 7*7 }}")
    assert listed(creator) == before
    assert campaign.deliveries.count() == 3
    for delivery in campaign.deliveries.order_by("pk"):
        handle_in_time(consumer, delivery)
    found = listed(creator)
    assert [(each["fan"]["id"], each["unreadCount"]) for each in found] == [(fan.pk, 1) for fan in asked]
    assert [each["lastMessageAt"] for each in found] == [each["lastMessageAt"] for each in before]
    for each in found:
        sent_at = Message.objects.get(conversation=each["id"], direction="out").sent_at
        assert each["lastMessage"]["campaignId"] == campaign.pk
        assert datetime.fromisoformat(each["lastMessage"]["sentAt"]) == sent_at
    assert Conversation.objects.get(fan=archived).archived
    thread = signed_in(creator).get(f"/api/crm/conversations/{found[0]['id']}/messages").json()["results"]
    told = [(each["direction"], each["campaignId"], each["campaignName"]) for each in thread]
    assert told == [("out", campaign.pk, "{{ 7*7 }}"), ("in", None, "")]


@pytest.mark.parametrize(("language", "mark"), [("en", "Campaign:"), ("fr", "Campagne\u202f:")])
def test_a_campaigns_message_is_marked_as_one_in_row_and_bubble(creator, consumer, language, mark):
    fan = FanFactory(creator=creator)
    campaign = bulk(creator, [fan], campaign_name="Autumn {{ 7*7 }} set").report.campaign
    asked = {"Accept": "text/html", "Accept-Language": language}
    chatter, thread = signed_in(creator, Role.CHATTER), f"/api/crm/conversations/{fan.conversation.pk}/messages"
    link = f'href="/messages/campaigns/{campaign.pk}">{mark} Autumn {{{{ 7*7 }}}} set</a>'
    # Before it is sent the thread alone has it.
    assert mark not in chatter.get("/api/crm/conversations", headers=asked).content.decode()
    assert link in chatter.get(thread, headers=asked).content.decode()
    handle_in_time(consumer, campaign.deliveries.get())
    assert f"{mark} Hello" in chatter.get("/api/crm/conversations", headers=asked).content.decode()
    assert link in chatter.get(thread, headers=asked).content.decode()


def test_a_fan_to_whom_only_a_campaign_was_written_is_in_the_inbox_once_it_is_sent_below_the_others(creator, consumer):
    profile_make(creator)
    asked = FanFactory(creator=creator)
    message_receive(fan=asked, text="Are you there?", received_at=timezone.now() - timedelta(days=30))
    new = [FanFactory(creator=creator) for _ in range(3)]
    campaign = launch(creator, audience=Audience(recipient_ids=[fan.platform_id for fan in new]))
    assert [each["fan"]["id"] for each in listed(creator)] == [asked.pk]
    first, second, third = campaign.deliveries.order_by("pk")
    handle_in_time(consumer, first)
    campaign_steps.campaign_cancel(creator=creator, campaign_id=campaign.pk)
    assert [each["fan"]["id"] for each in listed(creator)] == [asked.pk, first.fan_id]
    message_receive(fan=first.fan, text="Hey!", received_at=timezone.now())
    assert [each["fan"]["id"] for each in listed(creator)] == [first.fan_id, asked.pk]
    assert {second.fan_id, third.fan_id} < {fan.pk for fan in new}


def test_a_campaign_reads_differently_to_each_fan(creator):
    for name, handle in [("Ann Lee", "ann"), ("", "bob"), ("", ""), ("{handle}", "eve")]:
        FanFactory(creator=creator, name=name, handle=handle)
    campaign = launch(creator, content="Hey {firstName} ({name}, {handle}) :{")
    assert [message.text for message in Message.objects.order_by("delivery__fan_id")] == [
        "Hey Ann (Ann Lee, ann) :{",
        "Hey bob (bob, bob) :{",
        "Hey there (there, there) :{",
        "Hey {handle} ({handle}, eve) :{",
    ]
    assert campaign.content == "Hey {firstName} ({name}, {handle}) :{"


def test_an_unknown_placeholder_is_named(creator):
    FanFactory(creator=creator)
    with pytest.raises(InvalidInput) as caught:
        launch(creator, content="Hey {nmae}, {{name}} {nmae} {first name")
    assert [error.field for error in caught.value.errors] == ["content", "content"]
    assert caught.value.errors[0].detail.startswith("{nmae} is no field of a fan")
    assert caught.value.errors[1].detail.startswith("{first has no closing brace")


def test_a_text_that_a_name_makes_too_long_is_not_valid(creator):
    FanFactory(creator=creator, name="x" * 200)
    with pytest.raises(InvalidInput) as caught:
        launch(creator, content="x" * 4_900 + "{name}")
    assert [(error.field, error.code) for error in caught.value.errors] == [("content", "too_long")]
    assert not Campaign.objects.exists()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"content": ""}, "content"),
        ({"price_cents": 500}, "price_cents"),
        ({"scheduled_at": timezone.now() + timedelta(days=366)}, "scheduled_at"),
        ({"scheduled_at": timezone.now() - timedelta(seconds=1)}, "scheduled_at"),
        ({"audience": Audience(tags=["nobody"])}, "audience"),
        ({"audience": Audience(everybody=True, exclude=["404"])}, "audience.exclude[0]"),
        ({"audience": Audience()}, "audience"),
        ({"audience": Audience(min_value_cents=0)}, "audience"),
        ({"audience": Audience(exclude=[])}, "audience"),
        ({"audience": Audience(everybody=True, tags=["vip"])}, "audience.everybody"),
        ({"audience": Audience(everybody=True, min_value_cents=1)}, "audience.everybody"),
    ],
)
def test_a_campaign_that_is_not_valid_names_the_field_and_stores_nothing(creator, fields, field):
    FanFactory(creator=creator)
    with pytest.raises(InvalidInput) as caught:
        launch(creator, **fields)
    assert [error.field for error in caught.value.errors] == [field]
    assert not Campaign.objects.exists()


def test_an_audience_is_the_fans_for_whom_all_holds(creator):
    now = timezone.now()
    right = {"tags": ["vip", "new"], "value_cents": 500, "last_seen_at": now}
    wanted = FanFactory(creator=creator, **right)
    excluded = FanFactory(creator=creator, **right)
    written = FanFactory(creator=creator, **right)
    delivery_make(fan=written)
    FanFactory(creator=creator, **right | {"tags": ["old"]})
    FanFactory(creator=creator, **right | {"value_cents": 499})
    FanFactory(creator=creator, **right | {"last_seen_at": now - timedelta(days=9)})
    FanFactory(**right)
    failed = FanFactory(creator=creator, **right | {"value_cents": 900})
    delivery_make(fan=failed, state=MessageStatus.FAILED)
    campaign = launch(
        creator,
        audience=Audience(
            tags=["vip", "other"],
            min_value_cents=500,
            active_since=now - timedelta(days=1),
            not_messaged_since=now - timedelta(days=1),
            exclude=[excluded.platform_id, f"fan_{excluded.pk}"],
        ),
    )
    # The most valuable first.
    assert [delivery.fan for delivery in campaign.deliveries.order_by("due_at")] == [failed, wanted]
    assert campaign.audience["exclude"] == [excluded.platform_id, f"fan_{excluded.pk}"]


def test_a_preview_says_what_would_be_and_stores_nothing(creator):
    fans_make(creator, 20)
    wish = CampaignRequest(name="News", content="Hey {name}", audience=EVERYBODY)
    preview = campaigns.campaign_preview(creator=creator, request=wish)
    assert (preview.total, len(preview.examples)) == (20, 3)
    assert {example.text for example in preview.examples} == {f"Hey {e.fan.name}" for e in preview.examples}
    assert not Campaign.objects.exists()
    assert not Message.objects.exists()
    real = campaigns.campaign_create(creator=creator, user=None, request=wish).report
    assert real.estimated_completion_at - preview.estimated_completion_at < timedelta(seconds=5)


def test_a_preview_of_nobody_has_no_finish_time():
    creator = CreatorFactory()
    wish = CampaignRequest(name="News", content="Hey", audience=EVERYBODY)
    preview = campaigns.campaign_preview(creator=creator, request=wish)
    assert (preview.total, preview.examples, preview.estimated_completion_at) == (0, (), None)


def test_ten_thousand_fans_take_seconds_and_only_the_next_quarter_hour_is_on_the_queue(creator, sqs_faults):
    fans_make(creator, 10_000)
    began = time.monotonic()
    campaign = launch(creator)
    assert time.monotonic() - began < 20
    found = campaign_reports.campaign_report(campaign).counts
    assert found["parked"] + found["queued"] == 10_000
    # Fifteen minutes at eight a minute.
    assert found["queued"] == 15 * 8
    sent = [entry for request in sqs_faults.requests for entry in request.get("Entries", [])]
    assert max(entry["DelaySeconds"] for entry in sent) <= 900


def test_the_queries_of_a_campaign_grow_with_its_chunks_alone(creator, django_assert_max_num_queries):
    fans_make(creator, 3_000)
    with django_assert_max_num_queries(60):
        launch(creator)


def test_a_campaign_while_sqs_has_trouble_waits_for_the_sweeper(creator, sqs_faults):
    fans_make(creator, 3)
    sqs_faults.script = [BROKEN] * 4
    campaign = launch(creator)
    assert states(campaign) == {"pending": 3}


def test_without_the_rate_limiter_a_campaign_is_kept_as_bypassed(creator, settings, on_queue):
    settings.RATE_LIMITER_ENABLED = False
    settings.SQS_RATE_LIMITER_QUEUE_URL = ""
    fans_make(creator, 2)
    campaign = launch(creator)
    assert states(campaign) == {"bypassed": 2}
    assert campaign_reports.campaign_report(campaign).status is CampaignStatus.FINISHED
    assert on_queue() == []


def test_a_missing_variable_is_named_and_nothing_is_stored(creator, settings):
    settings.REDIS_URL = ""
    fans_make(creator, 1)
    with pytest.raises(SendingDisabled):
        launch(creator)
    assert not Campaign.objects.exists()


def test_a_reply_does_not_wait_for_a_campaign(creator):
    [fan] = fans_make(creator, 50)[:1]
    launch(creator)
    receipt = services.message_send(
        creator=creator, user=None, request=MessageRequest(recipient_id=fan.platform_id, content="hi")
    )
    assert receipt.estimated_send_at - timezone.now() < timedelta(seconds=2)


def test_a_scheduled_campaign_waits_and_a_later_one_goes_before_it(creator):
    fans_make(creator, 10)
    start = timezone.now() + timedelta(hours=5)
    scheduled = launch(creator, scheduled_at=start)
    report = campaign_reports.campaign_report(scheduled)
    assert (report.status, states(scheduled)) == (CampaignStatus.SCHEDULED, {"parked": 10})
    assert min(scheduled.deliveries.values_list("due_at", flat=True)) == start
    at_once = campaign_reports.campaign_report(launch(creator))
    assert at_once.estimated_completion_at - timezone.now() < timedelta(minutes=2)


def test_campaigns_are_planned_around_a_scheduled_one(creator):
    fans_make(creator, 40)
    start = timezone.now() + timedelta(minutes=3)
    launch(creator, scheduled_at=start)
    launch(creator)
    launch(creator, scheduled_at=start)
    due = ungrouped(sorted(Delivery.objects.values_list("due_at", flat=True)), gap=timedelta(seconds=3))
    assert len(due) == 120
    assert all(later - earlier >= timedelta(seconds=60) for earlier, later in zip(due, due[8:], strict=False))
