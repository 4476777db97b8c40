"""Answers how values from outside become typed ones: a fan of a file, a message's content. Touches nothing."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from django.utils.formats import number_format
from django.utils.translation import gettext

from crm.errors import FieldError

# The bounds that the database checks too (crm.models).
MESSAGE_MAX_CHARACTERS = 5_000
PRICE_MIN_CENTS = 300
PRICE_MAX_CENTS = 20_000
MEDIA_MAX = 40
VENDOR_MEDIA_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


@dataclass(frozen=True, slots=True)
class FanRow:
    """One fan as a file or a sync knows them; None means that the source has no such column, so nothing is changed."""

    platform_id: str
    handle: str = ""
    name: str | None = None
    email: str | None = None
    tags: tuple[str, ...] | None = None
    notes: str | None = None
    value_cents: int | None = None
    last_seen_at: datetime | None = None


def media_attachments(media_urls: Iterable[str]) -> list[dict[str, str]]:
    """Media as a message keeps them; media_urls is the way back."""
    return [{"type": "media", "url": url} for url in media_urls]


def media_urls(attachments: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    return tuple(attachment["url"] for attachment in attachments)


def check_content(
    *, content: str, media_urls: Sequence[str], price_cents: int, content_field: str = "content"
) -> list[FieldError]:
    """What is wrong with the content of an outbound message; an empty list when nothing is.

    The bounds are the vendor's (price) and our own below the vendor's 10,000 characters (content).
    """
    errors = []
    text = content.strip()
    if not text and not media_urls:
        errors.append(FieldError(content_field, "required", gettext("Write a message first.")))
    elif len(content) > MESSAGE_MAX_CHARACTERS:
        errors.append(
            FieldError(
                content_field,
                "too_long",
                gettext("A message holds at most %(most)s characters; this one has %(number)s.")
                % {
                    "most": number_format(MESSAGE_MAX_CHARACTERS, force_grouping=True),
                    "number": number_format(len(content), force_grouping=True),
                },
            )
        )
    elif "\x00" in content:
        errors.append(FieldError(content_field, "invalid", gettext("A message cannot hold the character NUL.")))
    errors.extend(_check_media(media_urls))
    if price_cents and not PRICE_MIN_CENTS <= price_cents <= PRICE_MAX_CENTS:
        errors.append(
            FieldError(
                "price_cents",
                "out_of_range",
                gettext("A price is 0 or from $%(least)s to $%(most)s (%(least_cents)s to %(most_cents)s cents).")
                % {
                    "least": PRICE_MIN_CENTS // 100,
                    "most": PRICE_MAX_CENTS // 100,
                    "least_cents": PRICE_MIN_CENTS,
                    "most_cents": PRICE_MAX_CENTS,
                },
            )
        )
    elif price_cents and not media_urls:
        errors.append(FieldError("price_cents", "needs_media", gettext("Only a message with media can have a price.")))
    return errors


def _check_media(media_urls: Iterable[str]) -> list[FieldError]:
    media = list(media_urls)
    if len(media) > MEDIA_MAX:
        return [
            FieldError(
                "media_urls", "too_many", gettext("A message holds at most %(most)s media.") % {"most": MEDIA_MAX}
            )
        ]
    return [
        FieldError(f"media_urls[{index}]", "invalid", gettext("Give an https URL or a media id of the vendor."))
        for index, item in enumerate(media)
        if not (VENDOR_MEDIA_ID.fullmatch(item) or _is_https(item))
    ]


def _is_https(url: str) -> bool:
    if len(url) > 2_000 or any(c.isspace() for c in url):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.hostname)
