"""Answers who hears of what over the live stream, and when it ends. Touches a server, Redis and the database."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from django.db import connection
from django.test import Client

from crm import live_pages
from crm.models import Membership, Role, User
from crm.tests.factories import MembershipFactory
from crm.wake_ups import wake
from huntaze.env import BASE_DIR
from tests.serving import serving

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server() -> Iterator[str]:
    with serving() as address:
        yield address


def cookies_of(user: User) -> dict[str, str]:
    client = Client()
    client.force_login(user)
    return {"sessionid": client.cookies["sessionid"].value}


@contextmanager
def listening(server: str, membership: Membership, *, cookies: dict[str, str] | None = None) -> Iterator[Iterator[str]]:
    """The lines of a stream that is open, without what is said first."""
    address = f"{server}/live/{membership.creator_id}"
    with httpx.stream("GET", address, cookies=cookies or cookies_of(membership.user), timeout=10) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream"
        lines = (line for line in answer.iter_lines() if line)
        assert next(lines).startswith("retry: ")
        assert next(lines) == "data: anything"
        yield lines


@pytest.mark.parametrize("role", Role)
def test_everybody_who_works_for_the_creator_hears_and_nobody_else(server, role):
    mine, teammate, other = MembershipFactory(), MembershipFactory(), MembershipFactory()
    membership = MembershipFactory(creator=mine.creator, user=teammate.user, role=role)
    with listening(server, membership) as lines, listening(server, mine) as owners:
        wake(1, creator_id=other.creator_id)
        wake(2, 3, creator_id=mine.creator_id)
        assert next(lines) == next(owners) == "data: 2 3"


def test_a_stranger_gets_404_like_a_creator_that_does_not_exist(server):
    creator_id, stranger = MembershipFactory().creator_id, cookies_of(MembershipFactory().user)
    for number in (creator_id, creator_id + 1_000):
        assert httpx.get(f"{server}/live/{number}", cookies=stranger).status_code == 404


def test_who_is_not_signed_in_is_asked_to(server):
    answer = httpx.get(f"{server}/live/{MembershipFactory().creator_id}")
    assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (302, "/sign-in")


@pytest.mark.parametrize("ends", ["membership", "session", "user"])
def test_who_may_no_longer_hears_nothing_more_although_there_is_news(server, monkeypatch, ends):
    monkeypatch.setattr(live_pages, "HEARTBEAT_SECONDS", 0.2)
    membership = MembershipFactory()
    cookies = cookies_of(membership.user)
    with httpx.stream("GET", f"{server}/live/{membership.creator_id}", cookies=cookies, timeout=10) as answer:
        lines = (line for line in answer.iter_lines() if line)
        assert [next(lines) for _ in range(3)][2] == ": here"
        if ends == "membership":
            membership.delete()
        elif ends == "session":
            client = Client()
            client.cookies["sessionid"] = cookies["sessionid"]
            client.post("/sign-out")
        else:
            User.objects.filter(pk=membership.user_id).update(is_active=False)
        end = time.monotonic() + 5
        for line in lines:
            # It is told of news all the time, and still asked.
            wake(1, creator_id=membership.creator_id)
            assert time.monotonic() < end, line


def test_while_redis_is_away_it_says_so_and_the_page_polls(server, settings):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        settings.REDIS_URL = f"redis://127.0.0.1:{nobody.getsockname()[1]}/0"
    membership = MembershipFactory()
    answer = httpx.get(f"{server}/live/{membership.creator_id}", cookies=cookies_of(membership.user), timeout=10)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "15")


def test_streams_end_when_redis_goes_away(server, redis_server):
    with listening(server, MembershipFactory()) as lines:
        redis_server.client_kill_filter(_type="pubsub")
        assert list(lines) == []


def test_all_streams_of_a_process_share_one_subscription(server, redis_server):
    first, second = MembershipFactory(), MembershipFactory()
    before = len(redis_server.client_list(_type="pubsub"))
    with listening(server, first), listening(server, first), listening(server, second):
        assert len(redis_server.client_list(_type="pubsub")) == before + 1


def test_open_streams_keep_no_connection_to_the_database(server):
    membership = MembershipFactory()
    cookies = cookies_of(membership.user)
    connection.close()

    def taken() -> int:
        found = connection.pool.get_stats()
        return found["pool_size"] - found["pool_available"]

    before = taken()
    with ExitStack() as streams:
        for _ in range(5):
            streams.enter_context(listening(server, membership, cookies=cookies))
        assert taken() == before


def test_under_wsgi_it_answers_that_there_is_none():
    membership = MembershipFactory()
    client = Client()
    client.force_login(membership.user)
    assert client.get(f"/live/{membership.creator_id}").status_code == 501
    page = client.get("/messages/onlyfans")
    assert b"data-live=" not in page.content


def test_the_page_knows_where_to_listen(server):
    membership = MembershipFactory()
    page = httpx.get(f"{server}/messages/onlyfans", cookies=cookies_of(membership.user))
    assert f'data-live="/live/{membership.creator_id}"' in page.text


def test_a_server_that_is_told_to_stop_ends_its_streams_at_once():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    parts = connection.settings_dict
    url = f"postgres://{parts['USER']}:{parts['PASSWORD']}@{parts['HOST']}:{parts['PORT']}/{parts['NAME']}"
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "huntaze.asgi:application", "--port", str(port), "--lifespan", "off"],
        env={**os.environ, "DATABASE_URL": url},
        cwd=BASE_DIR,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    try:
        address, end = f"http://127.0.0.1:{port}", time.monotonic() + 30
        while True:
            try:
                httpx.get(f"{address}/livez", timeout=2)
                break
            except httpx.TransportError:
                assert time.monotonic() < end
                time.sleep(0.1)
        with listening(address, MembershipFactory()) as lines:
            process.send_signal(signal.SIGTERM)
            assert list(lines) == []
        # Without a limit for it the server would wait for as long as the stream runs.
        process.wait(10)
    finally:
        process.kill()
        process.communicate()
