"""Answers whether a frontend gets from a CSV of fans to a message at the fan. Touches every floor over the API."""

import time
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from crm.models import Fan
from crm.tests.factories import PASSWORD, MembershipFactory
from onlyfans.client import pools_close
from onlyfans.services import account_connect
from onlyfans.simulator.server import SAMPLE_FANS, SimulatorServer
from tests.sending import sending

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def api(sqs_queues: Any, simulator: SimulatorServer, settings: Any) -> Any:
    """Signed in by token, for a creator who is connected to the simulator."""
    settings.ONLYFANS_API_BASE_URL = simulator.base_url
    membership = MembershipFactory()
    account_connect(creator=membership.creator, account_id="acct_demo1", api_key="sim_key_demo1")
    client = APIClient()
    token = client.post("/api/auth/token", {"email": membership.user.email, "password": PASSWORD}).json()["access"]
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    yield client
    pools_close()
    connection.close()


def wait_until_processed(api: APIClient, count: int) -> dict[str, Any]:
    """The status once so many messages are through; what it was at last where they do not come."""
    end = time.monotonic() + 30
    while True:
        status: dict[str, Any] = api.get("/api/onlyfans/messages/status").json()
        if status["metrics"]["messagesProcessedToday"] >= count or time.monotonic() > end:
            return status
        time.sleep(0.05)


def test_from_a_csv_of_fans_to_a_message_delivered(api: APIClient, simulator: SimulatorServer) -> None:
    with SAMPLE_FANS.open("rb") as file:
        imported = api.post("/api/onlyfans/import/csv", {"file": file}, format="multipart")
    assert imported.json()["summary"]["successfulInserts"] == 500

    with sending():
        sent = api.post("/api/onlyfans/messages/send", {"recipientId": "lamartin0", "content": "Hello <Léa> & co"})
        assert (sent.status_code, sent.json()["status"]) == (202, "queued")
        status = wait_until_processed(api, 1)

    assert status["metrics"] == {"messagesQueuedToday": 1, "messagesProcessedToday": 1, "failureRate": 0.0}
    [delivered] = simulator.deliveries()
    assert (delivered["text"], delivered["idempotency_key"]) == ("Hello <Léa> & co", sent.json()["messageId"])
    # The fan who came by handle is known by the platform's id from now on, and still found by the handle.
    assert Fan.objects.get(handle="lamartin0").platform_id == str(simulator.fan_id("lamartin0"))
    assert api.post("/api/onlyfans/messages/send", {"recipientId": "lamartin0", "content": "Again"}).status_code == 202


def test_what_the_platform_refuses_is_failed_with_the_reason_and_can_be_sent_again(
    api: APIClient, simulator: SimulatorServer
) -> None:
    api.post("/api/crm/fans", {"platformId": str(simulator.fan_id("lamartin0")), "handle": "lamartin0"})
    simulator.fail("status", status=403)
    with sending():
        sent = api.post("/api/onlyfans/messages/send", {"recipientId": "lamartin0", "content": "Hello"}).json()
        end = time.monotonic() + 30
        while not (failed := api.get("/api/onlyfans/messages/failed").json()["results"]) and time.monotonic() < end:
            time.sleep(0.05)
        assert [(message["messageId"], message["stage"]) for message in failed] == [(sent["messageId"], "send")]
        assert "does not allow" in failed[0]["reason"]
        again = api.post(f"/api/onlyfans/messages/{sent['messageId']}/retry")
        assert again.status_code == 202
        wait_until_processed(api, 1)
    assert [delivered["idempotency_key"] for delivered in simulator.deliveries()] == [f"{sent['messageId']}-1"]
