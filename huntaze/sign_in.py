"""Answers who signs in by which step, what django-axes asks about it, tells the CRM of one in a browser,
and has it speak the user's language. Touches no table itself."""

import math
from collections.abc import Mapping
from typing import Any

from allauth.account.signals import user_logged_in as signed_in
from allauth.account.utils import perform_login
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.signals import user_logged_in
from django.contrib.auth.views import LoginView
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import ngettext

from crm.models import User
from crm.sign_ins import sign_in_note
from huntaze.api import problem_json
from huntaze.throttling import Throttle


class SignInView(LoginView):
    """The password, and then whatever second step the user has turned on; only after that is anybody signed in."""

    template_name = "sign_in.html"
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        # django-axes counts by name, so it does not see one password that is tried on many names; and each takes a
        # tenth of a second of the processor.
        wait = Throttle.wait_at_a_page(request)
        return super().post(request, *args, **kwargs) if wait is None else _refused(request, wait)

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        answer: HttpResponse = perform_login(self.request, form.get_user(), redirect_url=self.get_success_url())
        return answer


@receiver(user_logged_in)
def browser_note(sender: type[User], request: HttpRequest, user: User, **kwargs: Any) -> None:
    """Tokens are told of where they are made; what has a session with a user in it is a browser."""
    if SESSION_KEY not in request.session:
        return
    if not request.session.session_key:  # another user was signed in there, so that all was thrown away
        request.session.save()
    sign_in_note(user=user, agent=request.headers.get("User-Agent", ""), session_key=request.session.session_key)


@receiver(signed_in)
def language_recall(sender: type[User], response: HttpResponse, user: User, **kwargs: Any) -> None:
    """The browser speaks what the user chose in another one."""
    if user.language in dict(settings.LANGUAGES):
        response.set_cookie(
            settings.LANGUAGE_COOKIE_NAME,
            user.language,
            max_age=settings.LANGUAGE_COOKIE_AGE,
            secure=settings.LANGUAGE_COOKIE_SECURE,
            samesite=settings.LANGUAGE_COOKIE_SAMESITE,  # type: ignore[arg-type]  # Django says no more than that it is a text
        )


def sign_in_name(request: HttpRequest, credentials: Mapping[str, Any] | None = None) -> str:
    """The address as users have it; the form calls it `username`, the API `email`."""
    given = credentials or request.POST
    return str(given.get("username") or given.get("email") or "").strip().lower()[:255]


def locked_response(request: HttpRequest, original: HttpResponse, credentials: Any = None) -> HttpResponse:
    """429, as a problem document under /api and as the sign-in page elsewhere."""
    return _refused(request, math.ceil(settings.AXES_COOLOFF_TIME.total_seconds()))


def _refused(request: HttpRequest, seconds: int) -> HttpResponse:
    minutes = math.ceil(seconds / 60)
    detail = ngettext(
        "Too many attempts to sign in. Try again in %(minutes)s minute.",
        "Too many attempts to sign in. Try again in %(minutes)s minutes.",
        minutes,
    ) % {"minutes": minutes}
    response: HttpResponse
    if request.path.startswith("/api/"):
        response = problem_json(status_code=429, code="sign_in_locked", detail=detail)
    else:
        context = {"form": AuthenticationForm(request), "locked": detail, "next": request.POST.get("next", "")}
        response = render(request, "sign_in.html", context, status=429)
    response["Retry-After"] = str(seconds)
    return response
