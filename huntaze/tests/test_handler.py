"""Answers whether requests that come by ASGI are answered, streamed, and let go of when the caller leaves."""

import asyncio
import gc
import json
import tempfile
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import override_settings
from django.urls import path
from django.utils.functional import SimpleLazyObject
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from huntaze import handler
from huntaze.handler import Handler

ended = threading.Event()


def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.body + threading.current_thread().name.encode())


def broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("as a view may")


def asking(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 41 + 1")
        return HttpResponse(str(cursor.fetchone()[0]))


at_work: list[int] = []
most: list[int] = []
go_on = threading.Event()


def crowded(request: HttpRequest) -> HttpResponse:
    at_work.append(1)
    most.append(len(at_work))
    time.sleep(0.002)
    at_work.pop()
    return HttpResponse()


def asked(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.POST.get("what", "nothing"))


def slow(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(go_on.wait(5)))


async def live(request: HttpRequest) -> StreamingHttpResponse:
    loop = asyncio.get_running_loop()

    async def pieces() -> AsyncIterator[str]:
        try:
            yield f"{asyncio.get_running_loop() is loop}\n"
            await asyncio.Event().wait()
        finally:
            ended.set()

    return StreamingHttpResponse(pieces())


seen: list[weakref.ref[Any]] = []


def circular(request: HttpRequest) -> HttpResponse:
    request.itself = SimpleLazyObject(lambda: request)  # type: ignore[attr-defined]  # as Django's own users and sessions are
    seen.append(weakref.ref(request))
    return HttpResponse(b"told")


class Rested(APIView):
    authentication_classes = permission_classes = throttle_classes = ()

    def post(self, request: Request) -> Response:
        seen.extend(map(weakref.ref, (self, request, request._request)))
        return Response({"told": True})


VIEWS = (plain, broken, asked, asking, crowded, slow, live, circular)
urlpatterns = [path(view.__name__, view) for view in VIEWS]  # type: ignore[arg-type]
urlpatterns += [path("rested", Rested.as_view())]
Told = list[dict[str, Any]]


async def begin(
    handler: Handler, address: str, body: bytes = b"", *, more: bool = False, kind: bytes = b"text/plain"
) -> ApplicationCommunicator:
    headers = [(b"host", b"testserver"), (b"content-type", kind), (b"content-length", str(len(body)).encode())]
    scope = {"type": "http", "method": "POST", "path": address, "headers": headers}
    caller = ApplicationCommunicator(handler, {**scope, "query_string": b"", "server": ("testserver", 80)})
    await caller.send_input({"type": "http.request", "body": body, "more_body": more})
    return caller


async def ask(handler: Handler, address: str, body: bytes = b"", **scope: Any) -> tuple[int, bytes]:
    caller = await begin(handler, address, body, **scope)
    head, rest = await caller.receive_output(5), await caller.receive_output(5)
    await caller.wait(5)
    return head["status"], rest["body"]


@pytest.fixture
def run() -> Any:
    def running(scene: Callable[[Handler], Any]) -> Any:
        with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=["huntaze.middleware.RequestIdMiddleware"]):
            return asyncio.run(scene(Handler()))

    return running


def test_a_request_with_a_body_is_answered_in_a_thread_that_is_kept(run: Any) -> None:
    async def twice(handler: Handler) -> Any:
        return [await ask(handler, "/plain", b"hello from ") for _ in range(2)]

    first, second = run(twice)
    assert first == second
    assert first[0] == 200
    assert first[1].startswith(b"hello from ThreadPoolExecutor")


@pytest.mark.parametrize(("address", "count", "told"), [("/circular", 1, b"told"), ("/rested", 3, b'{"told":true}')])
def test_nothing_of_an_answered_request_waits_for_the_collector(
    run: Any, address: str, count: int, told: bytes
) -> None:
    seen.clear()
    gc.disable()
    try:
        assert run(lambda handler: ask(handler, address, b"{}", kind=b"application/json")) == (200, told)
        assert [each() for each in seen] == [None] * count
    finally:
        gc.enable()


@pytest.mark.parametrize("charset", ["hex", "rot13", "idna", "punycode", "undefined", "no-such", "utf-8", "latin-1"])
def test_a_charset_that_decodes_no_text_breaks_nothing(run: Any, charset: str) -> None:
    kind = b"multipart/form-data; boundary=end; charset=" + charset.encode()
    form = b'--end\r\nContent-Disposition: form-data; name="what"\r\n\r\ntext\r\n--end--\r\n'
    assert run(lambda handler: ask(handler, "/asked", form, kind=kind)) == (200, b"text")


