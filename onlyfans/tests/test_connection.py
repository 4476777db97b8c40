"""Answers whether a creator's account is connected, checked and disconnected, by page and API, with the simulator."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from crm.models import Creator, Membership, MessageStatus, Role
from crm.selectors import MANAGERS
from crm.tests.factories import CreatorFactory, FanFactory, MembershipFactory
from messaging.models import Delivery, SendingProfile
from messaging.services import sending_pause
from messaging.tests.factories import delivery_make
from onlyfans import client_reads
from onlyfans.account_client import vendor_client
from onlyfans.models import Account, AccountState, Resource, SyncState
from onlyfans.services import account_connect, account_state_set
from onlyfans.simulator import shapes
from onlyfans.simulator.app import AGENCY_KEY, EMPTY_KEY
from onlyfans.simulator.server import SimulatorServer
from onlyfans.vendor_answers import VendorError

pytestmark = pytest.mark.django_db
PAGE = "/platforms/connect/onlyfans"
API = "/api/onlyfans/account"
KEY = "sim_key_demo1"


@pytest.fixture(autouse=True)
def vendor(simulator: SimulatorServer, settings: Any) -> SimulatorServer:
    settings.ONLYFANS_API_BASE_URL = simulator.base_url
    return simulator


@pytest.fixture
def owner() -> Membership:
    return MembershipFactory.create()


def client_of(membership: Membership) -> Client:
    client = Client()
    client.force_login(membership.user)
    return client


def connect(membership: Membership, key: str = KEY, **fields: str) -> Any:
    return client_of(membership).post(PAGE, {"key": key, **fields}, follow=True)


def call(membership: Membership, method: str, body: dict[str, Any] | None = None) -> Any:
    return getattr(client_of(membership), method)(API, body or "", content_type="application/json")


def account_of(membership: Membership) -> Account:
    return Account.objects.get(creator=membership.creator)


def pause_of(creator: Creator) -> str | None:
    """The code of the pause; None while messages go out."""
    profile = SendingProfile.objects.filter(creator=creator).first()
    return profile.paused_code if profile and profile.paused_at else None


def webhooks_of(account: Account) -> list[str]:
    return list(client_reads.webhooks(vendor_client(account)).values())


def away(*args: Any, **kwargs: Any) -> dict[str, str]:
    raise VendorError("unreachable", "The vendor could not be reached.", not_sent=True)


def colleague(membership: Membership, role: Role) -> Membership:
    return MembershipFactory.create(creator=membership.creator, role=role)


def test_a_key_of_one_account_connects_it_and_has_events_sent_here(owner: Membership) -> None:
    page = connect(owner).content.decode()
    account = account_of(owner)
    assert (account.account_id, account.api_key, account.state) == ("acct_demo1", KEY, AccountState.CONNECTED)
    assert webhooks_of(account) == ["http://testserver/api/onlyfans/webhooks/acct_demo1"]
    assert account.webhook_registered_at is not None
    assert "acct_demo1 is connected." in page


def test_the_key_is_stored_encrypted_and_not_shown_again(owner: Membership, caplog: pytest.LogCaptureFixture) -> None:
    pages = [connect(owner), client_of(owner).get(PAGE), call(owner, "get")]
    assert all(KEY not in page.content.decode() for page in pages)
    assert KEY not in caplog.text
    with connection.cursor() as cursor:
        cursor.execute("SELECT api_key FROM onlyfans_account")
        assert KEY not in str(cursor.fetchall())


def test_only_who_manages_sees_how_the_key_ends(owner: Membership) -> None:
    connect(owner)
    assert "<code>emo1</code>" in client_of(owner).get(PAGE).content.decode()
    assert "<code>emo1</code>" not in client_of(colleague(owner, Role.CHATTER)).get(PAGE).content.decode()


@pytest.mark.parametrize(
    ("key", "status", "words"),
    [
        ("", 422, "A key is 1 to 500"),
        ("two words", 422, "A key is 1 to 500"),
        ("sim_key_wrong", 422, "does not accept this key"),
        (EMPTY_KEY, 422, "reaches no OnlyFans account"),
    ],
)
def test_a_key_that_cannot_work_is_told_in_place(owner: Membership, key: str, status: int, words: str) -> None:
    answer = connect(owner, key)
    assert (answer.status_code, words in answer.content.decode()) == (status, True)
    assert 'aria-invalid="true"' in answer.content.decode()
    assert not Account.objects.exists()


@pytest.mark.parametrize("fault", [{"status": 502, "kind": "html"}, {"status": 429}, {"kind": "drop"}])
def test_a_vendor_that_is_away_changes_nothing(
    owner: Membership, vendor: SimulatorServer, fault: dict[str, Any]
) -> None:
    vendor.fail(on="any", **fault)
    answer = connect(owner)
    assert (answer.status_code, "try again in a few minutes" in answer.content.decode()) == (503, True)
    assert not Account.objects.exists()


def test_credits_that_are_used_up_are_named(owner: Membership, vendor: SimulatorServer) -> None:
    vendor.fail(on="any", status=402)
    assert "Top them up" in connect(owner).content.decode()


def test_a_key_of_several_accounts_asks_which_one(owner: Membership) -> None:
    page = connect(owner, AGENCY_KEY).content.decode()
    assert page.count('type="radio"') == 3
    assert AGENCY_KEY not in page
    assert not Account.objects.exists()
    connect(owner, AGENCY_KEY, account="acct_demo2")
    assert account_of(owner).account_id == "acct_demo2"
    assert webhooks_of(account_of(owner)) == ["http://testserver/api/onlyfans/webhooks/acct_demo2"]


def test_an_account_that_the_key_does_not_reach_is_refused(owner: Membership) -> None:
    answer = connect(owner, account="acct_demo2")
    assert (answer.status_code, "does not reach that account" in answer.content.decode()) == (422, True)


def test_an_account_of_another_creator_is_refused(owner: Membership) -> None:
    account_connect(creator=CreatorFactory(), account_id="acct_demo1", api_key=KEY)
    answer = connect(owner)
    assert (answer.status_code, "Another creator is or was" in answer.content.decode()) == (422, True)
    assert not Account.objects.filter(creator=owner.creator).exists()


def test_a_new_key_takes_the_place_of_the_old_for_the_same_account(owner: Membership) -> None:
    connect(owner)
    SyncState.objects.create(account=account_of(owner), resource=Resource.FANS, cursor="20")
    connect(owner, AGENCY_KEY)
    assert (account_of(owner).account_id, account_of(owner).api_key) == ("acct_demo1", AGENCY_KEY)
    assert len(webhooks_of(account_of(owner))) == 1
    assert SyncState.objects.get().cursor == "20"


def test_another_account_takes_the_place_of_the_old_only_when_it_is_named(owner: Membership) -> None:
    connect(owner)
    SyncState.objects.create(account=account_of(owner), resource=Resource.FANS, cursor="20")
    page = connect(owner, "sim_key_demo2").content.decode()
    assert "does not reach the account that was connected here" in page
    assert account_of(owner).account_id == "acct_demo1"
    connect(owner, "sim_key_demo2", account="acct_demo2")
    assert account_of(owner).account_id == "acct_demo2"
    assert not SyncState.objects.exists()


@pytest.fixture
def waiting(owner: Membership) -> Delivery:
    """A message that waits to be sent from the account that is connected."""
    connect(owner)
    return delivery_make(fan=FanFactory(creator=owner.creator), state=MessageStatus.PARKED)


def test_the_page_says_what_waits_before_another_account_is_connected(owner: Membership, waiting: Delivery) -> None:
    answer = connect(owner, "sim_key_demo2", account="acct_demo2")
    page = answer.content.decode()
    assert (answer.status_code, "1 message still waits to be sent from acct_demo1" in page) == (200, True)
    assert '<input type="hidden" name="account" value="acct_demo2">' in page
    assert (account_of(owner).account_id, account_of(owner).api_key) == ("acct_demo1", KEY)
    connect(owner, "sim_key_demo2", account="acct_demo2", cancel_waiting="1")
    waiting.refresh_from_db()
    assert (account_of(owner).account_id, waiting.state) == ("acct_demo2", MessageStatus.CANCELLED)


def test_the_api_says_what_waits_before_another_account_is_connected(owner: Membership, waiting: Delivery) -> None:
    wanted = {"apiKey": "sim_key_demo2", "accountId": "acct_demo2"}
    refused = call(owner, "post", wanted)
    problem = refused.json()
    assert (refused.status_code, problem["code"], problem["waiting"]) == (409, "messages_waiting", 1)
    assert call(owner, "post", {**wanted, "cancelWaiting": "yes"}).status_code == 400
    assert account_of(owner).account_id == "acct_demo1"
    assert call(owner, "post", {**wanted, "cancelWaiting": True}).json()["accountId"] == "acct_demo2"
    waiting.refresh_from_db()
    assert waiting.state == MessageStatus.CANCELLED


def test_another_key_of_the_same_account_leaves_what_waits(owner: Membership, waiting: Delivery) -> None:
    connect(owner, AGENCY_KEY, cancel_waiting="1")
    waiting.refresh_from_db()
    assert (account_of(owner).api_key, waiting.state) == (AGENCY_KEY, MessageStatus.PARKED)


def test_an_account_that_is_taken_cancels_nothing(owner: Membership, waiting: Delivery) -> None:
    account_connect(creator=CreatorFactory(), account_id="acct_demo2", api_key="k")
    assert connect(owner, "sim_key_demo2", account="acct_demo2", cancel_waiting="1").status_code == 422
    waiting.refresh_from_db()
    assert waiting.state == MessageStatus.PARKED


def test_an_account_without_a_session_is_connected_and_says_so(
    owner: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = shapes.account_shape
    monkeypatch.setattr(shapes, "account_shape", lambda account: {**shape(account), "is_authenticated": False})
    assert "Sign in again at the vendor" in connect(owner).content.decode()
    assert account_of(owner).state == AccountState.SESSION_EXPIRED
    assert pause_of(owner.creator) == AccountState.SESSION_EXPIRED


def test_without_events_it_is_connected_all_the_same_and_a_check_asks_again(
    owner: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(client_reads, "webhooks", away)
        assert "could not be told to send events here" in connect(owner).content.decode()
    assert account_of(owner).state == AccountState.CONNECTED
    assert "They do not" in client_of(owner).get(PAGE).content.decode()
    client_of(owner).post(f"{PAGE}/check")
    assert account_of(owner).webhook_registered_at is not None


def test_disconnecting_asks_first(owner: Membership) -> None:
    connect(owner)
    client_of(owner).post(f"{PAGE}/disconnect")
    assert account_of(owner).state == AccountState.CONNECTED


def test_disconnecting_stops_sending_and_events_and_connecting_again_resumes(owner: Membership) -> None:
    connect(owner)
    client_of(owner).post(f"{PAGE}/disconnect", {"confirm": "1"})
    account = account_of(owner)
    assert (account.state, account.webhook_secret) == (AccountState.DISCONNECTED, None)
    assert pause_of(owner.creator) == AccountState.DISCONNECTED
    assert webhooks_of(account) == []
    client_of(owner).post(f"{PAGE}/check")
    assert account_of(owner).state == AccountState.CONNECTED
    assert pause_of(owner.creator) is None
    assert len(webhooks_of(account)) == 1


def test_a_vendor_that_is_away_does_not_hold_up_a_disconnection(owner: Membership, vendor: SimulatorServer) -> None:
    connect(owner)
    vendor.fail(on="any", status=500)
    client_of(owner).post(f"{PAGE}/disconnect", {"confirm": "1"})
    assert account_of(owner).state == AccountState.DISCONNECTED


def test_connecting_again_leaves_a_pause_of_another_cause(owner: Membership) -> None:
    connect(owner)
    sending_pause(creator=owner.creator, reason="Holidays", code="")
    client_of(owner).post(f"{PAGE}/disconnect", {"confirm": "1"})
    connect(owner)
    assert pause_of(owner.creator) == ""


def test_a_connection_ends_the_pause_of_a_missing_account(owner: Membership) -> None:
    sending_pause(creator=owner.creator, reason="No account", code="account_missing")
    connect(owner)
    assert pause_of(owner.creator) is None


@pytest.mark.parametrize("role", [Role.CHATTER, Role.ANALYST])
def test_other_teammates_see_the_state_and_no_controls(owner: Membership, role: Role) -> None:
    connect(owner)
    client = client_of(colleague(owner, role))
    page = client.get(PAGE).content.decode()
    assert "acct_demo1" in page
    assert not any(each in page for each in ('name="key"', "/connect/onlyfans/check", "/connect/onlyfans/disconnect"))
    posts = [client.post(f"{PAGE}{more}", {"key": KEY, "confirm": "1"}) for more in ("", "/check", "/disconnect")]
    assert {answer.status_code for answer in posts} == {403}
    assert account_of(owner).state == AccountState.CONNECTED


@pytest.mark.parametrize("role", sorted(MANAGERS))
def test_who_manages_connects_and_disconnects_by_the_api(owner: Membership, role: Role) -> None:
    member = colleague(owner, role)
    connected = call(member, "post", {"apiKey": KEY})
    assert (connected.status_code, connected.json()["state"]) == (200, "connected")
    assert connected.json()["webhookRegisteredAt"] is not None
    assert call(member, "delete").status_code == 204
    assert call(member, "get").json()["state"] == "disconnected"
    assert call(member, "delete").status_code == 204


def test_the_api_names_the_field_or_the_accounts(owner: Membership) -> None:
    wrong = call(owner, "post", {"apiKey": "sim_key_wrong"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (400, "apiKey")
    unreached = call(owner, "post", {"apiKey": KEY, "accountId": "acct_demo2"})
    assert (unreached.status_code, unreached.json()["errors"][0]["field"]) == (400, "accountId")
    several = call(owner, "post", {"apiKey": AGENCY_KEY})
    assert (several.status_code, several.json()["code"]) == (409, "account_not_named")
    assert [each["accountId"] for each in several.json()["accounts"]] == ["acct_demo1", "acct_demo2", "acct_demo3"]


def test_the_api_says_when_nothing_was_ever_connected(owner: Membership) -> None:
    assert call(owner, "get").json() == {
        "state": None,
        "accountId": "",
        "connectedAt": None,
        "webhookRegisteredAt": None,
        "lastEventAt": None,
        "synced": [],
    }


def test_the_state_says_how_far_a_sync_is(owner: Membership) -> None:
    connect(owner)
    at = timezone.now() - timedelta(hours=1)
    SyncState.objects.create(account=account_of(owner), resource=Resource.CHATS, finished_at=at)
    synced = {each["resource"]: each["finishedAt"] for each in call(owner, "get").json()["synced"]}
    assert synced["fans"] is None
    assert synced["chats"] is not None


def test_a_stranger_sees_their_own_account_alone(owner: Membership) -> None:
    connect(owner)
    stranger = MembershipFactory.create()
    assert "acct_demo1" not in client_of(stranger).get(PAGE).content.decode()
    client_of(stranger).post(f"{PAGE}/disconnect", {"confirm": "1"})
    assert client_of(stranger).post(f"{PAGE}/check").status_code == 422
    assert account_of(owner).state == AccountState.CONNECTED


@pytest.mark.parametrize(
    ("state", "words", "way_out"),
    [
        (AccountState.DISCONNECTED, "is disconnected", "Connect it"),
        (AccountState.SESSION_EXPIRED, "session ended", "Connect it again"),
    ],
)
def test_the_inbox_says_so_and_leads_to_the_page(
    owner: Membership, state: AccountState, words: str, way_out: str
) -> None:
    connect(owner)
    assert "Connect it" not in client_of(owner).get("/messages/onlyfans").content.decode()
    account_state_set(account=account_of(owner), state=state)
    inbox = client_of(owner).get("/messages/onlyfans").content.decode()
    assert words in inbox
    assert f'<a href="{PAGE}">{way_out}</a>' in inbox
