"""Answers owners who changed what, as a page and as a file. Touches selectors of the audit trail."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from crm import audit_selectors
from crm.audit_selectors import SYSTEM, Asked, Entry, Position
from crm.csv_lines import csv_file
from crm.models import Creator, Role
from crm.pages import creator_for_request
from crm.templatetags.crm_format import moment_text, money, role_name

OWNERS = frozenset({Role.OWNER})
PAGE = 50
KINDS = {
    "fan": gettext_lazy("Fan"),
    "membership": gettext_lazy("Team"),
    "campaign": gettext_lazy("Campaign"),
    "account": gettext_lazy("OnlyFans account"),
}
ACTIONS = {
    "added": gettext_lazy("added"),
    "changed": gettext_lazy("changed"),
    "removed": gettext_lazy("removed"),
    "deleted": gettext_lazy("deleted"),
    "restored": gettext_lazy("restored"),
    "erased": gettext_lazy("erased for good"),
    "key_stored": gettext_lazy("key stored"),
}
FIELDS = {
    "name": gettext_lazy("Name"),
    "email": gettext_lazy("E-mail address"),
    "tags": gettext_lazy("Tags"),
    "notes": gettext_lazy("Notes"),
    "role": gettext_lazy("Role"),
    "status": gettext_lazy("Status"),
    "price_cents": gettext_lazy("Price"),
    "scheduled_at": gettext_lazy("Scheduled for"),
    "account_id": gettext_lazy("Account at the vendor"),
    "state": gettext_lazy("State"),
}
# As they stand in the file, where the columns of a program are no prose.
HEADER = ["at", "who", "how", "kind", "subject", "action", "field", "before", "after", "request"]


class AuditForm(forms.Form):
    """Which changes to show; what is left out means all. Days are days in UTC."""

    kind = forms.ChoiceField(required=False, label=gettext_lazy("What"))
    who = forms.ChoiceField(required=False, label=gettext_lazy("Who"))
    since = forms.DateField(required=False, label=gettext_lazy("From day"))
    until = forms.DateField(required=False, label=gettext_lazy("To day"))
    after = forms.CharField(required=False, max_length=100)

    def __init__(self, *args: Any, creator: Creator, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kinds: Any = self.fields["kind"]
        kinds.choices = [("", gettext("Everything")), *KINDS.items()]
        users: Any = self.fields["who"]
        people = [(str(user.pk), user.name or user.email) for user in audit_selectors.audit_user_list(creator=creator)]
        users.choices = [("", gettext("Everybody")), *people, (str(SYSTEM), gettext("Huntaze by itself"))]

    def clean_after(self) -> Position | None:
        value = self.cleaned_data["after"]
        if not value:
            return None
        at, _, rest = value.partition("_")
        kind, _, event_id = rest.partition("_")
        moment = None
        with suppress(ValueError):  # of a day that no month has
            moment = parse_datetime(at)
        known = kind in KINDS and event_id.isascii() and event_id.isdigit() and len(event_id) < 19
        if moment is None or moment.tzinfo is None or not known:
            raise forms.ValidationError(gettext("This is no place in the list. Begin at its head."))
        return Position(moment, kind, int(event_id))

    def asked(self) -> Asked:
        given = self.cleaned_data
        until = given.get("until")
        return Asked(
            kind=given.get("kind", ""),
            user=int(given["who"]) if given.get("who") else None,
            since=_midnight(given.get("since")),
            until=_midnight(until + timedelta(days=1)) if until else None,
        )


@login_required
@never_cache
@require_GET
def audit(request: HttpRequest) -> HttpResponse:
    """The newest changes first, fifty to a page."""
    membership = creator_for_request(request, roles=OWNERS)
    form = AuditForm(request.GET, creator=membership.creator)
    rows: list[Entry] = []
    if form.is_valid():
        rows = audit_selectors.audit_list(
            creator=membership.creator, asked=form.asked(), after=form.cleaned_data["after"], limit=PAGE + 1
        )
    query = request.GET.copy()
    query.pop("after", None)
    older = query.copy()
    if len(rows) > PAGE:
        older["after"] = _place(rows[PAGE - 1].position)
    reader = {"request": request, "current_membership": membership}
    at = partial(moment_text, reader, kind="moment")
    context = {
        "form": form,
        "entries": [_shown(entry, at) for entry in rows[:PAGE]],
        "older": older.urlencode() if len(rows) > PAGE else "",
        "newest": query.urlencode(),
        "filtered": any(query.values()),
        "later": bool(request.GET.get("after")),
    }
    return render(request, "crm/audit.html", context, status=200 if form.is_valid() else 400)


@login_required
@never_cache
@require_GET
def audit_csv(request: HttpRequest) -> HttpResponseBase:
    """What the page would show, all of it; a line for each field that changed."""
    membership = creator_for_request(request, roles=OWNERS)
    form = AuditForm(request.GET, creator=membership.creator)
    if not form.is_valid():
        return HttpResponse("\n".join(str(e) for each in form.errors.values() for e in each), status=400)
    lines = csv_file(HEADER, _cells(creator=membership.creator, asked=form.asked()))
    answer = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = 'attachment; filename="changes.csv"'
    return answer


def _cells(*, creator: Creator, asked: Asked) -> Iterator[list[str]]:
    for entry in audit_selectors.audit_all(creator=creator, asked=asked):
        shown = _shown(entry, datetime.isoformat)
        head = [entry.position.at.isoformat(), shown["who"], shown["how"], shown["kind"], shown["subject"]]
        for name, before, after in shown["changes"] or [("", "", "")]:
            yield [*head, shown["action"], name, before, after, entry.request]


def _shown(entry: Entry, at: Callable[[datetime], str]) -> dict[str, Any]:
    """In the reader's words; `at` writes a moment."""
    kind = entry.position.kind

    def value(field: str, found: Any) -> str:
        return _value(kind, field, found, at)

    return {
        "at": entry.position.at,
        "kind": str(KINDS[kind]),
        "is_fan": kind == "fan",
        "row_id": entry.row_id,
        "subject": entry.subject,
        "action": str(ACTIONS[entry.action]),
        "who": _who(entry),
        "how": _how(entry),
        "request": entry.request,
        "changes": [
            (str(FIELDS[each.field]), value(each.field, each.before), value(each.field, each.after))
            for each in entry.changes
        ],
    }


