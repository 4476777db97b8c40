"""While RATE_LIMITER_ENABLED is false: each message is logged by its id, and SQS is asked for nothing."""

import logging
from typing import Any

import pytest
from django.core.management import call_command
from rest_framework.test import APIClient

from crm.models import Message
from crm.tests.factories import FanFactory, MembershipFactory
from messaging import connectivity, queue, vitals
from messaging.management.commands import run_worker
from messaging.models import Delivery
from messaging.worker import Worker

pytestmark = pytest.mark.django_db(transaction=True)
TEXT = "Only between the two of us"


@pytest.fixture
def off(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limiter off, and an SQS client that fails the test which asks for it."""
    settings.RATE_LIMITER_ENABLED = False

    def asked(**kwargs: Any) -> None:
        raise AssertionError("SQS was asked")

    monkeypatch.setattr(queue, "client", asked)


@pytest.fixture
def client() -> APIClient:
    membership = MembershipFactory()
    for number in range(3):
        FanFactory(creator=membership.creator, platform_id=f"fan{number}", name="Marie Dupont")
    client = APIClient()
    client.force_authenticate(membership.user)
    return client


def logged(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    found = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    return [event for event in found if event["event"] == "message bypassed: the rate limiter is off"]


RECIPIENTS = [f"fan{number}" for number in range(3)]


@pytest.mark.parametrize(
    ("path", "body", "count"),
    [
        ("/api/onlyfans/messages/send", {"recipientId": "fan0", "content": TEXT}, 1),
        ("/api/messages/bulk", {"recipientIds": RECIPIENTS, "content": TEXT}, 3),
        (
            "/api/messages/campaigns",
            {"name": "Autumn", "content": TEXT, "audience": {"recipientIds": RECIPIENTS}},
            3,
        ),
    ],
)
def test_every_message_is_logged_by_its_id_and_without_its_text(
    off: None, client: APIClient, caplog: pytest.LogCaptureFixture, path: str, body: dict[str, Any], count: int
) -> None:
    caplog.set_level(logging.INFO)
    assert client.post(path, body).status_code == 202
    ids = {str(message_id) for message_id in Message.objects.values_list("pk", flat=True)}
    assert len(ids) == count
    assert {event["message_id"] for event in logged(caplog)} == ids
    assert len(logged(caplog)) == count
    assert {delivery.state for delivery in Delivery.objects.all()} == {"bypassed"}
    assert not any(TEXT in str(record.msg) or "Dupont" in str(record.msg) for record in caplog.records)


def test_what_is_rolled_back_is_not_logged(
    off: None, client: APIClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("crm.idempotent_api.OnceAPIView.stored", lambda *_: 1 / 0)
    client.raise_request_exception = False
    answer = client.post(
        "/api/onlyfans/messages/send",
        {"recipientId": "fan0", "content": TEXT},
        headers={"Idempotency-Key": "key-1"},
    )
    assert answer.status_code == 500
    assert logged(caplog) == []


def test_no_process_asks_sqs_for_anything(off: None, client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    connectivity.connectivity_test()
    vitals.vitals_measure()
    call_command("queue_status")
    assert client.get("/api/onlyfans/messages/status").json()["queueDepth"] is None
    assert client.get("/api/monitoring/onlyfans").json()["queue"]["queueDepth"] is None
    monkeypatch.setattr(run_worker.signal, "signal", lambda *_: None)
    # It stays up and idle, so that no supervisor starts it over and over.
    worker = Worker()
    monkeypatch.setattr(run_worker, "Worker", lambda: worker)
    monkeypatch.setattr(worker, "run", lambda: worker._poll_forever())
    call_command("run_worker")


def test_a_worker_needs_no_queue_then(off: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.AWS_REGION = settings.SQS_RATE_LIMITER_QUEUE_URL = ""
    monkeypatch.setattr(run_worker.signal, "signal", lambda *_: None)
    ran: list[bool] = []
    monkeypatch.setattr(Worker, "run", lambda self: ran.append(True))
    call_command("run_worker")
    assert ran == [True]
