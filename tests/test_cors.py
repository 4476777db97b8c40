"""Whether a page of another origin can use the API, and only where the operator allows it. Drives Chromium."""

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from crm.tests.factories import PASSWORD, FanFactory, MembershipFactory
from huntaze import browser_policies, checks
from huntaze.handler import Handler
from huntaze.throttling import Throttle
from tests.browser import EMAIL, page_of
from tests.serving import serving

ORIGIN = "https://app.example.com"
FANS = "/api/crm/fans"


@pytest.fixture
def allowed(settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]


def preflight(path: str = FANS, origin: str = ORIGIN, method: str = "PATCH") -> Any:
    headers = {"Origin": origin, "Access-Control-Request-Method": method}
    return Client().options(path, headers={**headers, "Access-Control-Request-Headers": "authorization,if-match"})


def allows(answer: Any) -> str | None:
    return answer.headers.get("Access-Control-Allow-Origin")


def test_nothing_is_allowed_by_default(settings: Any) -> None:
    assert settings.CORS_ALLOWED_ORIGINS == []
    answer = preflight()
    assert allows(answer) is None
    # It does not look at the origin at all.
    assert "origin" not in answer["Vary"].lower()


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://app.example.com",
        f"{ORIGIN}:8443",
        "https://app.example.com.evil.example",
        "null",
    ],
)
def test_another_origin_is_not_allowed(allowed: None, origin: str) -> None:
    assert allows(preflight(origin=origin)) is None


@pytest.mark.parametrize("path", ["/sign-in", "/admin/", "/messages/onlyfans", "/live/1", "/metrics"])
def test_the_pages_stay_closed(allowed: None, path: str) -> None:
    assert allows(Client().options(path, headers={"Origin": ORIGIN, "Access-Control-Request-Method": "GET"})) is None


