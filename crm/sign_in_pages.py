"""Answers a user where they are signed in, and ends what they do not know. Touches sign-ins by their service."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from crm import sign_ins as service
from crm.errors import NotFound


@login_required
@never_cache
@require_GET
def sign_ins(request: HttpRequest) -> HttpResponse:
    user: Any = request.user
    rows = list(service.sign_in_list(user=user))
    others = sum(row.session_key != request.session.session_key for row in rows)
    return render(request, "crm/sign_ins.html", {"rows": rows, "others": others})


@login_required
@require_POST
def sign_in_end(request: HttpRequest) -> HttpResponse:
    """`id` names one of the user's own; without it, all but this browser."""
    user: Any = request.user
    asked = request.POST.get("id", "")
    if not asked:
        ended = service.sign_ins_end_all(user=user, but_session=request.session.session_key or "")
        words = ngettext("%(number)s other sign-in ended.", "%(number)s other sign-ins ended.", ended)
        messages.success(request, words % {"number": ended})
        return redirect("sign-ins")
    # A longer number is no row's.
    known = asked.isascii() and asked.isdigit() and len(asked) < 19
    try:
        service.sign_in_revoke(user=user, sign_in_id=int(asked) if known else 0)
    except NotFound as error:
        raise Http404(error.detail) from error
    messages.success(request, _("That sign-in has ended."))
    return redirect("sign-ins")
