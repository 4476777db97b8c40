"""Answers the page on which a creator's OnlyFans account is connected, checked and disconnected.
Touches connection and selectors."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect

from crm.errors import HuntazeError, Unavailable
from crm.models import Membership
from crm.pages import creator_for_request
from crm.selectors import MANAGERS
from onlyfans import selectors
from onlyfans.connection import connection_check, connection_close, connection_open
from onlyfans.models import Account, AccountState


def _base_url(request: HttpRequest) -> str:
    """Where this installation is reached, as far as this request knows: events are to come there."""
    return request.build_absolute_uri("/")


@sensitive_post_parameters("key")
@login_required
@require_http_methods(["GET", "POST"])
def connection_page(request: HttpRequest) -> HttpResponse:
    """The state for every role; for owners and managers the form for a key, and what went wrong with the last one."""
    if request.method != "POST":
        return _page(request, creator_for_request(request))
    membership = creator_for_request(request, roles=MANAGERS)
    try:
        account = connection_open(
            creator=membership.creator,
            api_key=request.POST.get("key", ""),
            account_id=request.POST.get("account", ""),
            cancel_waiting="cancel_waiting" in request.POST,
            base_url=_base_url(request),
        )
    except HuntazeError as error:
        return _problem(request, membership, error)
    _report(request, account)
    # With a script the form asks for a part of the page; a page of its own ends that.
    return HttpResponseClientRedirect(request.path) if request.htmx else redirect("connect")  # type: ignore[attr-defined]  # its middleware


@login_required
@require_POST
def connection_again(request: HttpRequest) -> HttpResponse:
    """Connect once more with the stored key."""
    membership = creator_for_request(request, roles=MANAGERS)
    try:
        account = connection_check(creator=membership.creator, base_url=_base_url(request))
    except HuntazeError as error:
        return _problem(request, membership, error)
    _report(request, account)
    return redirect("connect")


@login_required
@require_POST
def connection_end(request: HttpRequest) -> HttpResponse:
    """Disconnect, once it is confirmed."""
    membership = creator_for_request(request, roles=MANAGERS)
    if "confirm" in request.POST:
        connection_close(creator=membership.creator, base_url=_base_url(request))
        messages.success(
            request, gettext("The account is disconnected. Nothing is sent any more; everything else stays.")
        )
    else:
        messages.error(request, gettext("Nothing was changed: confirm that you want to disconnect."))
    return redirect("connect")


def _report(request: HttpRequest, account: Account) -> None:
    if account.state == AccountState.SESSION_EXPIRED:
        messages.warning(
            request, gettext("The key works, but the OnlyFans session ended. Sign in again at the vendor.")
        )
    elif account.webhook_registered_at is None:
        messages.warning(
            request,
            gettext("Connected, but the vendor could not be told to send events here. Check again in a few minutes."),
        )
    else:
        messages.success(request, gettext("%(account)s is connected.") % {"account": account.account_id})


def _problem(request: HttpRequest, membership: Membership, error: HuntazeError) -> HttpResponse:
    """The page again with what went wrong, or with what there is to decide, which is no error to a browser: the
    accounts to choose from, or how many messages another account would leave behind."""
    accounts: Any = error.extra.get("accounts", ())
    waiting = error.extra.get("waiting", 0)
    status = 200 if accounts or waiting else 503 if isinstance(error, Unavailable) else 422
    chosen = request.POST.get("account", "")
    return _page(
        request, membership, status=status, error=error.detail, accounts=accounts, waiting=waiting, chosen=chosen
    )


def _page(request: HttpRequest, membership: Membership, *, status: int = 200, **more: Any) -> HttpResponse:
    context = {
        "connection": selectors.connection_get(creator=membership.creator),
        "may_manage": membership.role in MANAGERS,
        "error": "",
        "accounts": (),
        "waiting": 0,
        **more,
    }
    return render(request, "onlyfans/connect.html", context, status=status)
