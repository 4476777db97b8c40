"""Answers whether a caller asks too often. Counts in Django's cache (Redis), in windows of a minute.

The headers are those of draft-ietf-httpapi-ratelimit-headers-10. `RateLimit-Policy: "general";q=60;w=60` is the quota
of a window and its seconds, `RateLimit: "general";r=59;t=42` what is left of it and the seconds until the next begins.
"""

import time
import zlib
from typing import Any

import structlog
from django.conf import settings
from django.core.cache import cache
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from huntaze.client_address import client_address

logger = structlog.get_logger(__name__)
WINDOW_SECONDS = 60
# How long nobody is counted once Redis did not answer: one request pays for the waiting, not each.
PAUSE_SECONDS = 5.0


class Throttle(BaseThrottle):
    """Each user has a quota per scope and minute; without a user the address has one.

    A view's `write_scope` ("sends", "imports" or "previews") counts its writes apart. Pages, known by their session
    cookie, poll and have a larger quota than programs. Where Redis is away everybody may: this protects the service,
    and no message goes out faster for it (see messaging/rate_limiter.py).
    """

    _wait: float | None = None
    # Of the process: when Redis may be asked again, None while it answers.
    _away_until: float | None = None

    def allow_request(self, request: Request, view: Any) -> bool:
        scope = _scope(request, view)
        caller = f"user:{request.user.pk}" if request.user.is_authenticated else client_address(request)
        # Not all callers' windows begin at once.
        moment = time.time() + zlib.crc32(caller.encode()) % WINDOW_SECONDS
        count = self._count(f"throttle:{scope}:{caller}:{int(moment // WINDOW_SECONDS)}")
        if count is None:
            return True
        quota, left = settings.THROTTLE_PER_MINUTE[scope], WINDOW_SECONDS - int(moment % WINDOW_SECONDS)
        # DRF puts these on the answer, whatever it is.
        view.headers["RateLimit-Policy"] = f'"{scope}";q={quota};w={WINDOW_SECONDS}'
        view.headers["RateLimit"] = f'"{scope}";r={max(0, quota - count)};t={left}'
        self._wait = left
        return count <= quota

    def wait(self) -> float | None:
        return self._wait

    @classmethod
    def _count(cls, key: str) -> int | None:
        """How many there were in this window with this one; None where Redis is away."""
        if cls._away_until is not None and time.monotonic() < cls._away_until:
            return None
        count = _increment(key)
        if count is None:
            if cls._away_until is None:
                logger.warning("requests are not throttled: Redis does not answer")
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


def _increment(key: str) -> int | None:
    """Each step is atomic, and one of them always counts; django-redis answers None for a Redis that is away."""
    for _ in range(2):
        try:
            count: Any = cache.incr(key)
        except ValueError:  # the first of its window
            if cache.add(key, 1, timeout=2 * WINDOW_SECONDS):
                return 1
        else:
            return None if count is None else int(count)
    return None
