"""Answers what of other packages is in the admin and how: no tokens and second steps, which only their users may make;
jobs; and that its own door is the sign-in page. Touches its list, and jobs by procrastinate's own means."""

from typing import Any

from allauth.account import admin as _accounts  # noqa: F401
from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from allauth.mfa import admin as _steps  # noqa: F401
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.http import HttpRequest
from procrastinate.contrib.django.admin import ProcrastinateJobAdmin
from procrastinate.contrib.django.models import ProcrastinateJob

# Imported first, so that it has registered what is taken out.
from rest_framework_simplejwt.token_blacklist import admin as _tokens  # noqa: F401
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from crm.admin import LargeAdmin

admin.site.unregister([BlacklistedToken, OutstandingToken, EmailAddress, Authenticator, ProcrastinateJob])
# One page asks for the password and for the second step.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]


@admin.register(ProcrastinateJob)
class JobAdmin(LargeAdmin, ProcrastinateJobAdmin):  # type: ignore[misc]  # without types
    """As procrastinate shows them; it would let everybody who sees a job cancel it."""

    list_filter = ("status", "queue_name", "task_name")  # type: ignore[assignment]  # a list there
    ordering = ("-id",)
    search_exact = {"id": ""}
    actions = ("retry", "cancel", "abort")  # type: ignore[assignment]

    @admin.action(description="Do again: failed jobs", permissions=["operate"])
    def retry(self, request: HttpRequest, queryset: Any) -> None:
        super().retry(request, queryset)

    @admin.action(description="Cancel: jobs that wait", permissions=["operate"])
    def cancel(self, request: HttpRequest, queryset: Any) -> None:
        super().cancel(request, queryset)

    @admin.action(description="Stop: jobs that wait or run", permissions=["operate"])
    def abort(self, request: HttpRequest, queryset: Any) -> None:
        super().abort(request, queryset)
