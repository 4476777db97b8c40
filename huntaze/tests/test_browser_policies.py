"""Answers what a browser is told it may do, and what becomes of its reports."""

import json
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache
from django.test import Client

from huntaze import settings

pytestmark = pytest.mark.django_db
REPORT = {
    "csp-report": {
        "document-uri": "https://crm.example.com/platforms/onlyfans/fans?search=Amy",
        "effective-directive": "script-src-elem",
        "blocked-uri": "https://evil.example/x.js?who=Amy",
    }
}


def post(body: Any, content_type: str = "application/csp-report") -> int:
    data = body if isinstance(body, str | bytes) else json.dumps(body)
    return Client(enforce_csrf_checks=True).post("/browser-reports", data, content_type=content_type).status_code


def test_every_page_is_told_the_policies_and_where_to_report() -> None:
    answer = Client().get("/sign-in")
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "report-uri /browser-reports" in policy
    assert "unsafe" not in policy
    assert "camera=()" in answer["Permissions-Policy"]


def test_a_report_is_a_line_without_what_was_searched_for(caplog: pytest.LogCaptureFixture) -> None:
    assert post(REPORT) == 204
    assert "script-src-elem" in caplog.text
    assert "https://evil.example/x.js" in caplog.text
    assert "Amy" not in caplog.text


@pytest.mark.parametrize(
    "body", ["", "no json", "[]", '{"csp-report": 7}', "x" * 20_000, b"\xff", "[" * 9_999, '{"a":' * 1_900]
)
def test_what_is_no_report_is_answered_alike_and_logged_nowhere(body: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert post(body) == 204
    assert "held something back" not in caplog.text


def test_what_is_no_text_in_a_report_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    nested = "[" * 990 + "]" * 990
    assert post(f'{{"csp-report": {{"effective-directive": "img-src", "document-uri": {nested}}}}}') == 204
    assert "img-src" in caplog.text
    assert "[[" not in caplog.text


def test_without_redis_nothing_is_logged_and_no_browser_is_told(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}}
    assert post(REPORT) == 204
    assert "held something back" not in caplog.text


def test_nobody_fills_the_log(caplog: pytest.LogCaptureFixture) -> None:
    cache.clear()
    for _ in range(80):
        post(REPORT)
    assert caplog.text.count("browser held something back") == 60


def test_https_is_asked_for_a_year_where_it_is_no_debug_server() -> None:
    assert django_settings.SECURE_HSTS_SECONDS >= 31_536_000
    assert django_settings.SECURE_HSTS_INCLUDE_SUBDOMAINS
    assert "max-age=31536000" in Client().get("/sign-in", secure=True)["Strict-Transport-Security"]


def test_passwords_are_hashed_by_argon2() -> None:
    assert settings.PASSWORD_HASHERS[0].endswith("Argon2PasswordHasher")
