"""Answers which address hands out, renews and withdraws tokens. Touches nothing else."""

from django.urls import path

from crm.api import MeView
from huntaze.package_views import LogoutView, TokenRefreshView, TokenVerifyView, TokenView

urlpatterns = [
    path("token", TokenView.as_view(), name="token"),
    path("token/refresh", TokenRefreshView.as_view(), name="token-refresh"),
    path("token/verify", TokenVerifyView.as_view(), name="token-verify"),
    path("logout", LogoutView.as_view(), name="logout"),
    path("me", MeView.as_view(), name="me"),
]
