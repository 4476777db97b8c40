"""Answers which creator a browser works for and what language it speaks, and the page of fans.
Touches the session, selectors and services."""

from copy import copy
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import resolve, reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_GET, require_POST
from django.views.i18n import set_language

from crm import selectors, services
from crm.errors import Forbidden, NotFound
from crm.fan_services import TAGGED_MAX
from crm.models import Membership, Role, User
from crm.payloads import MESSAGE_MAX_CHARACTERS
from crm.placeholders import PLACEHOLDERS
from crm.strict_api import query_known

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

SESSION_KEY = "creator_id"
Choices: TypeAlias = "list[tuple[str, StrOrPromise]]"
VALUES: Choices = [
    ("", gettext_lazy("Any")),
    ("1", gettext_lazy("Spent something")),
    ("10000", gettext_lazy("$100 or more")),
    ("50000", gettext_lazy("$500 or more")),
]
ORDERINGS: Choices = [
    ("", gettext_lazy("Value")),
    ("-lastSeenAt", gettext_lazy("Last seen")),
    ("name", gettext_lazy("Name")),
    ("-createdAt", gettext_lazy("Newest here")),
]


def memberships_for_request(request: HttpRequest) -> list[Membership]:
    """The caller's memberships, read once per request; none for somebody who is not signed in."""
    if not isinstance(request.user, User):
        return []
    cached: list[Membership] | None = getattr(request, "_memberships", None)
    if cached is None:
        cached = list(selectors.membership_list(user=request.user))
        request._memberships = cached  # type: ignore[attr-defined]  # noqa: SLF001  a cache on the request
    return cached


def membership_current(request: HttpRequest) -> Membership | None:
    """The membership chosen in this session, else the first; None where the user has no creator."""
    memberships = memberships_for_request(request)
    chosen = request.session.get(SESSION_KEY)
    return next((m for m in memberships if m.creator_id == chosen), memberships[0] if memberships else None)


def creator_for_request(request: HttpRequest, *, roles: frozenset[Role] | None = None) -> Membership:
    """As membership_current, with 404 where the user has no creator, and 403 where their role is none of `roles`."""
    membership = membership_current(request)
    if membership is None:
        raise Http404(gettext("You have no creator yet. Ask an owner to add you to one."))
    if roles is not None:
        try:
            selectors.membership_require(membership, roles)
        except Forbidden as error:
            raise PermissionDenied(error.detail) from error
    return membership


def creators_context(request: HttpRequest) -> dict[str, Any]:
    """`memberships` and `current_membership` for the templates' header; `may` for what a role is shown."""
    if not hasattr(request, "user") or not request.user.is_authenticated:
        return {}
    current = membership_current(request)
    role = current.role if current else None
    return {
        "memberships": memberships_for_request(request),
        "current_membership": current,
        "may": {"manage": role in selectors.MANAGERS, "write": role in selectors.WRITERS},
    }


@login_required
@require_POST
def creator_choose(request: HttpRequest) -> HttpResponse:
    """Work for another of one's creators from now on."""
    value = request.POST.get("creator", "")
    try:
        membership = selectors.membership_get(
            user=request.user,  # type: ignore[arg-type]  # login_required has run
            creator_id=int(value) if value.isascii() and value.isdigit() and len(value) < 19 else 0,
        )
    except NotFound as error:
        raise Http404(error.detail) from error
    request.session[SESSION_KEY] = membership.creator_id
    target = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}):
        target = "/"
    return redirect(target)


@require_POST
def language_choose(request: HttpRequest) -> HttpResponse:
    """What Django's own view does, and of somebody who is signed in the choice is kept for their other browsers."""
    language = request.POST.get("language", "")
    if isinstance(request.user, User) and language in dict(settings.LANGUAGES):
        services.user_language_set(user=request.user, language=language)
    return set_language(request)


def api_answer(
    request: HttpRequest,
    url_name: str,
    *,
    accept: str,
    membership: Membership,
    query: str = "",
    template: str = "",
    **kwargs: Any,
) -> Any:
    """The answer of the API view of this name, not rendered yet, to whom the page is for.

    query: of the page's address; what the view does not take is left out, as browsers bring more along.
    template: where a page shows the answer in another way than the view's own fragment.
    """
    address = reverse(url_name, kwargs=kwargs)
    view: Any = resolve(address)
    asked = query_known(view.func.cls, QueryDict(query))
    inner: Any = copy(request)
    inner.__dict__.pop("headers", None)
    inner.method = "GET"
    inner.path = inner.path_info = address
    inner.GET = asked
    inner.META = {
        **request.META,
        "HTTP_ACCEPT": accept,
        "HTTP_X_CREATOR": str(membership.creator_id),
        "QUERY_STRING": asked.urlencode(),
    }
    inner.page_path = request.path
    inner.fragment_template = template
    return view.func(inner, *view.args, **view.kwargs)


