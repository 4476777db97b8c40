"""Answers how values look on a page: money, times, names, links. Touches nothing."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from zoneinfo import ZoneInfo

from babel.numbers import format_currency, format_decimal
from django import template
from django.http import QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext

from crm import moments, stored_words
from crm.models import Role, TransactionKind, TransactionStatus

register = template.Library()

# How many colours static/huntaze.css has for initials.
HUES = 5


def _locale() -> str:
    return get_language() or "en"


@register.filter
def in_words(stored: str | None) -> str:
    """What a row says in English (a reason, say), in the reader's language where the catalogue knows it."""
    return stored_words.in_words(stored)


@register.filter
def money(cents: int | None) -> str:
    """123456 is $1,234.56, and in French 1 234,56 $US."""
    return format_currency(Decimal(cents or 0) / 100, "USD", locale=_locale())


@register.filter
def money_in(cents: int | None, currency: str) -> str:
    """An amount in the currency with this code."""
    return "" if cents is None else format_currency(Decimal(cents) / 100, currency, locale=_locale())


@register.filter
def first_day(value: str) -> date:
    """`2026-11` as its first day."""
    return date(int(value[:4]), int(value[5:7]), 1)


@register.filter
def decimal(cents: int) -> str:
    """123456 is 1234.56, as a field for numbers takes it."""
    return f"{cents // 100}.{cents % 100:02}"


@register.filter
def plain(number: float) -> str:
    """3.0 is 3, and 2.5 in French 2,5."""
    return format_decimal(number, locale=_locale())


@register.filter
def signed(number: float) -> str:
    """12.5 is +12.5, in French +12,5; a minus is the sign that stands as high."""
    return format_decimal(number, "+#,##0.0;−#,##0.0", locale=_locale())


@register.filter
def duration(seconds: int | None) -> str:
    """45 is 45 s, 754 is 12 min, 8040 is 2 h 14 min, 200000 is 2 d 7 h; a dash where there is none."""
    if seconds is None:
        return "–"
    minutes, hours = seconds // 60, seconds // 3600
    if hours >= 24:
        return gettext("%(days)s d %(hours)s h") % {"days": hours // 24, "hours": hours % 24}
    if hours:
        return gettext("%(hours)s h %(minutes)s min") % {"hours": hours, "minutes": minutes % 60}
    return f"{minutes} min" if minutes else f"{seconds} s"


@register.filter
def purchase_kind(kind: str) -> str:
    """What was paid for, in words."""
    return str(TransactionKind(kind).label)


@register.filter
def purchase_status(status: str) -> str:
    """How a payment stands, in words."""
    return str(TransactionStatus(status).label)


@register.filter
def role_name(role: str) -> str:
    """A role on a team, in words."""
    return str(Role(role).label)


def reader_zone(context: Any) -> ZoneInfo:
    """The zone that the reader's browser named, else the creator's."""
    request = context.get("request")
    zone = moments.zone_named(request.COOKIES.get(moments.ZONE_COOKIE, "")) if request else None
    if zone is None and (membership := context.get("current_membership")):
        zone = moments.zone_named(membership.creator.time_zone)
    return zone or ZoneInfo("UTC")


@register.simple_tag
def reader_locale() -> str:
    """The variety of the page's language that the reader's browser asks for: en-GB."""
    return moments.reader_locale()


def moment_text(context: Any, at: datetime, kind: str) -> str:
    """A moment in words of one of the kinds of crm/moments.py, on the reader's clock."""
    return moments.moment_words(at, kind, locale=moments.reader_locale(), zone=reader_zone(context), now=timezone.now())


@register.simple_tag(takes_context=True)
def when(context: Any, value: str | datetime, kind: str, **attributes: str) -> SafeString:
    """A moment as `<time>`, which names the clock in its title; ISO 8601, as the API writes it, is read."""
    at = parse_datetime(value) if isinstance(value, str) else value
    if at is None:
        return SafeString("")
    return format_html(
        '<time{} datetime="{}" data-time="{}" title="{} · {}">{}</time>',
        format_html(' class="{}"', attributes["class"]) if "class" in attributes else "",
        at.isoformat().replace("+00:00", "Z"),
        kind,
        moment_text(context, at, "moment"),
        reader_zone(context).key,
        moment_text(context, at, kind),
    )


@register.simple_tag(takes_context=True)
def day_heading(context: Any, value: str) -> str:
    """The day under which a message of a thread stands."""
    return moment_text(context, parse_datetime(value) or timezone.now(), "heading")


@register.filter
def day(value: date) -> str:
    """A day of a calendar, which breaks into no two lines."""
    return moments.day_words(value, moments.reader_locale()).replace(" ", "\N{NO-BREAK SPACE}")


@register.filter
def month(value: date) -> str:
    """The month that a day is in."""
    return moments.month_words(value, moments.reader_locale()).replace(" ", "\N{NO-BREAK SPACE}")


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
