"""Answers who a token belongs to, and hands tokens out, renews and withdraws them. Touches sign-ins by their service.

The tokens of one sign-in share a claim, `sid`. An access token is good for a quarter of an hour by itself, so each
request also asks whether the user is active, has the same password still, and has not signed out. For reads that answer
may be a few seconds old (crm/recent.py); whatever writes asks the database.
"""

import hmac
import time
from functools import lru_cache
from typing import Any, cast

from django.contrib.auth.signals import user_logged_in
from django.db import transaction
from django.utils.translation import gettext
from drf_spectacular.utils import extend_schema_serializer
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.serializers import CharField
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.serializers import (
    TokenBlacklistSerializer,
    TokenObtainPairSerializer,
    TokenRefreshSerializer,
    TokenVerifySerializer,
)
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken
from rest_framework_simplejwt.tokens import RefreshToken, Token, UntypedToken
from rest_framework_simplejwt.utils import get_md5_hash_password

from crm import sign_ins
from crm.json_types import JsonTypes
from crm.models import User
from crm.recent import Recent
from huntaze import second_step

SIGN_IN_CLAIM = "sid"
_recent: Recent[tuple[str, str], User | None] = Recent()


@lru_cache(maxsize=10_000)
def _token_read(raw: bytes) -> Token:
    """A token that is well signed, whose signature is looked at once; whether its time is over must be asked anew."""
    return JWTAuthentication().get_validated_token(raw)


def token_user(token: Token, *, fresh: bool) -> User:
    """The user whom the token stands for. Raises AuthenticationFailed where it stands for nobody any more."""
    user_id, sign_in = (str(token.get(claim, "")) for claim in (api_settings.USER_ID_CLAIM, SIGN_IN_CLAIM))
    user = _recent.get((user_id, sign_in), lambda: sign_ins.sign_in_user(user_id=user_id, sign_in=sign_in), fresh=fresh)
    # simplejwt's own claim of the password that the user had.
    claimed = str(token.get(api_settings.REVOKE_TOKEN_CLAIM, ""))
    if user is None or not hmac.compare_digest(claimed, get_md5_hash_password(user.password)):
        raise AuthenticationFailed(gettext("This sign-in has ended. Sign in again."), code="signed_out")
    return user


class TokenAuthentication(JWTAuthentication):
    """As the tokens above."""

    def authenticate(  # type: ignore[override]  # simplejwt's own type of a user is a variable
        self, request: Request
    ) -> tuple[User, Token] | None:
        header = self.get_header(request)
        raw = None if header is None else self.get_raw_token(header)
        if raw is None:
            return None
        token = _token_read(raw)
        if token["exp"] <= time.time():
            token = self.get_validated_token(raw)  # says so
        return token_user(token, fresh=request.method not in SAFE_METHODS), token


@extend_schema_serializer(component_name="TokenObtainPair")
class ObtainSerializer(JsonTypes, TokenObtainPairSerializer):
    """Signs in. django-axes marks Django's own request, and hears of the success."""

    otp = CharField(max_length=20, required=False, write_only=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, str]:
        request = self.context["request"]._request  # noqa: SLF001
        self.context["request"] = request  # type: ignore[index]  # it is a dict
        # simplejwt's next class makes tokens at once; here the second step comes between.
        super(TokenObtainPairSerializer, self).validate(attrs)
        user = cast(User, self.user)
        self._second_step(user, attrs.get("otp", ""))
        refresh = cast(RefreshToken, self.get_token(user))
        user_logged_in.send(sender=User, request=request, user=user)
        agent = request.headers.get("User-Agent", "")
        sign_ins.sign_in_note(user=user, agent=agent, sign_in=str(refresh[SIGN_IN_CLAIM]))
        return {"refresh": str(refresh), "access": str(refresh.access_token)}

    @staticmethod
    def _second_step(user: User, code: str) -> None:
        """Raises AuthenticationFailed where the user has one and the code is none of theirs."""
        if not second_step.second_step_is_on(user):
            return
        if not code:
            detail = gettext(
                "Two-step sign-in is on. Send a code of the authenticator app, or a recovery code, as otp."
            )
            raise AuthenticationFailed(detail, code="second_step_needed")
        if not second_step.second_step_code_is_right(user=user, code=code):
            detail = gettext("This is not the right code, or it was used already. Try the next one.")
            raise AuthenticationFailed(detail, code="second_step_wrong")

    @classmethod
    def get_token(cls, user: Any) -> Token:
        token = super().get_token(user)
        token[SIGN_IN_CLAIM] = sign_ins.sign_in_new()
        return token


class ExchangedToken(RefreshToken):
    """A refresh token that is exchanged for the next one, once.

    simplejwt looks for the token in the deny list and writes it there later, so that two requests at the same moment
    both find nothing: eight at once gave two chains. Here the unique row alone decides, in the write itself.
    """

    def check_blacklist(self) -> None:
        """Left to the write below."""

    def blacklist(self) -> BlacklistedToken:
        """Raises AuthenticationFailed where another request has exchanged it."""
        # The base answers what get_or_create does, though its type says otherwise.
        row, is_first = cast(tuple[BlacklistedToken, bool], super().blacklist())
        if not is_first:
            detail = gettext(
                "This refresh token was used already, perhaps a moment ago by another request. "
                "Use the tokens that request got, or sign in again."
            )
            raise AuthenticationFailed(detail, code="token_used")
        return row


@extend_schema_serializer(component_name="TokenRefresh")
class RefreshSerializer(JsonTypes, TokenRefreshSerializer):
    token_class = ExchangedToken

    def validate(self, attrs: dict[str, Any]) -> dict[str, str]:
        token = self.token_class(attrs["refresh"])
        token_user(token, fresh=True)
        # A token is used up only where the next one is stored.
        with transaction.atomic():
            found = super().validate(attrs)
        sign_ins.sign_in_seen(sign_in=str(token[SIGN_IN_CLAIM]))
        return found


@extend_schema_serializer(component_name="TokenVerify")
class VerifySerializer(JsonTypes, TokenVerifySerializer):
    def validate(self, attrs: dict[str, Any]) -> dict[Any, Any]:
        token_user(UntypedToken(attrs["token"]), fresh=True)
        return super().validate(attrs)


@extend_schema_serializer(component_name="TokenBlacklist")
class SignOutSerializer(JsonTypes, TokenBlacklistSerializer):
    """Ends the sign-in that the refresh token is of: its access tokens open nothing any more."""

    def validate(self, attrs: dict[str, Any]) -> dict[Any, Any]:
        sign_ins.sign_in_end(sign_in=str(RefreshToken(attrs["refresh"]).get(SIGN_IN_CLAIM, "")))
        return super().validate(attrs)
