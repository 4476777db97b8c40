"""Answers how values look on a page: money, times, names, links. Touches nothing."""

from datetime import datetime
from urllib.parse import parse_qs, urlencode, urlsplit

from django import template
from django.http import QueryDict
from django.utils.dateparse import parse_datetime

from crm.models import Role, TransactionKind, TransactionStatus

register = template.Library()

# How many colours static/huntaze.css has for initials.
HUES = 5


@register.filter
def money(cents: int | None) -> str:
    """123456 is $1,234.56."""
    sign = "-" if (cents or 0) < 0 else ""
    dollars, rest = divmod(abs(cents or 0), 100)
    return f"{sign}${dollars:,}.{rest:02}"


@register.filter
def decimal(cents: int) -> str:
    """123456 is 1234.56, as a field for numbers takes it."""
    return f"{cents // 100}.{cents % 100:02}"


@register.filter
def signed(number: float) -> str:
    """12.5 is +12.5, and a minus is the sign that stands as high."""
    return f"{number:+.1f}".replace("-", "−")


@register.filter
def purchase_kind(kind: str) -> str:
    """What was paid for, in words."""
    return TransactionKind(kind).label


@register.filter
def purchase_status(status: str) -> str:
    """How a payment stands, in words."""
    return TransactionStatus(status).label


@register.filter
def role_name(role: str) -> str:
    """A role on a team, in words."""
    return Role(role).label


@register.filter
def moment(value: str | datetime | None) -> datetime | None:
    """The time that the API wrote in ISO 8601."""
    return parse_datetime(value) if isinstance(value, str) else value


@register.filter
def initials(name: str) -> str:
    """At most two letters, of the first and the last word that begin with one."""
    letters = [word[0].upper() for word in name.replace("@", " ").split() if word[0].isalnum()]
    return (letters[0] + letters[-1] if len(letters) > 1 else "".join(letters)) or "?"


@register.filter
def hue(number: int) -> int:
    """Which of the colours this one always has."""
    return number % HUES


@register.filter
def local(link: str | None) -> str:
    """The link without its host, so that a page asks where it came from, whatever a proxy in between calls it."""
    parts = urlsplit(link or "")
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


@register.filter
def query_of(link: str | None) -> str:
    """The query of a link to the next page, with its question mark, so that a page can carry it on as its own."""
    query = urlsplit(link or "").query
    return f"?{query}" if query else ""


@register.filter
def cursor_of(link: str | None) -> str:
    """The position that a link to the next page names."""
    return parse_qs(urlsplit(link or "").query).get("cursor", [""])[0]


@register.filter
def without(query: QueryDict, name: str) -> str:
    """The query with its question mark, less one name and whatever is empty."""
    given = [(key, value) for key in query if key != name for value in query.getlist(key) if value]
    return f"?{urlencode(given)}" if given else ""


@register.filter
def share_of(part: int, whole: int) -> str:
    """The part in percent of the whole with one decimal, at most 100; for the length of a bar."""
    return f"{min(100.0, 100 * part / whole):.1f}" if whole > 0 else "0"
