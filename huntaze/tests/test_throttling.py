"""Answers whether a caller who asks too often is told so, and nobody else is."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from rest_framework.test import APIClient

from crm.tests.factories import MembershipFactory
from huntaze.api_description import DESCRIPTION
from huntaze.schema import HEADERS
from huntaze.throttling import Throttle, _increment

pytestmark = pytest.mark.django_db
FANS = "/api/crm/fans"
SEND = "/api/onlyfans/messages/send"


@pytest.fixture(autouse=True)
def quotas(settings: Any) -> Iterator[None]:
    settings.THROTTLE_PER_MINUTE = {"general": 3, "pages": 5, "sends": 2, "imports": 1, "previews": 2, "anonymous": 2}
    Throttle._away_until = None
    with time_machine.travel("2026-11-23T12:00:00Z", tick=False):
        yield
    Throttle._away_until = None


def program() -> APIClient:
    client = APIClient()
    client.force_authenticate(MembershipFactory().user)
    return client


def test_over_the_quota_is_a_problem_that_says_how_long_to_wait() -> None:
    client = program()
    assert [client.get(FANS).status_code for _ in range(3)] == [200] * 3
    answer = client.get(FANS)
    assert (answer.status_code, answer["Content-Type"]) == (429, "application/problem+json")
    assert answer.json()["code"] == "throttled"
    assert 1 <= int(answer["Retry-After"]) <= 60


def test_each_answer_says_what_is_left() -> None:
    client = program()
    first, second = client.get(FANS), client.get(f"{FANS}/0")
    assert first["RateLimit-Policy"] == '"general";q=3;w=60'
    assert [answer["RateLimit"].split(";t=")[0] for answer in (first, second)] == ['"general";r=2', '"general";r=1']


def test_after_the_wait_it_goes_on() -> None:
    client = program()
    answers = [client.get(FANS) for _ in range(4)]
    with time_machine.travel(f"2026-11-23T12:00:{int(answers[-1]['Retry-After']) - 1:02}Z", tick=False):
        assert client.get(FANS).status_code == 429
    seconds = int(answers[-1]["Retry-After"])
    with time_machine.travel(f"2026-11-23T12:{seconds // 60:02}:{seconds % 60:02}Z", tick=False):
        assert client.get(FANS).status_code == 200


def test_another_user_is_not_held_up() -> None:
    tired, fresh = program(), program()
    for _ in range(4):
        tired.get(FANS)
    assert fresh.get(FANS).status_code == 200


def test_sends_and_imports_count_apart() -> None:
    client = program()
    assert [client.post(SEND).status_code for _ in range(3)] == [400, 400, 429]
    assert [client.post("/api/onlyfans/import/csv").status_code for _ in range(2)] == [400, 429]
    assert client.get("/api/onlyfans/imports").status_code == 200


def test_pages_have_a_quota_of_their_own() -> None:
    browser = Client()
    browser.force_login(MembershipFactory().user)
    answers = [browser.get(FANS, headers={"Accept": "text/html"}) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert b"data-problem" in answers[-1].content


@pytest.mark.parametrize("count", [0, 1, 2])
def test_without_a_token_the_address_counts_as_the_proxies_tell_it(settings: Any, count: int) -> None:
    settings.PROXY_COUNT = count

    def status(claimed: str, seen: str) -> int:
        forwarded = ", ".join([claimed, *[seen, "10.0.0.1"][:count]])
        return APIClient().post("/api/auth/token", {}, headers={"X-Forwarded-For": forwarded}).status_code

    assert [status(f"1.1.1.{n}", "2.2.2.2") for n in range(3)] == [400, 400, 429]
    assert status("1.1.1.9", "3.3.3.3") == (400 if count else 429)


def test_callers_at_once_are_all_counted() -> None:
    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda _: _increment("throttle:test"), range(40)))
    assert sorted(counts) == list(range(1, 41))  # type: ignore[type-var]


def test_without_redis_everybody_may_and_it_is_said_once(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    client = program()
    there, settings.REDIS_URL = settings.REDIS_URL, "redis://127.0.0.1:1/0"
    answers = [client.get(FANS) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 5
    assert "RateLimit" not in answers[0]
    assert len([record for record in caplog.records if "not throttled" in str(record.msg)]) == 1
    Throttle._away_until = 0.0
    settings.REDIS_URL = there
    assert "RateLimit" in client.get(FANS)
    assert Throttle._away_until is None


def test_a_connection_that_redis_closed_meanwhile_is_made_again(redis_server: Any) -> None:
    assert _increment("throttle:test") == 1
    redis_server.client_kill_filter(_type="normal", skipme=True)
    assert _increment("throttle:test") == 2


def test_what_redis_refuses_to_count_is_not_counted_and_the_next_answer_is_not_its(redis_server: Any) -> None:
    redis_server.set("throttle:wrong", "no number")
    assert _increment("throttle:wrong") is None
    assert [_increment("throttle:test") for _ in range(2)] == [1, 2]
    assert 0 < redis_server.ttl("throttle:test") <= 120


def test_looking_into_a_file_does_not_use_up_the_imports() -> None:
    client = program()

    def post(path: str) -> int:
        file = SimpleUploadedFile("fans.csv", b"Username\nada\n")
        return client.post(f"/api/onlyfans/import/{path}", {"file": file}, format="multipart").status_code

    found = [post(path) for path in ("preview", "preview", "preview", "csv", "csv")]
    assert found == [200, 200, 429, 200, 429]


def test_a_token_has_as_many_requests_a_minute_as_a_page() -> None:
    """The defaults: what the process reads where nobody sets anything, and what the documents promise."""
    script = "from huntaze.settings import THROTTLE_PER_MINUTE as quotas; print(quotas['general'], quotas['pages'])"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("THROTTLE_")}
    told = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert told.stdout.split() == ["600", "600"]
    assert HEADERS["RateLimit-Policy"]["example"] == '"general";q=600;w=60'
    assert "A token has 600 requests a minute" in DESCRIPTION
