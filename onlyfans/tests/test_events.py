"""Answers what each kind of event changes for those who look, once, in order, and however it is told."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from crm.models import Conversation, Direction, Fan, Message, MessageStatus, Transaction, TransactionSource
from crm.tests.factories import CreatorFactory, FanFactory, MessageFactory
from messaging.models import Delivery, SendingProfile
from messaging.services import sending_pause
from messaging.tests.factories import delivery_make
from onlyfans import events, intake
from onlyfans.event_payloads import EventKind, envelope_of
from onlyfans.events import EventsReport, events_apply, events_apply_again
from onlyfans.models import Account, AccountState, WebhookEvent
from onlyfans.services import account_connect, webhook_event_store

pytestmark = pytest.mark.django_db
EVENTS = Path(__file__).parent / "events"
KINDS = sorted(path.stem for path in EVENTS.glob("*.json"))
WROTE = datetime(2026, 6, 10, 18, 35, 30, tzinfo=UTC)


@pytest.fixture
def account() -> Account:
    return account_connect(creator=CreatorFactory(), account_id="acct_demo1", api_key="sim_key_demo1")


def recorded(kind: str, **payload: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((EVENTS / f"{kind}.json").read_text())
    return {**body, "payload": {**body["payload"], **payload}}


def store(account: Account, body: dict[str, Any], event_id: str = "") -> WebhookEvent:
    text = json.dumps(body)
    event_id = event_id or f"evt_{WebhookEvent.objects.count()}"
    webhook_event_store(account=account, event_id=event_id, envelope=envelope_of(text.encode()), body=text)
    return WebhookEvent.objects.get(account=account, event_id=event_id)


def tell(account: Account, kind: str, **payload: Any) -> EventsReport:
    store(account, recorded(kind, **payload))
    return events_apply()


def test_there_is_a_recorded_event_of_each_kind_that_has_an_effect() -> None:
    assert set(KINDS) >= {kind.value for kind in EventKind} - {"accounts.reconnected"}
    assert set(events.EFFECTS) == set(EventKind)


@pytest.mark.parametrize("kind", KINDS)
def test_every_recorded_event_is_applied_and_again_changes_nothing(account: Account, kind: str) -> None:
    assert tell(account, kind) == EventsReport(applied=1)
    tables = (Fan, Conversation, Message, Transaction, SendingProfile)
    before = [list(table.objects.order_by("pk").values()) for table in tables]
    WebhookEvent.objects.update(applied_at=None, attempts=0)
    assert events_apply() == EventsReport(applied=1)
    assert [list(table.objects.order_by("pk").values()) for table in tables] == before


# Who types has no time in the event, and so is seen again.
@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"users.typing"}))
def test_an_event_that_is_told_again_under_another_id_changes_nothing(account: Account, kind: str) -> None:
    """The vendor signs the body and not its id, so whoever has a signed body may send it again."""
    tables = (Fan, Conversation, Message, Transaction, SendingProfile, Account)
    told = []
    for _ in range(2):
        assert tell(account, kind) == EventsReport(applied=1)
        told.append([list(table.objects.order_by("pk").values()) for table in tables])
    assert told[1] == told[0]


def test_a_message_from_an_unknown_fan_stands_unread_on_top(account: Account) -> None:
    tell(account, "messages.received")
    fan, conversation, message = Fan.objects.get(), Conversation.objects.get(), Message.objects.get()
    assert (fan.platform_id, fan.handle, fan.name, fan.creator) == ("1000005", "samito1", "Sam Ito", account.creator)
    assert (fan.value_cents, fan.last_seen_at) == (12_550, WROTE)
    assert (message.text, message.direction, message.created_at) == ("hello & good morning\nyou", Direction.IN, WROTE)
    assert message.attachments == [{"type": "media", "url": "4400001"}]
    assert (conversation.unread_count, conversation.last_message, conversation.last_message_at) == (1, message, WROTE)


def test_a_fan_who_came_by_handle_gets_the_id(account: Account) -> None:
    fan = FanFactory(creator=account.creator, platform_id="samito1", handle="SamIto1", name="My Sam")
    tell(account, "messages.received")
    fan.refresh_from_db()
    assert (fan.platform_id, fan.name, Fan.objects.count()) == ("1000005", "My Sam", 1)


def test_a_message_written_elsewhere_appears_as_sent(account: Account) -> None:
    tell(account, "messages.sent")
    message = Message.objects.get()
    assert (message.direction, message.status, message.text) == ("out", MessageStatus.SENT, "written in the app")
    assert (message.price_cents, message.platform_message_id) == (2_500, "1000027")
    assert Conversation.objects.get().unread_count == 0


def test_our_own_message_is_known_by_its_id(account: Account) -> None:
    fan = FanFactory(creator=account.creator, platform_id="1000005")
    MessageFactory(outbound=True, conversation__fan=fan, platform_message_id="1000027")
    tell(account, "messages.sent")
    assert Message.objects.count() == 1


@pytest.mark.parametrize("state", [MessageStatus.SENDING, MessageStatus.UNKNOWN])
def test_our_own_message_is_known_before_its_answer_came(account: Account, state: MessageStatus) -> None:
    fan = FanFactory(creator=account.creator, platform_id="1000005")
    delivery = delivery_make(fan=fan, state=state, text="written  in the app ", first_attempt_at=WROTE)
    tell(account, "messages.sent")
    delivery.refresh_from_db()
    message = Message.objects.get()
    assert (delivery.state, message.status, message.platform_message_id) == ("sent", "sent", "1000027")


def test_our_own_message_that_waits_to_be_repeated_learns_its_id(account: Account) -> None:
    fan = FanFactory(creator=account.creator, platform_id="1000005")
    delivery_make(fan=fan, state=MessageStatus.QUEUED, text="written in the app", first_attempt_at=WROTE)
    tell(account, "messages.sent")
    assert Message.objects.values_list("status", "platform_message_id").get() == ("queued", "1000027")


def test_one_that_is_known_is_not_taken_for_another_with_the_same_words(account: Account) -> None:
    fan = FanFactory(creator=account.creator, platform_id="1000005")
    MessageFactory(outbound=True, conversation__fan=fan, platform_message_id="1000027")
    doubtful = delivery_make(fan=fan, state=MessageStatus.UNKNOWN, text="written in the app", first_attempt_at=WROTE)
    tell(account, "messages.sent")
    doubtful.refresh_from_db()
    assert doubtful.state == MessageStatus.UNKNOWN


def test_what_was_sent_before_ours_was_handed_over_is_another(account: Account) -> None:
    fan = FanFactory(creator=account.creator, platform_id="1000005")
    delivery_make(fan=fan, state=MessageStatus.UNKNOWN, text="written in the app", first_attempt_at=timezone.now())
    tell(account, "messages.sent")
    assert Message.objects.count() == 2


def test_a_message_that_was_never_handed_over_is_not_taken_for_it(account: Account) -> None:
    fan = FanFactory(creator=account.creator, platform_id="1000005")
    delivery_make(fan=fan, state=MessageStatus.QUEUED, text="written in the app")
    tell(account, "messages.sent")
    assert Message.objects.count() == 2


def test_a_deleted_message_stays_marked_and_counts_as_unread_no_more(account: Account) -> None:
    tell(account, "messages.received")
    tell(account, "messages.deleted")
    assert Message.objects.get().deleted_at is not None
    assert Conversation.objects.get().unread_count == 0


def test_a_deletion_that_is_told_first_is_carried_out_when_the_message_comes(account: Account) -> None:
    tell(account, "messages.deleted")
    tell(account, "messages.received")
    assert Message.objects.get().deleted_at is not None


def test_a_bought_message_is_revenue_and_raises_the_fans_value(account: Account) -> None:
    tell(account, "messages.sent")
    tell(account, "messages.ppv.unlocked")
    money, fan = Transaction.objects.get(), Fan.objects.get()
    assert (money.kind, money.gross_cents, money.net_cents, money.fan) == ("message", 1_200, 960, fan)
    assert (money.message, fan.value_cents, fan.platform_id) == (Message.objects.get(), 1_200, "1000005")


def test_the_buyer_is_found_by_the_chats_link_where_the_event_names_no_user(account: Account) -> None:
    tell(account, "messages.ppv.unlocked", user=None)
    assert Fan.objects.get().platform_id == "1000005"


def test_a_tip_and_the_transaction_that_repeats_it_count_once(account: Account) -> None:
    for kind in ("tips.received", "transactions.new", "tips.received", "transactions.new"):
        tell(account, kind)
    money = Transaction.objects.get()
    assert (money.kind, money.gross_cents, money.net_cents, money.fee_cents) == ("tip", 800, 640, 160)
    assert (money.source, money.status) == (TransactionSource.EVENT, "loading")
    assert money.occurred_at == datetime(2026, 6, 10, 18, 41, 58, tzinfo=UTC)
    assert Fan.objects.get().value_cents == 800


def test_a_tip_that_the_platforms_total_has_already_is_not_added_to_it(account: Account) -> None:
    tell(account, "messages.received")
    tell(account, "tips.received", createdAt="2026-06-10T18:35:00+00:00")
    assert Fan.objects.get().value_cents == 12_550
    tell(account, "tips.received", id="later")
    assert Fan.objects.get().value_cents == 13_350


def test_subscriptions_change_what_is_known_of_the_fan(account: Account) -> None:
    tell(account, "subscriptions.new")
    assert Fan.objects.values_list("subscribed", "last_seen_at").get() == (
        True,
        datetime(2026, 6, 10, 18, 43, tzinfo=UTC),
    )
    tell(account, "subscriptions.expired", createdAt="2026-06-11T18:43:00+00:00")
    fan = Fan.objects.get()
    assert (fan.subscribed, fan.last_seen_at) == (False, datetime(2026, 6, 10, 18, 43, tzinfo=UTC))


@pytest.mark.parametrize("kind", ["posts.liked", "users.typing", "users.online", "users.offline"])
def test_whoever_does_something_was_seen(account: Account, kind: str) -> None:
    fan = FanFactory(creator=account.creator, platform_id="1000005", last_seen_at="2026-06-01T00:00:00Z")
    tell(account, kind)
    fan.refresh_from_db()
    assert fan.last_seen_at is not None
    assert fan.last_seen_at > WROTE


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("accounts.disconnected", AccountState.DISCONNECTED),
        ("accounts.session_expired", AccountState.SESSION_EXPIRED),
        ("accounts.authentication_failed", AccountState.SESSION_EXPIRED),
    ],
)
def test_a_lost_account_pauses_sending_until_it_is_connected(account: Account, kind: str, state: AccountState) -> None:
    tell(account, kind)
    profile = SendingProfile.objects.get(creator=account.creator)
    assert Account.objects.get().state == state
    assert profile.paused_at is not None
    assert "OnlyFans" in profile.paused_reason
    tell(account, "accounts.connected")
    assert Account.objects.get().state == AccountState.CONNECTED
    assert SendingProfile.objects.get(creator=account.creator).paused_at is None


def test_a_connection_does_not_end_a_pause_that_a_person_made(account: Account) -> None:
    sending_pause(creator=account.creator, reason="On holiday.")
    tell(account, "accounts.disconnected")
    tell(account, "accounts.connected")
    assert SendingProfile.objects.get(creator=account.creator).paused_reason == "On holiday."


def test_a_kind_without_an_effect_is_applied_by_doing_nothing(account: Account) -> None:
    store(account, {"event": "moons.rising", "account_id": "acct_demo1", "payload": {"id": 5}})
    assert events_apply() == EventsReport(applied=1)


@pytest.mark.parametrize(
    ("kind", "payload", "said"),
    [
        ("messages.received", {"fromUser": None}, "fan"),
        ("messages.received", {"id": None}, "id"),
        ("tips.received", {"amountGross": "much"}, "amountGross"),
        ("messages.ppv.unlocked", {"replacePairs": {"{AMOUNT}": "12 USD"}}, "amount"),
        ("transactions.new", {"net_amount": 9}, "net"),
        ("transactions.new", {"status": "lost"}, "status"),
        ("transactions.new", {"created_at": "yesterday"}, "time"),
    ],
)
def test_an_event_that_cannot_be_read_says_why_and_waits(
    account: Account, kind: str, payload: dict[str, Any], said: str
) -> None:
    assert tell(account, kind, **payload) == EventsReport(failed=1)
    event = WebhookEvent.objects.get()
    assert said in event.error
    assert (event.applied_at, event.retry_at, event.attempts) == (None, None, 1)
    assert not Message.objects.exists()
    assert events_apply() == EventsReport()


def test_one_events_trouble_does_not_hold_up_the_fans_next(account: Account) -> None:
    store(account, recorded("messages.received", id=None))
    store(account, recorded("messages.received"))
    assert events_apply() == EventsReport(applied=1, failed=1)


def test_trouble_of_the_database_is_tried_again_later_and_leaves_nothing_half_done(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(**_: Any) -> None:
        raise OperationalError("lock timeout")

    with monkeypatch.context() as patched:
        patched.setattr(intake, "message_receive", fails)
        assert tell(account, "messages.received") == EventsReport(failed=1)
    event = WebhookEvent.objects.get()
    assert (event.attempts, Fan.objects.exists()) == (1, False)
    assert event.retry_at is not None
    assert events_apply() == EventsReport()
    WebhookEvent.objects.update(retry_at=timezone.now() - timedelta(seconds=1))
    assert events_apply() == EventsReport(applied=1)


def test_what_failed_is_applied_once_it_is_mended(account: Account) -> None:
    event = store(account, recorded("tips.received", amountGross="much"))
    events_apply()
    WebhookEvent.objects.update(body=event.body.replace('"much"', "8"))
    assert events_apply_again(failed=True) == EventsReport(applied=1)
    assert events_apply_again(failed=True) == EventsReport()
    assert Transaction.objects.count() == 1


def test_events_of_one_fan_are_applied_in_the_order_in_which_they_came(account: Account) -> None:
    seen: list[str] = []

    def note(occasion: events.Occasion) -> None:
        seen.append(occasion.event.event_id)

    for number in range(6):
        store(account, recorded("posts.liked", user={"id": 7 + number % 2}), f"evt_{number}")
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(events.EFFECTS, EventKind.POST_LIKED, note)
        events_apply()
    assert seen == [f"evt_{number}" for number in range(6)]


@pytest.mark.django_db(transaction=True)
def test_several_who_apply_share_the_work_and_keep_each_fans_order() -> None:
    account = account_connect(creator=CreatorFactory(), account_id="acct_demo1", api_key="sim_key_demo1")
    for number in range(60):
        person = {"id": 500 + number % 3, "username": f"fan{number % 3}"}
        at = (WROTE + timedelta(seconds=number)).isoformat()
        body = recorded("messages.received", id=9_000 + number, fromUser=person, createdAt=at, text=str(number))
        store(account, {**body, "payload": {**body["payload"], "fanData": None}}, f"evt_{number}")
    reports: list[EventsReport] = []

    def work() -> None:
        try:
            reports.append(events_apply())
        finally:
            connection.close()

    run_together(work, 4)
    # A worker who finds nothing free ends; whoever holds a line goes on with it.
    while events_apply().applied:
        pass
    assert Message.objects.count() == 60
    assert sorted(Conversation.objects.values_list("unread_count", flat=True)) == [20, 20, 20]
    for fan in Fan.objects.all():
        ids = list(Message.objects.filter(conversation__fan=fan).order_by("id").values_list("text", flat=True))
        assert ids == sorted(ids, key=int)


@pytest.mark.django_db(transaction=True)
def test_a_message_that_is_told_twice_at_once_is_stored_once() -> None:
    from crm.services import message_receive

    fan = FanFactory()

    def work() -> None:
        try:
            message_receive(fan=fan, text="hello", received_at=WROTE, platform_message_id="1")
        finally:
            connection.close()

    run_together(work, 4)
    assert Message.objects.count() == 1
    assert Conversation.objects.get().unread_count == 1


def run_together(work: Callable[[], None], count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_deliveries_are_untouched_by_a_fans_message(account: Account) -> None:
    delivery = delivery_make(fan=FanFactory(creator=account.creator, platform_id="1000005"))
    tell(account, "messages.received")
    assert Delivery.objects.get().state == delivery.state