def fragment(
    request: HttpRequest, url_name: str, *, membership: Membership, query: str = "", template: str = "", **kwargs: Any
) -> SafeString:
    """What the API view of this name answers to the page's own fetch, so that the first paint holds it already.

    Raises Http404 where the view answers 404; any other problem is shown in its place.
    """
    response = api_answer(
        request, url_name, accept="text/html", membership=membership, query=query, template=template, **kwargs
    )
    if response.status_code == 404:
        raise Http404(response.data["detail"])
    html: str = response.render().content.decode()
    return mark_safe(html)  # noqa: S308  a template of ours made it


@login_required
@require_GET
def fans(request: HttpRequest) -> HttpResponse:
    """The creator's fans, as the API lists them."""
    membership = creator_for_request(request)
    asked = request.GET
    context = {
        "rows": fragment(request, "fans", membership=membership, query=asked.urlencode()),
        "search": asked.get("search", ""),
        "tag": asked.get("tag", ""),
        "values": with_current(VALUES, asked.get("minValueCents", ""), gettext("Another amount")),
        "min_value": asked.get("minValueCents", ""),
        "activities": with_current(activities(), asked.get("activeSince", ""), gettext("Another time")),
        "active_since": asked.get("activeSince", ""),
        "orderings": ORDERINGS,
        "ordering": asked.get("ordering", ""),
        "deleted": asked.get("deleted", ""),
        "may_manage": membership.role in selectors.MANAGERS,
        "may_write": membership.role in selectors.WRITERS,
        "tagged_max": TAGGED_MAX,
    }
    return render(request, "crm/fans.html", context)


def activities() -> Choices:
    """From whole days on, so that an address stays the same for as long."""
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    found: Choices = [("", gettext("Any time"))]
    found += [
        (f"{today - timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}", gettext("In %(days)s days") % {"days": days})
        for days in (7, 30, 90)
    ]
    return found


def with_current(choices: Choices, current: str, name: str) -> Choices:
    """An address may name a value that the page would not offer; the form must not say otherwise."""
    known = any(value == current for value, _ in choices)
    return choices if known else [*choices, (current, name)]


@login_required
@require_GET
def fan_page(request: HttpRequest, fan_id: int) -> HttpResponse:
    """All that is held about one fan."""
    membership = creator_for_request(request)
    context = {
        "fan": fragment(request, "fan", membership=membership, template="crm/_fan_page.html", fan_id=fan_id),
        "purchases": fragment(request, "fan-purchases", membership=membership, fan_id=fan_id),
    }
    return render(request, "crm/fan.html", context)


@login_required
@require_GET
def settings_page(request: HttpRequest) -> HttpResponse:
    """What a creator's people set for all of them."""
    membership = creator_for_request(request)
    context = {
        "quick_replies": fragment(request, "quick-replies", membership=membership),
        "limit": fragment(request, "messages-limit", membership=membership),
        "time_zone": fragment(request, "creator", membership=membership),
        "team": fragment(request, "team", membership=membership) if membership.role in selectors.MANAGERS else "",
        "may_manage": membership.role in selectors.MANAGERS,
        "may_own": membership.role == Role.OWNER,
        "roles": Role.choices,
        "characters_max": MESSAGE_MAX_CHARACTERS,
        "placeholders": PLACEHOLDERS,
    }
    return render(request, "crm/settings.html", context)


@login_required
@require_POST
def fan_write(request: HttpRequest, fan_id: int) -> HttpResponse:
    """Open the conversation with a fan, begun when there is none."""
    membership = creator_for_request(request, roles=selectors.WRITERS)
    try:
        fan = selectors.fan_get(creator=membership.creator, fan_id=fan_id)
    except NotFound as error:
        raise Http404(error.detail) from error
    conversation = services.conversation_open(fan=fan)
    return redirect("conversation", conversation_id=conversation.pk)
