"""Answers who may have tokens. Touches the user's time of signing in alone."""

from typing import Any

from django.contrib.auth.signals import user_logged_in
from rest_framework_simplejwt.serializers import TokenObtainPairSerializer

from crm.models import User


class ObtainSerializer(TokenObtainPairSerializer):
    """Signs in. django-axes marks Django's own request, and hears of the success."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, str]:
        request = self.context["request"]._request  # noqa: SLF001
        self.context["request"] = request
        tokens = super().validate(attrs)
        user_logged_in.send(sender=User, request=request, user=self.user)
        return tokens
