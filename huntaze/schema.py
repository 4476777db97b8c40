"""Answers how the project's own tokens look in the OpenAPI document: as simplejwt's. Touches nothing."""

from drf_spectacular.contrib import rest_framework_simplejwt as simplejwt


class TokenScheme(simplejwt.SimpleJWTScheme):  # type: ignore[no-untyped-call]  # of the base's __init_subclass__
    target_class = "huntaze.tokens.TokenAuthentication"


class ObtainExtension(simplejwt.TokenObtainPairSerializerExtension):  # type: ignore[no-untyped-call]
    target_class = "huntaze.tokens.ObtainSerializer"


class RefreshExtension(simplejwt.TokenRefreshSerializerExtension):  # type: ignore[no-untyped-call]
    target_class = "huntaze.tokens.RefreshSerializer"


class VerifyExtension(simplejwt.TokenVerifySerializerExtension):  # type: ignore[no-untyped-call]
    target_class = "huntaze.tokens.VerifySerializer"
