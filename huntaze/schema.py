"""Answers how the project's own tokens look in the OpenAPI document: as simplejwt's. Touches nothing."""

from drf_spectacular.contrib import rest_framework_simplejwt as simplejwt


class TokenScheme(simplejwt.SimpleJWTScheme):
    target_class = "huntaze.tokens.TokenAuthentication"


class ObtainExtension(simplejwt.TokenObtainPairSerializerExtension):
    target_class = "huntaze.tokens.ObtainSerializer"


class RefreshExtension(simplejwt.TokenRefreshSerializerExtension):
    target_class = "huntaze.tokens.RefreshSerializer"


class VerifyExtension(simplejwt.TokenVerifySerializerExtension):
    target_class = "huntaze.tokens.VerifySerializer"
