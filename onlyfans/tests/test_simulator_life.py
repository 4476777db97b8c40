"""Answers whether the simulator's fans live as told, and whether what they do reaches the product by its webhooks."""

import json
import time
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import httpx
import pytest
from django.core.management import CommandError, call_command
from onlyfansapi import OnlyFansAPI
from pytest_django.live_server_helper import LiveServer

from crm.models import Conversation, Fan, Message, Transaction
from crm.tests.factories import CreatorFactory
from onlyfans.events import events_apply
from onlyfans.models import Account, WebhookEvent
from onlyfans.services import account_connect
from onlyfans.simulator.life import Life
from onlyfans.simulator.server import SimulatorServer

ACCOUNT = "acct_demo1"


@pytest.fixture
def sdk(simulator: SimulatorServer) -> Iterator[OnlyFansAPI]:
    with OnlyFansAPI(api_key="sim_key_demo1", base_url=simulator.base_url, max_retries=0, timeout=5) as sdk:
        yield sdk


def until(found: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, "it did not come in time"
        time.sleep(0.02)


def test_the_sdk_makes_lists_and_deletes_webhooks(sdk: OnlyFansAPI) -> None:
    made = sdk.webhooks.create(
        account_scope="inclusive",
        account_ids=[ACCOUNT],
        endpoint_url="http://127.0.0.1:9/x",
        events=["tips.received"],
        signing_secret="s",
    ).data
    assert made is not None
    assert (made.url, made.events, made.has_signing_secret) == ("http://127.0.0.1:9/x", ["tips.received"], True)
    assert [each.id for each in sdk.webhooks.list().data or []] == [made.id]
    sdk.webhooks.delete(str(made.id))
    assert sdk.webhooks.list().data == []


def test_the_sdk_pages_through_transactions_by_kind_and_date(sdk: OnlyFansAPI, simulator: SimulatorServer) -> None:
    for _ in range(3):
        simulator.life(Life.tips, username="samito1")
    simulator.life(Life.renews, username="samito1")
    first = sdk.transactions.list(ACCOUNT, limit="2", type="tips").data
    assert first is not None
    assert first.has_more
    rest = sdk.transactions.list(ACCOUNT, limit="2", type="tips", marker=str(first.next_marker)).data
    assert rest is not None
    ids = [each.id for each in [*(first.list or []), *(rest.list or [])]]
    assert (len(set(ids)), rest.has_more) == (3, False)
    later = sdk.transactions.list(ACCOUNT, start_date="2100-01-01").data
    assert later is not None
    assert later.list == []


def test_a_fans_message_is_in_the_chat_unread_and_takes_nothing_of_the_limit(
    sdk: OnlyFansAPI, simulator: SimulatorServer
) -> None:
    simulator.configure(messages=1, window_seconds=60)
    simulator.life(lambda life, account, fan: life.writes(account, fan, "1 < 2"), username="samito1")
    [chat] = sdk.chats.list(ACCOUNT).data or []
    assert chat.last_message is not None
    assert (chat.unread_messages_count, chat.last_message.text) == (1, "<p>1 &lt; 2</p>")
    assert simulator.deliveries() == []
    sdk.chats.messages.send(simulator.fan_id("samito1"), account=ACCOUNT, text="Hi")


def test_fans_live_at_the_speed_that_is_asked_for(sdk: OnlyFansAPI, simulator: SimulatorServer) -> None:
    simulator.configure(life=1_000)
    until(lambda: len(sdk.chats.list(ACCOUNT).data or []) > 3)
    simulator.configure(life=0)
    time.sleep(0.3)
    before = sdk.chats.list(ACCOUNT).data
    time.sleep(0.5)
    assert sdk.chats.list(ACCOUNT).data == before


@pytest.mark.parametrize("life", [-1, "fast"])
def test_a_speed_that_is_none_is_refused(simulator: SimulatorServer, life: Any) -> None:
    assert httpx.post(f"{simulator.base_url}/_control", json={"life": life}).status_code == 422


# --- As far as the product ------------------------------------------------------------------------------------------


@pytest.fixture
def account(transactional_db: None, live_server: LiveServer, simulator: SimulatorServer, settings: Any) -> Account:
    """A connected account whose events reach a server of the product."""
    settings.ONLYFANS_API_BASE_URL = simulator.base_url
    account = account_connect(creator=CreatorFactory(), account_id=ACCOUNT, api_key="sim_key_demo1")
    call_command("connect_webhooks", "--url", live_server.url, stdout=StringIO())
    account.refresh_from_db()
    return account


def applied(kind: str) -> bool:
    events_apply(limit=20)
    return WebhookEvent.objects.filter(kind=kind, applied_at__isnull=False).exists()


def test_a_fan_who_writes_stands_in_the_inbox(account: Account, simulator: SimulatorServer) -> None:
    simulator.life(lambda life, account, fan: life.writes(account, fan, "hey & you"), username="samito1")
    until(lambda: applied("messages.received"))
    assert Message.objects.get().text == "hey & you"
    conversation = Conversation.objects.select_related("fan").get()
    assert (conversation.unread_count, conversation.fan.platform_id) == (1, simulator.fan_id("samito1"))


def test_a_tip_counts_once_though_two_events_tell_it(account: Account, simulator: SimulatorServer) -> None:
    simulator.life(Life.tips, username="samito1")
    until(lambda: applied("tips.received") and applied("transactions.new"))
    assert Fan.objects.get().value_cents == Transaction.objects.get().gross_cents


def test_a_message_sent_by_the_api_is_bought_and_answered(account: Account, simulator: SimulatorServer) -> None:
    with OnlyFansAPI(api_key="sim_key_demo1", base_url=simulator.base_url, max_retries=0) as sdk:
        fan_id = simulator.fan_id("samito1")
        simulator.configure(life=40)
        for _ in range(12):
            sdk.chats.messages.send(fan_id, account=ACCOUNT, text="For you", media_files=["m"], price=12)
        until(lambda: applied("messages.ppv.unlocked") and applied("messages.received"))
        simulator.configure(life=0)
    bought = Transaction.objects.filter(kind="message")
    assert bought[0].gross_cents == 1_200
    assert bought[0].message is not None


def test_connecting_again_changes_nothing_and_a_rotation_takes_the_olds_place(
    account: Account, live_server: LiveServer, simulator: SimulatorServer
) -> None:
    def connect(*more: str) -> Any:
        out = StringIO()
        call_command("connect_webhooks", "--url", live_server.url, "--json", *more, stdout=out)
        [found] = json.loads(out.getvalue())["accounts"]
        return found["state"]

    assert connect() == "there"
    assert connect("--rotate") == "made"
    known = Account.objects.get()
    assert known.webhook_secret_previous == account.webhook_secret != known.webhook_secret
    simulator.life(lambda life, account, fan: life.writes(account, fan, "hey"), username="samito1")
    until(lambda: applied("messages.received"))
    assert WebhookEvent.objects.filter(kind="messages.received").count() == 1


def test_an_account_that_the_vendor_refuses_is_named(account: Account, simulator: SimulatorServer) -> None:
    Account.objects.update(api_key="wrong")
    with pytest.raises(CommandError, match=ACCOUNT):
        call_command("connect_webhooks", "--url", "https://crm.example.com", stdout=StringIO())
    with pytest.raises(CommandError, match="address"):
        call_command("connect_webhooks", "--url", "crm.example.com", stdout=StringIO())
