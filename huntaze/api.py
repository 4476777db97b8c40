"""Answers how errors look over HTTP (RFC 9457) and who the caller is. Touches no table."""

import math
from collections.abc import Iterator
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils import translation
from django.utils.translation import gettext, gettext_noop
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from crm.errors import ErrorKind, FieldError, HuntazeError

logger = structlog.get_logger(__name__)

STATUS = {
    ErrorKind.INVALID: 400,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.CONFLICT: 409,
    ErrorKind.STALE: 412,
    ErrorKind.FORBIDDEN: 403,
    ErrorKind.TOO_LARGE: 413,
    ErrorKind.UNREADABLE: 422,
    ErrorKind.UNAVAILABLE: 503,
}
TITLES = {
    400: gettext_noop("The request is not valid"),
    401: gettext_noop("Sign in first"),
    403: gettext_noop("Not allowed"),
    404: gettext_noop("Not found"),
    405: gettext_noop("Method not allowed"),
    406: gettext_noop("Not acceptable"),
    409: gettext_noop("Conflict"),
    412: gettext_noop("Changed in the meantime"),
    413: gettext_noop("Too large"),
    415: gettext_noop("Unsupported media type"),
    422: gettext_noop("Unreadable file"),
    429: gettext_noop("Too many requests"),
    503: gettext_noop("Not available now"),
}
OTHER_TITLE = gettext_noop("The request failed")


def problem_body(*, status_code: int, code: str, detail: str) -> dict[str, object]:
    """The members that every problem document has."""
    return {
        "type": "about:blank",
        "title": gettext(TITLES.get(status_code, OTHER_TITLE)),
        "status": status_code,
        "detail": detail,
        "code": code,
    }


def problem_response(
    *,
    status_code: int,
    code: str,
    detail: str,
    errors: tuple[FieldError, ...] = (),
    extra: dict[str, object] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """One problem document. `extra` members stand beside the standard ones, as RFC 9457 section 3.2 allows."""
    body = problem_body(status_code=status_code, code=code, detail=detail)
    if errors:
        body["errors"] = [{"field": e.field, "code": e.code, "detail": e.detail} for e in errors]
    body.update(extra or {})
    return Response(body, status=status_code, headers=headers, content_type="application/problem+json")


def problem_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """The one place that turns an error into HTTP. Anything it does not know is Django's to log and answer as 500."""
    if isinstance(error, HuntazeError):
        set_rollback()
        return problem_response(
            status_code=STATUS[error.kind],
            code=error.code,
            detail=error.detail,
            errors=error.errors,
            extra=error.extra,
            headers=_retry_after(error.retry_after),
        )
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, RequestDataTooBig):
        return problem_response(status_code=413, code="too_large", detail=gettext("The request is too large."))
    elif isinstance(error, SuspiciousOperation):  # a form that Django refuses to read
        error = exceptions.ParseError()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if not isinstance(error, exceptions.APIException):
        return None
    set_rollback()
    headers = _retry_after(getattr(error, "wait", None))
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if isinstance(error, exceptions.ValidationError):
        return problem_response(
            status_code=error.status_code,
            code="invalid",
            detail=gettext("Some fields are not valid."),
            errors=tuple(_field_errors(error.detail)),
            headers=headers,
        )
    detail: Any = error.detail
    if isinstance(detail, dict):  # simplejwt nests its text
        detail = detail.get("detail", error.default_detail)
    code = str(getattr(detail, "code", None) or error.default_code)
    return problem_response(
        status_code=error.status_code,
        code=code,
        detail=str(detail),
        # A body that cannot be read is wrong as a whole, in no field of it.
        errors=(FieldError("", code, str(detail)),) if isinstance(error, exceptions.ParseError) else (),
        headers=headers,
    )


def _retry_after(seconds: float | None) -> dict[str, str]:
    return {} if seconds is None else {"Retry-After": str(max(1, math.ceil(seconds)))}


def _field_errors(detail: Any, path: str = "") -> Iterator[FieldError]:
    """DRF's nested details, flattened: `{"a": {"b": [e]}}` becomes field `a.b`, list items `a[0]`."""
    if isinstance(detail, dict):
        for key, value in detail.items():
            name = "" if key == "non_field_errors" else str(key)
            yield from _field_errors(value, f"{path}[{key}]" if isinstance(key, int) else f"{path}.{name}".strip("."))
    elif isinstance(detail, list):
        for index, value in enumerate(detail):
            nested = isinstance(value, dict | list)
            yield from _field_errors(value, f"{path}[{index}]" if nested else path)
    else:
        yield FieldError(path, str(getattr(detail, "code", "invalid")), str(detail))


def problem_json(*, status_code: int, code: str, detail: str) -> JsonResponse:
    """A problem document where no view of the API could make one."""
    return JsonResponse(
        problem_body(status_code=status_code, code=code, detail=detail),
        status=status_code,
        content_type="application/problem+json",
    )


@csrf_exempt  # without it a POST is told of an expired form, in HTML
def not_found(request: HttpRequest) -> HttpResponse:
    """An address under /api that leads nowhere."""
    return problem_json(status_code=404, code="not_found", detail=gettext("Nothing is here."))


def server_error(request: HttpRequest) -> HttpResponse:
    """What nobody foresaw: Django has logged it."""
    if request.path.startswith("/api/"):
        detail = gettext("Something went wrong here. The request's id, in X-Request-Id, finds it in the logs.")
        return problem_json(status_code=500, code="server_error", detail=detail)
    # Whatever broke may have broken before anybody looked for the reader's language.
    with translation.override(translation.get_language_from_request(request)):
        return defaults.server_error(request)
