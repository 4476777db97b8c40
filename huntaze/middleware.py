"""Answers what holds for every request: its id, who acts, the size of its body and of its answer, the admin's looser
policy. Touches no table."""

import random
import re
from collections.abc import Callable
from typing import Any

import structlog
from corsheaders.middleware import CorsMiddleware
from csp.constants import HEADER
from csp.middleware import CSPMiddleware
from csp.utils import build_policy
from django.conf import settings
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.messages.storage import default_storage
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.middleware.locale import LocaleMiddleware
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.functional import SimpleLazyObject, empty
from django.utils.translation import gettext

from crm.acting import Actor, acting
from crm.moments import variety_activate
from huntaze import monitoring, prometheus
from huntaze.api import problem_json

GetResponse = Callable[[HttpRequest], HttpResponseBase]
# What a caller may name its request: goes to logs and to the queue as it is.
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

# The longest that is asked for: a campaign that leaves out 10,000 fans, well under a megabyte.
BODY_MAX_BYTES = 1_000_000


class HealthMiddleware:
    """Answers who asks by this machine's address and not by the site's name, before anything looks at the name."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.doors = {"/livez": monitoring.livez, "/readyz": monitoring.readyz, "/metrics": prometheus.metrics}

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        door = self.doors.get(request.path)
        return self.get_response(request) if door is None else door(request)


class RequestIdMiddleware:
    """Takes X-Request-Id or makes one, binds it to every log line of the request, and answers with it."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        asked = request.headers.get("X-Request-Id", "")
        # It tells requests apart and nothing rests on it; asking the system for randomness takes 3 % of a hot request.
        request_id = asked if REQUEST_ID.fullmatch(asked) else f"{random.getrandbits(128):032x}"
        request.request_id = request_id  # type: ignore[attr-defined]
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = self.get_response(request)
        response["X-Request-Id"] = request_id
        return response


class OtherOriginsMiddleware(CorsMiddleware):
    """django-cors-headers', which takes 20 µs of each request to the API: only where origins are named."""

    def __init__(self, get_response: GetResponse) -> None:
        if not settings.CORS_ALLOWED_ORIGINS:
            raise MiddlewareNotUsed
        super().__init__(get_response)


class BodySizeMiddleware:
    """Refuses a body that no endpoint has a use for, before it is read; IMPORT_MAX_BYTES is the limit of files."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        length = request.META.get("CONTENT_LENGTH") or "0"
        # Anything but digits is Django's to read as nothing.
        size = int(length) if length.isascii() and length.isdigit() else 0
        is_file = (request.content_type or "").startswith("multipart/")
        if request.path.startswith("/api/") and not is_file and size > BODY_MAX_BYTES:
            # It stands before Django's own choice of a language.
            with translation.override(translation.get_language_from_request(request)):
                return body_too_large(BODY_MAX_BYTES)
        return self.get_response(request)


def body_too_large(most: int) -> JsonResponse:
    """413, with the bytes that may be."""
    detail = gettext("The request is larger than %(limit)s MB.") % {"limit": most // 1_000_000}
    return problem_json(status_code=413, code="too_large", detail=detail)


class PageCompressionMiddleware(GZipMiddleware):
    """Compresses pages and their fragments, a tenth of their size over a phone's network.

    Not JSON, whose readers are mostly servers near by, and never a stream: it must not wait for a full block. Against
    guessing a secret by the length of an answer (BREACH), Django pads each one at random and masks its CSRF token anew.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if response.streaming or not response.headers.get("Content-Type", "").startswith("text/html"):
            return response
        return super().process_response(request, response)


class ContentSecurityMiddleware(CSPMiddleware):
    """django-csp's, which puts the header together anew for each answer, though nearly all have the same one."""

    # What a view, a decorator or a template leaves behind when it wants another policy.
    OWN_WISHES = {f"_csp_{what}" for what in ("config", "update", "replace", "exempt")}

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        self.usual = build_policy()

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if settings.DEBUG or hasattr(request, "_csp_nonce") or self.OWN_WISHES & vars(response).keys():
            return super().process_response(request, response)
        response.headers.setdefault(HEADER, self.usual)
        return response


class LanguageMiddleware(LocaleMiddleware):
    """Django's, which looks for a language in the address before and after each view, where ours never have one."""

    def process_request(self, request: HttpRequest) -> None:
        translation.activate(translation.get_language_from_request(request))
        request.LANGUAGE_CODE = translation.get_language()
        variety_activate(request.LANGUAGE_CODE, request.META.get("HTTP_ACCEPT_LANGUAGE", "")[:200])

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        patch_vary_headers(response, ("Accept-Language",))
        response.headers.setdefault("Content-Language", translation.get_language())
        return response


class PageMessagesMiddleware(MessageMiddleware):
    """Django's, which looks for somebody's messages only once a page asks for them: the API never does."""

    def process_request(self, request: HttpRequest) -> None:
        request._messages = SimpleLazyObject(lambda: default_storage(request))  # type: ignore[attr-defined]  # noqa: SLF001

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        unasked = request._messages._wrapped is empty  # type: ignore[attr-defined]  # noqa: SLF001
        return response if unasked else super().process_response(request, response)


class AdminContentSecurityMiddleware:
    """unfold's pages use Alpine, which evaluates expressions, and inline styles; nothing outside the admin may."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if request.path.startswith("/admin/"):
            # django-csp reads the update from this attribute, as its own decorator sets it.
            response._csp_update = {  # type: ignore[attr-defined]  # noqa: SLF001
                "script-src": ["'unsafe-eval'", "'unsafe-inline'"],
                "style-src": ["'unsafe-inline'"],
            }
        return response


class ActingMiddleware:
    """Says who acts, should the request change what is written down of changes. It asks for the user only then."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with acting(lambda: _actor(request)):
            return self.get_response(request)


def _actor(request: HttpRequest) -> Actor:
    # A program sends its token; a browser its cookie, to the API's addresses as well.
    door = "api" if "Authorization" in request.headers else "page"
    if request.path.startswith("/admin/"):
        door = "admin"
    return {"user": request.user.pk, "request": request.request_id, "door": door}  # type: ignore[attr-defined]
