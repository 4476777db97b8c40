"""Answers whether an operator sees what waits and can have it applied, and whether events are applied as they come."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from crm.models import Message
from crm.tests.factories import CreatorFactory
from onlyfans.management.commands.run_events import event_wait
from onlyfans.models import Account, WebhookEvent
from onlyfans.services import account_connect
from onlyfans.tests.test_events import recorded, store

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def account(db: None) -> Account:
    return account_make()


def account_make() -> Account:
    return account_connect(creator=CreatorFactory(), account_id="acct_demo1", api_key="sim_key_demo1")


def said(*arguments: str) -> str:
    out = StringIO()
    call_command("apply_webhooks", *arguments, stdout=out)
    return out.getvalue()


def test_what_waits_is_applied_and_counted(account: Account) -> None:
    store(account, recorded("messages.received"))
    store(account, recorded("tips.received", amountGross="much"))
    found = json.loads(said("--json"))
    assert (found["applied"], found["failed"], found["waiting"]) == (1, 1, 1)
    assert "amountGross" in found["events"][0]["error"]


def test_a_dry_run_lists_and_applies_nothing(account: Account) -> None:
    store(account, recorded("messages.received"), "evt_a")
    assert "0 applied, 0 failed, 1 waiting\n  evt_a  messages.received  not tried yet" in said("--dry-run")
    assert not Message.objects.exists()


def test_one_event_or_the_failed_ones_are_tried_again(account: Account) -> None:
    event = store(account, recorded("tips.received", amountGross="much"), "evt_a")
    said()
    WebhookEvent.objects.update(body=event.body.replace('"much"', "8"))
    assert said().startswith("0 applied, 0 failed, 1 waiting")
    assert said("--failed").startswith("1 applied")
    with pytest.raises(CommandError, match="evt_a"):
        said("--event", "evt_a")


def test_one_event_is_applied_by_its_id(account: Account) -> None:
    store(account, recorded("messages.received"), "evt_a")
    store(account, recorded("posts.liked"), "evt_b")
    assert said("--event", "evt_a").startswith("1 applied")
    assert WebhookEvent.objects.get(applied_at=None).event_id == "evt_b"


@pytest.mark.django_db(transaction=True)
def test_a_new_event_wakes_whoever_waits() -> None:
    account = account_make()
    event_wait(0.01)

    def tell() -> None:
        store(account, recorded("posts.liked"))
        connection.close()

    timer = threading.Timer(0.2, tell)
    timer.start()
    begun = time.monotonic()
    event_wait(20)
    assert time.monotonic() - begun < 10
    timer.join()


@pytest.mark.django_db(transaction=True)
def test_events_are_applied_as_they_come_until_sigterm() -> None:
    account = account_make()
    database: Any = connection.settings_dict
    url = f"postgresql://{database['USER']}:{database['PASSWORD']}@{database['HOST']}:{database['PORT']}/{database['NAME']}"
    command = [sys.executable, "manage.py", "run_events"]
    with subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "huntaze.settings"}
    ) as process:
        store(account, recorded("messages.received"))
        end = time.monotonic() + 60
        while not Message.objects.exists() and time.monotonic() < end:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert Message.objects.count() == 1
