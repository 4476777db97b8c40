"""Answers which configuration is unsafe or incomplete, as Django system checks. Touches the settings alone."""

import re
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register

from messaging.sending_needs import NEEDED_TO_SEND, sending_lacks


@register(Tags.compatibility)
def sending_is_configured(**kwargs: Any) -> list[CheckMessage]:
    """What sending lacks.

    W001: a variable that sending needs is missing, so rate-limited sending is disabled.
    W002: RATE_LIMITER_ENABLED is false, so messages are never sent.
    """
    if not settings.RATE_LIMITER_ENABLED:
        return [
            checks.Warning(
                "RATE_LIMITER_ENABLED is false: messages are logged, marked bypassed and never sent.", id="huntaze.W002"
            ),
        ]
    return [
        checks.Warning(
            f"{name} is not set: rate-limited sending is disabled.",
            hint=f"Set {name} to {NEEDED_TO_SEND[name]}.",
            id="huntaze.W001",
        )
        for name in sending_lacks()
    ]


@register(Tags.compatibility)
def a_send_ends_before_its_claim(**kwargs: Any) -> list[CheckMessage]:
    """E001: a claim that ends while its send may still be under way would let a second worker send the message too."""
    if settings.SEND_TIMEOUT_SECONDS < settings.SEND_LEASE_SECONDS < settings.SQS_VISIBILITY_TIMEOUT_SECONDS:
        return []
    return [
        checks.Error(
            "SEND_TIMEOUT_SECONDS must be under SEND_LEASE_SECONDS, and that under SQS_VISIBILITY_TIMEOUT_SECONDS.",
            id="huntaze.E001",
        ),
    ]


# Scheme and host, and the port where it is not the scheme's own: what a browser sends as Origin, and no more.
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?")
OWN_PORT = re.compile(r"(https://.*:443|http://.*:80)")


@register(Tags.security)
def allowed_origins_are_origins(**kwargs: Any) -> list[CheckMessage]:
    """E002: an entry of CORS_ALLOWED_ORIGINS is no origin that a browser can send, so it would allow nothing."""
    return [
        checks.Error(
            f"CORS_ALLOWED_ORIGINS: {origin!r} is not an origin.",
            hint="Give the scheme, the host and the port where it is not the usual one, and nothing after them: "
            "https://app.example.com or http://localhost:3000. A wildcard is not possible.",
            id="huntaze.E002",
        )
        for origin in settings.CORS_ALLOWED_ORIGINS
        if not ORIGIN.fullmatch(origin) or OWN_PORT.fullmatch(origin)
    ]


@register(Tags.security, deploy=True)
def messages_reach_a_platform(**kwargs: Any) -> list[CheckMessage]:
    """W004: no platform is configured, so every message ends as bypassed."""
    if settings.MESSAGING_GATEWAY != "messaging.dry_run_gateway.DryRunGateway":
        return []
    return [
        checks.Warning(
            "No gateway is configured: messages are logged, marked bypassed and never sent.",
            hint="Set MESSAGING_GATEWAY to onlyfans.gateway.OnlyFansGateway.",
            id="huntaze.W004",
        )
    ]


@register(Tags.security, deploy=True)
def hosts_are_named(**kwargs: Any) -> list[CheckMessage]:
    """W005: any name is taken for the site's, so that a link made of it may lead elsewhere."""
    if "*" not in settings.ALLOWED_HOSTS:
        return []
    return [
        checks.Warning(
            'ALLOWED_HOSTS contains "*": a request may call this site by any name.',
            hint="Set ALLOWED_HOSTS to the names under which it is reached.",
            id="huntaze.W005",
        )
    ]


@register(Tags.security, deploy=True)
def encryption_salt_is_own(**kwargs: Any) -> list[CheckMessage]:
    """W003: the salt of the vendor keys' encryption is the one everybody can read here."""
    if settings.SALT_KEY != "huntaze-field-encryption":
        return []
    return [
        checks.Warning(
            "FIELD_ENCRYPTION_SALT is not set.", hint="Set it once to a random text and keep it.", id="huntaze.W003"
        )
    ]


@register(Tags.security, deploy=True)
def not_for_this_machine_alone(**kwargs: Any) -> list[CheckMessage]:
    """W006: LOCAL is true, which no site that others reach may be."""
    if not settings.LOCAL:
        return []
    return [
        checks.Warning(
            "LOCAL is true: cookies travel without TLS, and static files are served unbuilt.",
            hint="Leave LOCAL out where others than this machine reach the site.",
            id="huntaze.W006",
        )
    ]
