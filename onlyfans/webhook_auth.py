"""Answers whether an event comes from the vendor: its signature under the account's secrets. Touches nothing."""

import hashlib
import hmac
from collections.abc import Iterable


def sign(body: bytes, secret: str) -> str:
    """HMAC-SHA256 of the raw body in hexadecimal, as the vendor puts it into the header `Signature`."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def signed_by_any(body: bytes, *, signature: str, secrets: Iterable[str | None]) -> bool:
    """Whether one of the secrets made the signature. Each is tried to the end, so that time tells nothing of either."""
    given = signature.strip().lower().encode()
    fits = [hmac.compare_digest(sign(body, secret).encode(), given) for secret in secrets if secret]
    return any(fits)
