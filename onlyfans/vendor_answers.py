"""Answers what each answer of the vendor, or none at all, proves about a send. Touches nothing."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from onlyfansapi import APIConnectionError, APIStatusError, OnlyFansAPIError

from crm.stored_words import kept_sentence

# A pause longer than this is a mistake of whoever answered.
RETRY_AFTER_MAX_SECONDS = 24 * 3600.0

# Raised before a byte of the request is written. Every other transport error may follow the write: a connection taken
# from the pool that dies gives RemoteProtocolError or ReadError whether or not the vendor read the request.
NOT_WRITTEN = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)

MACHINE_CODE = re.compile(r"[A-Z][A-Z0-9_]{2,60}")
FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,40}")


class VendorError(Exception):
    """The vendor did not do what was asked, or did not say whether it did.

    not_sent: it is certain that nothing went out; otherwise it may have.
    permanent: the same request would be refused again.
    rate_limited: a pause was asked for; `retry_after` in seconds, None where it did not say how long.
    account_wide: no other request of this account would fare better.
    repeatable: a send under the same key cannot arrive twice: if the first one was carried out, its answer is kept. Not
    so after a 5xx or a 408, which the vendor does not keep (SDK 0.2.0, chats.messages.send).

    `reason` is made of this module's own words and the vendor's codes and field names: the vendor's prose may repeat
    the message's text, so none of it passes.
    """

    def __init__(
        self,
        code: str,
        reason: str,
        *,
        not_sent: bool,
        permanent: bool = False,
        rate_limited: bool = False,
        retry_after: float | None = None,
        account_wide: bool = False,
        repeatable: bool = False,
    ) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason[:300]
        self.not_sent = not_sent
        self.permanent = permanent
        self.rate_limited = rate_limited
        self.retry_after = retry_after
        self.account_wide = account_wide
        self.repeatable = repeatable


def unreadable() -> VendorError:
    """The vendor's answer is nothing that its client can read."""
    return VendorError(
        "answer_unreadable", kept_sentence("The vendor answered something that is not its own JSON."), not_sent=False
    )


def vendor_error(error: Exception) -> VendorError:
    """What a failed request proves."""
    match error:
        case APIStatusError():
            return _status_error(error.response)
        case APIConnectionError():
            cause = error.__cause__ or error
            if isinstance(cause, NOT_WRITTEN):
                return VendorError(
                    "unreachable",
                    kept_sentence("The vendor could not be reached") + f" ({type(cause).__name__}).",
                    not_sent=True,
                )
            if isinstance(cause, httpx.TimeoutException):
                return VendorError(
                    "timeout", kept_sentence("The vendor did not answer in time."), not_sent=False, repeatable=True
                )
            return VendorError(
                "connection_lost",
                kept_sentence("The connection broke before the vendor answered") + f" ({type(cause).__name__}).",
                not_sent=False,
                repeatable=True,
            )
        case AttributeError() | ValueError() | TypeError() | OnlyFansAPIError():
            # A page of HTML comes back as a str, a list as whatever it is; half a JSON text does not decode.
            return unreadable()
    return VendorError(
        "unexpected", kept_sentence("The vendor's client failed") + f" ({type(error).__name__}).", not_sent=False
    )


@dataclass(frozen=True, slots=True)
class _Refusal:
    """What a status means: its code, the words, and whether the same request could ever pass."""

    code: str
    reason: str
    permanent: bool = False
    account_wide: bool = False


_REFUSALS = {
    400: _Refusal("bad_request", kept_sentence("The vendor refused the request"), permanent=True),
    401: _Refusal(
        "unauthorized",
        kept_sentence("The vendor refused the key, or the OnlyFans session ended. Reconnect the account"),
        account_wide=True,
    ),
    402: _Refusal(
        "credits_used_up", kept_sentence("The vendor's credits are used up. Top them up, then retry"), account_wide=True
    ),
    403: _Refusal("forbidden", kept_sentence("The vendor does not allow this account to do that"), permanent=True),
    404: _Refusal("not_found", kept_sentence("The vendor does not know this account or this fan"), permanent=True),
    410: _Refusal(
        "session_ended", kept_sentence("The OnlyFans session ended. Reconnect the account"), account_wide=True
    ),
    422: _Refusal("invalid", kept_sentence("The vendor found the request invalid"), permanent=True),
}
_OTHER_REFUSAL = _Refusal("refused", kept_sentence("The vendor refused the request"), permanent=True)


