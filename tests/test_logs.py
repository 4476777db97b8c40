"""Answers whether a whole run's logs hold what somebody wrote, a key or an address of a person. Touches every floor."""

import logging
import time
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient

from crm.models import Message, MessageStatus
from crm.tests.factories import PASSWORD, MembershipFactory
from onlyfans.client import pools_close
from onlyfans.services import account_connect
from onlyfans.simulator.server import SAMPLE_FANS, SimulatorServer
from tests.sending import sending

pytestmark = pytest.mark.django_db(transaction=True)
WORDS = "Only between the two of us: purple-otter-4711"


@pytest.fixture
def signed_in(sqs_queues: Any, simulator: SimulatorServer, settings: Any) -> Any:
    settings.ONLYFANS_API_BASE_URL = simulator.base_url
    membership = MembershipFactory(user__email="nobody-reads-this@example.com")
    account_connect(creator=membership.creator, account_id="acct_demo1", api_key="sim_key_demo1")
    yield membership.user
    pools_close()
    connection.close()


def settled(client: APIClient, text: str) -> str:
    """How the message with this text ended."""
    client.post("/api/onlyfans/messages/send", {"recipientId": "lamartin0", "content": text})
    end = time.monotonic() + 30
    over = (MessageStatus.SENT, MessageStatus.FAILED)
    while not (found := Message.objects.filter(text=text, status__in=over).first()) and time.monotonic() < end:
        time.sleep(0.05)
    assert found is not None
    return found.status


def test_no_log_line_tells_a_text_a_key_or_an_address(
    signed_in: Any, simulator: SimulatorServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    Client().post("/sign-in", {"username": signed_in.email, "password": "Wrong-Password-1"})
    client = APIClient()
    told = client.post("/api/auth/token", {"email": signed_in.email, "password": PASSWORD}).json()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {told['access']}")
    with SAMPLE_FANS.open("rb") as file:
        assert client.post("/api/onlyfans/import/csv", {"file": file}, format="multipart").status_code == 200
    with sending():
        assert settled(client, WORDS) == MessageStatus.SENT
        simulator.fail("status", status=403)
        assert settled(client, f"{WORDS} again") == MessageStatus.FAILED
    logged = "\n".join([caplog.text, *(repr(record.__dict__) for record in caplog.records), *capfd.readouterr()])
    assert "message sent" in logged
    assert "message refused" in logged
    # What was asked of the queue, for which message, by whom, and how it ended; the time is the line's own.
    lines = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    for event in ("message queued", "message sent"):
        line = next(line for line in lines if line["event"] == event)
        assert (bool(line["message_id"]), line["user_id"], bool(line["timestamp"])) == (True, str(signed_in.pk), True)
    assert {line["outcome"] for line in lines if line["event"] == "copy handled"} == {"acknowledge"}
    # The request that wanted it names what the worker said of it.
    asked, done = (
        [line["request_id"] for line in lines if line["event"] == event] for event in ("message queued", "copy handled")
    )
    assert set(done) == set(asked)
    secrets = ("purple-otter", "sim_key_demo1", "@example.com", "Wrong-Password-1", PASSWORD, told["access"])
    assert [secret for secret in secrets if secret in logged] == []
