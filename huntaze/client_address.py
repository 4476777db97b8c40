"""Answers from which address a request came, behind as many proxies as the settings say. Touches the request alone."""

from ipaddress import IPv6Address, ip_address
from typing import Any

from django.conf import settings


def client_address(request: Any) -> str:
    """The IP address of the caller, an IPv6 one as its /64 network: one household or server has all of that.

    Each proxy adds who asked it to the right of X-Forwarded-For, so the PROXY_COUNT-th from the right was written by
    the outermost of ours, and what stands further left is whatever the caller claims.
    """
    address: str = request.META.get("REMOTE_ADDR") or ""
    if settings.PROXY_COUNT:
        forwarded = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
        address = forwarded[-min(settings.PROXY_COUNT, len(forwarded))] or address
    try:
        parsed = ip_address(address)
    except ValueError:
        return "0.0.0.0"  # noqa: S104  nothing is bound: all who cannot be told apart count as one
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or IPv6Address(int(parsed) >> 64 << 64))
