"""Whether every page and answer says what holds messages back, and promises no time meanwhile."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from crm.models import Conversation, Creator, Message, MessageStatus
from crm.recent import Recent
from crm.tests.factories import ConversationFactory, FanFactory, MembershipFactory
from messaging import readiness, selectors
from messaging.gateways import Unready
from messaging.heartbeat import FUNCTION_KEY, HEARTBEAT_KEY, function_mark
from messaging.models import Campaign, CampaignStatus, Delivery, Kind
from messaging.reasons import BlockCode
from messaging.tests.conftest import NOWHERE
from messaging.tests.factories import ScriptedGateway, delivery_make, profile_make

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sqs_queues")]
HTML = {"Accept": "text/html"}


@pytest.fixture
def creator() -> Creator:
    return MembershipFactory.create().creator


@pytest.fixture
def client(creator: Creator) -> Client:
    client = Client()
    client.force_login(creator.memberships.get().user)
    return client


def waiting(creator: Creator, *, due_in: timedelta = timedelta(minutes=5), **fields: Any) -> Delivery:
    return delivery_make(
        fan=FanFactory.create(creator=creator, name="Ada"), state=MessageStatus.QUEUED, due_in=due_in, **fields
    )


def campaign_of(delivery: Delivery, status: CampaignStatus = CampaignStatus.RUNNING) -> Campaign:
    campaign = Campaign.objects.create(creator=delivery.creator, name="Weekend", content="Hi", status=status)
    Delivery.objects.filter(pk=delivery.pk).update(campaign=campaign, kind=Kind.CAMPAIGN)
    Message.objects.filter(pk=delivery.pk).update(campaign_id=campaign.pk)
    return campaign


def unready(monkeypatch: pytest.MonkeyPatch, code: BlockCode, reason: str) -> None:
    monkeypatch.setattr(ScriptedGateway, "unready", lambda self, creator_id: Unready(code, reason))


class Hindrances:
    """Each makes one thing go wrong; by the code that is then said."""

    def __init__(self, creator: Creator, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.creator, self.settings, self.monkeypatch = creator, settings, monkeypatch

    def limiter_off(self) -> None:
        self.settings.RATE_LIMITER_ENABLED = False

    def sending_disabled(self) -> None:
        self.settings.SQS_RATE_LIMITER_QUEUE_URL = ""

    def dry_run(self) -> None:
        self.settings.MESSAGING_GATEWAY = "messaging.dry_run_gateway.DryRunGateway"

    def no_account(self) -> None:
        unready(self.monkeypatch, BlockCode.NO_ACCOUNT, "No OnlyFans account is connected.")

    def session_expired(self) -> None:
        unready(self.monkeypatch, BlockCode.SESSION_EXPIRED, "The OnlyFans session ended.")

    def paused_by_person(self) -> None:
        profile_make(self.creator, paused_at=timezone.now(), paused_reason="Holidays.")

    def paused_by_system(self) -> None:
        profile_make(self.creator, paused_at=timezone.now(), paused_reason="Refused.", paused_code="unauthorized")

    def queue_away(self) -> None:
        self.settings.SQS_RATE_LIMITER_QUEUE_URL += "-gone"

    def redis_away(self) -> None:
        self.settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
        self.settings.REDIS_URL = NOWHERE
        self.monkeypatch.setattr(readiness, "redis_ping", redis_gone)

    def worker_silent(self) -> None:
        cache.set(HEARTBEAT_KEY, timezone.now() - timedelta(minutes=3))

    def late(self) -> None:
        waiting(self.creator, due_in=-timedelta(minutes=11))


def redis_gone() -> None:
    raise readiness.LimiterUnavailable("Redis is away.")


CODES = [code.value for code in BlockCode if code is not BlockCode.CAMPAIGN_PAUSED]
each_hindrance = pytest.mark.parametrize("code", CODES)


@pytest.fixture
def goes_wrong(creator: Creator, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def happen(code: str) -> None:
        getattr(Hindrances(creator, settings, monkeypatch), code)()
        Recent.forget_all()

    return happen


def test_nothing_holds_back_where_all_is_there(creator: Creator) -> None:
    assert readiness.sending_blocked(creator=creator) is None


@each_hindrance
def test_each_hindrance_is_named(creator: Creator, goes_wrong: Callable[[str], None], code: str) -> None:
    goes_wrong(code)
    found = readiness.sending_blocked(creator=creator)
    assert found is not None
    assert (found.code, bool(found.reason)) == (code, True)
    # A receipt does not ask SQS, which has just taken the message or not.
    told = readiness.sending_blocked_lately(creator=creator, profile=selectors.sending_profile(creator=creator))
    assert told == (None if code == "queue_away" else found)


@each_hindrance
def test_no_page_promises_anything_meanwhile(
    client: Client, creator: Creator, goes_wrong: Callable[[str], None], code: str
) -> None:
    delivery = waiting(creator)
    campaign = campaign_of(waiting(creator))
    goes_wrong(code)
    found = readiness.sending_blocked(creator=creator)
    assert found is not None
    conversation = delivery.message.conversation_id
    pages = {
        "inbox": "/messages/onlyfans",
        "banner": "/messages/onlyfans/state",
        "thread": f"/messages/onlyfans/{conversation}",
        "status": "/messages/onlyfans/status",
        "campaign": f"/messages/campaigns/{campaign.pk}",
        "campaigns": "/messages/campaigns",
    }
    for name, address in pages.items():
        shown = client.get(address).content.decode()
        assert "alert--success" not in shown, name
        for promise in ("expected <time", "It will be done about", "the last one leaves", ">1 queued<"):
            assert promise not in shown, (name, promise)
        if name != "campaigns":
            assert f'data-blocked="{code}"' in shown, name
    Conversation.objects.filter(pk=conversation).update(last_message=delivery.message)
    assert "Held back: " in client.get(pages["inbox"]).content.decode()
    held = "Late since" if code == "late" else f"Held back: {BlockCode(code).label}"
    for name in ("campaign", "campaigns"):
        assert held in client.get(pages[name]).content.decode(), name


@each_hindrance
def test_no_answer_of_the_api_gives_a_time_meanwhile(
    client: Client, creator: Creator, goes_wrong: Callable[[str], None], code: str
) -> None:
    delivery = waiting(creator)
    campaign = campaign_of(waiting(creator))
    goes_wrong(code)
    thread = client.get(f"/api/crm/conversations/{delivery.message.conversation_id}/messages").json()["results"]
    ledger = client.get(f"/api/messages/campaigns/{campaign.pk}/recipients").json()["results"]
    status = client.get("/api/onlyfans/messages/status").json()
    one = client.get(f"/api/messages/campaigns/{campaign.pk}").json()
    wish = {"name": "Next", "content": "Hi", "audience": {"recipientIds": [f"fan_{delivery.fan_id}"]}}
    preview = client.post("/api/messages/campaigns?preview=true", wish, content_type="application/json").json()
    for found, time in (
        (thread[0], "expectedAt"),
        (ledger[0], "expectedAt"),
        (status, "waitingUntil"),
        (one, "estimatedCompletionTime"),
        (preview, "estimatedCompletionTime"),
    ):
        assert (found[time], found["blocked"]["code"]) == (None, code)
        assert found["blocked"]["reason"]


@pytest.mark.parametrize("code", sorted({*CODES} - {"sending_disabled", "queue_away"}))
@pytest.mark.django_db(transaction=True)
def test_a_receipt_gives_no_time_meanwhile(
    client: Client, creator: Creator, goes_wrong: Callable[[str], None], code: str
) -> None:
    fan = FanFactory.create(creator=creator)
    goes_wrong(code)
    wish = {"recipientId": f"fan_{fan.pk}", "content": "Hi"}
    answer = client.post("/api/onlyfans/messages/send", wish, content_type="application/json")
    assert answer.status_code == 202
    assert (answer.json()["estimatedSendTime"], answer.json()["blocked"]["code"]) == (None, code)


def test_a_paused_campaigns_message_waits_for_no_time(client: Client, creator: Creator) -> None:
    delivery = waiting(creator)
    campaign = campaign_of(delivery, CampaignStatus.PAUSED)
    shown = client.get(f"/messages/onlyfans/{delivery.message.conversation_id}").content.decode()
    assert "Held back: its campaign is paused" in shown
    assert "data-blocked" not in shown
    one = client.get(f"/api/messages/campaigns/{campaign.pk}").json()
    assert (one["estimatedCompletionTime"], one["blocked"]["code"]) == (None, "campaign_paused")
    [row] = client.get(f"/api/messages/campaigns/{campaign.pk}/recipients").json()["results"]
    assert (row["expectedAt"], row["blocked"]["code"]) == (None, "campaign_paused")


def test_a_message_is_late_a_minute_after_its_time_and_says_since_when(client: Client, creator: Creator) -> None:
    delivery = waiting(creator, due_in=-timedelta(minutes=2))
    address = f"/api/crm/conversations/{delivery.message.conversation_id}/messages"
    [found] = client.get(address).json()["results"]
    assert (found["expectedAt"], found["blocked"]["code"]) == (None, "late")
    assert found["blocked"]["since"][:19] == delivery.due_at.isoformat()[:19]
    assert "Late since <time" in client.get(address, headers=HTML).content.decode()
    Delivery.objects.update(due_at=timezone.now() - timedelta(seconds=20))
    [found] = client.get(address).json()["results"]
    assert found["expectedAt"] is not None


def test_a_function_in_the_place_of_workers_is_not_called_silent(creator: Creator) -> None:
    cache.delete(HEARTBEAT_KEY)
    found = readiness.sending_blocked(creator=creator)
    assert found is not None
    assert found.code is BlockCode.WORKER_SILENT
    function_mark()
    Recent.forget_all()
    assert readiness.sending_blocked(creator=creator) is None
    assert cache.ttl(FUNCTION_KEY) > 0  # type: ignore[attr-defined]  # django-redis's own


def test_another_creators_trouble_is_not_ones_own(creator: Creator) -> None:
    other = ConversationFactory.create().creator
    profile_make(other, paused_at=timezone.now(), paused_reason="Theirs.")
    waiting(other, due_in=-timedelta(hours=1))
    assert readiness.sending_blocked(creator=creator) is None


def test_what_is_late_in_a_paused_campaign_or_of_a_deleted_fan_is_no_sign(creator: Creator) -> None:
    campaign_of(waiting(creator, due_in=-timedelta(hours=1)), CampaignStatus.PAUSED)
    gone = waiting(creator, due_in=-timedelta(hours=1))
    gone.fan.deleted_at = timezone.now()
    gone.fan.save()
    assert selectors.late_since(creator=creator) is None
    assert selectors.sending_waiting(creator=creator).late_since is None
