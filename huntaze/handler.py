"""Answers how a request under ASGI reaches the views and comes back. Touches threads, and each request's connections.

Django's own handler starts two threads for a request and goes to them and back some five times, because it is ready
for views and middleware of either kind at each step: 2 ms of the processor's time on the way to a view that takes 1 ms.
Ours are synchronous but for streams, so all that happens before the first byte happens in one go, in a thread that was
there before. A view that is a coroutine runs on the server's own loop, as it would under Django's handler.

A few requests are at work at a time, in the order in which they came. Of a process's threads one alone runs Python, and
which is the next is left to chance: with sixteen at work each takes a fifth more of the processor's time, and the
unlucky wait twice as long. Whoever is slow, be it the database or a vendor, is passed after a moment, so that nobody
waits for long.
"""

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any, cast

from asgiref.sync import sync_to_async
from corsheaders.middleware import CorsMiddleware
from django.conf import settings
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, ASGIRequest, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix

from huntaze.middleware import BODY_MAX_BYTES, body_too_large

# Most requests take a few milliseconds; a report or a call to the vendor takes longer, and makes room for the next.
LONG_SECONDS = 0.05


class Place:
    """One of those at work. Whoever keeps it for long gives it up, and works on beside the others."""

    def __init__(self, free: asyncio.Semaphore) -> None:
        self.free, self.kept = free, False

    async def __aenter__(self) -> None:
        await self.free.acquire()
        self.kept = True
        self.timer = asyncio.get_running_loop().call_later(LONG_SECONDS, self.give_up)

    def give_up(self) -> None:
        if self.kept:
            self.kept = False
            self.free.release()

    async def __aexit__(self, *error: object) -> None:
        self.timer.cancel()
        self.give_up()


class Bounded:
    """What is received up to `most` bytes, whatever length was claimed; with the one too many the caller counts as
    gone, so that nothing is kept."""

    def __init__(self, receive: Any, most: int) -> None:
        self.receive, self.left = receive, most

    async def __call__(self) -> Any:
        message = await self.receive()
        self.left -= len(message.get("body", b""))
        return {"type": "http.disconnect"} if self.left < 0 else message


# Django's property, which its subclass has under another one.
ENCODING: Any = ASGIRequest.encoding


class Request(ASGIRequest):
    """Django's, which passes over a charset that nobody knows, but breaks at one that decodes no text, like `hex`."""

    @property
    def encoding(self) -> Any:
        return ENCODING.fget(self)

    @encoding.setter
    def encoding(self, charset: str | None) -> None:
        try:
            b"\xff".decode(charset or "utf-8", "replace")
        except (LookupError, UnicodeError):
            return
        ENCODING.fset(self, charset)


def let_go(request: ASGIRequest | None, response: Any) -> None:
    """Make what is done with forget all it knows; of the response what is to be sent stays.

    Django's request and its lazy parts know each other in circles, and so do DRF's view, request and response. What is
    in a circle stays until the collector looks for it, and all rows of the answer with it; then it takes new memory for
    each answer and looks through the old. Without circles a list takes a tenth to a fifth less of the processor's time,
    and the slowest of a hundred answers two thirds of the time (`make bench-api`).
    """
    context = getattr(response, "renderer_context", None) or {}
    for done in (context.get("view"), context.get("request"), request):
        if done is not None:
            vars(done).clear()
    context.clear()


class Handler(ASGIHandler):
    """As Django's, for middleware that is synchronous."""

    request_class = Request

    def __init__(self) -> None:
        BaseHandler.__init__(self)
        self.load_middleware(is_async=False)
        self.free = asyncio.Semaphore(settings.WEB_REQUESTS_AT_WORK)
        # The slow among them; more would wait for a connection to the database, and then for nobody's good.
        self.threads = ThreadPoolExecutor(settings.DATABASES["default"]["OPTIONS"]["pool"]["max_size"])
        # A body is stored before any door sees it. Who sends a file that is somewhat too large is told so by its door.
        self.body_max = BODY_MAX_BYTES + 2 * settings.IMPORT_MAX_BYTES

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        bounded = Bounded(receive, self.body_max)
        try:
            body = await self.read_body(bounded)
        except RequestAborted:
            if bounded.left < 0:
                await self.send_response(self.refuse(scope), send)
            return
        # Of a context of its own: what the request leaves there, its connections before all, are that thread's.
        answer = sync_to_async(
            self.answer, thread_sensitive=False, executor=self.threads, context=contextvars.Context()
        )
        with body:
            async with Place(self.free):
                response = await answer(scope, body)
            if response.streaming:
                await self.stream(response, receive, send)
            else:
                await self.send_response(response, send)

    def refuse(self, scope: Any) -> HttpResponseBase:
        """413 for a body that no middleware sees; a page of an allowed origin can read it as it reads any other."""
        answer = CorsMiddleware(lambda _: body_too_large(self.body_max))(ASGIRequest(scope, BytesIO()))
        # Its stubs count with a view that is awaited.
        return cast("HttpResponseBase", answer)

    def answer(self, scope: Any, body: Any) -> Any:
        """The response, ready to be sent; one that is no stream is done with everything but that."""
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=self.__class__, scope=scope)
        request, refusal = self.create_request(scope, body)
        response: Any = refusal if request is None else self.get_response(request)
        response._handler_class = self.__class__  # noqa: SLF001  as Django's does, for its signal
        if not response.streaming:
            response.close()
            let_go(request, response)
        else:
            # A stream may be long, and the connection is somebody else's meanwhile.
            signals.request_finished.send(sender=self.__class__)
        return response

    async def stream(self, response: HttpResponseBase, receive: Any, send: Any) -> None:
        """Send until it ends, or whoever asked is gone."""
        try:
            async with asyncio.TaskGroup() as both:
                listening = both.create_task(self.listen_for_disconnect(receive))
                await self.send_response(response, send)
                listening.cancel()
        except* RequestAborted:
            pass
        finally:
            await sync_to_async(response.close)()
