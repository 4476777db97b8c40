"""Answers browsers that report what the content policy held back, with a line in the log. Touches nothing else."""

from typing import Any
from urllib.parse import urlsplit

import orjson
import structlog
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

logger = structlog.get_logger(__name__)
# A report is under a kilobyte or two; anybody may send one.
BODY_MAX = 10_000
LINES_PER_MINUTE = 60
COUNT_KEY = "huntaze:browser-reports"


@csrf_exempt
@require_POST
def receive(request: HttpRequest) -> HttpResponse:
    """204 whatever comes: a browser has no use for more, and a stranger learns nothing."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if length.isascii() and length.isdigit() and 0 < int(length) <= BODY_MAX and _has_room():
        try:
            found = orjson.loads(request.body).get("csp-report", {})
            logger.warning("browser held something back", **_told(found))
        except (ValueError, AttributeError):
            pass  # no report
    return HttpResponse(status=204)


def _has_room() -> bool:
    """Whether this minute's lines are not used up, so that nobody fills the log."""
    cache.add(COUNT_KEY, 0, timeout=60)
    try:
        count: int | None = cache.incr(COUNT_KEY)
    except ValueError:  # its minute ended just now
        return False
    return count is not None and count <= LINES_PER_MINUTE  # without Redis nobody can count


def _told(report: dict[str, Any]) -> dict[str, str]:
    """Where and which rule. Addresses without their query, which may hold what somebody searched for."""
    # A list may nest deeper than can be written out.
    texts = {name: value for name, value in report.items() if isinstance(value, str)}
    return {
        "directive": (texts.get("effective-directive") or texts.get("violated-directive", ""))[:100],
        "page": urlsplit(texts.get("document-uri", "")).path[:200],
        "blocked": urlsplit(texts.get("blocked-uri", ""))._replace(query="", fragment="").geturl()[:200],
    }
