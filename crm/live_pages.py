"""Answers an open page for as long as it is open: a line whenever it should look again. Touches selectors and wake-ups.

Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html), which need ASGI: under WSGI each
stream would keep a thread, so there it answers 501 and the pages poll.
"""

import random
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from copy import copy
from types import FrameType
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user
from django.contrib.auth.decorators import login_required
from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext
from django.views.decorators.http import require_GET

from crm import selectors
from crm.errors import NotFound
from crm.models import User
from crm.wake_ups import ANYTHING, StreamsDown, Switchboard

# Between two signs of life; whoever lost their membership or session hears nothing more after it.
HEARTBEAT_SECONDS = 15.0
# How long a browser waits before it comes back, so that not all come back to a restarted server in one moment.
RETRY_MILLISECONDS = (1_000, 4_000)
UNAVAILABLE = {"Retry-After": "15"}


@login_required
@require_GET
async def live(request: HttpRequest, creator_id: int) -> HttpResponseBase:
    """`data: 12 15` for each wake-up: ids of conversations, or one of the words of crm/wake_ups.py."""
    if not await sync_to_async(_may_listen)(request, creator_id):
        raise Http404(gettext("There is no such creator."))
    if not isinstance(request, ASGIRequest):
        return HttpResponse("Live updates need an ASGI server.", status=501, content_type="text/plain")
    # Or this request would keep its connection from the others for hours.
    await sync_to_async(connections.close_all)()
    _end_with_the_process()
    try:
        with Switchboard.listening(creator_id) as (board, _):
            await board.ready()
    except StreamsDown as error:
        return HttpResponse(str(error), status=503, content_type="text/plain", headers=UNAVAILABLE)
    return StreamingHttpResponse(
        _lines(request, creator_id),
        content_type="text/event-stream",
        # Nothing on the way may hold it back (nginx reads the second).
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _lines(request: HttpRequest, creator_id: int) -> AsyncIterator[str]:
    with Switchboard.listening(creator_id) as (board, listener), suppress(StreamsDown):
        await board.ready()
        # What happened between the page and its stream is not told of.
        yield f"retry: {random.randint(*RETRY_MILLISECONDS)}\ndata: {ANYTHING}\n\n"  # noqa: S311  jitter
        asked_at = time.monotonic()
        while not listener.ended:
            topics = await listener.wait(max(asked_at + HEARTBEAT_SECONDS - time.monotonic(), 0))
            if topics:
                yield f"data: {' '.join(sorted(topics))}\n\n"
            if time.monotonic() >= asked_at + HEARTBEAT_SECONDS:
                if not await sync_to_async(_may_still_listen, thread_sensitive=False)(request, creator_id):
                    return
                asked_at = time.monotonic()
                yield ": here\n\n"


def _may_listen(request: HttpRequest, creator_id: int) -> bool:
    if not isinstance(request.user, User):
        return False
    try:
        selectors.membership_get(user=request.user, creator_id=creator_id)
    except NotFound:
        return False
    return True


def _may_still_listen(request: HttpRequest, creator_id: int) -> bool:
    """The same asked anew, from the session on."""
    fresh = copy(request)
    fresh.session = type(request.session)(request.session.session_key)
    try:
        fresh.user = get_user(fresh)
        return _may_listen(fresh, creator_id)
    finally:
        connections.close_all()


_ending = False


def _end_with_the_process() -> None:
    """A server that is told to stop waits for its requests, and streams have no end of their own."""
    global _ending
    if _ending or threading.current_thread() is not threading.main_thread():
        return
    _ending = True
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)
        if callable(before):
            signal.signal(number, _ended_before(before))


Handler = Callable[[int, FrameType | None], Any]


def _ended_before(before: Handler) -> Handler:
    def handle(number: int, frame: FrameType | None) -> None:
        Switchboard.end_all()
        before(number, frame)

    return handle
