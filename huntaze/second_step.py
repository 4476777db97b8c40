"""Answers whether a user has a second step of signing in, and whether a code is one of theirs.
Touches allauth's authenticators, and tells django-axes of what failed."""

import base64
import secrets
from typing import Any

import structlog
from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter, get_adapter
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authentication_failed
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.utils import is_mfa_enabled
from axes.handlers.proxy import AxesProxyHandler
from cryptography.fernet import InvalidToken
from django.contrib import messages
from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_login_failed
from django.core.cache import cache
from django.db import transaction
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext, gettext_lazy
from encrypted_fields.fields import EncryptedTextField

from crm.models import User
from crm.sign_ins import sign_ins_end_all
from huntaze.client_address import client_address

logger = structlog.get_logger(__name__)
# Those that are asked for; recovery codes alone are none, they stand in for one that was lost.
STEPS = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]
# Longer than the step of a code, the one before and the one after last.
SPENT_SECONDS = 120


def second_step_is_on(user: User) -> bool:
    return bool(is_mfa_enabled(user, STEPS))


def second_step_code_is_right(*, user: User, code: str) -> bool:
    """Whether this is a code of the user's authenticator app or a recovery code; a right one is spent by asking.

    What fails counts as a wrong password does, from the caller's address and for the user.
    """
    form = CodeForm(user=user, data={"code": code})
    if not form.is_valid():
        return False
    form.authenticator.record_usage()
    return True


def second_step_reset(*, user: User) -> int:
    """An operator's help for who lost all of it; answers how many steps and sets of codes there were.

    Whoever asked may not have been the user: every sign-in ends, so that the user notices.
    """
    with transaction.atomic():
        count = int(Authenticator.objects.filter(user=user).delete()[0])
        if count:
            sign_ins_end_all(user=user)
    if count:
        logger.warning("a second step was reset by an operator", user_id=user.pk)
    return count


@receiver(authentication_failed)
def failure_count(sender: type[Authenticator], request: HttpRequest, user: User, **kwargs: Any) -> None:
    user_login_failed.send(sender=__name__, credentials={"username": user.email}, request=request)


class _Locked:
    """A form whose codes are not looked at while django-axes keeps the user out, and which takes each one once."""

    user: User
    cleaned_data: dict[str, Any]

    def clean_code(self) -> str:
        request, credentials = context.request, {"username": self.user.email}
        if not AxesProxyHandler.is_allowed(request, credentials):
            request.axes_locked_out, request.axes_credentials = True, credentials
            raise get_adapter().validation_error("incorrect_code")
        code: str = super().clean_code()  # type: ignore[misc]  # of the form that this is mixed into
        authenticator = getattr(self, "authenticator", None)
        # allauth marks a recovery code in its row; an app's it remembers for a third of the time for which it is good.
        if authenticator is None or authenticator.type == Authenticator.Type.TOTP:
            digits = "".join(filter(str.isdigit, code))
            if not cache.add(f"second-step:{self.user.pk}:{digits}", True, timeout=SPENT_SECONDS):
                raise get_adapter().validation_error("incorrect_code")
        return code


class CodeForm(_Locked, AuthenticateForm):  # type: ignore[misc]  # allauth ships no types
    """The second step of signing in."""


class CodeAgainForm(_Locked, ReauthenticateForm):  # type: ignore[misc]
    """Before something that protects the account is changed."""


class ActivateForm(_Locked, ActivateTOTPForm):  # type: ignore[misc]
    """The first code of a new app."""


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """What allauth asks about signing in."""

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_address(request)

    def reauthenticate(self, user: User, password: str) -> bool:
        # By all backends, so that guessing locks here too.
        return authenticate(context.request, username=user.email, password=password) == user

    def respond_user_inactive(self, request: HttpRequest, user: User) -> HttpResponse:
        messages.error(request, gettext("This account is closed. Ask an operator."))
        return redirect("sign-in")

    def add_message(self, request: HttpRequest, level: int, *args: Any, **kwargs: Any) -> None:
        """Not of signing in and out, which anybody sees."""
        template = str(args[0] if args else kwargs.get("message_template") or "")
        if not template.startswith("account/messages/"):
            super().add_message(request, level, *args, **kwargs)


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Secrets are encrypted as vendors' keys are."""

    error_messages = DefaultMFAAdapter.error_messages | {
        "incorrect_code": gettext_lazy("This is not the right code, or it was used already. Try the next one."),
    }

    def encrypt(self, text: str) -> str:
        return str(EncryptedTextField().f.encrypt(text.encode()), "ascii")

    def decrypt(self, encrypted_text: str) -> str:
        try:
            return str(EncryptedTextField().f.decrypt(encrypted_text.encode()), "ascii")
        except InvalidToken:
            # No code is right then, as if all were mistyped; a recovery code is the same.
            logger.error("no SECRET_KEY opens a user's second step: reset it by manage.py reset_second_step")
            return base64.b32encode(secrets.token_bytes(20)).decode()

    def generate_authenticator_name(self, user: User, type: Authenticator.Type) -> str:  # noqa: A002  allauth's name
        number = Authenticator.objects.filter(user=user, type=type).count() + 1
        return gettext("Passkey") if number == 1 else gettext("Passkey %(number)s") % {"number": number}
