"""Answers what of other packages is not in the admin: tokens, which only signing in may make. Touches its list."""

from django.contrib import admin

# Imported first, so that it has registered what is taken out.
from rest_framework_simplejwt.token_blacklist import admin as _tokens  # noqa: F401
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

admin.site.unregister([BlacklistedToken, OutstandingToken])
