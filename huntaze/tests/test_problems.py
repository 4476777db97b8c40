"""Answers whether every error under /api is a problem document, and whether a request's id leads to its log lines."""

import json
import logging
from typing import Any

import pytest
import structlog
from django.test import Client
from rest_framework.test import APIClient

from crm.models import Role
from crm.tests.factories import FanFactory, MembershipFactory

pytestmark = pytest.mark.django_db(transaction=True)
SEND = "/api/onlyfans/messages/send"
JSON = "application/json"


@pytest.fixture
def client() -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.force_authenticate(MembershipFactory(role=Role.OWNER).user)
    return client


def assert_problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json"), answer.content
    body: dict[str, Any] = answer.json()
    assert (body["status"], body["code"], body["type"]) == (status, code, "about:blank")
    assert body["title"]
    assert body["detail"]
    return body


@pytest.mark.parametrize("address", ["/api", "/api/", "/api/nowhere", "/api/crm/fans/", "/api/crm/fans/x"])
def test_an_address_that_leads_nowhere(address: str) -> None:
    assert_problem(Client().get(address), 404, "not_found")


@pytest.mark.parametrize(
    "body", ["{", '{"content": NaN}', "[1,", b"\xff", "[" * 5_000, "[" * 950 + "]" * 950, '{"content": "\\ud800"}']
)
def test_a_body_that_cannot_be_read(client: APIClient, body: Any) -> None:
    found = assert_problem(client.post(SEND, body, content_type=JSON), 400, "parse_error")
    assert [(error["field"], error["code"]) for error in found["errors"]] == [("", "parse_error")]


@pytest.mark.parametrize("charset", ["hex", "utf-16", "latin-1", "nonsense"])
def test_json_is_read_as_utf_8_whatever_the_header_calls_it(client: APIClient, charset: str) -> None:
    answer = client.generic("POST", SEND, b"{}", content_type=f"{JSON}; charset={charset}")
    assert_problem(answer, 400, "invalid")


@pytest.mark.parametrize("body", ["[]", '"text"', "1", "null", '{"content": {}}'])
def test_a_body_of_another_shape(client: APIClient, body: str) -> None:
    found = assert_problem(client.post(SEND, body, content_type=JSON), 400, "invalid")
    assert all({"field", "code", "detail"} == set(error) for error in found["errors"])
    assert found["errors"]


def test_a_method_that_is_not_offered(client: APIClient) -> None:
    assert_problem(client.delete(SEND), 405, "method_not_allowed")


def test_a_media_type_that_is_not_read(client: APIClient) -> None:
    assert_problem(client.post(SEND, "x", content_type="text/plain"), 415, "unsupported_media_type")


def test_a_media_type_that_is_not_written(client: APIClient) -> None:
    assert_problem(client.get("/api/analytics/overview", headers={"Accept": "image/png"}), 406, "not_acceptable")


@pytest.mark.parametrize("address", [SEND, "/api/auth/token"])
def test_a_body_that_is_too_large(client: APIClient, address: str) -> None:
    assert_problem(client.post(address, {"content": "x" * 1_000_001}), 413, "too_large")


def test_a_form_that_is_too_large(client: APIClient, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000
    form = {"file": "not a file", "mapping": "x" * 2_000}
    assert_problem(client.post("/api/onlyfans/import/csv", form, format="multipart"), 413, "too_large")


def test_a_form_of_too_many_fields(client: APIClient) -> None:
    form = {f"field{n}": "" for n in range(2_000)}
    assert_problem(client.post("/api/onlyfans/import/csv", form, format="multipart"), 400, "parse_error")


def test_what_nobody_foresaw(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analytics.selectors.overview", lambda **_: 1 / 0)
    assert_problem(client.get("/api/analytics/overview"), 500, "server_error")


def test_a_session_without_its_csrf_token() -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(MembershipFactory().user)
    assert_problem(browser.post(SEND, {}, content_type=JSON), 403, "permission_denied")


def logged(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The lines as production writes them."""
    formats = (handler.formatter for handler in logging.getLogger().handlers)
    line = next(each for each in formats if isinstance(each, structlog.stdlib.ProcessorFormatter))
    return [json.loads(line.format(record)) for record in caplog.records]


def test_the_requests_id_is_on_each_log_line_of_it_and_on_its_answer(
    client: APIClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("analytics.selectors.overview", lambda **_: 1 / 0)
    answers = [
        client.get("/api/analytics/overview", headers={"X-Request-Id": "trace-me"}),
        client.get("/api/nowhere", headers={"X-Request-Id": "trace-me"}),
    ]
    assert {answer["X-Request-Id"] for answer in answers} == {"trace-me"}
    lines = logged(caplog)
    assert len(lines) == 2
    assert {line.get("request_id") for line in lines} == {"trace-me"}


def test_the_requests_id_goes_with_the_message_to_the_queue_and_into_the_log(
    sqs_queues: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="messaging.publishing")
    fan, client = FanFactory(), APIClient()
    client.force_authenticate(MembershipFactory(creator=fan.creator).user)
    body, headers = {"recipientId": f"fan_{fan.pk}", "content": "hi"}, {"X-Request-Id": "trace-me"}
    message_id = client.post(SEND, body, headers=headers).json()["messageId"]
    [message] = sqs_queues.client.receive_message(QueueUrl=sqs_queues.url, WaitTimeSeconds=0)["Messages"]
    assert json.loads(message["Body"])["traceId"] == "trace-me"
    [line] = [line for line in logged(caplog) if line["event"] == "message queued"]
    assert (line["request_id"], line["message_id"]) == ("trace-me", message_id)


def test_an_address_that_leads_nowhere_is_no_expired_form() -> None:
    assert_problem(Client(enforce_csrf_checks=True).post("/api/crm/nothing"), 404, "not_found")
