"""Answers what each answer of OFAuth becomes behind messaging's port. Talks to a small server of its contract."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from crm.models import Creator, uuid7
from crm.tests.factories import CreatorFactory
from messaging.gateways import CannotSay, Found, Looked, OutboundMessage, Rejected, Scope, Sent, Unknown, gateway_load
from onlyfans.ofauth_gateway import OFAuthGateway
from onlyfans.services import account_connect

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 10, 18, 0, tzinfo=UTC)
SENT = {"id": 7001, "text": "<p>Hi</p>", "fromUser": {"id": 900, "name": "Ava"}, "media": [], "previews": []}


@dataclass
class Vendor:
    """What was asked, and what to answer: (status, body, headers) by method and path; None drops the connection."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    answers: dict[tuple[str, str], Any] = field(default_factory=dict)

    def answer(self, method: str, path: str, status: int = 200, body: Any = None, **headers: str) -> None:
        self.answers[method, path] = (status, body, headers)


@pytest.fixture
def vendor(settings: Any) -> Iterator[Vendor]:
    vendor = Vendor()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = {"path": path, "query": query, "headers": dict(self.headers), "body": json.loads(raw or b"{}")}
            vendor.asked.append(asked)
            found = vendor.answers.get((self.command, path), (404, {"message": "Not found"}, {}))
            if found is None:
                self.close_connection = True
                return
            status, body, headers = found
            content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, *args: Any) -> None:
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    vendor.url = settings.OFAUTH_API_BASE_URL = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield vendor
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def creator(vendor: Vendor) -> Creator:
    creator = CreatorFactory()
    account_connect(creator=creator, account_id="conn_ava", api_key="key_ava")
    return creator


def message(creator: Creator, **fields: Any) -> OutboundMessage:
    values = {"fan_platform_id": "555", "fan_handle": "lea", "text": "Hi *you* <3", **fields}
    return OutboundMessage(message_id=uuid7(), creator_id=creator.pk, **values)


CHAT = "/v2/access/chats/555/messages"


def test_it_is_chosen_by_its_dotted_path(settings: Any) -> None:
    settings.MESSAGING_GATEWAY = "onlyfans.ofauth_gateway.OFAuthGateway"
    assert isinstance(gateway_load(), OFAuthGateway)


def test_a_message_is_sent_as_the_vendor_wants_it(creator: Creator, vendor: Vendor) -> None:
    vendor.answer("POST", CHAT, body=SENT)
    outcome = OFAuthGateway().send_message(message(creator, media=("12", "ofauth_up_1"), price_cents=697))
    assert outcome == Sent(platform_message_id="7001")
    [asked] = vendor.asked
    assert (asked["headers"]["apiKey"], asked["headers"]["x-connection-id"]) == ("key_ava", "conn_ava")
    assert asked["body"] == {
        "text": "Hi *you* <3",
        "isMarkdown": False,
        "mediaItems": [12, "ofauth_up_1"],
        "price": 6.97,
    }


def test_a_fan_known_by_handle_alone_is_looked_up_first(creator: Creator, vendor: Vendor) -> None:
    vendor.answer("GET", "/v2/access/users/lea", body={"id": 555})
    vendor.answer("POST", CHAT, body=SENT)
    outcome = OFAuthGateway().send_message(message(creator, fan_platform_id="lea"))
    assert outcome == Sent(platform_message_id="7001", fan_platform_id="555")


@pytest.mark.parametrize(
    ("status", "permanent", "scope"),
    [
        (400, True, Scope.MESSAGE),
        (401, False, Scope.CREATOR),
        (402, False, Scope.CREATOR),
        (403, False, Scope.CREATOR),
        (404, True, Scope.MESSAGE),
        (422, True, Scope.MESSAGE),
    ],
)
def test_a_refusal_of_its_own_proves_that_nothing_was_sent(
    creator: Creator, vendor: Vendor, status: int, permanent: bool, scope: Scope
) -> None:
    vendor.answer("POST", CHAT, status, {"message": "Hi *you* <3 is refused", "code": "X"})
    outcome = OFAuthGateway().send_message(message(creator))
    assert isinstance(outcome, Rejected)
    assert (outcome.permanent, outcome.scope) == (permanent, scope)
    # The vendor's prose may repeat what was written.
    assert "you" not in outcome.reason