@pytest.mark.filterwarnings("ignore")
def test_what_a_view_raises_is_answered_as_a_server_error(run: Any) -> None:
    assert run(lambda handler: ask(handler, "/broken"))[0] == 500


@pytest.mark.django_db(transaction=True)
def test_a_connection_goes_back_to_the_pool_with_the_answer(run: Any) -> None:
    async def often(handler: Handler) -> Any:
        return [await asyncio.gather(*(ask(handler, "/asking") for _ in range(8))) for _ in range(8)]

    assert {answer for answers in run(often) for answer in answers} == {(200, b"42")}
    assert connection.pool is None or connection.pool.get_stats().get("requests_waiting", 0) == 0


def test_a_few_are_at_work_at_a_time(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler, "LONG_SECONDS", 60)

    async def many(to: Handler) -> Any:
        return await asyncio.gather(*(ask(to, "/crowded") for _ in range(5 * settings.WEB_REQUESTS_AT_WORK)))

    assert {status for status, _ in run(many)} == {200}
    assert 1 < max(most) <= settings.WEB_REQUESTS_AT_WORK


def test_nobody_waits_for_those_that_are_slow(run: Any) -> None:
    async def beside(to: Handler) -> Any:
        slow = [asyncio.create_task(ask(to, "/slow")) for _ in range(2 * settings.WEB_REQUESTS_AT_WORK)]
        await asyncio.sleep(0)  # they are there first
        quick = await ask(to, "/plain", b"quick ")
        waiting = sum(not each.done() for each in slow)
        go_on.set()
        return quick[1].partition(b" ")[0], waiting, {body for _, body in await asyncio.gather(*slow)}

    go_on.clear()
    assert run(beside) == (b"quick", 2 * settings.WEB_REQUESTS_AT_WORK, {b"True"})


def test_a_place_that_was_given_up_is_not_given_back_twice() -> None:
    async def long() -> Any:
        free = asyncio.Semaphore(1)
        async with handler.Place(free):
            await asyncio.sleep(handler.LONG_SECONDS * 1.5)
            assert not free.locked()
        await free.acquire()
        return free.locked()

    assert asyncio.run(long())


def test_a_stream_runs_on_the_servers_loop_and_ends_when_the_caller_leaves(run: Any) -> None:
    async def leave(handler: Handler) -> Any:
        caller = await begin(handler, "/live")
        told = [await caller.receive_output(5) for _ in range(2)]
        await caller.send_input({"type": "http.disconnect"})
        await caller.wait(5)
        return told

    ended.clear()
    assert run(leave)[1]["body"] == b"True\n"
    assert ended.wait(5)


def test_a_caller_who_leaves_before_the_body_is_there_is_not_answered(run: Any) -> None:
    async def leave(handler: Handler) -> Any:
        scope = {"type": "http", "method": "POST", "path": "/plain", "headers": [], "query_string": b""}
        caller = ApplicationCommunicator(handler, scope)
        await caller.send_input({"type": "http.disconnect"})
        await caller.wait(5)
        return await caller.receive_nothing()

    assert run(leave)


@pytest.mark.parametrize("pieces", [[b"x" * 1_000, b"x"], [b"x" * 1_001]])
def test_a_body_that_no_door_takes_is_refused_while_it_arrives_and_not_kept(
    run: Any, monkeypatch: pytest.MonkeyPatch, pieces: list[bytes]
) -> None:
    kept: list[Any] = []
    made = tempfile.SpooledTemporaryFile

    def spooled(*, max_size: int, **options: Any) -> Any:
        kept.append(made(max_size=1, **options))
        return kept[-1]

    async def pour(to: Handler) -> Any:
        to.body_max = 1_000
        # More is to come, and its length was never said.
        caller = await begin(to, "/plain", pieces[0], more=True)
        for piece in pieces[1:]:
            await caller.send_input({"type": "http.request", "body": piece, "more_body": True})
        told = [await caller.receive_output(5) for _ in range(2)]
        await caller.wait(5)
        return told

    monkeypatch.setattr("django.core.handlers.asgi.tempfile.SpooledTemporaryFile", spooled)
    head, rest = run(pour)
    assert (head["status"], json.loads(rest["body"])["code"]) == (413, "too_large")
    assert [file.closed for file in kept] == [True]


def test_a_body_as_large_as_may_be_is_taken(run: Any) -> None:
    async def fill(to: Handler) -> Any:
        to.body_max = 1_000
        return await ask(to, "/plain", b"x" * 1_000)

    assert run(fill)[0] == 200