def test_a_preflight_is_answered_without_a_user_or_a_count(
    allowed: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No database mark: it asks for no row either."""
    settings.THROTTLE_PER_MINUTE = dict.fromkeys(settings.THROTTLE_PER_MINUTE, 1)
    monkeypatch.setattr(Throttle, "_counted", lambda *_: pytest.fail("a preflight was counted"))
    for _ in range(3):
        answer = preflight()
        assert (answer.status_code, allows(answer)) == (200, ORIGIN)
        assert "PATCH" in answer["Access-Control-Allow-Methods"]
        assert "Access-Control-Allow-Credentials" not in answer
        assert answer["X-Request-Id"]


def test_what_the_document_names_may_be_sent_and_read() -> None:
    document = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    # The vendor's events come from a server, never from a page.
    paths = [methods for path, methods in document["paths"].items() if "/webhooks/" not in path]
    operations = [operation for methods in paths for operation in methods.values()]
    asked = {
        parameter["name"].lower()
        for operation in operations
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "header"
    }
    answered = {
        name
        for operation in operations
        for response in operation["responses"].values()
        for name in response.get("headers", {})
    }
    assert asked
    assert asked | {"authorization", "content-type"} <= set(browser_policies.CORS_REQUEST_HEADERS)
    assert answered | set(document["components"]["headers"]) <= set(browser_policies.CORS_RESPONSE_HEADERS)
    methods = {method.upper() for path in paths for method in path}
    assert methods <= set(browser_policies.CORS_METHODS)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("status", "path", "options"),
    [
        (401, FANS, {}),
        (404, "/api/nowhere", {}),
        (413, "/api/onlyfans/messages/send", {"data": b"x" * 1_000_001, "content_type": "application/json"}),
    ],
)
def test_a_refusal_can_be_read_too(allowed: None, status: int, path: str, options: dict[str, Any]) -> None:
    ask = Client().post if options else Client().get
    answer = ask(path, headers={"Origin": ORIGIN}, **options)
    assert (answer.status_code, allows(answer)) == (status, ORIGIN)
    assert "Retry-After" in answer["Access-Control-Expose-Headers"]


def test_a_body_that_is_cut_off_is_a_refusal_that_can_be_read(allowed: None) -> None:
    scope = {"type": "http", "method": "POST", "path": FANS, "query_string": b"", "headers": []}
    scope["headers"] = [(b"origin", ORIGIN.encode()), (b"host", b"testserver")]
    answer: Any = Handler().refuse(scope)
    assert (answer.status_code, allows(answer)) == (413, ORIGIN)


@pytest.mark.django_db
def test_a_429_can_be_read_too(allowed: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Throttle, "_away_until", None)
    settings.THROTTLE_PER_MINUTE = dict.fromkeys(settings.THROTTLE_PER_MINUTE, 1)
    answers = [Client().post("/api/auth/token", {}, headers={"Origin": ORIGIN}) for _ in range(2)]
    assert [(answer.status_code, allows(answer)) for answer in answers][1] == (429, ORIGIN)


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "app.example.com",
        "https://app.example.com/",
        "https://app.example.com/path",
        "https://*.example.com",
        "https://app.example.com:443",
        "http://app.example.com:80",
        "https://user@app.example.com",
        "https://app.example.com:port",
        "//app.example.com",
        "null",
    ],
)
def test_what_is_no_origin_stops_every_command_by_name(settings: Any, origin: str) -> None:
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN, origin]
    [error] = checks.allowed_origins_are_origins()
    assert error.id == "huntaze.E002"
    assert f"CORS_ALLOWED_ORIGINS: {origin!r}" in error.msg
    with pytest.raises(SystemCheckError, match="CORS_ALLOWED_ORIGINS"):
        call_command("check", "--tag", "security")


@pytest.mark.parametrize("origin", [ORIGIN, "http://localhost:3000", "http://[::1]:3000", "capacitor://localhost"])
def test_an_origin_is_taken(settings: Any, origin: str) -> None:
    settings.CORS_ALLOWED_ORIGINS = [origin]
    assert checks.allowed_origins_are_origins() == []


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """The address of an empty page on another port: to a browser another origin."""

    class Empty(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>A frontend</title>")

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Empty) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join(5)


# Signs in, reads a fan, changes it with its ETag, sends once and again under one key, and is refused.
FRONTEND = """async ([api, email, password, fan]) => {
    const ask = async (method, path, body, headers = {}) => {
        const answer = await fetch(api + path, {
            method, body: body && JSON.stringify(body), headers: {"Content-Type": "application/json", ...headers},
        });
        return {status: answer.status, headers: answer.headers, body: await answer.json()};
    };
    const signedIn = await ask("POST", "/api/auth/token", {email, password});
    const token = {Authorization: `Bearer ${signedIn.body.access}`};
    const read = await ask("GET", `/api/crm/fans/${fan}`, null, token);
    const changed = await ask("PATCH", `/api/crm/fans/${fan}`, {notes: "From elsewhere"},
        {...token, "If-Match": read.headers.get("ETag"), "X-Request-Id": "from-elsewhere"});
    const message = {recipientId: `fan_${fan}`, content: "Hello!"};
    const key = {...token, "Idempotency-Key": "once"};
    const sent = await ask("POST", "/api/onlyfans/messages/send", message, key);
    const again = await ask("POST", "/api/onlyfans/messages/send", message, key);
    const refused = await ask("POST", "/api/onlyfans/messages/send", {}, token);
    return {
        statuses: [signedIn, read, changed, sent, again, refused].map((answer) => answer.status),
        notes: changed.body.notes,
        requestId: changed.headers.get("X-Request-Id"),
        quota: read.headers.get("RateLimit-Policy"),
        replayed: again.headers.get("Idempotent-Replayed"),
        same: sent.body.messageId === again.body.messageId,
        code: refused.body.code,
    };
}"""
# By the cookie that a browser has of the site, if it would send it.
BY_COOKIE = """async (api) => {
    try {
        return (await fetch(api + "/api/crm/fans", {credentials: "include"})).status;
    } catch (error) {
        return error.name;
    }
}"""


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_a_frontend_on_another_port_signs_in_reads_changes_and_sends(
    settings: Any, elsewhere: str, sqs_queues: Any
) -> None:
    settings.CORS_ALLOWED_ORIGINS = [elsewhere]
    membership = MembershipFactory(user__email=EMAIL)
    fan = FanFactory(creator=membership.creator)
    with serving() as api, page_of(elsewhere) as page:
        page.goto("/")
        found = page.evaluate(FRONTEND, [api, EMAIL, PASSWORD, fan.pk])
        assert found["statuses"] == [200, 200, 200, 202, 202, 400]
        assert found["notes"] == "From elsewhere"
        assert found["requestId"] == "from-elsewhere"
        assert found["quota"].startswith('"general";q=')
        assert found["replayed"] == "true"
        assert found["same"] is True
        assert found["code"] == "invalid"
        # With cookies the browser hides the answer, whatever it is.
        assert page.evaluate(BY_COOKIE, api) == "TypeError"


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_a_page_that_is_not_allowed_reads_nothing(settings: Any, elsewhere: str) -> None:
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]
    with serving() as api, page_of(elsewhere) as page:
        page.goto("/")
        asked = f"fetch('{api}/api/schema').then((answer) => answer.status, (error) => error.name)"
        assert page.evaluate(asked) == "TypeError"