def _status_error(response: httpx.Response) -> VendorError:
    body = _json_object(response)
    status = response.status_code
    if body is not None and isinstance(upstream := body.get("onlyfans_response"), dict):
        # OnlyFans's own refusal, handed on under a status of the vendor's choice.
        status = upstream["status"] if upstream.get("status") in (401, 429) else status
    vendor_code = _machine_code(body)
    said = f" ({status}{', ' + vendor_code if vendor_code else ''})."
    if body is not None and body.get("request_outcome") == "not_sent" and status in (408, 409, *range(500, 600)):
        return VendorError("not_sent", kept_sentence("The vendor could not send it and says so") + said, not_sent=True)
    if status == 429:
        retry_after = retry_after_of(response.headers)
        return VendorError(
            "rate_limited",
            kept_sentence("The platform asks for a pause") + said,
            not_sent=True,
            rate_limited=True,
            retry_after=retry_after,
        )
    if status == 409 and vendor_code == "IDEMPOTENCY_CONFLICT":
        # The vendor's own contract (SDK 0.2.0, chats.messages.send): an earlier request with this key still runs.
        return VendorError(
            "idempotency_conflict",
            kept_sentence("An earlier attempt at this message is still under way") + said,
            not_sent=False,
            repeatable=True,
        )
    if status == 422 and vendor_code == "IDEMPOTENCY_KEY_MISMATCH":
        return VendorError(
            "idempotency_key_mismatch",
            kept_sentence(
                "An earlier attempt at this message had other content. Look in the chat, then send it as a new message"
            )
            + said,
            not_sent=True,
            permanent=True,
        )
    if status in (408, 409) or not 400 <= status < 500:
        return VendorError(
            "vendor_trouble", kept_sentence("The vendor failed without saying what became of it") + said, not_sent=False
        )
    refusal = _REFUSALS.get(status, _OTHER_REFUSAL)
    code, reason = refusal.code, refusal.reason
    if status == 400 and _unreachable_fan(body):
        code, reason = "fan_unreachable", kept_sentence("OnlyFans does not let this account write to this fan")
    if status == 422 and (names := _field_names(body)):
        reason += ": " + ", ".join(names)
    return VendorError(
        code,
        reason + said,
        not_sent=True,
        # A page of HTML comes from something before the vendor (a firewall, a wrong address): it says nothing lasting.
        permanent=refusal.permanent and body is not None,
        account_wide=refusal.account_wide,
    )


def _json_object(response: httpx.Response) -> dict[str, Any] | None:
    try:
        body = response.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _machine_code(body: dict[str, Any] | None) -> str:
    code = (body or {}).get("error")
    return code if isinstance(code, str) and MACHINE_CODE.fullmatch(code) else ""


def _field_names(body: dict[str, Any] | None) -> list[str]:
    errors = (body or {}).get("errors")
    return [str(name) for name in errors if FIELD_NAME.fullmatch(str(name))][:5] if isinstance(errors, dict) else []


def _unreachable_fan(body: dict[str, Any] | None) -> bool:
    """The vendor gives this refusal no code of its own, only this sentence, in one of two places."""
    answers = [body, (body or {}).get("onlyfans_response")]
    return any("cannot send message to this user" in str(answer).lower() for answer in answers)


def retry_after_of(headers: httpx.Headers) -> float | None:
    """Seconds to wait by `Retry-After` (RFC 9110: seconds or an HTTP date); None where it is absent or unreadable."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", value):
        return min(float(value), RETRY_AFTER_MAX_SECONDS)
    until = _http_date(value)
    if until is None:
        return None
    # Measured by the clock of whoever wrote the date, where it says what its clock shows.
    now = _http_date(headers.get("date", "")) or datetime.now(UTC)
    return min(max((until - now).total_seconds(), 0.0), RETRY_AFTER_MAX_SECONDS)


def _http_date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
