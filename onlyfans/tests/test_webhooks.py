"""Answers whether only the vendor gets an event in, and each one once."""

import json
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.http import HttpResponse
from django.test import Client

from crm.models import Creator
from crm.tests.factories import CreatorFactory
from onlyfans.models import Account, WebhookEvent
from onlyfans.services import account_connect, account_disconnect, account_secret_rotate, webhook_event_prune
from onlyfans.webhook_auth import sign

pytestmark = pytest.mark.django_db
EVENTS = Path(__file__).parent / "events"
SECRET = "the secret of the tests"
BODY = (EVENTS / "messages.received.json").read_bytes()


@pytest.fixture
def account() -> Account:
    return account_make()


def account_make(creator: Creator | None = None, account_id: str = "acct_demo1") -> Account:
    account = account_connect(creator=creator or CreatorFactory(), account_id=account_id, api_key="sim_key_demo1")
    account_secret_rotate(account=account, secret=SECRET)
    return account


def post(body: bytes, *, key: str = "acct_demo1", event_id: str = "evt_1", **headers: str) -> HttpResponse:
    sent = {"Signature": sign(body, SECRET), "X-OFAPI-Idempotency-Key": event_id, **headers}
    client = Client(enforce_csrf_checks=True)
    answer: Any = client.post(
        f"/api/onlyfans/webhooks/{key}",
        body,
        content_type="application/json",
        headers={name: value for name, value in sent.items() if value},
    )
    return answer


def test_an_event_is_stored_as_it_came_before_it_is_answered(account: Account) -> None:
    answer = post(BODY)
    event = WebhookEvent.objects.get()
    assert (answer.status_code, answer.json()) == (200, {"stored": True})
    assert (event.account, event.event_id, event.kind, event.body) == (
        account,
        "evt_1",
        "messages.received",
        BODY.decode(),
    )
    assert event.applied_at is None


def test_a_repeated_delivery_is_answered_and_not_stored_again(account: Account) -> None:
    assert [post(BODY).json()["stored"] for _ in range(3)] == [True, False, False]


def test_the_same_event_id_of_another_account_is_another_event(account: Account) -> None:
    account_make(account_id="acct_demo2")
    post(BODY)
    post(BODY.replace(b"acct_demo1", b"acct_demo2"), key="acct_demo2")
    assert WebhookEvent.objects.count() == 2


@time_machine.travel("2026-06-10T18:00:30Z", tick=False)
def test_an_event_without_an_id_is_known_by_what_it_says(account: Account) -> None:
    typing = (EVENTS / "users.typing.json").read_bytes()
    assert [post(typing, event_id="").json()["stored"] for _ in range(2)] == [True, False]
    assert post(typing.replace(b"1000005", b"1000007"), event_id="").json()["stored"]


def test_typing_again_an_hour_later_is_news(account: Account) -> None:
    typing = (EVENTS / "users.typing.json").read_bytes()
    for at in ("2026-06-10T18:00:00Z", "2026-06-10T19:00:00Z"):
        with time_machine.travel(at, tick=False):
            assert post(typing, event_id="").json()["stored"]


@pytest.mark.parametrize("signature", ["", "00", "ü", sign(BODY, "another secret"), sign(BODY + b" ", SECRET)])
def test_a_wrong_signature_is_refused(account: Account, signature: str) -> None:
    assert post(BODY, Signature=signature).status_code == 401
    assert not WebhookEvent.objects.exists()


def test_without_a_secret_nobody_gets_in() -> None:
    account_connect(creator=CreatorFactory(), account_id="acct_demo1", api_key="key")
    assert post(BODY, Signature=sign(BODY, "")).status_code == 401


def test_two_secrets_count_while_they_are_rotated(account: Account) -> None:
    account_secret_rotate(account=account, secret="the next")
    assert post(BODY).status_code == 200
    assert post(BODY, event_id="evt_2", Signature=sign(BODY, "the next").upper()).status_code == 200
    account_secret_rotate(account=account, secret="the one after")
    assert post(BODY, event_id="evt_3").status_code == 401


def test_secrets_are_stored_encrypted(account: Account) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT webhook_secret FROM onlyfans_account")
        [[stored]] = cursor.fetchall()
    assert SECRET not in stored


def test_a_strangers_account_is_not_found(account: Account) -> None:
    assert post(BODY, key="acct_nobody").status_code == 404


def test_a_disconnected_account_takes_no_events(account: Account) -> None:
    account_disconnect(creator=account.creator)
    assert post(BODY).status_code == 401


def test_an_event_of_another_account_is_refused(account: Account) -> None:
    answer = post(BODY.replace(b"acct_demo1", b"acct_demo9"))
    assert (answer.status_code, answer.json()["code"]) == (400, "account_mismatch")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"x"', b'{"event": 5}', b"\xff\xfe", b"[" * 50_000, '{"event":"x"}'.encode("utf-16")],
)
def test_what_is_no_event_is_malformed(account: Account, body: bytes) -> None:
    answer = post(body)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


def test_a_body_over_one_megabyte_is_refused_and_one_below_is_not(account: Account) -> None:
    def sized(size: int) -> bytes:
        empty = json.dumps({"event": "x", "account_id": "acct_demo1", "payload": {"a": ""}}).encode()
        return empty.replace(b'""', b'"' + b"a" * (size - len(empty)) + b'"')

    assert post(sized(1_000_001)).status_code == 413
    assert post(sized(1_000_000)).status_code == 200


def test_an_unknown_kind_is_kept(account: Account) -> None:
    body = json.dumps({"event": "moons.rising", "account_id": "acct_demo1", "payload": None}).encode()
    assert post(body).status_code == 200
    assert WebhookEvent.objects.get().kind == "moons.rising"


def test_what_no_text_column_can_hold_is_stored_all_the_same(account: Account) -> None:
    body = BODY.replace(b"hello", b"\\u0000 \\ud800 hello").replace(b"Sam", b"S\\u0000am")
    assert post(body).status_code == 200


def test_events_are_forgotten_some_time_after_they_were_applied(account: Account) -> None:
    from django.utils import timezone

    post(BODY)
    assert webhook_event_prune(applied_before=timezone.now()) == 0
    WebhookEvent.objects.update(applied_at="2026-01-01T00:00:00Z")
    assert webhook_event_prune(applied_before=timezone.now()) == 1