def _who(entry: Entry) -> str:
    if not entry.by_user:
        return gettext("Huntaze by itself")
    if entry.user is None:
        return gettext("Somebody whose account is gone")
    return entry.user.name or entry.user.email


def _how(entry: Entry) -> str:
    if entry.door == "command":
        return gettext("by the command %(name)s") % {"name": entry.command}
    return {"admin": gettext("in the admin"), "api": gettext("by a program")}.get(entry.door, "")


def _value(kind: str, name: str, value: Any, at: Callable[[datetime], str]) -> str:
    if value is None or value == "" or value == []:
        return ""
    if name == "role":
        return role_name(value)
    if name == "price_cents":
        return money(value)
    if name == "tags":
        return ", ".join(value)
    if isinstance(value, datetime):
        return at(value)
    return str(STATES.get(value, value)) if name in {"status", "state"} else str(value)


# Of campaigns and accounts, whose packages stand above this one.
STATES = {
    "running": gettext_lazy("Running"),
    "paused": gettext_lazy("Paused"),
    "cancelled": gettext_lazy("Cancelled"),
    "connected": gettext_lazy("Connected"),
    "session_expired": gettext_lazy("Session expired"),
    "disconnected": gettext_lazy("Disconnected"),
}


def _place(position: Position) -> str:
    return f"{position.at.isoformat()}_{position.kind}_{position.event_id}"


def _midnight(day: Any) -> datetime | None:
    return None if day is None else datetime.combine(day, datetime.min.time(), tzinfo=timezone.get_default_timezone())
