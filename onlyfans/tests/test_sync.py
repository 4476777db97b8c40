"""Answers whether a sync brings what is missing, once, goes on where it stopped, and spoils nothing."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.utils import timezone
from onlyfansapi import OnlyFansAPI

from crm.errors import Conflict
from crm.models import Conversation, Fan, Message, Transaction
from crm.tests.factories import CreatorFactory, FanFactory
from onlyfans import client_reads
from onlyfans.events import events_apply
from onlyfans.models import Account, Resource, SyncState
from onlyfans.services import account_connect
from onlyfans.simulator.life import Life
from onlyfans.simulator.server import SimulatorServer
from onlyfans.sync import account_sync
from onlyfans.tests.test_events import recorded, store
from onlyfans.vendor_answers import VendorError

pytestmark = pytest.mark.django_db
TABLES = (Fan, Conversation, Message, Transaction)


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_reads, "ATTEMPTS", 2)


@pytest.fixture
def account(simulator: SimulatorServer, settings: Any) -> Account:
    settings.ONLYFANS_API_BASE_URL = simulator.base_url
    return account_connect(creator=CreatorFactory(), account_id="acct_demo1", api_key="sim_key_demo1")


def writes(simulator: SimulatorServer, text: str, username: str = "samito1") -> int:
    message = simulator.life(lambda life, account, fan: life.writes(account, fan, text), username=username)
    return int(message.id)


def answers(simulator: SimulatorServer, text: str, username: str = "samito1") -> None:
    with OnlyFansAPI(api_key="sim_key_demo1", base_url=simulator.base_url, max_retries=0) as sdk:
        sdk.chats.messages.send(simulator.fan_id(username), account="acct_demo1", text=text)


def rows() -> list[Any]:
    return [list(table.objects.order_by("pk").values()) for table in TABLES]


def test_every_fan_comes_with_id_and_total_and_those_known_by_handle_get_theirs(
    account: Account, simulator: SimulatorServer
) -> None:
    by_handle = FanFactory(creator=account.creator, platform_id="samito1", handle="samito1", name="My Sam")
    report = account_sync(account, resources=[Resource.FANS])
    by_handle.refresh_from_db()
    assert (by_handle.platform_id, by_handle.name) == (simulator.fan_id("samito1"), "My Sam")
    assert by_handle.subscribed is not None
    assert by_handle.value_as_of is not None
    assert (report.counts["fans"].seen, report.pages, Fan.objects.count()) == (500, 25, 500)


def test_a_chat_comes_in_order_with_what_is_unread(account: Account, simulator: SimulatorServer) -> None:
    writes(simulator, "first")
    answers(simulator, "our answer")
    writes(simulator, "second")
    writes(simulator, "third")
    account_sync(account, resources=[Resource.CHATS])
    conversation = Conversation.objects.get()
    told = list(Message.objects.order_by("created_at", "id").values_list("text", "direction", "read"))
    assert told == [
        ("first", "in", True),
        ("our answer", "out", False),
        ("second", "in", False),
        ("third", "in", False),
    ]
    assert conversation.unread_count == 2
    assert conversation.last_message is not None
    assert conversation.last_message.text == "third"


def test_the_same_sync_again_changes_nothing(account: Account, simulator: SimulatorServer) -> None:
    writes(simulator, "hey")
    simulator.life(Life.tips, username="samito1")
    resources = [Resource.CHATS, Resource.TRANSACTIONS]
    account_sync(account, resources=resources)
    before = rows()
    report = account_sync(account, resources=resources)
    assert [report.counts[name].new for name in resources] == [0, 0]
    assert [
        [{**row, "value_as_of": None, "updated_at": None, "version": None} for row in table] for table in rows()
    ] == [[{**row, "value_as_of": None, "updated_at": None, "version": None} for row in table] for table in before]


def test_what_the_webhooks_missed_is_filled_in_and_what_they_told_is_not_doubled(
    account: Account, simulator: SimulatorServer
) -> None:
    fan = {"id": int(simulator.fan_id("samito1")), "username": "samito1", "name": "Sam Ito"}
    told = writes(simulator, "told by an event")
    writes(simulator, "missed")
    now = datetime.now(UTC).isoformat()
    store(account, recorded("messages.received", id=told, fromUser=fan, createdAt=now, fanData=None))
    simulator.life(Life.tips, username="samito1")
    events_apply()
    account_sync(account, resources=[Resource.CHATS, Resource.TRANSACTIONS])
    assert Message.objects.count() == 2
    money = Transaction.objects.get()
    notice = recorded("tips.received", user=fan, createdAt=now, amountGross=money.gross_cents / 100)
    notice["payload"]["amountNet"] = money.net_cents / 100
    store(account, notice, "evt_late")
    events_apply()
    assert Transaction.objects.get().notice_id is not None


def test_chats_and_money_from_before_are_left_alone(account: Account, simulator: SimulatorServer) -> None:
    writes(simulator, "hey")
    simulator.life(Life.tips, username="samito1")
    later = timezone.now() + timedelta(hours=1)
    account_sync(account, since=later, resources=[Resource.CHATS, Resource.TRANSACTIONS])
    assert not Message.objects.exists()
    assert not Transaction.objects.exists()


def test_an_interrupted_sync_goes_on_after_its_last_page(account: Account, simulator: SimulatorServer) -> None:
    pages: list[int] = []

    def fail_soon(count: int) -> None:
        pages.append(count)
        if count == 3:
            simulator.fail(status=500, on="list", times=2)

    with pytest.raises(VendorError):
        account_sync(account, resources=[Resource.FANS], each=fail_soon)
    assert SyncState.objects.get().cursor == "60"
    assert account_sync(account, resources=[Resource.FANS]).pages == 22
    state = SyncState.objects.get()
    assert (state.cursor, Fan.objects.count()) == ("", 500)
    assert state.finished_at is not None


def test_a_page_that_fails_once_is_asked_for_again(account: Account, simulator: SimulatorServer) -> None:
    writes(simulator, "hey")
    simulator.fail(status=429, on="list", retry_after="0")
    account_sync(account, resources=[Resource.CHATS])
    assert Message.objects.count() == 1


def test_a_second_sync_at_the_same_time_is_refused(account: Account) -> None:
    other = connections["default"].copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(hashtextextended('onlyfans.account_sync', %s))", [account.pk])
            with pytest.raises(Conflict):
                account_sync(account)
    finally:
        other.close()


def said(*arguments: str) -> Any:
    out = StringIO()
    call_command("sync_onlyfans", *arguments, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_the_command_counts_and_a_dry_run_stores_nothing(account: Account, simulator: SimulatorServer) -> None:
    writes(simulator, "hey")
    dry = said("--all", "--only", "chats", "--dry-run")
    assert dry["accounts"][0]["counts"]["chats"]["seen"] == 1
    assert not Message.objects.exists()
    assert not SyncState.objects.exists()
    found = said("--creator", str(account.creator_id), "--only", "chats", "--since", "2020-01-01")
    assert found["accounts"][0]["counts"]["chats"] == {"seen": 1, "new": 1, "unreadable": 0}


def test_the_command_names_what_is_wrong(account: Account) -> None:
    with pytest.raises(CommandError, match="--all"):
        call_command("sync_onlyfans")
    with pytest.raises(CommandError, match="creator"):
        call_command("sync_onlyfans", "--creator", "999999")
    with pytest.raises(CommandError, match="2026-01-31"):
        call_command("sync_onlyfans", "--all", "--since", "soon")
    Account.objects.update(api_key="wrong")
    with pytest.raises(CommandError, match="acct_demo1"):
        call_command("sync_onlyfans", "--all", stdout=StringIO())
