"""Views that packages bring, strict as the rest of the API is: tokens, and the OpenAPI document."""

from drf_spectacular.views import SpectacularAPIView
from rest_framework_simplejwt import views

from crm.strict_api import StrictAPIView


class TokenView(StrictAPIView, views.TokenObtainPairView):
    pass


class TokenRefreshView(StrictAPIView, views.TokenRefreshView):
    pass


class TokenVerifyView(StrictAPIView, views.TokenVerifyView):
    pass


class LogoutView(StrictAPIView, views.TokenBlacklistView):
    pass


class SchemaView(StrictAPIView, SpectacularAPIView):
    pass
