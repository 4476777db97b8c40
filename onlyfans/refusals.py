"""Answers how a vendor's error is told to messaging where it is certain that nothing was sent. Touches nothing."""

from messaging.gateways import Rejected, Scope
from onlyfans.vendor_answers import VendorError


def rejected(error: VendorError, *, code: str = "", reason: str = "") -> Rejected:
    """The error as the port's refusal; with another code and reason where the caller knows better what it means."""
    return Rejected(
        code=code or error.code,
        reason=reason or error.reason,
        permanent=error.permanent,
        rate_limited=error.rate_limited,
        retry_after=error.retry_after,
        scope=Scope.CREATOR if error.account_wide else Scope.MESSAGE,
    )
