"""Answers which address hands out, renews and withdraws tokens. Touches nothing else."""

from django.urls import path
from rest_framework_simplejwt.views import (
    TokenBlacklistView,
    TokenObtainPairView,
    TokenRefreshView,
    TokenVerifyView,
)

from crm.api import MeView

urlpatterns = [
    path("token", TokenObtainPairView.as_view(), name="token"),
    path("token/refresh", TokenRefreshView.as_view(), name="token-refresh"),
    path("token/verify", TokenVerifyView.as_view(), name="token-verify"),
    path("logout", TokenBlacklistView.as_view(), name="logout"),
    path("me", MeView.as_view(), name="me"),
]
