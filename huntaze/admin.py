"""Answers what of other packages is not in the admin (tokens, second steps, which only their users may make), and that
its own door is the sign-in page. Touches its list."""

from allauth.account import admin as _accounts  # noqa: F401
from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from allauth.mfa import admin as _steps  # noqa: F401
from allauth.mfa.models import Authenticator
from django.contrib import admin

# Imported first, so that it has registered what is taken out.
from rest_framework_simplejwt.token_blacklist import admin as _tokens  # noqa: F401
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

admin.site.unregister([BlacklistedToken, OutstandingToken, EmailAddress, Authenticator])
# One page asks for the password and for the second step.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