def test_too_fast_is_a_pause_of_as_long_as_it_says(creator: Creator, vendor: Vendor) -> None:
    vendor.answer("POST", CHAT, 429, {"message": "slow down"}, Retry_After="7")
    outcome = OFAuthGateway().send_message(message(creator))
    assert isinstance(outcome, Rejected)
    assert (outcome.rate_limited, outcome.retry_after, outcome.permanent) == (True, 7.0, False)


@pytest.mark.parametrize(
    "answer",
    [
        (500, {"message": "oh"}, {}),
        (502, "<html>Bad gateway</html>", {}),
        (408, {"message": "late"}, {}),
        (409, {"message": "twice"}, {}),
        (403, "<html>A firewall</html>", {}),
        (200, "<html>Welcome</html>", {}),
        (200, {"id": "many"}, {}),
        (200, [1], {}),
        None,
    ],
    ids=str,
)
def test_whatever_is_no_proof_is_unknown_and_never_repeated(creator: Creator, vendor: Vendor, answer: Any) -> None:
    vendor.answers["POST", CHAT] = answer
    outcome = OFAuthGateway().send_message(message(creator))
    assert isinstance(outcome, Unknown)
    assert not outcome.repeatable
    assert len(vendor.asked) == 1


def test_a_vendor_that_cannot_be_reached_was_sent_nothing(creator: Creator, settings: Any) -> None:
    settings.OFAUTH_API_BASE_URL = "http://127.0.0.1:9"
    outcome = OFAuthGateway().send_message(message(creator))
    assert isinstance(outcome, Rejected)
    assert not outcome.permanent


def test_a_creator_without_an_account_sends_nothing(vendor: Vendor) -> None:
    outcome = OFAuthGateway().send_message(message(CreatorFactory()))
    assert isinstance(outcome, Rejected)
    assert (outcome.scope, vendor.asked) == (Scope.CREATOR, [])


def said(number: int, *, minutes: int, by: int = 900, **fields: Any) -> dict[str, Any]:
    at = (NOW + timedelta(minutes=minutes)).isoformat()
    return {"id": number, "text": "<p>Hi</p>", "fromUser": {"id": by}, "media": [], "createdAt": at, **fields}


def test_a_message_in_doubt_is_found_in_the_chat(creator: Creator, vendor: Vendor) -> None:
    chat = [
        said(5, minutes=4, by=555),
        said(4, minutes=3, text="<p>Other</p>"),
        said(3, minutes=2, isFree=False),
        said(2, minutes=1, isFree=True),
        said(1, minutes=-1),
    ]
    vendor.answer("GET", CHAT, body={"list": chat, "hasMore": True})
    found = OFAuthGateway().find_message(message(creator, text="Hi"), since=NOW)
    assert found == Looked((Found("2", NOW + timedelta(minutes=1)),), 4)


@pytest.mark.parametrize("body", [{"message": "x"}, {"list": [{}], "hasMore": False}, {"list": [], "hasMore": True}])
def test_a_chat_that_cannot_be_read_proves_nothing(creator: Creator, vendor: Vendor, body: Any) -> None:
    vendor.answer("GET", CHAT, body=body)
    assert isinstance(OFAuthGateway().find_message(message(creator, text="Hi"), since=NOW), CannotSay)


def test_an_empty_chat_does_not_hold_it(creator: Creator, vendor: Vendor) -> None:
    vendor.answer("GET", CHAT, body={"list": [], "hasMore": False})
    assert OFAuthGateway().find_message(message(creator, text="Hi"), since=NOW) == Looked((), 0)
