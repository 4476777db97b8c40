"""Answers whether a caller asks too often. Counts in Redis, in windows of a minute.

The headers are those of draft-ietf-httpapi-ratelimit-headers-10. `RateLimit-Policy: "general";q=600;w=60` is the
quota of a window and its seconds, `RateLimit: "general";r=599;t=42` what is left of it and the seconds until the next
begins.
"""

import threading
import time
import zlib
from typing import Any

import redis
import structlog
from django.conf import settings
from django.http import HttpRequest
from redis.backoff import NoBackoff
from redis.retry import Retry
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from huntaze.client_address import client_address

logger = structlog.get_logger(__name__)
WINDOW_SECONDS = 60
# How long nobody is counted once Redis did not answer: one request pays for the waiting, not each.
PAUSE_SECONDS = 5.0
ANSWER_SECONDS = 2.0


class Throttle(BaseThrottle):
    """Each user has a quota per scope and minute; without a user the address has one.

    A view's `write_scope` ("sends", "imports" or "previews") counts its writes apart. Pages, known by their session
    cookie, and tokens count apart, so that a program does not use up what its user's browser needs. Where Redis is
    away everybody may: this protects the service, and no message goes out faster for it (messaging/rate_limiter.py).
    """

    _wait: float | None = None
    # Of the process: when Redis may be asked again, None while it answers.
    _away_until: float | None = None

    def allow_request(self, request: Request, view: Any) -> bool:
        scope = _scope(request, view)
        caller = f"user:{request.user.pk}" if request.user.is_authenticated else client_address(request)
        count, left = self._counted(scope, caller)
        if count is None:
            return True
        quota = settings.THROTTLE_PER_MINUTE[scope]
        # DRF puts these on the answer, whatever it is.
        view.headers["RateLimit-Policy"] = f'"{scope}";q={quota};w={WINDOW_SECONDS}'
        view.headers["RateLimit"] = f'"{scope}";r={max(0, quota - count)};t={left}'
        self._wait = left
        return count <= quota

    def wait(self) -> float | None:
        return self._wait

    @classmethod
    def wait_at_a_page(cls, request: HttpRequest) -> int | None:
        """Seconds for which this address must wait that asked a page too often without a user; None where it may.

        One quota with what the API is asked without a user, so that nobody tries passwords at the other door.
        """
        count, left = cls._counted("anonymous", client_address(request))
        return None if count is None or count <= settings.THROTTLE_PER_MINUTE["anonymous"] else left

    @classmethod
    def _counted(cls, scope: str, caller: str) -> tuple[int | None, int]:
        """How many there were in this window with this one, None where Redis is away; and the seconds until it ends."""
        # Not all callers' windows begin at once.
        moment = time.time() + zlib.crc32(caller.encode()) % WINDOW_SECONDS
        left = WINDOW_SECONDS - int(moment % WINDOW_SECONDS)
        return cls._count(f"throttle:{scope}:{caller}:{int(moment // WINDOW_SECONDS)}"), left

    @classmethod
    def _count(cls, key: str) -> int | None:
        if cls._away_until is not None and time.monotonic() < cls._away_until:
            return None
        count = _increment(key)
        if count is None:
            if cls._away_until is None:
                why = "Redis does not answer" if settings.REDIS_URL else "REDIS_ENDPOINT is not set"
                logger.warning("requests are not throttled", reason=why)
            Throttle._away_until = time.monotonic() + PAUSE_SECONDS
        elif cls._away_until is not None:
            logger.warning("requests are throttled again")
            Throttle._away_until = None
        return count


def _scope(request: Request, view: Any) -> str:
    if not request.user.is_authenticated:
        return "anonymous"
    if request.method not in SAFE_METHODS and (scope := getattr(view, "write_scope", "")):
        return str(scope)
    return "pages" if isinstance(request.successful_authenticator, SessionAuthentication) else "general"


class _Lines(threading.local):
    """This thread's connections to Redis, by address.

    Each request counts, and redis-py's client, which stands ready for more than one command, takes three times as long
    as this for it; Django's cache, which makes that client anew for each request, eight times.
    """

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def get(self, url: str) -> Any:
        if url not in self._made:
            limits = {"socket_connect_timeout": ANSWER_SECONDS, "socket_timeout": ANSWER_SECONDS}
            pool = redis.ConnectionPool.from_url(url, retry=Retry(NoBackoff(), 0), **limits)
            self._made[url] = pool.make_connection()
        return self._made[url]


_lines = _Lines()


def _increment(key: str) -> int | None:
    """How many there are with this one, in one round trip; None without Redis."""
    if not settings.REDIS_URL:
        return None
    line = _lines.get(settings.REDIS_URL)
    # The other end may have closed a connection that was idle; one that is new says how things are.
    for new in (False, True) if line.is_connected else (True,):
        try:
            line.send_packed_command(line.pack_commands([("INCR", key), ("EXPIRE", key, 2 * WINDOW_SECONDS)]))
            count, _ = int(line.read_response()), line.read_response()
        except redis.RedisError as error:
            line.disconnect()  # an answer that was not read would be the next one's
            if new or not isinstance(error, redis.ConnectionError):
                return None
        else:
            return count
    return None
