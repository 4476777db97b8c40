"""Answers the inbox: the conversations, and one of them open. Touches selectors; lists come from the API's views."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.handlers.asgi import ASGIRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_POST

from crm import selectors
from crm.errors import Conflict, NotFound
from crm.models import Membership
from crm.pages import creator_for_request, fragment, membership_current
from crm.payloads import MESSAGE_MAX_CHARACTERS, PRICE_MAX_CENTS, PRICE_MIN_CENTS
from crm.placeholders import placeholder_values
from messaging.readiness import sending_blocked
from messaging.reasons import Blocked
from messaging.services import sending_resume

# Names the part of the inbox that a page asks for alone (static/inbox.js); its address stays the conversation's.
PART = "opened"


def _blocked(request: HttpRequest, membership: Membership) -> Blocked | None:
    """Asked once for a page, which shows it in its header and above its conversations."""
    if not hasattr(request, "_blocked"):
        request._blocked = sending_blocked(creator=membership.creator)  # type: ignore[attr-defined]  # noqa: SLF001
    found: Blocked | None = request._blocked  # type: ignore[attr-defined]  # noqa: SLF001  a cache on the request
    return found


def sign_context(request: HttpRequest) -> dict[str, Any]:
    """`sign` for the header of every page: what holds messages back, and how many are in trouble.

    `held_back` is the first of the two alone. Both are asked for when a template shows them.
    """

    def membership() -> Membership | None:
        return membership_current(request) if hasattr(request, "session") else None

    def held_back() -> Blocked | None:
        found = membership()
        return None if found is None else _blocked(request, found)

    def sign() -> dict[str, Any] | None:
        found = membership()
        if found is None:
            return None
        in_trouble = selectors.messages_in_trouble_count(creator=found.creator)
        return {"blocked": held_back(), "in_trouble": in_trouble}

    return {"sign": sign, "held_back": held_back}


def _state(request: HttpRequest, membership: Membership) -> dict[str, Any]:
    return {
        "blocked": _blocked(request, membership),
        "may_manage": membership.role in selectors.MANAGERS,
    }


def _inbox(request: HttpRequest, membership: Membership, opened: dict[str, Any]) -> HttpResponse:
    """The whole page; the opened conversation alone where the page is there already and swaps that part."""
    if request.headers.get("HX-Target") == PART:
        response = render(request, "messaging/_opened.html", opened)
    else:
        query = request.GET.copy()
        query.pop("older", None)
        context = {
            **_state(request, membership),
            "conversations": fragment(request, "conversations", membership=membership, query=query.urlencode()),
            "search": request.GET.get("search", ""),
            "unread": request.GET.get("unread", ""),
            # Where the server has no live stream the page polls alone.
            "live": isinstance(request, ASGIRequest),
        }
        response = render(request, "messaging/inbox.html", context | opened)
    # The same address answers both, and a browser that goes back must not take the part for the page.
    patch_vary_headers(response, ["HX-Target"])
    return response


@login_required
@require_GET
def inbox(request: HttpRequest) -> HttpResponse:
    """The conversations, none open."""
    return _inbox(request, creator_for_request(request), {})


@login_required
@require_GET
def state(request: HttpRequest) -> HttpResponse:
    """What stands in the way of sending, as the inbox says it above its conversations."""
    return render(request, "messaging/_sending_state.html", _state(request, creator_for_request(request)))


@login_required
@require_GET
def sign(request: HttpRequest) -> HttpResponse:
    """The sign of trouble in the header alone, which looks again by itself."""
    creator_for_request(request)
    return render(request, "messaging/_sign.html")


@login_required
@require_GET
def conversation(request: HttpRequest, conversation_id: int) -> HttpResponse:
    """The conversations with one open: its newest messages, the composer, a summary of the fan."""
    membership = creator_for_request(request)
    try:
        found = selectors.conversation_get(creator=membership.creator, conversation_id=conversation_id)
    except NotFound as error:
        raise Http404(error.detail) from error
    older = request.GET.get("older", "")
    opened = {
        "conversation": found,
        "fan": found.fan,
        "card": fragment(request, "fan", membership=membership, template="crm/_fan_card.html", fan_id=found.fan_id),
        "purchases": fragment(
            request, "fan-purchases", membership=membership, query=urlencode({"pageSize": 10}), fan_id=found.fan_id
        ),
        # What a quick reply's placeholders become.
        "called": placeholder_values(name=found.fan.name, handle=found.fan.handle),
        "price_min": PRICE_MIN_CENTS // 100,
        "price_max": PRICE_MAX_CENTS // 100,
        "may_write": membership.role in selectors.WRITERS,
        "characters_max": MESSAGE_MAX_CHARACTERS,
        "thread": fragment(
            request,
            "conversation-messages",
            membership=membership,
            query=urlencode({"cursor": older}) if older else "",
            conversation_id=found.pk,
        ),
    }
    return _inbox(request, membership, opened)


@login_required
@require_GET
def status(request: HttpRequest) -> HttpResponse:
    """Whether messages go out, what waits and what went wrong, in plain words."""
    membership = creator_for_request(request)
    names = {"sending": "messages-status", "troubles": "messages-failed", "account": "account"}
    context = {name: fragment(request, url_name, membership=membership) for name, url_name in names.items()}
    return render(request, "messaging/status.html", context)


@login_required
@require_POST
def resume(request: HttpRequest) -> HttpResponse:
    """Let a paused creator's messages go out again."""
    membership = creator_for_request(request, roles=selectors.MANAGERS)
    try:
        sending_resume(creator=membership.creator)
    except Conflict as error:
        messages.info(request, error.detail)
    else:
        messages.success(request, gettext("Sending goes on. What waited leaves within a minute, in its turn."))
    return redirect("inbox")
